"""Plugins that are Python projects (setup.py, pyproject.toml): built into a wheel, inside the sandbox."""

from __future__ import annotations

import email
import hashlib
import os
import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from brainscore_ops.plugins.files import HostileFileError, read_json, read_regular_file
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
_WHEEL_NAME = re.compile(
    r"[A-Za-z0-9_.]+-[A-Za-z0-9_.+!]+(-\d[^-/]*)?-[A-Za-z0-9_.]+-[A-Za-z0-9_.]+-[A-Za-z0-9_.]+\.whl"
)


class ProjectBuildError(EnvironmentBuildError):
    """A plugin's setup.py or pyproject.toml could not be built; the ``log`` has the end of what it printed."""

    code = "project-not-built"


@dataclass(frozen=True)
class BuiltProject:
    """A project's wheel."""

    path: str
    """The plugin's folder from the root of the repository."""
    source_digest: str
    name: str
    wheel: Path
    wheel_digest: str
    """SHA-256, in hexadecimal."""
    requires: tuple[str, ...]
    """What it needs to run."""


def build_project(
    project: Project, python: Path, visible: Sequence[Path], folder: Path, *, sandbox: Sandbox
) -> list[str]:
    """Build a project's wheel into a new folder, or say what else has to be installed first (then there is no folder).

    :param python: of an environment that has the build requirements
    :param visible: what that Python needs to read
    :raises ProjectBuildError: it does not build
    """
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as scratch:
        outcome = sandbox.run(
            [python, "-I", SCRIPTS / "build_wheel.py", project.folder, project.backend, "/build"],
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
        read_built(wheel.parent, project)
        shutil.move(wheel.parent, folder)
    return []


def read_built(folder: Path, project: Project) -> BuiltProject:
    """Read what a wheel says about itself.

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
    except (HostileFileError, zipfile.BadZipFile, OSError, ValueError) as error:
        raise ProjectBuildError(f"{project.path} was built, but its wheel is damaged: {error}") from error
    name = str(metadata.get("Name", ""))
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        raise ProjectBuildError(f"{project.path} was built, but its name is none: {name[:100]!r}.")
    requires = tuple(str(one).strip() for one in metadata.get_all("Requires-Dist", []))
    problems = requirement_faults(f"{project.path} (install_requires)", requires)
    if problems:
        raise RequirementsRefusedError("The requirements cannot be installed here.", problems=problems)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return BuiltProject(project.path, project.digest, name, wheel, digest, requires)
