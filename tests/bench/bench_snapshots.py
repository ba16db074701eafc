"""How long a snapshot of 150,000 scores with their provenance takes, against a plain ``pg_dump --format=custom``.

    python tests/bench/bench_snapshots.py [--models 500] [--benchmarks 300] [--rounds 3]

Prints one JSON document: for each way of dumping the median seconds, its ratio to the plain one in the same run, the size, and
the seconds of its restore; the same for a whole snapshot (dump, counts, checksums, digest) with its proof (restore, comparison).
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from brainscore_ops.database.connection import Database
from brainscore_ops.database.embedded import EmbeddedPostgres
from brainscore_ops.database.programs import client_program, client_programs, server_version
from brainscore_ops.database.schema import upgrade
from brainscore_ops.database.snapshots import Snapshot, SnapshotStore, list_snapshots, prove_snapshot, take_snapshot
from brainscore_ops.database.snapshots.scratch import create_database, drop_database
from brainscore_ops.settings import DatabaseSecret

if TYPE_CHECKING:
    from collections.abc import Callable

FILL = """
INSERT INTO brainscore_user (id, email, is_active, is_staff, is_superuser, password)
    VALUES (1000, 'ada@example.org', true, false, false, '') ON CONFLICT DO NOTHING;
INSERT INTO brainscore_submission (id, jenkins_id, submitter_id, model_type, status)
    VALUES (1000, 1, 1000, 'model', 'done');
INSERT INTO brainscore_model (id, name, owner_id, submission_id, domain, public)
    SELECT i, 'model-' || i, 1000, 1000, 'vision', true FROM generate_series(1, {models}) i;
INSERT INTO brainscore_benchmarktype (identifier, domain, visible, "order", owner_id)
    SELECT 'benchmark-' || i, 'vision', true, i, 1000 FROM generate_series(1, {benchmarks}) i;
INSERT INTO brainscore_benchmarkinstance (id, benchmark_type_id, version, ceiling)
    SELECT i, 'benchmark-' || i, 1, random() FROM generate_series(1, {benchmarks}) i;
INSERT INTO brainscore_score (id, benchmark_id, model_id, score_raw, score_ceiled, error, start_timestamp, end_timestamp)
    SELECT (m - 1) * {benchmarks} + b, b, m, random(), random(), random() / 100, now(), now()
    FROM generate_series(1, {models}) m, generate_series(1, {benchmarks}) b;
INSERT INTO score_provenance (identity, score_id, model, benchmark, benchmark_version, model_digest, benchmark_digest,
        library_commit, packages, state, value, raw, error, ceiling, sandboxed, wall_seconds, peak_memory_bytes, recorded_at)
    SELECT encode(sha256(id::text::bytea), 'hex'), id, 'model-' || model_id, 'benchmark-' || benchmark_id, 1,
        encode(sha256(model_id::text::bytea), 'hex'), encode(sha256(benchmark_id::text::bytea), 'hex'),
        left(encode(sha256('commit'), 'hex'), 40), '{{"numpy": "2.4.0", "pandas": "3.1.0", "torch": "2.9.1"}}', 'scored',
        score_ceiled, score_raw, error, random(), true, random() * 1000, (random() * 1e9)::bigint, now()
    FROM brainscore_score;
ANALYZE
"""

WAYS = {
    "custom": ["--format=custom"],
    "custom, gzip 1": ["--format=custom", "--compress=gzip:1"],
    "directory, 2 jobs": ["--format=directory", "--jobs=2"],
    "directory, 2 jobs, gzip 1": ["--format=directory", "--jobs=2", "--compress=gzip:1"],
}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--benchmarks", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder / "server")
    try:
        database = Database(DatabaseSecret.model_validate(server.start()))
        upgrade(database)
        fill(database, options.models, options.benchmarks)
        with database.connection() as connection:
            size = connection.scalar(text("SELECT pg_database_size(current_database())"))
        results = measure(database, folder, options.rounds)
        document = {"scores": options.models * options.benchmarks, "database_bytes": size, "ways": results}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        database.close()
    finally:
        server.destroy()
        shutil.rmtree(folder)


def fill(database: Database, models: int, benchmarks: int) -> None:
    """A score for every pair."""
    with database.connection() as connection:
        for statement in FILL.format(models=models, benchmarks=benchmarks).split(";"):
            connection.execute(text(statement.replace('": "', r'"\: "')))


def measure(database: Database, folder: Path, rounds: int) -> dict[str, dict[str, Any]]:
    """Every way, in turns, so that whatever else the machine does falls on all of them."""
    store = SnapshotStore(folder / "store")
    programs, dump, copy = client_programs(server_version(database)), folder / "dump", database.beside("bench_restore")
    seconds: dict[str, list[float]] = {}
    restores: dict[str, list[float]] = {}
    sizes: dict[str, int] = {}
    for _ in range(rounds):
        for way, how in WAYS.items():
            arguments = [*how, f"--file={dump}"]
            seconds.setdefault(way, []).append(timed(run, programs, "pg_dump", arguments, database))
            sizes[way] = sum(path.stat().st_size for path in ([dump] if dump.is_file() else dump.iterdir()))
            create_database(database, "bench_restore")
            arguments = ["--dbname=service=ops", "--exit-on-error", "--jobs=2", str(dump)]
            restores.setdefault(way, []).append(timed(run, programs, "pg_restore", arguments, copy))
            drop_database(database, "bench_restore")
            shutil.rmtree(dump) if dump.is_dir() else dump.unlink()
        seconds.setdefault("take_snapshot", []).append(timed(take, database, store))
        snapshot = list_snapshots(store)[0]
        sizes["take_snapshot"] = snapshot.dump_bytes
        restores.setdefault("take_snapshot", []).append(timed(prove, snapshot, database))
    peer = statistics.median(seconds["custom"])
    return {
        way: {
            "seconds": round(statistics.median(seconds[way]), 2),
            "ratio": round(statistics.median(seconds[way]) / peer, 2),
            "bytes": sizes[way],
            "restore_seconds": round(statistics.median(restores[way]), 2),
        }
        for way in seconds
    }


def timed(work: Callable[..., object], *arguments: object) -> float:
    started = time.monotonic()
    work(*arguments)
    return time.monotonic() - started


def run(programs: Path, name: str, arguments: list[str], database: Database) -> None:
    with client_program(programs, name, *arguments, secret=database.secret):
        pass


def take(database: Database, store: SnapshotStore) -> None:
    take_snapshot(database, store, deployment="bench", reason="bench", say=quiet)


def prove(snapshot: Snapshot, database: Database) -> None:
    prove_snapshot(snapshot, database, say=quiet)


def quiet(_: str) -> None:
    """Say nothing."""


if __name__ == "__main__":
    main()
