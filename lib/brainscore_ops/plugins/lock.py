"""A lock: what an environment was made of, exactly, in a text from which it can be made again."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from brainscore_ops.errors import Fault
from brainscore_ops.plugins.requirements import EnvironmentBuildError

_INDENT = "#   "
_PYTHON = re.compile(r"# python (\d+\.\d+\.\S+) (\S+)")
_CONDA = re.compile(r"# conda (\S+) sha256:([0-9a-f]{64})")
_BUILT = re.compile(r"# built from (\S.*) sha256:([0-9a-f]{64})(, with:)?")
_ENTRY = re.compile(r"(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)(?:[^\n]*\n)(?:[ \t]+[^\n]*\n?)*")


class LockUnreadableError(EnvironmentBuildError):
    """A text that should be a lock is none."""

    code = "lock-unreadable"
    fault = Fault.OPERATOR


@dataclass(frozen=True)
class Built:
    """A wheel that was built here, named by what it was built from."""

    source: str
    """A plugin's folder from the root of the repository, or the file name of a source release (without a slash)."""
    digest: str
    """SHA-256 of the plugin's sources, or of the file."""
    builder: Lock
    """The environment that it was built in."""

    @property
    def released(self) -> bool:
        """Whether it is a source release, which a registry has; otherwise a plugin's folder."""
        return "/" not in self.source


@dataclass(frozen=True)
class CondaPackage:
    """A file of a conda channel."""

    url: str
    sha256: str


@dataclass(frozen=True)
class Lock:
    r"""Everything that an environment consists of.

    Its text is that of a requirements.txt with hashes, and comments that say what no requirement can::

        # python 3.11.7 linux-x86_64
        # conda https://…/tiny-1.0-0.conda sha256:…
        # built from docopt-0.6.2.tar.gz sha256:…, with:
        #   setuptools==80.9.0 \
        #       --hash=sha256:…
        docopt==0.6.2 \
            --hash=sha256:…

    A package that was built here stands with the digest of its source release, not of the wheel: a build is rarely the
    same to the byte twice.
    """

    python: str
    """Its version: ``3.11.7``."""
    platform: str
    packages: str = ""
    """``name==version`` with hashes of each package from a registry."""
    built: tuple[Built, ...] = ()
    conda: tuple[CondaPackage, ...] = ()

    @property
    def text(self) -> str:
        lines = [f"# python {self.python} {self.platform}"]
        lines += [f"# conda {one.url} sha256:{one.sha256}" for one in self.conda]
        for one in sorted(self.built, key=lambda one: one.source):
            inner = one.builder.text.splitlines()[1:]  # its Python is ours
            lines.append(f"# built from {one.source} sha256:{one.digest}{', with:' if inner else ''}")
            lines += [f"{_INDENT}{line}" for line in inner]
        return "\n".join([*lines, self.packages])

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_lock(text: str) -> Lock:
    """Read a lock's text.

    :raises LockUnreadableError: it is not one that :attr:`Lock.text` gave
    """
    lines = text.splitlines()
    head = _PYTHON.fullmatch(lines[0]) if lines else None
    if head is None:
        raise LockUnreadableError(
            "A lock's first line is expected to name its Python, as in '# python 3.11.7 linux-x86_64'; "
            f"found {lines[0][:100] if lines else ''!r}."
        )
    lock = _read(lines[1:], *head.groups())
    if lock.text.split() != text.split():
        raise LockUnreadableError("The text of the lock was changed: it does not read as it was written.")
    return lock


def without(packages: str, names: set[str]) -> str:
    """A lock's packages without those of some (normalized) names."""
    return _ENTRY.sub(lambda entry: "" if canonicalize_name(entry[1]) in names else entry[0], packages)


def with_digest(packages: str, name: str, digest: str) -> str:
    """A lock's packages in which one (by its normalized name) stands with another digest than its wheel's."""

    def entry(found: re.Match[str]) -> str:
        if canonicalize_name(found[1]) != name:
            return found[0]
        return f"{found[1]}=={found[2].rstrip(';')} \\\n    --hash=sha256:{digest}\n"

    return _ENTRY.sub(entry, packages)


def versions(packages: str) -> dict[str, str]:
    """The version of each package of a lock, by its normalized name."""
    return {canonicalize_name(entry[1]): entry[2].rstrip(";") for entry in _ENTRY.finditer(packages)}


def named_by(packages: str, digest: str) -> str:
    """``name==version`` of the package that has a digest.

    :raises LockUnreadableError: none has
    """
    for entry in _ENTRY.finditer(packages):
        if f"--hash=sha256:{digest}" in entry[0]:
            return f"{entry[1]}=={entry[2].rstrip(';')}"
    raise LockUnreadableError(f"The lock names a source release by {digest}, but no package of that digest.")


def _read(lines: list[str], python: str, platform: str) -> Lock:
    built, conda, packages = [], [], []
    waiting = list(lines)
    while waiting:
        line = waiting.pop(0)
        if found := _CONDA.fullmatch(line):
            conda.append(CondaPackage(*found.groups()))
        elif found := _BUILT.fullmatch(line):
            inner = []
            while waiting and waiting[0].startswith(_INDENT):
                inner.append(waiting.pop(0).removeprefix(_INDENT))
            built.append(Built(found[1], found[2], _read(inner, python, platform)))
        elif not line.startswith("#"):
            packages.append(line)
    ending = "\n" if packages else ""
    return Lock(python, platform, "\n".join(packages) + ending, tuple(built), tuple(conda))
