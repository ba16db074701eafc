"""The toy runbooks of ``tests/runbooks``, in a queue."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from sqlalchemy import text
from tests.reconcile.conftest import Place, place
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


@pytest.fixture(scope="session")
def portal_url(place: Place) -> Iterator[str]:
    """Where the website of ``place`` is served."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", place.folder / "portal.log"
    command = [Path(sys.executable).parent / "brainscore-ops", "serve", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=place.environment, stdout=output, stderr=output)
    for _ in range(300):
        try:
            requests.get(f"{url}/nowhere", timeout=5)
            break
        except requests.ConnectionError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait()
