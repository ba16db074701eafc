"""The toy runbooks of ``tests/runbooks``, in a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from tests.postgres_servers import migrated_server
from tests.reconcile.conftest import Place, place
from tests.runbooks.conftest import Bench, bench, marker, toy_modules

from brainscore_ops.database.marker import mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brainscore_ops.database.embedded import EmbeddedPostgres

__all__ = ["bench", "marker", "place", "toy_modules"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of this room's own: its tests restart it."""
    with migrated_server(tmp_path_factory.mktemp("queue-postgres") / "server") as server:
        yield server


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


@pytest.fixture(scope="session")
def portal_url(place: Place) -> Iterator[str]:
    """Where the website of ``place`` is served."""
    with place.served() as url:
        yield url
