"""Environments for plugins: built once for what is asked for, without running anything of strangers outside the sandbox."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from brainscore_ops.display import Code, Shown, Table
from brainscore_ops.errors import Fault, Problem
from brainscore_ops.plugins import conda
from brainscore_ops.plugins.collection import collect
from brainscore_ops.plugins.files import write_once
from brainscore_ops.plugins.holding import file_system_time, held
from brainscore_ops.plugins.lock import (
    Built,
    CondaPackage,
    Lock,
    LockUnreadableError,
    named_by,
    read_lock,
    versions,
    with_digest,
    without,
)
from brainscore_ops.plugins.projects import BuiltProject, ProjectBuildError, build_project, read_built, unpack_source
from brainscore_ops.plugins.registry import EnvironmentUnavailableError, Registry, SourceRelease, lacking_wheels
from brainscore_ops.plugins.requirements import (
    EnvironmentBuildError,
    Project,
    Requirements,
    RequirementsRefusedError,
    enumerate_lines,
    read_project,
    requirement_faults,
    requirements_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from brainscore_ops.plugins.sandbox import Sandbox

__all__ = [
    "Environment",
    "EnvironmentBuildError",
    "EnvironmentStore",
    "EnvironmentUnavailableError",
    "LockUnreadableError",
    "PythonUnavailableError",
    "Requirements",
    "RequirementsRefusedError",
    "requirements_for",
]

_ALWAYS = "pytest\n"
"""What every environment has besides: its plugins' tests run in it."""

_COLLECT_SECONDS = 86400.0
_COMPILE_SECONDS = 600
_COMPILE_MEMORY = 2 * 1024**3
_MAX_BUILD_ROUNDS = 2
_MAX_SOURCE_RELEASES = 20
"""So many packages of an environment may be released only as source code."""
_MAX_DEPTH = 3
"""So deep may a build need what has to be built first."""


_Chain = tuple[str, ...]
"""Digests of what is being built, each because of the one before."""


class PythonUnavailableError(EnvironmentBuildError):
    """A plugin asks for a Python that this machine does not have."""

    code = "python-unavailable"


@dataclass(frozen=True)
class Environment(Shown):
    """An installed set of packages, with a Python of its own."""

    path: Path
    python: Path
    lock: str
    """What it consists of, exactly: the text of a :class:`~brainscore_ops.plugins.lock.Lock`."""
    lock_digest: str
    """SHA-256 of the lock, in hexadecimal."""

    @property
    def packages(self) -> tuple[str, ...]:
        """``name==version`` of each package from a registry."""
        lines = (line for line in self.lock.splitlines() if line and not line.startswith((" ", "#")))
        return tuple(line.split(";")[0].split("\\")[0].strip() for line in lines)

    def table(self) -> Table:
        names = [package.partition("==") for package in self.packages]
        return Table(
            "Environment",
            [
                ("lock", Code(self.lock_digest)),
                ("Python", next(iter(re.findall(r"(?m)^# python (\S+ \S+)$", self.lock)), None)),
                (
                    "packages",
                    "\n".join([f"{len(names)} from registries", *(f"{name} {version}" for name, _, version in names)]),
                ),
                ("built here", "\n".join(re.findall(r"(?m)^# built from (\S+)", self.lock))),
            ],
        )

    @property
    def visible(self) -> tuple[Path, ...]:
        """What has to be readable for it to run: itself, and the Python installation that it was made from."""
        home = next(
            Path(line.partition("=")[2].strip())
            for line in (self.path / "pyvenv.cfg").read_text().splitlines()
            if line.partition("=")[0].strip() == "home"
        )
        return (self.path, *_installation(home / self.python.name))


