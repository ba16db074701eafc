"""Who computes a pair: a driver is alive while it holds the lock of its file; a pair is its own while the claim names it."""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from brainscore_ops.errors import UsageError
from brainscore_ops.scoring.attempts import alone_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLAIM_FILE = "claim"
_CLAIM_LOCK = ".claim.lock"
_DRIVER = re.compile(r"[A-Za-z0-9_-]{1,100}")


class Drivers:
    """The drivers of a deployment, by the files that they hold.

    :param folder: on the file system that they share; it has to keep locks (``flock``) for all machines
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def being(self, driver: str) -> Iterator[None]:
        """Be a driver: others see that it is alive until the block, or the process, ends."""
        if not _DRIVER.fullmatch(driver):
            raise UsageError(f"expected letters, digits, - and _ as the name of a driver, found {driver!r}")
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / driver
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(f"{os.getpid()} on {os.uname().nodename}\n")
            file.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def are_alive(self, driver: str) -> bool:
        """Whether a driver of that name is at work."""
        try:
            file = (self._folder / driver).open("r+")
        except FileNotFoundError:
            return False
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    def claim(self, results: Path, driver: str) -> bool:
        """Make a pair a driver's own, unless another one that is alive has it.

        :param results: the pair's results folder
        """
        with alone_in(results, _CLAIM_LOCK):
            path = results / CLAIM_FILE
            holder = path.read_text(encoding="utf-8").strip() if path.exists() else ""
            if holder not in ("", driver) and self.are_alive(holder):
                return False
            partial = results / f".{CLAIM_FILE}.partial"
            partial.write_text(driver, encoding="utf-8")
            partial.replace(path)
            return True

    def release(self, results: Path, driver: str) -> None:
        """Let go of a pair."""
        with alone_in(results, _CLAIM_LOCK):
            path = results / CLAIM_FILE
            if path.exists() and path.read_text(encoding="utf-8").strip() == driver:
                path.unlink()
