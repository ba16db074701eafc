"""Environments for plugins: built once for what is asked for, without running anything of strangers outside the sandbox."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from uv import find_uv_bin

from brainscore_ops.errors import Fault, UnavailableError
from brainscore_ops.plugins.files import write_whole
from brainscore_ops.plugins.output import end_of, plain
from brainscore_ops.plugins.projects import BuiltProject, build_project, read_built
from brainscore_ops.plugins.requirements import (
    EnvironmentBuildError,
    Project,
    Requirements,
    RequirementsRefusedError,
    requirement_faults,
    requirements_for,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from brainscore_ops.plugins.sandbox import Sandbox

__all__ = [
    "Environment",
    "EnvironmentBuildError",
    "EnvironmentStore",
    "EnvironmentUnavailableError",
    "Requirements",
    "RequirementsRefusedError",
    "requirements_for",
]

_ALWAYS = "pytest\n"
"""What every environment has besides: its plugins' tests run in it."""

_UV_SECONDS = 1800
_COMPILE_SECONDS = 600
_COMPILE_MEMORY = 2 * 1024**3
_MAX_BUILD_ROUNDS = 2

# What uv is told of our own environment: where the registry is, how to reach it, and nothing else.
_UV_VARIABLES = re.compile(
    r"UV_.+|SSL_CERT_(FILE|DIR)|(HTTPS?|ALL|NO)_PROXY|(https?|all|no)_proxy|NETRC|PATH|HOME|XDG_.+|LANG|TMPDIR"
)
_FROM_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_NO_INDEX": "UV_NO_INDEX",
    "PIP_CERT": "SSL_CERT_FILE",
}

_UNREACHABLE = re.compile(
    r"error sending request|client error \(Connect\)|dns error|server error|timed? ?out|connection (refused|reset|closed)"
    r"|Failed to (fetch|download)|network connectivity is disabled|status code 5\d\d",
    re.IGNORECASE,
)


class EnvironmentUnavailableError(UnavailableError):
    """The package registry could not be reached, or the machine could not install: it is nobody's requirements."""

    code = "registry-unavailable"


@dataclass(frozen=True)
class Environment:
    """An installed set of packages, with a Python of its own."""

    path: Path
    python: Path
    lock: str
    """``name==version`` with hashes for each package; comments say for which Python, and which projects were built in."""
    lock_digest: str
    """SHA-256 of the lock, in hexadecimal."""

    @property
    def packages(self) -> tuple[str, ...]:
        """``name==version`` of each package."""
        lines = (line for line in self.lock.splitlines() if line and not line.startswith((" ", "#")))
        return tuple(line.split(";")[0].split("\\")[0].strip() for line in lines)

    @property
    def visible(self) -> tuple[Path, ...]:
        """What has to be readable for it to run: itself, and the Python installation that it was made from."""
        home = next(
            Path(line.partition("=")[2].strip())
            for line in (self.path / "pyvenv.cfg").read_text().splitlines()
            if line.partition("=")[0].strip() == "home"
        )
        executable = (home / self.python.name).resolve()
        prefixes = {home.parent, home.resolve().parent, executable.parent.parent} - {Path("/")}
        return (self.path, *sorted(prefixes))


