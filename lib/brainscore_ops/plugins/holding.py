"""Holding what several processes and machines share: locks while something is made, leases while something is used."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from brainscore_ops.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEASES = "leases"
LEASE_SECONDS = 600.0
"""A lease that was not renewed for so long is of a process that died."""
_RENEW_SECONDS = 60.0
_PATIENCE_SECONDS = 3600.0


class EnvironmentCollectedError(UnavailableError):
    """An environment was removed between its making and its use."""

    code = "environment-collected"


@contextmanager
def held(locks: Path, name: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold a name against other threads, processes and machines; the lock goes with its holder, whatever ends it.

    A file system may have no locks at all, and strangers' packages may need one another to be built so that two holders
    wait for each other. Then, or after an hour, everybody is let in: what is done under these locks is right without them,
    and only done twice.

    :param wait: whether to wait for it; otherwise the block is entered at once and is told whether it was had
    """
    with (locks / name).open("w") as file:
        yield _lock(file.fileno(), _PATIENCE_SECONDS if wait else 0) or wait


def _lock(fd: int, seconds: float) -> bool:
    """Lock a file within a time, and say whether nobody else has it."""
    end, pause = time.monotonic() + seconds, 0.005
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                return True  # there are no locks here
            if time.monotonic() >= end:
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.25)
        else:
            return True


@contextmanager
def leased(environment: Path) -> Iterator[None]:
    """Keep an environment from being collected while it is used.

    A lease is a file that is touched every minute. That needs no locks, no clocks that agree (ages are told by the file
    system's own) and no way from one machine to another.

    :param environment: its path
    :raises EnvironmentCollectedError: it is not there any more
    """
    folder = environment.parent / LEASES
    ended = threading.Event()
    with suppress(FileNotFoundError):
        folder.mkdir(exist_ok=True)
    lease = folder / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"

    def renew() -> None:
        while not ended.wait(_RENEW_SECONDS):
            with suppress(OSError):
                lease.touch()

    try:
        lease.touch()
        # Only now: whoever collects looks for leases after it has made the environment unfindable.
        if not (environment.parent / "current").exists():
            raise FileNotFoundError
    except FileNotFoundError:
        lease.unlink(missing_ok=True) if folder.is_dir() else None
        raise EnvironmentCollectedError(
            f"The environment {environment.parent.name[:12]} is not there any more.",
            remedy="Run this again: it is built anew.",
        ) from None
    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        with suppress(OSError):
            lease.unlink()


def is_leased(folder: Path) -> bool:
    """Whether somebody uses what is in an environment's folder; leases of the dead are removed."""
    leases = folder / LEASES
    if not leases.is_dir():
        return False
    now = file_system_time(folder)
    alive = False
    for lease in leases.iterdir():
        with suppress(FileNotFoundError):
            if now - lease.stat().st_mtime < LEASE_SECONDS:
                alive = True
            else:
                lease.unlink()
    return alive


def file_system_time(folder: Path) -> float:
    """What time it is where a folder is kept: the clocks of the machines that share it may differ."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".now-") as probe:
        return os.fstat(probe.fileno()).st_mtime
