"""What a pair costs beside its own computation, against calling the library directly, and beside submitit (one job a pair).

    python tests/bench/bench_overhead.py [--pairs 200] [--workers 8] [--seconds 0]

All three on the same real SLURM of two nodes, in the same run, on the same pairs of a library without any weight: directly (a
Python process for each pair, so many at once), by submitit (a job array, so many at once), and by this system (dask workers in
SLURM jobs; each pair sandboxed, in a notebook that is kept as its record). Prints one JSON document: seconds for all pairs, the
overhead per pair in seconds, and its ratio to submitit's. Needs what `make setup-tests` installs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests import weightless_library  # noqa: E402
from tests.slurm_cluster import running_slurm  # noqa: E402
from tests.weightless_library import LIBRARY  # noqa: E402

from brainscore_ops.plugins.environment import Requirements  # noqa: E402
from brainscore_ops.scoring.dispatch import compute  # noqa: E402
from brainscore_ops.scoring.pair import environments_of  # noqa: E402
from brainscore_ops.settings import Deployment  # noqa: E402
from brainscore_ops.worker_runs import run_on_worker  # noqa: E402

BENCHMARKS = 10


def directly(python: Path, checkout: Path, pairs: list[tuple[str, str]], workers: int) -> float:
    """Seconds for the library's own function in a process for each pair, so many at once."""

    def call(pair: tuple[str, str]) -> None:
        code = f"import {LIBRARY}; print(float({LIBRARY}.score(*{pair!r})))"
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        subprocess.run([str(python), "-c", code], check=True, capture_output=True, env=environment)

    began = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(call, pairs))
    return time.monotonic() - began


def by_submitit(folder: Path, checkout: Path, pairs: list[tuple[str, str]], workers: int) -> float:
    """Seconds for a job array of submitit's, from its submission until the last result is here."""
    import submitit

    def call(model: str, benchmark: str) -> float:
        sys.path.insert(0, str(checkout))
        import importlib

        return float(importlib.import_module(LIBRARY).score(model, benchmark))

    executor = submitit.SlurmExecutor(folder=str(folder))
    executor.update_parameters(time=30, mem="400M", array_parallelism=workers, cpus_per_task=1)
    began = time.monotonic()
    jobs = executor.map_array(call, *zip(*pairs, strict=True))
    waiting = list(jobs)
    while waiting:
        # Its own done() asks once a minute at least, and asks for accounting, which is not there: look for the results.
        waiting = [job for job in waiting if not job.paths.result_pickle.exists()]
        time.sleep(0.05)
    seconds = time.monotonic() - began
    assert [job.result() for job in jobs] == [weightless_library.SCORE] * len(pairs)
    return seconds


def by_us(deployment: Deployment, pairs: list[tuple[str, str]], driver: str) -> tuple[float, float]:
    """Seconds from the start of the driver until the last outcome is known; and a pair's, from its beginning to its end."""
    tasks = [weightless_library.task(deployment, f"{driver}-{number}", *pair) for number, pair in enumerate(pairs)]
    spans: dict[Any, float] = {}

    def tell(attempts: Any) -> None:
        for each in attempts:
            if each.ended_at and each.started_at:
                spans[each.identity] = (each.ended_at - each.started_at).total_seconds()

    began = time.monotonic()
    outcomes = compute(deployment, tasks, partial(run_on_worker, "score_pair", "bench"), driver=driver, tell=tell)
    seconds = time.monotonic() - began
    assert {outcome.state for outcome in outcomes.values()} == {"scored"}, outcomes
    return seconds, statistics.median(spans.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=0, help="how long the computation of a pair takes")
    options = parser.parse_args()
    pairs = [
        (f"model-{number // BENCHMARKS}", f"{options.seconds}-{number % BENCHMARKS}") for number in range(options.pairs)
    ]
    with tempfile.TemporaryDirectory() as name, running_slurm(Path(name) / "slurm") as slurm:
        folder = Path(name)
        folder.chmod(0o755)
        os.environ["SLURM_CONF"] = str(slurm.configuration)
        small = {"name": "small", "memory": "400 MiB", "walltime": "30:00", "jobs": options.workers}
        deployment = weightless_library.deploy(folder, classes=[small])
        checkout = folder / "checkout"
        environment = environments_of(deployment).ensure(Requirements("", ()))  # built once, for all
        direct = directly(environment.python, checkout, pairs, options.workers)
        submitit = by_submitit(folder / "submitit", checkout, pairs, options.workers)
        ours, span = by_us(deployment, pairs, "bench-run")
    overheads = {"ours": (ours - direct) / len(pairs), "submitit": (submitit - direct) / len(pairs)}
    document = {
        "pairs": options.pairs,
        "workers": options.workers,
        "seconds_of_a_pair": options.seconds,
        "seconds": {"direct": round(direct, 2), "submitit": round(submitit, 2), "ours": round(ours, 2)},
        "overhead_per_pair": {name: round(value, 3) for name, value in overheads.items()},
        "median_seconds_of_a_pair_on_its_worker": round(span, 3),
        "ratio": round(overheads["ours"] / overheads["submitit"], 3),
    }
    json.dump(document, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
