"""The way to a deployment's database: an engine, short transactions, advisory locks."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from brainscore_ops.errors import UnavailableError
from brainscore_ops.settings import DatabaseSecret, Deployment, resolve_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection


class DatabaseUnavailableError(UnavailableError):
    """The database does not answer, or does not let us in."""

    code = "database-unavailable"


class Database:
    """A deployment's database.

    :param secret: where it is and how to get in
    """

    def __init__(self, secret: DatabaseSecret) -> None:
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
            connect_args={"connect_timeout": 10, "application_name": "brainscore_ops"},
        )
        self._where = f"{secret.database} on {secret.host}"

    @classmethod
    def of(cls, deployment: Deployment) -> Database:
        """The database whose secret the deployment names.

        :raises SecretError: where the secret is missing
        """
        return cls(resolve_secret(deployment, deployment.database.secret, DatabaseSecret))

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction: committed at the end of the block, rolled back by an exception.

        :raises DatabaseUnavailableError: where the server cannot be reached
        """
        try:
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                yield session
        except OperationalError as error:
            raise self._unavailable(error) from error

    @contextmanager
    def lock(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold the advisory lock of that name: one holder among all processes of the deployment, let go when it dies.

        :param wait: whether to wait for it; otherwise the block is entered at once and is told whether it was had
        """
        with self.connection() as connection:
            number = lock_number(name)
            if wait:
                connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": number})
                held = True
            else:
                held = bool(connection.scalar(text("SELECT pg_try_advisory_lock(:number)"), {"number": number}))
            try:
                yield held
            finally:
                if held and not connection.invalidated:
                    connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": number})

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection in autocommit mode, for what has to stand outside of transactions.

        :raises DatabaseUnavailableError: where the server cannot be reached
        """
        try:
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        except OperationalError as error:
            raise self._unavailable(error) from error
        with connection:
            yield connection

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    def _unavailable(self, error: OperationalError) -> DatabaseUnavailableError:
        said = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
        return DatabaseUnavailableError(
            f"the database {self._where} does not answer: {said}",
            remedy="Look whether it runs (`brainscore-ops up` starts an embedded one), then run this again.",
        )


def lock_number(name: str) -> int:
    """The 64-bit number that PostgreSQL knows a named lock by."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
