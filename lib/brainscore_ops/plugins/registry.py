"""The package registry: uv, which resolves and installs wheels, and the source releases that it must not build.

uv runs a source release's setup.py while it resolves, so it is told to leave those alone; they are found and fetched by
unearth, which runs nothing of them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from uv import find_uv_bin

from brainscore_ops.errors import UnavailableError
from brainscore_ops.plugins.output import end_of, plain
from brainscore_ops.plugins.requirements import EnvironmentBuildError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_UV_SECONDS = 1800
_PAUSES_BEFORE_RELEASE_IS_GONE = (1.0, 4.0, 15.0)
_MAX_SOURCE_RELEASE_BYTES = 256 * 1024**2
_SOURCE_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.(tar\.gz|tgz|tar\.bz2|tar\.xz|zip)")

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
_NO_WHEEL = re.compile(r"Wheels are required for `([^`]+)` because building from source is disabled")


class EnvironmentUnavailableError(UnavailableError):
    """The package registry could not be reached, or the machine could not install: it is nobody's requirements."""

    code = "registry-unavailable"


@dataclass(frozen=True)
class SourceRelease:
    """A package that is released as source code."""

    name: str
    """As PyPI normalizes it."""
    version: str
    filename: str
    url: str


class Registry:
    """The registries that uv is set up to use, by its own settings and by pip's.

    :param root: a folder of ours: uv's cache is kept in it, so that files are linked from there rather than copied
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def uv(self, *arguments: str) -> str:
        """Run uv and return what it prints.

        :raises EnvironmentBuildError: what is asked for cannot be met
        :raises EnvironmentUnavailableError: for any other reason
        """
        # An empty folder: uv looks for settings in the folder where it is run.
        nowhere = self._root / "empty"
        nowhere.mkdir(parents=True, exist_ok=True)
        try:
            done = subprocess.run(
                [find_uv_bin(), *arguments],
                cwd=nowhere,
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

    def install_locked(self, *arguments: str) -> None:
        """Install exact versions, whose files have the digests that they were locked with.

        A registry's answers come from many machines, which do not learn of a release at the same moment: what one listed
        when the lock was made, another may not know for some seconds more. So it is asked again, past uv's cache.

        :raises EnvironmentUnavailableError: the registry could not be reached, or lacks what it had
        """
        command = ["pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", *arguments]
        refresh: list[str] = []
        for pause in (*_PAUSES_BEFORE_RELEASE_IS_GONE, None):
            try:
                self.uv(*command, *refresh)
            except EnvironmentBuildError as error:
                if pause is None:
                    raise EnvironmentUnavailableError(
                        f"The registry no longer has what the lock names: {end_of(error.message, 1000)}",
                        remedy="Run this again later. If the release was withdrawn for good, what rests on it can only be "
                        "scored anew, in an environment that is resolved now.",
                        code="release-gone",
                        log=error.log,
                    ) from error
                refresh = ["--refresh"]
                time.sleep(pause)
            else:
                return

    @property
    def cache(self) -> Path | None:
        """Where uv's cache is, if it is in our folder; otherwise it is somebody else's, too."""
        return None if os.environ.get("UV_CACHE_DIR") else self._root / "uv-cache"

    @property
    def find_links(self) -> list[str]:
        """Where packages are looked for besides the indexes."""
        return [value for name, value in self._sources if name == "--find-links"]

    def source_release(self, requirement: str, python: str) -> SourceRelease | None:
        """The newest source release that a requirement allows, or None.

        :param python: the version of the Python that it is for
        :raises EnvironmentUnavailableError: a registry could not be reached
        """
        with self._finder(python) as finder:
            found = finder.find_best_match(requirement).best
        if found is None or found.link is None or not _SOURCE_RELEASE.fullmatch(found.link.filename):
            return None
        return SourceRelease(
            canonicalize_name(found.name), str(found.version), found.link.filename, found.link.normalized
        )

    def download(self, release: SourceRelease, folder: Path, python: str) -> tuple[Path, str]:
        """Fetch a source release into a folder, and say the SHA-256 of it.

        :raises EnvironmentUnavailableError: it could not be fetched
        :raises EnvironmentBuildError: it is larger than is allowed
        """
        target, digest, size = folder / release.filename, hashlib.sha256(), 0
        with (
            self._finder(python) as finder,
            target.open("wb") as file,
            finder.session.get_stream(release.url) as answer,
        ):
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                size += len(chunk)
                if size > _MAX_SOURCE_RELEASE_BYTES:
                    raise EnvironmentBuildError(
                        f"{release.filename} is larger than the {_MAX_SOURCE_RELEASE_BYTES} bytes that a source release may have."
                    )
                digest.update(chunk)
                file.write(chunk)
        return target, digest.hexdigest()

    @contextmanager
    def _finder(self, python: str) -> Iterator[Any]:
        # Imported late: only what has no wheel needs it.
        from unearth import PackageFinder, TargetPython

        version = tuple(int(part) for part in re.findall(r"\d+", python)[:3])
        finder = PackageFinder(
            index_urls=[value for name, value in self._sources if name in ("--index-url", "--extra-index-url")],
            find_links=self.find_links,
            no_binary=[":all:"],
            target_python=TargetPython(py_ver=version),
        )
        # It warns of each index that lacks a package: that is ordinary.
        logging.getLogger("unearth").setLevel(logging.ERROR)
        try:
            yield finder
        except (OSError, ValueError) as error:
            raise _unreachable(error) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2", "unearth"):
                raise _unreachable(error) from error
            raise

    @property
    def _sources(self) -> list[tuple[str, str]]:
        """The indexes and other places that uv uses: it says so itself, however they were set."""
        said = self.uv(
            "pip", "compile", "--quiet", "--no-header", "--emit-index-url", "--emit-find-links", "--no-deps", "-"
        )
        lines = (line.partition(" ") for line in said.splitlines())
        return [(name, value.strip()) for name, _, value in lines if name.startswith("--")]

    def _uv_environment(self, ours: Mapping[str, str]) -> dict[str, str]:
        environment = {name: value for name, value in ours.items() if _UV_VARIABLES.fullmatch(name)}
        for pip_name, uv_name in _FROM_PIP.items():
            if ours.get(pip_name):
                environment.setdefault(uv_name, ours[pip_name])
        environment.setdefault("UV_CACHE_DIR", str(self._root / "uv-cache"))
        return environment


def lacking_wheels(error: EnvironmentBuildError) -> list[str]:
    """The packages, by their normalized names, of which uv said that they are released only as source code."""
    return sorted({canonicalize_name(name) for name in _NO_WHEEL.findall(error.log)})


def _unreachable(error: Exception) -> EnvironmentUnavailableError:
    return EnvironmentUnavailableError(
        f"The package registry could not be reached: {_without_passwords(plain(str(error)))[:300]}",
        remedy="Run this again later.",
    )


def _failure(stderr: str) -> EnvironmentBuildError | EnvironmentUnavailableError:
    """Whose fault it is that uv failed, and its message in words that a submitter understands."""
    log = _without_passwords(plain(stderr)).strip()
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
    return EnvironmentBuildError(
        f"The requirements cannot be met: {end_of(message, 2000)}",
        remedy="Change the versions in requirements.txt so that they can be installed together with the library's.",
        log=end_of(log),
    )


def _without_passwords(text: str) -> str:
    return re.sub(r"//[^/\s@]+@", "//", text)
