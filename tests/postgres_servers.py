"""PostgreSQL servers of the tests' own: one with the newest schema, and one to be killed and to come back."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

from brainscore_ops.database.connection import Database
from brainscore_ops.database.embedded import EmbeddedPostgres
from brainscore_ops.database.schema import upgrade
from brainscore_ops.settings import DatabaseSecret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def migrated_server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """A server whose database has the newest schema and no rows; nothing is left of it afterwards."""
    server = EmbeddedPostgres(folder)
    with _database_of(server) as database:
        upgrade(database)
    yield server
    server.destroy()


@contextmanager
def migrated_database(folder: Path) -> Iterator[Database]:
    """The database of a :func:`migrated_server`."""
    with migrated_server(folder) as server, _database_of(server) as database:
        yield database


@contextmanager
def _database_of(server: EmbeddedPostgres) -> Iterator[Database]:
    database = Database(DatabaseSecret.model_validate(server.start()))
    yield database
    database.close()


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
