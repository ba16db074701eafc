"""What a tree of processes uses, measured from outside: memory, processes, and what it has written.

Cgroups would do this in the kernel, but they are rarely delegated to those who run a worker on a cluster.
``RLIMIT_AS`` limits addresses, not memory: a numpy with 64 threads reserves gigabytes that it never touches,
a CUDA context terabytes, while 256 processes of just under the limit each would pass.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MAX_ENTRIES = 100_000
"""More files and folders than this are too many, however small: they use up a file system's inodes."""
_MAX_DEPTH = 100
_TMPFS_ENTRY_BYTES = 1024
"""What an empty file in memory costs the kernel, roughly."""


@dataclass(frozen=True)
class Usage:
    """What a tree of processes uses at one moment."""

    memory_bytes: int
    cpu_seconds: float
    """Since it began, processes that ended included."""
    written_bytes: int
    """To disks since it began, deleted files and processes that ended included."""


def processes_of(root: psutil.Process) -> list[psutil.Process]:
    """A process and everything below it, at one moment."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@dataclass(frozen=True)
class MemoryFolder:
    """A folder that is kept in memory (tmpfs), held open."""

    fd: int

    @classmethod
    def inside(cls, root: int, place: str) -> MemoryFolder:
        """Take hold of the folder that stands at a place below an open root.

        :raises FileNotFoundError: it does not
        """
        return cls(os.open(place.lstrip("/"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=root))

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)

    def used_bytes(self) -> int:
        """What it takes, with what the kernel needs for empty files."""
        usage = os.fstatvfs(self.fd)
        return (usage.f_blocks - usage.f_bfree) * usage.f_frsize + (usage.f_files - usage.f_ffree) * _TMPFS_ENTRY_BYTES

    def excess(self) -> str | None:
        """Say why it is too full; None while it is not."""
        usage = os.fstatvfs(self.fd)
        if usage.f_files - usage.f_ffree > _MAX_ENTRIES:
            return f"more than {_MAX_ENTRIES} files"
        if usage.f_bfree == 0:
            return f"all of its {usage.f_blocks * usage.f_frsize} bytes"
        return None


def usage_of(
    processes: Sequence[psutil.Process], *, memory_folders: Iterable[MemoryFolder], memory_limit: int
) -> Usage:
    """Measure a tree of processes.

    Memory is what is resident, shared pages counted in each process. Only where that sum is over the limit the pages
    are shared out fairly (PSS), which is slower: processes that were forked from a large one share nearly all of it.

    :param memory_folders: folders of the processes' own that are kept in memory (tmpfs)
    :param memory_limit: from which sum of resident memory, in bytes, on to look closer
    """
    in_files = sum(folder.used_bytes() for folder in memory_folders) + _in_memory_files(processes)
    memory = sum(map(_resident, processes)) + in_files
    if memory > memory_limit:
        memory = sum(map(_proportional, processes)) + in_files
    return Usage(memory, sum(map(_cpu_seconds, processes)), sum(map(_written, processes)))


def count_processes(proc: Path) -> int:
    """How many processes there are, by one look at a /proc that shows no others."""
    try:
        return sum(name.isdecimal() for name in os.listdir(proc))  # noqa: PTH208 - only the names are wanted, quickly
    except OSError:
        return 0


def folder_excess(folder: Path, limit_bytes: int) -> str | None:
    """Say why a folder that a stranger fills is too full; None while it is not.

    The walk is bounded by what it looks for, so that it cannot be made endless.
    """
    size = entries = 0
    waiting = [(folder, 0)]
    while waiting:
        place, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            return f"folders within folders, more than {_MAX_DEPTH} deep"
        try:
            with os.scandir(place) as found:
                for entry in found:
                    entries += 1
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((Path(entry.path), depth + 1))
                    if entries > _MAX_ENTRIES:
                        return f"more than {_MAX_ENTRIES} files"
                    if size > limit_bytes:
                        return f"more than {limit_bytes} bytes"
        except OSError:  # it vanished, or was made unreadable, while we looked
            continue
    return None


def end_tree(root: psutil.Process, known: Sequence[psutil.Process] = ()) -> None:
    """Kill a process and everything that is or was below it, until nothing of it is left.

    Each is stopped before its children are listed, so that none is born unseen.

    :param known: processes that were below it once; what has left the tree is found by this
    """
    for process in [root, *known]:
        pending = [process]
        while pending:
            current = pending.pop()
            try:
                current.suspend()
                pending += current.children()
                current.kill()
            except psutil.Error:
                continue


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _proportional(process: psutil.Process) -> int:
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return _resident(process)
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), _resident(process))


def _cpu_seconds(process: psutil.Process) -> float:
    # The times of children that ended are their parent's; those of children that live are their own.
    try:
        return sum(process.cpu_times()[:4])
    except psutil.Error:
        return 0.0


def _written(process: psutil.Process) -> int:
    # A process's counters take over those of the children that it has waited for, so that nothing is lost.
    try:
        return int(process.io_counters().write_bytes)
    except (psutil.Error, OSError):
        return 0


def _in_memory_files(processes: Sequence[psutil.Process]) -> int:
    """What files take that stand in no folder (memfd), as far as no process has it mapped: that counts as its own."""
    files: dict[tuple[int, int], int] = {}
    mapped = 0
    for process in processes:
        try:
            with os.scandir(f"/proc/{process.pid}/fd") as entries:
                for entry in entries:
                    if os.readlink(entry.path).startswith("/memfd:"):  # noqa: PTH115 - a quick look at very many
                        found = entry.stat()
                        files[found.st_dev, found.st_ino] = found.st_blocks * 512
        except OSError:
            continue
    if files:
        mapped = sum(map(_shared, processes))
    return max(0, sum(files.values()) - mapped)


def _shared(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().shared)
    except psutil.Error:
        return 0