class EnvironmentStore:
    """Environments on disk, by what they were made from. Several processes, and machines, can share one.

    What is made is made beside and published by one atomic step that replaces nothing: nobody ever sees half of it, and
    of two that made the same at once the first one's counts. Locks only spare the work of making it twice, so that a
    shared file system without locks costs time and nothing else.

    :param root: where they are kept; uv's cache stands beside them, so that files are linked rather than copied
    :param python: the interpreter to make them from, as uv names it (``3.11``, a path); by default this one's.
        Another is taken where a plugin asks for one and uv finds it on this machine
    :param sandbox: where everything is built that has no wheel
    :param most_bytes: how much is kept (see :func:`~brainscore_ops.plugins.collection.collect`, which is called once a day
        when something new was made)
    :param most_days: for how long it is kept
    :param channels: the conda channels that an environment.yml may name, and those that it gets where it names none
    """

    def __init__(
        self,
        root: Path,
        *,
        python: str | None = None,
        sandbox: Sandbox,
        most_bytes: int | None = None,
        most_days: float | None = None,
        channels: Sequence[str] = ("conda-forge",),
    ) -> None:
        self.root = root.absolute()
        self._most_bytes, self._most_days = most_bytes, most_days
        self._channels = tuple(channels)
        self._python_request = python or sys.executable
        self._sandbox = sandbox
        self._registry = Registry(self.root)
        self._pythons: dict[str, _Python] = {}

    def ensure(self, requirements: Requirements) -> Environment:
        """The environment for some requirements; made if it is not there.

        What was resolved once stays so: the same requirements give the same lock, however the registry changes.
        Wheels are installed without running anything of them. A package that is released only as source code, and a
        plugin that is a project of its own, are built inside the sandbox.

        :raises EnvironmentBuildError: they cannot be met, or something does not build; nothing of the attempt is kept
        :raises EnvironmentUnavailableError: the registry could not be reached
        """
        self._prepare()
        of_conda = self._solved(requirements) if requirements.conda else ()
        python = self._conda_python(of_conda) if of_conda else self._python(requirements.python)
        projects = [self._built(project, python) for project in requirements.projects]
        texts = [requirements.library_requirements, *(text for _, text in requirements.plugin_requirements)]
        texts += ["\n".join(one.requires) for one in projects]
        resolved = self._resolved([*texts, _ALWAYS], python, requirements.overrides, of_conda=of_conda)
        lock = replace(resolved, conda=of_conda, built=(*resolved.built, *(one.built for one in projects)))
        there = (self.root / "environments" / lock.digest / "current").exists()
        environment = self._installed(lock, {one.path: one for one in requirements.projects})
        if not there:
            self._collect_once_a_day()
        return environment

    def environment_from_lock(self, text: str, *, checkout: Path | None = None) -> Environment:
        """The environment that a recorded lock describes, made anew if it is not there; each file's digest is checked.

        :param text: ``Environment.lock``, as it was recorded with a score; :meth:`lock_text` has it by its digest
        :param checkout: the repository at the recorded commit; needed only where the lock names plugins that are built
        :raises LockUnreadableError: the text is no lock
        :raises EnvironmentBuildError: its Python is not on this machine, or the sources are not those that it names
        :raises EnvironmentUnavailableError: the registry could not be reached, or lacks what it had
        """
        self._prepare()
        lock = read_lock(text)
        plugins = {}
        for one in lock.built:
            if not one.released:
                plugins[one.source] = self._recorded_project(one, checkout)
        return self._installed(lock, plugins)

    def lock_text(self, digest: str) -> str | None:
        """The lock with that digest, of any environment that was ever made here: they outlive their environments."""
        path = self.root / "recorded-locks" / f"{digest}.txt"
        return path.read_text() if path.exists() else None

    def _prepare(self) -> None:
        for name in ("resolved", "environments", "projects", "recorded-locks", "locks"):
            # Readable for everybody: as root, what is in here is run as another user.
            (self.root / name).mkdir(parents=True, exist_ok=True, mode=0o755)

    # Which Python.

    def _python(self, asked: str) -> _Python:
        """The Python for a version specifier: the default one, if it will do.

        :raises PythonUnavailableError: there is none on this machine
        """
        if asked not in self._pythons:
            self._pythons[asked] = self._find_python(asked)
        return self._pythons[asked]

    def _conda_python(self, packages: Sequence[CondaPackage]) -> _Python:
        """The Python that is among some conda packages. It is not run outside the sandbox."""
        version = conda.versions_of(packages)["python"]
        return _Python(Path(), version, self._python("").platform)

    def _find_python(self, asked: str) -> _Python:
        if self._python_request == sys.executable:
            default = _Python(Path(sys._base_executable), sys.version.split()[0], sysconfig.get_platform())  # type: ignore[attr-defined]
        else:
            default = _look_at(self._registry.uv("python", "find", self._python_request).strip())
        if default.version in SpecifierSet(asked, prereleases=True):
            return default
        try:
            return _look_at(self._registry.uv("python", "find", "--no-python-downloads", asked).strip())
        except (EnvironmentBuildError, EnvironmentUnavailableError):
            listed = json.loads(
                self._registry.uv("python", "list", "--only-installed", "--output-format", "json", "--offline")
            )
            there = sorted({one["version"] for one in listed if one["implementation"] == "cpython"} | {default.version})
            raise PythonUnavailableError(
                f"Python {asked} is asked for; here there is {', '.join(there)}.",
                remedy=f"Allow one of those in requires-python, or ask the operators for 'uv python install \"{asked}\"'.",
            ) from None

    # Resolving: from ranges to a lock.

    def _solved(self, requirements: Requirements) -> tuple[CondaPackage, ...]:
        """Exact conda packages, Python among them, for all of a set's files called environment.yml."""
        conda.require_conda()
        problems = [
            Problem(
                "channel-not-allowed",
                f"The conda channel {channel[:100]!r} may not be used here; allowed: {', '.join(self._channels)}.",
                one.path,
            )
            for one in requirements.conda
            for channel in one.channels
            if channel not in self._channels
        ]
        if problems:
            raise RequirementsRefusedError("The requirements cannot be installed here.", problems=problems)
        channels = list(dict.fromkeys(channel for one in requirements.conda for channel in one.channels))
        channels = channels or [*self._channels]
        specs = [spec for one in requirements.conda for spec in one.specs]
        default = self._python("")
        if not any(re.match(r"python\b(?![-_.])", spec) for spec in specs):
            specs.append(f"python {default.version.rpartition('.')[0]}.*")
        if requirements.python:
            specs.append(f"python {requirements.python}")
        key = _digest(json.dumps([channels, specs, default.platform]))

        def solve() -> Lock:
            found = conda.solve(channels, specs, self.root / "conda-cache")
            return Lock(conda.versions_of(found)["python"], default.platform, conda=tuple(found))

        return self._once(f"conda-{key}", solve).conda

    def _resolved(
        self,
        texts: Sequence[str],
        python: _Python,
        overrides: str = "",
        chain: _Chain = (),
        of_conda: Sequence[CondaPackage] = (),
    ) -> Lock:
        """Exact versions and hashes for some requirements: what was found before, or what the registry has now."""
        document = [texts, overrides, python.version, python.platform, *(one.url for one in of_conda)]
        return self._once(
            _digest(json.dumps(document)), lambda: self._resolve(texts, python, overrides, chain, of_conda)
        )

    def _once(self, key: str, resolve: Callable[[], Lock]) -> Lock:
        path = self.root / "resolved" / f"{key}.txt"
        with self._held(f"resolved-{key}"):
            if not path.exists():
                write_once(path, resolve().text.encode())
            os.utime(path)
            return read_lock(path.read_text())

    def _resolve(
        self, texts: Sequence[str], python: _Python, overrides: str, chain: _Chain, of_conda: Sequence[CondaPackage]
    ) -> Lock:
        """Resolve with wheels alone; build what turns out to have none, and resolve again with it."""
        built: dict[str, BuiltProject] = {}
        while True:
            try:
                packages = self._compile(texts, python, overrides, [*built.values()], of_conda)
            except EnvironmentBuildError as error:
                missing = [name for name in lacking_wheels(error) if name not in built]
                if not missing or len(chain) >= _MAX_DEPTH or len(built) + len(missing) > _MAX_SOURCE_RELEASES:
                    raise
                for name in missing:
                    release = self._registry.source_release(_narrowed(name, texts), python.version)
                    if release is None:
                        raise
                    built[name] = self._built_release(release, python, chain)
            else:
                break
        used = versions(packages)
        built = {name: one for name, one in built.items() if used.get(name) == one.version}
        for name, one in built.items():
            packages = with_digest(packages, name, one.built.digest)
        return Lock(python.version, python.platform, packages, tuple(one.built for one in built.values()))

    def _compile(
        self,
        texts: Sequence[str],
        python: _Python,
        overrides: str,
        built: Sequence[BuiltProject],
        of_conda: Sequence[CondaPackage],
    ) -> str:
        with tempfile.TemporaryDirectory() as scratch:
            overriding = Path(scratch) / "overrides.txt"
            overriding.write_text(overrides)
            files, links = [], []
            if of_conda:
                # Where a package is conda's too, it is the same version: compiled parts of others may rest on it.
                same = Path(scratch) / "constraints.txt"
                same.write_text("".join(f"{name}=={version}\n" for name, version in _also_from_pypi(of_conda).items()))
                links += ["--constraints", str(same)]
            for number, text in enumerate(texts):
                files.append(Path(scratch) / f"{number}.in")
                files[-1].write_text(text)
            for one in built:
                # Those alone that these requirements led to: what others had built is none of their business.
                (Path(scratch) / one.wheel.name).symlink_to(one.wheel)
            if built:
                links += [
                    argument for place in (scratch, *self._registry.find_links) for argument in ("--find-links", place)
                ]
            return self._registry.uv(
                "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--only-binary", ":all:",
                "--no-emit-index-url", "--no-emit-find-links", *self._for_python(python),
                "--overrides", str(overriding), *links, *map(str, files),
            )  # fmt: skip

    def _for_python(self, python: _Python) -> list[str]:
        """How uv is told which Python it works for: one of conda's is named, and not asked."""
        if python.is_condas:
            return ["--python", str(self._python("").path), "--python-version", python.version]
        return ["--python", str(python.path)]

    # Building: plugins that are projects, and packages that are released only as source code.

    def _built_release(self, release: SourceRelease, python: _Python, chain: _Chain) -> BuiltProject:
        """The wheel of a source release; it has to be of the package and version that the registry says."""
        with tempfile.TemporaryDirectory(dir=self.root / "projects") as scratch:
            archive, digest = self._registry.download(release, Path(scratch), python.version)
            one = self._built_archive(archive, digest, python, chain)
        if (one.name, one.version) != (release.name, release.version):
            raise ProjectBuildError(
                f"{release.filename} is expected to build {release.name} {release.version}; "
                f"it built {one.name} {one.version}."
            )
        return one

    def _built_archive(
        self, archive: Path, digest: str, python: _Python, chain: _Chain, builder: Lock | None = None
    ) -> BuiltProject:
        there = self._find_built(Built(archive.name, digest, builder or Lock(python.version, python.platform)), builder)
        if there:
            return there
        archive.parent.chmod(0o755)
        with tempfile.TemporaryDirectory(dir=archive.parent, ignore_cleanup_errors=True) as scratch:
            any_python = self._python("").path
            folder = unpack_source(archive, any_python, _installation(any_python), Path(scratch), sandbox=self._sandbox)
            Path(scratch).chmod(0o755)
            problems: list[Problem] = []
            project = read_project(folder, archive.name, problems, digest)
            if project is None:
                raise ProjectBuildError(
                    f"{archive.name} cannot be built: it has neither setup.py nor a project in pyproject.toml.",
                    problems=problems,
                )
            if problems:
                raise RequirementsRefusedError("The requirements cannot be installed here.", problems=problems)
            return self._built(project, python, chain, builder)

    def _built(
        self, project: Project, python: _Python, chain: _Chain = (), builder: Lock | None = None
    ) -> BuiltProject:
        """A project's wheel: the one that was built before, or a new one out of the sandbox.

        :param chain: what is being built already, and needs this
        :param builder: the environment that it has to be built in; by default, what its build requirements resolve to
        """
        if project.digest in chain:
            raise ProjectBuildError(f"{project.path} cannot be built: what builds it needs it to be built first.")
        chain = (*chain, project.digest)
        folder = self._wheel_folder(project.digest, python)
        with self._held(f"projects-{folder.name}"):
            if not folder.exists():
                self._build(project, folder, python, chain, builder)
            one = read_built(folder, project.path, project.digest)
        if builder in (None, one.built.builder):
            return one
        folder = self._wheel_folder(project.digest, python, builder)
        with self._held(f"projects-{folder.name}"):
            if not folder.exists():
                self._build(project, folder, python, chain, builder)
            return read_built(folder, project.path, project.digest)

    def _build(self, project: Project, folder: Path, python: _Python, chain: _Chain, builder: Lock | None) -> None:
        python = self._python(f"=={python.version}")  # a build gets no conda packages
        requirements = list(project.build_requirements)
        for _ in range(_MAX_BUILD_ROUNDS):
            lock = builder or self._resolved(["\n".join(requirements)], python, chain=chain)
            made = self._installed(lock, {}, chain)
            more = build_project(project, made.python, made.visible, folder, builder=lock, sandbox=self._sandbox)
            if folder.exists():
                return
            # PEP 517 lets a backend ask for more once it has seen the sources.
            problems = requirement_faults(f"{project.path} (asked for by its build backend)", more)
            if problems:
                raise RequirementsRefusedError("The requirements cannot be installed here.", problems=problems)
            requirements += more
        raise EnvironmentBuildError(
            f"{project.path}: its build backend asks for ever more requirements: {', '.join(more)}."
        )

    def _wheel_folder(self, digest: str, python: _Python, builder: Lock | None = None) -> Path:
        key = [digest, python.version, python.platform, *([builder.digest] if builder else [])]
        return self.root / "projects" / _digest(json.dumps(key))

    def _find_built(self, wanted: Built, builder: Lock | None) -> BuiltProject | None:
        python = _Python(Path(), wanted.builder.python, wanted.builder.platform)
        for folder in (self._wheel_folder(wanted.digest, python), self._wheel_folder(wanted.digest, python, builder)):
            if folder.exists():
                one = read_built(folder, wanted.source, wanted.digest)
                if builder in (None, one.built.builder):
                    return one
        return None

    def _wheel(
        self, one: Built, plugins: dict[str, Project], lock: Lock, python: _Python, chain: _Chain
    ) -> BuiltProject:
        """The wheel that a lock names; built again where it is gone."""
        found = self._find_built(one, one.builder)
        if found:
            return found
        if not one.released:
            return self._built(plugins[one.source], python, chain, one.builder)
        release = self._registry.source_release(named_by(lock.packages, one.digest), python.version)
        if release is None:
            raise EnvironmentUnavailableError(
                f"The registry no longer has {one.source}, which the lock names.", code="release-gone"
            )
        with tempfile.TemporaryDirectory(dir=self.root / "projects") as scratch:
            archive, digest = self._registry.download(release, Path(scratch), python.version)
            if digest != one.digest:
                raise EnvironmentUnavailableError(
                    f"The registry's {release.filename} is not the {one.source} that the lock names.",
                    code="release-changed",
                )
            return self._built_archive(archive, digest, python, chain, one.builder)

    def _recorded_project(self, one: Built, checkout: Path | None) -> Project:
        problems: list[Problem] = []
        folder = checkout and checkout / one.source
        project = read_project(folder, one.source, problems) if folder and folder.is_dir() else None
        if project is None or project.digest != one.digest:
            raise EnvironmentBuildError(
                f"The lock was made with {one.source} as its sources were at another commit.",
                remedy="Name a checkout of the commit that was recorded with the lock.",
                code="other-sources",
                fault=Fault.OPERATOR,
                problems=problems,
            )
        return project

    # Installing: from a lock to an environment.

    def _installed(self, lock: Lock, plugins: dict[str, Project], chain: _Chain = ()) -> Environment:
        text, digest = lock.text, lock.digest
        folder = self.root / "environments" / digest
        current = folder / "current"
        with self._held(f"environments-{digest}"):
            if not current.exists():
                python = self._conda_python(lock.conda) if lock.conda else self._python(f"=={lock.python}")
                if python.platform != lock.platform:
                    raise EnvironmentBuildError(
                        f"The lock is for {lock.platform}; this machine is {python.platform}.",
                        code="other-platform",
                        fault=Fault.OPERATOR,
                    )
                wheels = [self._wheel(one, plugins, lock, python, chain) for one in lock.built]
                folder.mkdir(exist_ok=True, mode=0o755)
                made = Path(tempfile.mkdtemp(prefix="made-", dir=folder))
                try:
                    made.chmod(0o755)
                    self._install(made, lock, wheels, python)
                    _publish(made, current)
                except BaseException:
                    shutil.rmtree(made, ignore_errors=True)
                    raise
            write_once(self.root / "recorded-locks" / f"{digest}.txt", text.encode())
            (folder / "used").touch()  # for whoever collects those that are no longer used
            path = folder / current.readlink()
        return Environment(path, path / "bin" / "python", text, digest)

    def _install(self, path: Path, lock: Lock, wheels: Sequence[BuiltProject], python: _Python) -> None:
        target: list[str] = []
        if lock.conda:
            self._install_conda(path, lock)
            target = ["--target", str(path / "lib" / f"python{_minor(lock.python)}" / "site-packages")]
        else:
            self._registry.uv(
                "venv", "--quiet", "--no-project", "--python", str(python.path), "--allow-existing", str(path)
            )
        everything = path / "installed.txt"
        lines = [f"{one.name} @ {one.wheel.as_uri()} --hash=sha256:{one.wheel_digest}" for one in wheels]
        packages = without(lock.packages, {one.name for one in wheels if one.built.released})
        everything.write_text("\n".join([packages, *lines]) + "\n")
        # All at once: uv asks an environment's Python who it is, and once something is installed in there, a '.pth' file
        # of a stranger would be run by that.
        self._registry.install_locked(
            *(self._for_python(python) if lock.conda else ["--python", str(path / "bin" / "python")]),
            *target, "-r", str(everything),
        )  # fmt: skip
        if not lock.conda:  # of conda's Python we run nothing, and ours may be another
            self._compile_all(path, python)

    def _install_conda(self, path: Path, lock: Lock) -> None:
        """Conda's packages, and an environment upon their Python as ``python -m venv`` makes it, without running that."""
        prefix = path / "conda"
        conda.install(lock.conda, prefix, self.root / "conda-cache")
        (path / "bin").mkdir()
        (path / "bin" / "python").symlink_to(prefix / "bin" / "python")
        (path / "lib" / f"python{_minor(lock.python)}" / "site-packages").mkdir(parents=True)
        (path / "pyvenv.cfg").write_text(
            f"home = {prefix / 'bin'}\ninclude-system-site-packages = true\nversion = {lock.python}\n"
        )

    def _compile_all(self, path: Path, python: _Python) -> None:
        """Make byte code, which nobody can write later: the environment is read-only where it is used.

        By the interpreter without the environment (-I -S): it reads the files and runs nothing of them. Files that do not
        compile are common (templates, tests for other Pythons) and no error.
        """
        command = ["prlimit", f"--as={_COMPILE_MEMORY}", "--", str(python.path), "-I", "-S", "-m", "compileall"]
        command += ["-q", "-q", "-j", "0", *map(str, path.glob("lib/python*/site-packages"))]
        try:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_COMPILE_SECONDS,
                check=False,
                umask=0o022,
            )
        except subprocess.TimeoutExpired:
            return

    # The files of the store.

    def forget_unused_files(self) -> None:
        """Let uv's cache go of what it can fetch again: it keeps the files of environments that are gone."""
        if self._registry.cache is not None:
            self._registry.uv("cache", "prune", "--ci", "--quiet")

    def _collect_once_a_day(self) -> None:
        if self._most_bytes is None and self._most_days is None:
            return
        last = self.root / "collected"
        if last.exists() and file_system_time(self.root) - last.stat().st_mtime < _COLLECT_SECONDS:
            return
        last.touch()
        collect(self, most_bytes=self._most_bytes, most_days=self._most_days)

    def _held(self, name: str) -> AbstractContextManager[bool]:
        return held(self.root / "locks", name)


