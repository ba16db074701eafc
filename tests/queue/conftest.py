"""The toy runbooks of ``tests/runbooks``, in a queue."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from tests.runbooks.conftest import Bench, bench, marker, runs_postgres, toy_modules

__all__ = ["bench", "marker", "runs_postgres", "toy_modules"]


@pytest.fixture
def queue(bench: Bench) -> Bench:
    """A workspace whose queue is empty, and a runbook ``toy``."""
    database = bench.database()
    with database.session() as session:
        session.execute(text("TRUNCATE procrastinate_jobs, procrastinate_workers, job_attempt CASCADE"))
    database.close()
    bench.write("toy", "print(number)")
    return bench
