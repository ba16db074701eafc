"""A library without any weight, and a deployment that scores it on SLURM without database, forge or mail: for dispatch alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from brainscore_ops.scoring.dispatch import Task
from brainscore_ops.scoring.pair import ScorePairParameters, results_folder
from brainscore_ops.settings import Deployment, Workspace, load_deployment

__all__ = ["LIBRARY", "SCORE", "deploy", "task"]

ROOT = Path(__file__).parents[1]
LIBRARY = "brainscore_still"
SCORE = 0.5
CODE = f"""
import time


class Score(float):
    attrs = {{}}


class Benchmark:
    version, parent, bibtex = 1, "still", None


def load_benchmark(identifier):
    return Benchmark()


def score(model, benchmark):
    time.sleep(float(benchmark.partition("-")[0]))
    return Score({SCORE})
"""


def deploy(folder: Path, **scoring: Any) -> Deployment:
    """Lay out the library in ``checkout``, and beside it a deployment with these settings of scoring."""
    root = folder / "workspace"
    (root / "params").mkdir(parents=True)
    (root / "notebooks").symlink_to(ROOT / "notebooks")
    settings = {
        "tier": "local",
        "library": {"package": LIBRARY, "repository": "brain-score/still", "domain": "still"},
        "database": {"secret": "local/none"},
        "forge": {"secret": "local/none"},
        "mail": {"secret": "local/none", "sender": "nobody@example.org"},
        "scoring": {"cluster": "slurm", "interface": "lo", **scoring},
    }
    (root / "params" / "still.yaml").write_text(yaml.safe_dump(settings))
    library = folder / "checkout" / LIBRARY
    for kind in ("models/m", "benchmarks/b"):
        (library / kind).mkdir(parents=True)
    (library / "__init__.py").write_text(CODE)
    (folder / "checkout" / "requirements.txt").write_text("")
    return load_deployment("still", Workspace(root, folder / "state", folder / "outputs"))


def task(deployment: Deployment, identity: str, model: str, benchmark: str) -> Task:
    """A pair to compute.

    :param benchmark: begins with how many seconds its computation takes; what follows a hyphen is a name
    """
    job = ScorePairParameters(
        deployment=deployment.name,
        model=model,
        benchmark=benchmark,
        model_plugin="m",
        benchmark_plugin="b",
        checkout=str(deployment.workspace.root.parent / "checkout"),
        results=str(results_folder(deployment, identity)),
    )
    return Task(identity, job, "0" * 40, None, deployment.default_class)
