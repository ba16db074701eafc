"""A PostgreSQL of a test's own, to be killed and to come back."""

from __future__ import annotations

import threading
import time

import psutil

from brainscore_ops.database.embedded import EmbeddedPostgres

__all__ = ["MortalPostgres"]


class MortalPostgres(EmbeddedPostgres):
    """An embedded server that can crash."""

    _starting: threading.Timer | None = None

    def kill(self) -> None:
        """End it as a crash would. Its backends notice that the postmaster is gone a moment later: they are waited for, since
        until then they answer.
        """
        postmaster = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        processes = [postmaster, *postmaster.children(recursive=True)]
        postmaster.kill()
        deadline = time.monotonic() + 20
        while not all(_has_ended(process) for process in processes):
            assert time.monotonic() < deadline, "processes of a killed PostgreSQL went on"
            time.sleep(0.01)

    def start_later(self, seconds: float) -> None:
        """Come back by itself after that many seconds."""
        self._starting = threading.Timer(seconds, self.start)
        self._starting.start()

    def destroy(self) -> None:
        if self._starting is not None:
            self._starting.join()
        super().destroy()


def _has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
