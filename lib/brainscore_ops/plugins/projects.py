"""Plugins that are Python projects (setup.py, pyproject.toml): built into a wheel, inside the sandbox."""

from __future__ import annotations

import email
import hashlib
import os
import re
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from brainscore_ops.plugins.files import HostileFileError, read_json, read_regular_file
from brainscore_ops.plugins.lock import Built, Lock, read_lock
from brainscore_ops.plugins.requirements import EnvironmentBuildError, RequirementsRefusedError, requirement_faults
from brainscore_ops.plugins.runner import SCRIPTS
from brainscore_ops.plugins.sandbox import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brainscore_ops.plugins.requirements import Project
    from brainscore_ops.plugins.sandbox import Sandbox

_LIMITS = Limits(wall_seconds=600)
_MAX_WHEEL_BYTES = 256 * 1024**2
_MAX_METADATA_BYTES = 1024**2
_BUILDER = "builder.txt"
_WHEEL_NAME = re.compile(
    r"[A-Za-z0-9_.]+-[A-Za-z0-9_.+!]+(-\d[^-/]*)?-[A-Za-z0-9_.]+-[A-Za-z0-9_.]+-[A-Za-z0-9_.]+\.whl"
)


class ProjectBuildError(EnvironmentBuildError):
    """A plugin's setup.py or pyproject.toml could not be built; the ``log`` has the end of what it printed."""

    code = "project-not-built"


@dataclass(frozen=True)
class BuiltProject:
    """A project's wheel."""

    built: Built
    """What it was built from, and with what."""
    name: str
    """As PyPI normalizes it."""
    version: str
    wheel: Path
    wheel_digest: str
    """SHA-256, in hexadecimal."""
    requires: tuple[str, ...]
    """What it needs to run."""


def build_project(
    project: Project, python: Path, visible: Sequence[Path], folder: Path, *, builder: Lock, sandbox: Sandbox
) -> list[str]:
    """Build a project's wheel into a new folder, or say what else has to be installed first (then there is no folder).

    :param python: of an environment that has the build requirements
    :param visible: what that Python needs to read
    :param builder: that environment's lock
    :raises ProjectBuildError: it does not build
    """
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as scratch:
        outcome = sandbox.run(
            [
                python,
                "-I",
                SCRIPTS / "build_wheel.py",
                project.folder,
                project.backend,
                "/build",
                *project.backend_path,
            ],
            readonly=[*visible, SCRIPTS, project.folder],
            writable={Path(scratch): "/build"},
            cwd="/build",
            environment={},
            limits=_LIMITS,
        )
        if outcome.reason != "ok":
            raise ProjectBuildError(
                f"{project.path} cannot be built: {outcome.detail}.",
                remedy="Build it without a network, from its build requirements alone: 'pip wheel --no-deps .' shows the same.",
                log=outcome.log,
            )
        try:
            missing = read_json(Path(scratch) / "missing.json")
            if not isinstance(missing, list) or not all(isinstance(one, str) for one in missing):
                raise HostileFileError("missing.json is no list of requirements.")
            if missing:
                return missing
            wheels = [entry.name for entry in os.scandir(Path(scratch) / "wheel")]
            if len(wheels) != 1 or not _WHEEL_NAME.fullmatch(wheels[0]):
                raise HostileFileError(f"One wheel is expected; found {wheels[:5]}.")
            content = read_regular_file(Path(scratch) / "wheel" / wheels[0], _MAX_WHEEL_BYTES)
        except (HostileFileError, OSError) as error:
            raise ProjectBuildError(f"{project.path} was built, but its result is not usable: {error}") from error

    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        wheel = Path(made) / "built" / wheels[0]
        wheel.parent.mkdir(mode=0o755)
        wheel.write_bytes(content)
        wheel.chmod(0o644)
        (wheel.parent / _BUILDER).write_text(builder.text)
        read_built(wheel.parent, project.path, project.digest)
        # Whole or not at all; where somebody else was quicker, theirs stays.
        with suppress(FileExistsError, OSError):
            wheel.parent.rename(folder)
    return []


def read_built(folder: Path, source: str, digest: str) -> BuiltProject:
    """Read what a wheel says about itself.

    :param source: what it was built from
    :param digest: SHA-256 of that
    :raises ProjectBuildError: its metadata cannot be read
    :raises RequirementsRefusedError: it needs what cannot be installed here
    """
    wheel = next(folder.glob("*.whl"))
    try:
        with zipfile.ZipFile(wheel) as archive:
            places = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
            if len(places) != 1 or archive.getinfo(places[0]).file_size > _MAX_METADATA_BYTES:
                raise HostileFileError("One METADATA file is expected.")
            metadata = email.message_from_bytes(archive.read(places[0]))
        name, version, _, _ = parse_wheel_filename(wheel.name)
    except (HostileFileError, InvalidWheelFilename, zipfile.BadZipFile, OSError, ValueError) as error:
        raise ProjectBuildError(f"{source} was built, but its wheel is damaged: {error}") from error
    if canonicalize_name(str(metadata.get("Name", ""))) != name:
        raise ProjectBuildError(f"{source} was built, but its wheel and its metadata name different packages.")
    requires = tuple(str(one).strip() for one in metadata.get_all("Requires-Dist", []))
    problems = requirement_faults(f"{source} (install_requires)", requires)
    if problems:
        raise RequirementsRefusedError("The requirements cannot be installed here.", problems=problems)
    builder = read_lock((folder / _BUILDER).read_text())
    _require_python(source, str(metadata.get("Requires-Python", "")), builder.python)
    wheel_digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return BuiltProject(Built(source, digest, builder), name, str(version), wheel, wheel_digest, requires)


def _require_python(source: str, asked: str, python: str) -> None:
    try:
        fits = python in SpecifierSet(asked, prereleases=True)
    except InvalidSpecifier:
        fits = False
    if not fits:
        raise ProjectBuildError(
            f"{source} was built with Python {python}; it asks for {asked[:100]!r}.",
            remedy="Say so in pyproject.toml (requires-python), which is read before anything is built.",
            code="python-unavailable",
        )


def unpack_source(archive: Path, python: Path, visible: Sequence[Path], folder: Path, *, sandbox: Sandbox) -> Path:
    """Unpack a source release, in the sandbox.

    :param python: any Python
    :param visible: what that Python needs to read
    :param folder: takes the sources; hostile afterwards
    :return: the folder in it that has the project
    :raises ProjectBuildError: it is no archive of one folder
    """
    outcome = sandbox.run(
        [python, "-I", "-S", SCRIPTS / "unpack_source.py", archive, "/unpacked"],
        readonly=[*visible, SCRIPTS, archive],
        writable={folder: "/unpacked"},
        cwd="/unpacked",
        environment={},
        limits=_LIMITS,
    )
    if outcome.reason != "ok":
        raise ProjectBuildError(f"{archive.name} cannot be unpacked: {outcome.detail}.", log=outcome.log)
    found = [entry for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    if len(found) != 1:
        raise ProjectBuildError(f"{archive.name} is expected to hold one folder; found {len(found)}.")
    return Path(found[0].path)
