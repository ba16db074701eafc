"""How long recording takes, against the bare minimum: the same rows written by psycopg2, by executemany and by COPY.

    python tests/bench/bench_recording.py [--results 1000] [--rounds 5]

Each round records the results of new pairs into a real PostgreSQL that holds 20,000 others. The peers write two prepared tables
(scores, provenance) and do nothing else: no look-up of what is known, no models, no versions of benchmarks. Prints one JSON
document: median seconds and ratios.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_planning import library
from psycopg2.extras import Json
from sqlalchemy import text

from brainscore_ops.database.brainscore_tables import Submission, User
from brainscore_ops.database.connection import Database
from brainscore_ops.database.embedded import EmbeddedPostgres
from brainscore_ops.database.schema import upgrade
from brainscore_ops.plugins.library_code import LibraryCode
from brainscore_ops.scoring.pair import PairOutcome
from brainscore_ops.scoring.plan import ChangedPlugins, Existing, Pair, plan_pairs
from brainscore_ops.scoring.recording import Origin, Origins, record_outcomes
from brainscore_ops.settings import DatabaseSecret

PACKAGES = {f"package-{number}": "1.2.3" for number in range(60)}


def outcome(pair: Pair) -> PairOutcome:
    facts = {
        "value": 0.5, "error": 0.1, "raw": 0.4, "ceiling": 0.8, "ceiling_error": 0.01, "benchmark_version": 1,
        "benchmark_parent": "neural", "packages": PACKAGES, "wall_seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_bytes": 1,
    }  # fmt: skip
    return PairOutcome(
        pair.model, pair.benchmark, "scored", facts, None, "e" * 64, True, "node", f"run-{pair.identity}", 0
    )


def origins(database: Database) -> Origins:
    with database.session() as session:
        user = User(email="a@example.org", is_active=True, is_staff=False, is_superuser=False, password="none")
        session.add(user)
        session.flush()
        submission = Submission(jenkins_id=0, submitter_id=user.id, model_type="base", status="successful")
        session.add(submission)
        session.flush()
        return Origins("vision", Origin(user.id, submission.id, True), {})


def record(database: Database, code: LibraryCode, pairs: list[Pair], origins: Origins) -> None:
    with database.session() as session:
        record_outcomes(session, code, pairs, {pair.identity: outcome(pair) for pair in pairs}, origins, None)


COLUMNS = (
    "identity", "model", "benchmark", "benchmark_version", "model_digest", "benchmark_digest", "library_commit", "packages",
    "state", "value", "raw", "error", "ceiling", "sandboxed", "run_id", "recorded_at",
)  # fmt: skip


def rows(pairs: list[Pair], code: LibraryCode) -> list[tuple[object, ...]]:
    return [
        (
            pair.identity, pair.model, pair.benchmark, 1, pair.model_digest, pair.benchmark_digest, code.commit, PACKAGES,
            "scored", 0.5, 0.4, 0.1, 0.8, True, f"run-{pair.identity}", "2026-11-24T00:00:00Z",
        )
        for pair in pairs
    ]  # fmt: skip


SCORES = "INSERT INTO brainscore_score (benchmark_id, model_id, score_raw, provenance) VALUES (1, 1, 0.4, %s)"


def by_executemany(database: Database, code: LibraryCode, pairs: list[Pair]) -> None:
    connection = database.engine.raw_connection()
    with connection.cursor() as cursor:
        cursor.executemany(SCORES, [(pair.identity,) for pair in pairs])
        places = ", ".join(["%s"] * len(COLUMNS))
        values = [tuple(Json(cell) if isinstance(cell, dict) else cell for cell in row) for row in rows(pairs, code)]
        cursor.executemany(f"INSERT INTO score_provenance ({', '.join(COLUMNS)}) VALUES ({places})", values)
    connection.commit()
    connection.close()


def by_copy(database: Database, code: LibraryCode, pairs: list[Pair]) -> None:
    def lines(table: list[tuple[object, ...]]) -> io.StringIO:
        cells = ((json.dumps(cell) if isinstance(cell, dict) else str(cell) for cell in row) for row in table)
        return io.StringIO("".join("\t".join(row) + "\n" for row in cells))

    connection = database.engine.raw_connection()
    with connection.cursor() as cursor:
        scores = [(1, 1, 0.4, pair.identity) for pair in pairs]
        cursor.copy_from(
            lines(scores), "brainscore_score", columns=("benchmark_id", "model_id", "score_raw", "provenance")
        )
        cursor.copy_from(lines(rows(pairs, code)), "score_provenance", columns=COLUMNS)
    connection.commit()
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    code = library(683, 270)
    everything = iter(plan_pairs(code, changed=ChangedPlugins(everything=True), existing=Existing()).pairs)

    def some(count: int) -> list[Pair]:
        return [next(everything) for _ in range(count)]

    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        try:
            database = Database(DatabaseSecret.model_validate(server.start()))
            upgrade(database)
            owners = origins(database)
            record(database, code, some(20_000), owners)
            ways = {
                "ours": lambda pairs: record(database, code, pairs, owners),
                "executemany": lambda pairs: by_executemany(database, code, pairs),
                "copy": lambda pairs: by_copy(database, code, pairs),
            }
            times: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(chosen.rounds):
                for name, way in ways.items():
                    pairs = some(chosen.results)
                    began = time.perf_counter()
                    way(pairs)
                    times[name].append(time.perf_counter() - began)
            with database.session() as session:
                recorded = session.scalar(text("SELECT count(*) FROM score_provenance"))
            database.close()
        finally:
            server.destroy()
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    report = {
        "results": chosen.results,
        "rows in the table": recorded,
        **{f"{name} seconds": round(median, 3) for name, median in medians.items()},
        "ratio to executemany": round(medians["ours"] / medians["executemany"], 2),
        "ratio to copy": round(medians["ours"] / medians["copy"], 2),
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
