"""The toy runbooks of ``tests/runbooks``, in a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from tests.reconcile.conftest import place
from tests.runbooks.conftest import Bench, bench, marker, toy_modules

from brainscore_ops.database.connection import Database
from brainscore_ops.database.embedded import EmbeddedPostgres
from brainscore_ops.database.marker import mark
from brainscore_ops.database.schema import upgrade
from brainscore_ops.settings import DatabaseSecret

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["bench", "marker", "place", "toy_modules"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of this room's own: its tests restart it."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("queue-postgres") / "server")
    database = Database(DatabaseSecret.model_validate(server.start()))
    upgrade(database)
    database.close()
    yield server
    server.destroy()


@pytest.fixture(scope="session")
def runs_postgres(server: EmbeddedPostgres) -> dict[str, Any]:
    """Where the toys' runs are entered."""
    return server.start()


@pytest.fixture
def queue(bench: Bench) -> Bench:
    """A workspace whose queue is empty, and a runbook ``toy``."""
    database = bench.database()
    with database.session() as session:
        session.execute(text("TRUNCATE procrastinate_jobs, procrastinate_workers, job_attempt CASCADE"))
    mark(database, bench.deployment)
    database.close()
    bench.write("toy", "print(number)")
    return bench
