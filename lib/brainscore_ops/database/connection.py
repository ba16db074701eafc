"""The way to a deployment's database: an engine, short transactions, advisory locks."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self, TypeVar

from sqlalchemy import URL, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from brainscore_ops.database.errors import DatabaseUnavailableError, connection_error
from brainscore_ops.database.marker import refuse_foreign
from brainscore_ops.errors import OpsError, UnavailableError
from brainscore_ops.settings import DatabaseSecret, Deployment, resolve_secret
from brainscore_ops.settings.workspace import RUN_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection

__all__ = ["Database", "DatabaseUnavailableError", "LockHeldError", "lock_number"]

T = TypeVar("T")

PATIENCE_SECONDS = 45.0
"""How long a database that answered before is waited for: a restart of a managed one takes about half a minute."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_SOONER_OR_LATER = ("40001", "40P01", "55P03")
"""Serialization failure, deadlock, lock not available: the same transaction may well succeed."""


class LockHeldError(UnavailableError):
    """Another process holds a lock, and went on holding it for as long as was waited."""

    code = "lock-held"


class Database:
    """A deployment's database.

    :param secret: where it is and how to get in
    :param patience: seconds for which it is waited for when it goes away after it has answered once
    :param secret_name: what the secret is called, for messages
    :param connect_seconds: how long to wait for the server to answer a call
    """

    def __init__(
        self,
        secret: DatabaseSecret,
        *,
        patience: float | None = None,
        secret_name: str = "",
        connect_seconds: int = 10,
    ) -> None:
        url = URL.create(
            "postgresql+psycopg2",
            username=secret.username,
            password=secret.password.get_secret_value(),
            host=secret.host,
            port=secret.port,
            database=secret.database,
        )
        self.engine: Engine = create_engine(
            url,
            pool_pre_ping=True,
            pool_size=3,
            connect_args={
                "connect_timeout": connect_seconds,
                # Seen by whoever waits for a lock that this process holds.
                "application_name": f"brainscore_ops {os.environ.get(RUN_VARIABLE) or os.getpid()}"[:63],
                # Brain-Score's time stamps have no zone, or one: both are read and written as UTC.
                "options": "-c timezone=UTC",
            },
        )
        self.secret = secret
        self._where = f"{secret.database} on {secret.host}"
        self._secret_name = secret_name
        self._patience = PATIENCE_SECONDS if patience is None else patience
        self._has_answered = False
        self._held: dict[str, Connection] = {}
        self._renewing = threading.Lock()

    @classmethod
    def of(cls, deployment: Deployment, *, patience: float | None = None) -> Self:
        """The database whose secret the deployment names. It is not connected to where it says that it is another tier's.

        :param patience: seconds for which it is waited for when it goes away after it has answered once
        :raises SecretError: where the secret is missing, or not for this deployment
        """
        name = deployment.database.secret
        secret = resolve_secret(deployment, name, DatabaseSecret)
        database = cls(secret, patience=patience, secret_name=name, connect_seconds=deployment.database.connect_seconds)
        event.listen(database.engine, "connect", lambda connection, _: refuse_foreign(connection, deployment.tier))
        return database

    def beside(self, name: str) -> Database:
        """Another database of the same server, whether it is there or not."""
        return Database(self.secret.model_copy(update={"database": name}), patience=self._patience)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction: committed at the end of the block, rolled back by an exception.

        A database that is away at its start is waited for, where it has answered before; the block itself cannot be repeated,
        see :meth:`transact`.

        :raises DatabaseUnavailableError: where the server cannot be reached, or goes away in the middle
        """
        with self._connect() as connection:
            try:
                with Session(connection, expire_on_commit=False) as session, session.begin():
                    yield session
            except DBAPIError as error:
                if isinstance(error, OperationalError) or error.connection_invalidated:
                    raise self._explain(error) from error
                raise

    @contextmanager
    def moment(self) -> Iterator[Session]:
        """A :meth:`session` that sees everything as it is at its first statement, whoever writes meanwhile."""
        with self.session() as session:
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    def transact(self, work: Callable[[Session], T]) -> T:
        """Do ``work`` in a transaction, and again from its start where the connection is lost or another transaction is in its
        way, for as long as the database's patience lasts.

        :param work: it has to bear being done twice: a connection lost while it is committed does not say whether it was
        :raises DatabaseUnavailableError: where patience ends
        """
        deadline = time.monotonic() + self._patience
        while True:
            try:
                with (
                    self._connect() as connection,
                    Session(connection, expire_on_commit=False) as session,
                    session.begin(),
                ):
                    return work(session)
            except DBAPIError as error:
                lost = error.connection_invalidated
                if not (lost or getattr(error.orig, "pgcode", None) in _SOONER_OR_LATER):
                    raise
                if time.monotonic() > deadline:
                    raise self._explain(error) from error
                if not lost:
                    time.sleep(_FIRST_PAUSE)

    @contextmanager
    def lock(self, name: str, *, wait: bool | float = True, shared: bool = False) -> Iterator[bool]:
        """Hold the advisory lock of that name: one holder among all processes of the deployment, let go when it dies.

        :param wait: whether to wait for it, or for how many seconds; without waiting the block is entered at once and is told
            whether it was had
        :param shared: whether others may share it; who wants it alone waits for all of them
        :raises LockHeldError: it was not had within the seconds to wait, with who holds it
        """
        kind = "_shared" if shared else ""
        with self.connection() as connection:
            number = lock_number(name)
            if wait is True:
                connection.execute(text(f"SELECT pg_advisory_lock{kind}(:number)"), {"number": number})
                held = True
            else:
                held = self._try_lock(connection, name, kind, float(wait))
            try:
                yield held
            finally:
                if held and not connection.invalidated:
                    with suppress(DBAPIError):  # a lock is gone with its connection
                        connection.execute(text(f"SELECT pg_advisory_unlock{kind}(:number)"), {"number": number})

    def hold(self, name: str, *, seconds: float) -> None:
        """Share the lock of that name until :meth:`close`; a connection that is lost meanwhile takes it again.

        :raises LockHeldError: somebody has it alone, for longer than these seconds
        """
        connection = self._connect()
        self._try_lock(connection, name, "_shared", seconds)
        self._held[name] = connection

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection in autocommit mode, for what has to stand outside of transactions.

        :raises DatabaseUnavailableError, DatabaseAccessError, DatabaseMissingError: where there is no way to it
        """
        with self._connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection

    def close(self) -> None:
        """Let go of every lock and connection."""
        for connection in self._held.values():
            connection.close()
        self._held.clear()
        self.engine.dispose()

    def _connect(self) -> Connection:
        """A connection that answers; one that answered before is waited for.

        :raises DatabaseUnavailableError: where it does not answer for as long as patience lasts
        :raises DatabaseAccessError, DatabaseMissingError, WrongDatabaseError: at once
        """
        deadline = time.monotonic() + (self._patience if self._has_answered else 0)
        pause = _FIRST_PAUSE
        while True:
            try:
                self._renew_held()
                connection = self.engine.connect()
            except OperationalError as error:
                failure = self._explain(error)
                if not isinstance(failure, DatabaseUnavailableError) or time.monotonic() + pause > deadline:
                    raise failure from error
                if pause == _FIRST_PAUSE:
                    print(f"waiting for the database {self._where} …", file=sys.stderr, flush=True)  # noqa: T201
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._has_answered = True
                return connection

    def _renew_held(self) -> None:
        with self._renewing:
            for name, connection in self._held.items():
                try:
                    connection.execute(text("SELECT 1"))
                    connection.rollback()
                except SQLAlchemyError:
                    connection.close()
                    self._held[name] = renewed = self.engine.connect()
                    self._try_lock(renewed, name, "_shared", self._patience)

    def _try_lock(self, connection: Connection, name: str, kind: str, seconds: float) -> bool:
        number = lock_number(name)
        deadline = time.monotonic() + seconds
        while not connection.scalar(text(f"SELECT pg_try_advisory_lock{kind}(:number)"), {"number": number}):
            connection.rollback()
            if not seconds:
                return False
            if time.monotonic() > deadline:
                raise LockHeldError(
                    f"expected to have the lock {name!r} of the database {self._where} within {seconds:g} s; "
                    f"it is held by {', '.join(self._holders(connection, number)) or 'somebody'}",
                    remedy="Wait until that has ended, then run this again. `brainscore-ops runs` shows what runs.",
                )
            time.sleep(_FIRST_PAUSE)
        connection.rollback()  # the lock is the session's: it outlives the transaction
        return True

    def _holders(self, connection: Connection, number: int) -> list[str]:
        holders = connection.scalars(
            text(
                "SELECT DISTINCT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) "
                "WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
                "AND (classid::bigint << 32 | objid::bigint) = :number AND pg_locks.database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())"
            ),
            {"number": number},
        )
        return sorted(holders)

    def _explain(self, error: DBAPIError) -> OpsError:
        return connection_error(error, self._where, self._secret_name)


def lock_number(name: str) -> int:
    """The 64-bit number that PostgreSQL knows a named lock by."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