class EnvironmentStore:
    """Environments on disk, by what they were made from. Several processes, and machines, can share one.

    :param root: where they are kept; uv's cache stands beside them, so that files are linked rather than copied
    :param python: the interpreter to make them from, as uv names it (``3.11``, a path); by default this one's
    :param sandbox: where projects are built
    """

    def __init__(self, root: Path, *, python: str | None = None, sandbox: Sandbox) -> None:
        self.root = root.absolute()
        self._python_request = python or sys.executable
        self._sandbox = sandbox

    def ensure(self, requirements: Requirements) -> Environment:
        """The environment for some requirements; made if it is not there.

        What was resolved once stays so: the same requirements give the same lock, however the registry changes.

        :raises EnvironmentBuildError: they cannot be met, or a project does not build; nothing of the attempt is kept
        :raises EnvironmentUnavailableError: the registry could not be reached
        """
        self._prepare()
        texts = [requirements.library_requirements, *(text for _, text in requirements.plugin_requirements)]
        built = [self._built(project) for project in requirements.projects]
        texts += ["\n".join(one.requires) for one in built]
        packages = self._resolved([*texts, _ALWAYS], requirements.overrides)
        return self._installed(self._lock(packages, built), built)

    def ensure_lock(self, lock: str, projects: Sequence[Project] = ()) -> Environment:
        """The environment of a lock that was recorded, with the projects that it names from their sources.

        :raises EnvironmentBuildError: the lock is for another Python, or the projects are not those that it names
        :raises EnvironmentUnavailableError: the registry could not be reached, or lacks what it had
        """
        self._prepare()
        built = [self._built(project) for project in projects]
        packages = "".join(line for line in lock.splitlines(keepends=True) if not line.startswith("#"))
        if self._lock(packages, built) != lock:
            raise EnvironmentBuildError(
                f"The recorded lock is for other projects or another Python than {self._python.version} on "
                f"{self._python.platform}.",
                remedy="Name the Python of the lock's first line, and the sources of the projects below it.",
                fault=Fault.OPERATOR,
            )
        return self._installed(lock, built)

    def _prepare(self) -> None:
        for name in ("resolved", "environments", "projects", "locks", "empty"):
            # Readable for everybody: as root, what is in here is run as another user.
            (self.root / name).mkdir(parents=True, exist_ok=True, mode=0o755)

    @cached_property
    def _python(self) -> _Python:
        path = self._uv("python", "find", self._python_request).strip()
        script = "import json, sys, sysconfig; print(json.dumps([sys.version.split()[0], sysconfig.get_platform()]))"
        answer = subprocess.run(
            [path, "-I", "-S", "-c", script], capture_output=True, text=True, timeout=60, check=True
        )
        version, platform = json.loads(answer.stdout)
        return _Python(Path(path), version, platform)

    # Resolving: from ranges to a lock.

    def _resolved(self, texts: Sequence[str], overrides: str = "") -> str:
        """Exact versions and hashes for some requirements: what was found before, or what the registry has now."""
        key = _digest(json.dumps([texts, overrides, self._python.version, self._python.platform]))
        path = self.root / "resolved" / f"{key}.txt"
        with self._held(f"resolved-{key}"):
            if not path.exists():
                write_whole(path, self._resolve(texts, overrides).encode())
            return path.read_text()

    def _resolve(self, texts: Sequence[str], overrides: str) -> str:
        with tempfile.TemporaryDirectory() as scratch:
            overriding = Path(scratch) / "overrides.txt"
            overriding.write_text(overrides)
            files = []
            for number, text in enumerate(texts):
                files.append(Path(scratch) / f"{number}.in")
                files[-1].write_text(text)
            return self._uv(
                "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--only-binary", ":all:",
                "--no-emit-index-url", "--no-emit-find-links", "--python", str(self._python.path),
                "--overrides", str(overriding), *map(str, files),
            )  # fmt: skip

    # Projects: plugins that have to be built.

    def _built(self, project: Project) -> BuiltProject:
        """A project's wheel: the one that was built before, or a new one out of the sandbox."""
        key = _digest(json.dumps([project.digest, project.backend, project.build_requirements, self._python.version]))
        folder = self.root / "projects" / key
        with self._held(f"projects-{key}"):
            if not folder.exists():
                self._build(project, folder)
            return read_built(folder, project)

    def _build(self, project: Project, folder: Path) -> None:
        requirements = list(project.build_requirements)
        for _ in range(_MAX_BUILD_ROUNDS):
            packages = self._resolved(["\n".join(requirements)])
            builder = self._installed(self._lock(packages, []), [])
            more = build_project(project, builder.python, builder.visible, folder, sandbox=self._sandbox)
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

    # Installing: from a lock to an environment.

    def _installed(self, lock: str, built: Sequence[BuiltProject]) -> Environment:
        digest = _digest(lock)
        path = self.root / "environments" / digest
        # Written last: without it an environment is a ruin of an attempt that was interrupted.
        complete = path / "complete"
        with self._held(f"environments-{digest}"):
            if not complete.exists():
                shutil.rmtree(path, ignore_errors=True)
                try:
                    self._install(path, lock, built)
                except BaseException:
                    shutil.rmtree(path, ignore_errors=True)
                    raise
                complete.touch()
            os.utime(complete)  # for whoever collects those that are no longer used
        return Environment(path, path / "bin" / "python", lock, digest)

    def _lock(self, packages: str, built: Sequence[BuiltProject]) -> str:
        heads = [f"# python {self._python.version} {self._python.platform}"]
        heads += sorted(f"# built from {one.path} sha256:{one.source_digest}" for one in built)
        return "\n".join([*heads, packages])

    def _install(self, path: Path, lock: str, built: Sequence[BuiltProject]) -> None:
        self._uv("venv", "--quiet", "--no-project", "--python", str(self._python.path), str(path))
        everything = path / "installed.txt"
        wheels = [f"{one.name} @ {one.wheel.as_uri()} --hash=sha256:{one.wheel_digest}" for one in built]
        everything.write_text("\n".join([lock, *wheels]) + "\n")
        # All at once: uv asks an environment's Python who it is, and once something is installed in there, a '.pth' file
        # of a stranger would be run by that.
        self._uv(
            "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:",
            "--python", str(path / "bin" / "python"), "-r", str(everything),
        )  # fmt: skip
        self._compile(path)

    def _compile(self, path: Path) -> None:
        """Make byte code, which nobody can write later: the environment is read-only where it is used.

        By the interpreter without the environment (-I -S): it reads the files and runs nothing of them. Files that do not
        compile are common (templates, tests for other Pythons) and no error.
        """
        command = ["prlimit", f"--as={_COMPILE_MEMORY}", "--", str(self._python.path), "-I", "-S", "-m", "compileall"]
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

    # uv, and the files of the store.

    def _uv(self, *arguments: str) -> str:
        """Run uv and return what it prints."""
        try:
            done = subprocess.run(
                [find_uv_bin(), *arguments],
                # An empty folder: uv looks for settings in the folder where it is run.
                cwd=self.root / "empty",
                env=self._uv_environment(os.environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_UV_SECONDS,
                check=False,
                umask=0o022,
            )
        except subprocess.TimeoutExpired as error:
            raise EnvironmentUnavailableError(
                f"uv did not finish within {_UV_SECONDS} s.", remedy="Look at the registry, then run this again."
            ) from error
        if done.returncode:
            raise _failure(done.stderr)
        return done.stdout

    def _uv_environment(self, ours: Mapping[str, str]) -> dict[str, str]:
        environment = {name: value for name, value in ours.items() if _UV_VARIABLES.fullmatch(name)}
        for pip_name, uv_name in _FROM_PIP.items():
            if ours.get(pip_name):
                environment.setdefault(uv_name, ours[pip_name])
        environment.setdefault("UV_CACHE_DIR", str(self.root / "uv-cache"))
        return environment

    @contextmanager
    def _held(self, name: str) -> Iterator[None]:
        """Hold a name, against other threads, processes, and machines that share the file system."""
        with (self.root / "locks" / name).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


@dataclass(frozen=True)
class _Python:
    path: Path
    version: str
    platform: str


def _failure(stderr: str) -> EnvironmentBuildError | EnvironmentUnavailableError:
    """Whose fault it is that uv failed, and its message in words that a submitter understands."""
    log = re.sub(r"//[^/\s@]+@", "//", plain(stderr)).strip()
    unsolvable = "No solution found" in log.partition("\n")[0]
    if not unsolvable and _UNREACHABLE.search(log):
        return EnvironmentUnavailableError(
            "The package registry could not be reached.", remedy="Run this again later.", log=end_of(log)
        )
    reasons = [re.sub(r"\s+", " ", reason) for reason in re.findall(r"(?ms)^  cause: (.*?)(?=^\S|^  cause: |\Z)", log)]
    message = " ".join(reasons).strip() or log.partition("\n")[0].removeprefix("error: ")
    if not unsolvable:
        return EnvironmentUnavailableError(
            f"The packages could not be installed: {end_of(message, 1000)}",
            remedy="Look at the log: the disk, the store's folder and the registry are the usual suspects.",
            code="installation-failed",
            log=end_of(log),
        )
    remedy = "Change the versions in requirements.txt so that they can be installed together with the library's."
    if "building from source is disabled" in log:
        remedy += " A package or version that is released only as source code cannot be used: choose one with a wheel."
    return EnvironmentBuildError(
        f"The requirements cannot be met: {end_of(message, 2000)}", remedy=remedy, log=end_of(log)
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
