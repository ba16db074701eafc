"""How long planning takes at the vision library's size, against pandas' cross merge and anti-join of the same tables.

    python tests/bench/bench_planning.py [--models 683] [--benchmarks 270] [--scores 150000] [--rounds 5]

A real PostgreSQL holds the scores; each round reads them and plans every pair of the library that has none. Prints one JSON
document: median seconds of both, their ratio, and the peak memory of a process that does nothing but plan once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from sqlalchemy import insert, select

from brainscore_ops.database.connection import Database
from brainscore_ops.database.embedded import EmbeddedPostgres
from brainscore_ops.database.ops_tables import ScoreProvenance, now
from brainscore_ops.database.schema import upgrade
from brainscore_ops.plugins.catalogue import Catalogue
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.library_code import LibraryCode
from brainscore_ops.scoring.existing import read_existing
from brainscore_ops.scoring.plan import ChangedPlugins, Existing, Plan, plan_pairs
from brainscore_ops.settings import DatabaseSecret


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def library(models: int, benchmarks: int) -> LibraryCode:
    of_models = {f"resnet-{number}_training.variant": f"resnet_{number}" for number in range(models)}
    of_benchmarks = {f"Author{number}.region.IT-metric": f"author{number}" for number in range(benchmarks)}
    plugins = [PluginKey("models", name) for name in of_models.values()]
    plugins += [PluginKey("benchmarks", name) for name in of_benchmarks.values()]
    catalogue = Catalogue("lib", of_models, of_benchmarks, plugins={plugin: {} for plugin in plugins})
    return LibraryCode("c" * 40, catalogue, {plugin: digest(str(plugin)) for plugin in plugins})


def fill(database: Database, code: LibraryCode, scores: int) -> None:
    everything = plan_pairs(code, changed=ChangedPlugins(everything=True), existing=Existing())
    rows = [
        {
            "identity": pair.identity, "model": pair.model, "benchmark": pair.benchmark, "benchmark_version": 1,
            "model_digest": pair.model_digest, "benchmark_digest": pair.benchmark_digest, "library_commit": "b" * 40,
            "state": "scored", "value": 0.5, "sandboxed": True, "recorded_at": now(),
        }
        for pair in everything.pairs[:scores]
    ]  # fmt: skip
    with database.session() as session:
        session.execute(insert(ScoreProvenance), rows)


def plan(database: Database, code: LibraryCode) -> Plan:
    with database.session() as session:
        existing = read_existing(session)
    return plan_pairs(code, changed=ChangedPlugins(everything=True), existing=existing)


def peer(database: Database, code: LibraryCode) -> int:
    """The same with pandas: the cross product of models and benchmarks, without what has a score of the same digests."""
    columns = ["model", "benchmark", "model_digest", "benchmark_digest"]
    with database.engine.connect() as connection:
        known = pd.read_sql(select(*(ScoreProvenance.__table__.c[name] for name in columns)), connection)
    kinds = (("model", code.catalogue.models), ("benchmark", code.catalogue.benchmarks))
    models, benchmarks = (
        pd.DataFrame(
            [(name, code.digests[PluginKey(f"{kind}s", plugin)]) for name, plugin in held.items()],
            columns=[kind, f"{kind}_digest"],
        )
        for kind, held in kinds
    )
    pairs = models.merge(benchmarks, how="cross").merge(known, how="left", on=columns, indicator=True)
    return int((pairs["_merge"] == "left_only").sum())


def seconds(work, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def peak_memory() -> int:
    """Bytes. Not ``ru_maxrss``: that of a process begins with its parent's."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=683)
    parser.add_argument("--benchmarks", type=int, default=270)
    parser.add_argument("--scores", type=int, default=150_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plan-once", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    code = library(chosen.models, chosen.benchmarks)
    if chosen.plan_once:
        plan(Database(DatabaseSecret.model_validate_json(chosen.plan_once)), code)
        sys.stdout.write(f"{peak_memory()}\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        try:
            secret = server.start()
            database = Database(DatabaseSecret.model_validate(secret))
            upgrade(database)
            fill(database, code, chosen.scores)
            left = len(plan(database, code).pairs)
            if left != peer(database, code):
                sys.exit("both ways of planning have to find the same pairs")
            ours, theirs = (seconds(lambda way=way: way(database, code), chosen.rounds) for way in (plan, peer))
            alone = [sys.executable, __file__, "--models", str(chosen.models), "--benchmarks", str(chosen.benchmarks)]
            memory = subprocess.run([*alone, "--plan-once", json.dumps(secret)], capture_output=True, check=True).stdout
            database.close()
        finally:
            server.destroy()
    report = {
        "pairs": chosen.models * chosen.benchmarks, "existing": chosen.scores, "to score": left,
        "plan seconds": round(ours, 3), "pandas seconds": round(theirs, 3), "ratio": round(ours / theirs, 2),
        "peak memory MB": round(int(memory) / 1e6),
    }  # fmt: skip
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
