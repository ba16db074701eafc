"""How long the chain of records takes: to seal runs that are closed in bulk, and to be walked when it is long.

    python tests/bench/bench_audit.py [--links 150000] [--harvested 1000]

On a real PostgreSQL. Sealing: the files that so many runs of compute nodes left are entered, with the chain and, as the peer,
without it. Walking: what `audit verify --chain-only` does, over so many links, against psycopg2 fetching the same rows and doing
nothing with them. Prints one JSON document: seconds and ratios.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from sqlalchemy import insert, text

from brainscore_ops.database import record_chain
from brainscore_ops.database.connection import Database
from brainscore_ops.database.embedded import EmbeddedPostgres
from brainscore_ops.database.ops_tables import Run
from brainscore_ops.database.schema import upgrade
from brainscore_ops.runbooks.audit import verify_chain
from brainscore_ops.runbooks.ledger import harvest_outputs
from brainscore_ops.runbooks.runs import RunEntry, record_path
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.settings import DatabaseSecret

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime.now(UTC) - timedelta(days=2)


def run(number: int, series: str) -> RunEntry:
    """A run of a pair, as a compute node leaves it."""
    run_id = f"{series}-{number:06}"
    return RunEntry(
        id=run_id, deployment="bench", runbook="score_pair", runbook_digest="0" * 64, code_version="0.1.0+abcdef012345",
        parameters={"deployment": "bench", "library": "a" * 40, "model": f"model-{number}", "benchmark": "Bench2026.pls"},
        triggered_by="score_plugins", host="node17", process=4711, started_at=START, state=RunState.SUCCEEDED,
        ended_at=START + timedelta(seconds=number), summary={"score": number / 7, "seconds": 3.25, "state": "scored"},
        record_path=record_path(run_id, "score_pair", START), record_digest=f"{number:064x}",
    )  # fmt: skip


def leave_files(outputs: Path, count: int, series: str) -> None:
    """The files of so many runs, as compute nodes leave them."""
    for number in range(count):
        entry = run(number, series)
        path = (outputs / str(entry.record_path)).with_suffix(".run.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(entry.as_dict()))


def enter(database: Database, count: int) -> None:
    """So many runs, closed before there was a chain."""
    with database.session() as session:
        for start in range(0, count, 10_000):
            rows = [
                {**vars(entry), "state": str(entry.state), "kind": str(entry.kind)}
                for entry in (run(number, "old") for number in range(start, min(start + 10_000, count)))
            ]
            session.execute(insert(Run), rows)


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def read_all(database: Database) -> None:
    """What walking the chain has to read, read."""
    connection = database.engine.raw_connection()
    with connection.cursor("all") as cursor:
        cursor.itersize = 1000
        cursor.execute("SELECT * FROM record_link JOIN run ON run.id = run_id ORDER BY number")
        for _ in cursor:
            pass
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--links", type=int, default=150_000)
    parser.add_argument("--harvested", type=int, default=1000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        try:
            database = Database(DatabaseSecret.model_validate(server.start()))
            upgrade(database)
            outputs = Path(folder) / "outputs"
            enter(database, chosen.links)
            with database.session() as session:
                began = seconds(lambda: record_chain.append_links(session, []))
            leave_files(outputs, chosen.harvested, "unsealed")
            with patch.object(record_chain, "append_links"):
                unsealed = seconds(lambda: harvest_outputs(database, outputs))
            with database.session() as session:
                session.execute(text("DELETE FROM run WHERE id LIKE 'unsealed-%'"))
            leave_files(outputs, chosen.harvested, "sealed")
            sealed = seconds(lambda: harvest_outputs(database, outputs))
            read = seconds(lambda: read_all(database))
            walk = seconds(lambda: verify_chain(database, "bench", None))
            audit = verify_chain(database, "bench", None)
            database.close()
        finally:
            server.destroy()
    if audit.problems:
        raise SystemExit(f"{len(audit.problems)} problems: {audit.problems[0]}")
    report = {
        "links": audit.links,
        "beginning the chain, seconds": round(began, 2),
        "runs entered from files": chosen.harvested,
        "entered and sealed, seconds": round(sealed, 2),
        "ratio to entered without a chain": round(sealed / unsealed, 2),
        "walked, seconds": round(walk, 2),
        "ratio to rows that are only read": round(walk / read, 2),
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
