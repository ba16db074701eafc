"""Which environments there are, what they take, and the removal of those that nobody needs any more."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Shown, Table
from brainscore_ops.plugins.holding import file_system_time, held, is_leased
from brainscore_ops.plugins.lock import read_lock, versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from brainscore_ops.plugins.environment import EnvironmentStore

_DAY = 86400.0
_JUST_USED_SECONDS = 3600.0
"""One that was asked for so shortly ago is about to be used: between that and its use there may be no lease."""
_RUIN_SECONDS = _DAY
"""What was not finished by then never will be."""
_COLLECTED = ".collected"

_Files = dict[tuple[int, int], int]


@dataclass(frozen=True)
class StoredEnvironment:
    """One environment on disk."""

    digest: str
    """Of its lock."""
    python: str
    packages: int
    size_bytes: int
    """What removing it alone would free at the most: files that it shares with others count in each."""
    last_used: datetime
    in_use: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "digest": self.digest, "python": self.python, "packages": self.packages, "size_bytes": self.size_bytes,
            "last_used": self.last_used.isoformat(), "in_use": self.in_use,
        }  # fmt: skip


@dataclass(frozen=True)
class Collection(Shown):
    """What was removed, and what is left."""

    removed: tuple[StoredEnvironment, ...]
    left: tuple[StoredEnvironment, ...]
    bytes_before: int
    """Of all environments together, files that they share counted once."""
    bytes_after: int

    def table(self) -> Table:
        with_state = [(one, "removed") for one in self.removed]
        with_state += [(one, "in use" if one.in_use else "") for one in self.left]
        rows = [
            (
                one.digest[:12],
                one.python,
                one.packages,
                f"{one.size_bytes / 1e6:.0f} MB",
                f"{one.last_used:%Y-%m-%d %H:%M}",
                state,
            )
            for one, state in with_state
        ]
        freed = (self.bytes_before - self.bytes_after) / 1e6
        title = f"{len(self.left)} environments, {self.bytes_after / 1e6:.0f} MB"
        if self.removed:
            title += f"; {len(self.removed)} removed, {freed:.0f} MB freed"
        return Table(title, rows, ("environment", "Python", "packages", "size", "last used", ""))

    def to_json(self) -> dict[str, Any]:
        return {
            "environments": [one.to_json() for one in self.left], "removed": [one.to_json() for one in self.removed],
            "bytes_before": self.bytes_before, "bytes": self.bytes_after,
        }  # fmt: skip


def look(root: Path) -> Collection:
    """What there is, with nothing removed."""
    files = _files_of(root)
    size = _together(files)
    return Collection((), tuple(_stored_environments(root, files)), size, size)


def collect(store: EnvironmentStore, *, most_bytes: int | None, most_days: float | None) -> Collection:
    """Remove the environments that were not used for long, then those that were used longest ago until the rest fits.

    None is removed that a process on any machine uses (see :func:`~brainscore_ops.plugins.holding.leased`), or that was
    asked for within the last hour. What is removed can be made again: its lock stays.

    :param most_bytes: of all environments together, files that they share counted once; None for no limit
    :param most_days: since its last use; None for no limit
    """
    root = store.root
    files = _files_of(root)
    before = _together(files)
    left = _stored_environments(root, files)
    removed: list[StoredEnvironment] = []

    def remove(one: StoredEnvironment) -> None:
        if _remove(root, one.digest):
            left.remove(one)
            removed.append(one)
            del files[one.digest]

    if left:
        now = file_system_time(root)
        if most_days is not None:
            for one in [one for one in left if now - one.last_used.timestamp() > most_days * _DAY]:
                remove(one)
        for one in left[::-1]:
            if most_bytes is None or _together(files) <= most_bytes:
                break
            remove(one)
        _remove_ruins(root, now)
    if removed:
        store.forget_unused_files()
    return Collection(tuple(removed), tuple(left), before, _together(files))


def _stored_environments(root: Path, files: Mapping[str, _Files]) -> list[StoredEnvironment]:
    """The environments of a store, those that were used last first."""
    found = (_stored(root / "environments" / digest, sum(its.values())) for digest, its in files.items())
    return sorted(filter(None, found), key=lambda one: one.last_used, reverse=True)


def _stored(folder: Path, size: int) -> StoredEnvironment | None:
    if not (folder / "current").exists():
        return None
    try:
        lock = read_lock((folder.parent.parent / "recorded-locks" / f"{folder.name}.txt").read_text())
        used = (folder / "used").stat().st_mtime
    except FileNotFoundError:  # it is being made, or removed
        return None
    packages = len(versions(lock.packages)) + len(lock.conda) + sum(not one.released for one in lock.built)
    return StoredEnvironment(
        folder.name, lock.python, packages, size, datetime.fromtimestamp(used, UTC), is_leased(folder)
    )


def _remove(root: Path, digest: str) -> bool:
    """Remove an environment, unless it is used."""
    folder = root / "environments" / digest
    with held(root / "locks", f"environments-{digest}", wait=False) as had:
        if not had or not _is_idle(folder):
            return False
        # First it cannot be found any more. Then whoever took a lease before that is looked for once more.
        current, aside = folder / "current", folder / _COLLECTED
        try:
            current.rename(aside)
        except FileNotFoundError:
            return False
        if is_leased(folder):
            aside.rename(current)
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return True


def _is_idle(folder: Path) -> bool:
    try:
        used = (folder / "used").stat().st_mtime
        return file_system_time(folder) - used > _JUST_USED_SECONDS and not is_leased(folder)
    except FileNotFoundError:
        return False


def _remove_ruins(root: Path, now: float) -> None:
    """Remove what attempts that were killed have left behind."""
    for folder in _folders(root):
        current = folder / "current"
        kept = {current.readlink().name} if current.is_symlink() else set()
        for made in [*folder.glob("made-*"), *([] if kept else [folder])]:
            with suppress(FileNotFoundError):
                if made.name not in kept and now - made.stat().st_mtime > _RUIN_SECONDS and not is_leased(folder):
                    shutil.rmtree(made, ignore_errors=True)
    for scratch in (root / "projects").glob("tmp*"):
        with suppress(FileNotFoundError):
            if now - scratch.stat().st_mtime > _RUIN_SECONDS:
                shutil.rmtree(scratch, ignore_errors=True)


def _folders(root: Path) -> list[Path]:
    environments = root / "environments"
    return [folder for folder in environments.iterdir() if folder.is_dir()] if environments.is_dir() else []


def _files_of(root: Path) -> dict[str, _Files]:
    """For each environment what its files take, by their numbers: one that stands in several places has one number."""
    return {
        folder.name: {(found.st_dev, found.st_ino): found.st_blocks * 512 for found in _files(folder)}
        for folder in _folders(root)
    }


def _together(files: Mapping[str, _Files]) -> int:
    """What all environments take, files that they share counted once."""
    everything: _Files = {}
    for its in files.values():
        everything |= its
    return sum(everything.values())


def _files(folder: Path) -> Iterator[os.stat_result]:
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    yield entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except FileNotFoundError:
            continue