@dataclass(frozen=True)
class _Python:
    path: Path
    version: str
    platform: str

    @property
    def is_condas(self) -> bool:
        """Whether it is in a conda package, which nobody asks anything outside the sandbox."""
        return self.path == Path()


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _also_from_pypi(packages: Sequence[CondaPackage]) -> dict[str, str]:
    """Versions of conda packages that PyPI can have, too, if it has a package of that name."""
    found = conda.versions_of(packages).items()
    return {
        name: version for name, version in found if re.fullmatch(r"\d+(\.\d+)*", version) and not name.startswith("_")
    }


def _look_at(path: str) -> _Python:
    """What an interpreter is; one of an environment stands for the installation that the environment was made from."""
    script = (
        "import json, sys, sysconfig; "
        "print(json.dumps([sys._base_executable, sys.version.split()[0], sysconfig.get_platform()]))"
    )
    answer = subprocess.run([path, "-I", "-S", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    base, version, platform = json.loads(answer.stdout)
    return _Python(Path(base), version, platform)


def _installation(python: Path) -> tuple[Path, ...]:
    """The folders that a Python, which is in no environment, needs to read."""
    home, executable = python.parent, python.resolve()
    return tuple(sorted({home.parent, home.resolve().parent, executable.parent.parent} - {Path("/")}))


def _publish(made: Path, current: Path) -> None:
    """Make an environment the one that counts; where somebody else was quicker, theirs stays, and this one goes."""
    try:
        # A link is made with its content in one step, and replaces nothing: on any file system, from any machine.
        current.symlink_to(made.name)
    except FileExistsError:
        shutil.rmtree(made, ignore_errors=True)


def _narrowed(name: str, texts: Sequence[str]) -> str:
    """A package's requirement, with all that some requirements say of its version."""
    specifiers = SpecifierSet()
    for text in texts:
        for _, line in enumerate_lines(text):
            requirement = Requirement(line)
            if canonicalize_name(requirement.name) == name:
                specifiers &= requirement.specifier
    return f"{name}{specifiers}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
