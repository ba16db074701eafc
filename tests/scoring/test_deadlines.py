"""No pair waits for ever: each way in which nothing happens has an end, a reason, and whose fault it is.

Here pairs are given to the dispatch itself, on a real SLURM or a local cluster, without a database: what it says is files.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests import weightless_library
from tests.slurm_cluster import CPUS, Slurm

from brainscore_ops.scoring import dispatch
from brainscore_ops.scoring import slurm as slurm_commands
from brainscore_ops.scoring.attempts import Attempt, attempts_of
from brainscore_ops.scoring.dispatch import Task, compute
from brainscore_ops.settings import Deployment, load_deployment
from brainscore_ops.worker_runs import run_on_worker

Lay = Callable[..., Deployment]


@pytest.fixture
def lay(tmp_path: Path, slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> Lay:
    """Lay out a deployment with these settings of scoring, and the library that it scores."""

    def make(**scoring: Any) -> Deployment:
        small = {"name": "small", "memory": "300 MiB", "walltime": "10:00", "jobs": 2, "partition": "big"}
        deployment = weightless_library.deploy(tmp_path, **{"classes": [small], **scoring})
        workspace = deployment.workspace
        monkeypatch.setenv("BRAINSCORE_OPS_WORKSPACE", str(workspace.root))
        monkeypatch.setenv("BRAINSCORE_OPS_STATE", str(workspace.state_root))
        monkeypatch.setenv("BRAINSCORE_OPS_OUTPUTS", str(workspace.outputs_root))
        monkeypatch.setenv("SLURM_CONF", str(slurm.configuration))
        return deployment

    return make


def tasks(deployment: Deployment, *, count: int = 1, seconds: float = 0) -> list[Task]:
    return [
        weightless_library.task(deployment, f"pair-{number}", f"model-{number}", str(seconds))
        for number in range(count)
    ]


def ways(deployment: Deployment, given: list[Task], driver: str = "driver", tell: Any = lambda _: None) -> Any:
    return compute(deployment, given, partial(run_on_worker, "score_pair", "test"), driver=driver, tell=tell)


def reasons(given: list[Task]) -> list[tuple[str | None, str | None]]:
    return [(attempt.reason_code, attempt.fault) for task in given for attempt in attempts_of(task.results)]


@contextmanager
def occupied(slurm: Slurm) -> Iterator[None]:
    """Somebody else's job has all processors of the partition."""
    job = slurm.run(
        "sbatch", "--parsable", "--partition=big", f"--cpus-per-task={CPUS}", "--output=/dev/null", "--wrap=sleep 600"
    )
    try:
        yield
    finally:
        slurm.run("scancel", job.strip())


def test_a_pair_for_which_no_worker_becomes_free_is_given_up_with_a_reason(lay: Lay, slurm: Slurm):
    deployment = lay(cluster="slurm", pending_seconds=6, attempts=1)
    given = tasks(deployment)
    with occupied(slurm):
        [outcome] = ways(deployment, given).values()
    assert outcome.failure["code"] == "never-started"
    assert "no worker became free for it within" in outcome.failure["message"]
    assert reasons(given) == [("never-started", "infrastructure")]
    assert slurm.jobs("bso.driver") == {}


def test_jobs_that_end_before_their_worker_comes_are_not_submitted_for_ever(lay: Lay, slurm: Slurm):
    deployment = lay(cluster="slurm", job_script_prologue=["exit 7"], pending_seconds=600, attempts=1)
    given = tasks(deployment)
    [outcome] = ways(deployment, given).values()
    assert outcome.failure["code"] == "workers-do-not-start"
    assert outcome.failure["fault"] != "submission"
    assert slurm.jobs("bso.driver") == {}


def controller(slurm: Slurm) -> psutil.Process:
    return psutil.Process(int((slurm.folder / "slurmctld.pid").read_text()))


def freeze(slurm: Slurm) -> None:
    """Stop the controller of this SLURM: it takes connections, and answers none."""
    controller(slurm).suspend()


def test_a_controller_that_is_silent_for_a_while_costs_no_pair(lay: Lay, slurm: Slurm, monkeypatch):
    monkeypatch.setattr(slurm_commands, "_SECONDS", 1)
    deployment = lay(cluster="slurm")
    given = tasks(deployment, count=2, seconds=2)
    frozen = threading.Event()

    def tell(attempts: list[Attempt]) -> None:
        if not frozen.is_set() and any(attempt.started_at for attempt in attempts):
            frozen.set()
            freeze(slurm)
            threading.Timer(6, controller(slurm).resume).start()

    outcomes = ways(deployment, given, tell=tell)
    assert frozen.is_set()
    assert {outcome.state for outcome in outcomes.values()} == {"scored"}
    assert [attempt.number for task in given for attempt in attempts_of(task.results)] == [1, 1]


def test_a_controller_that_stays_silent_is_the_end_of_waiting(lay: Lay, slurm: Slurm, monkeypatch):
    monkeypatch.setattr(slurm_commands, "_SECONDS", 1)
    monkeypatch.setattr(dispatch, "_SILENCE_SECONDS", 4)
    deployment = lay(cluster="slurm", attempts=1)
    given = tasks(deployment)
    with occupied(slurm):
        freezing = threading.Timer(6, freeze, [slurm])
        freezing.start()
        try:
            [outcome] = ways(deployment, given).values()
        finally:
            freezing.join()
            controller(slurm).resume()
    assert (outcome.failure["code"], outcome.failure["fault"]) == ("slurm-unavailable", "infrastructure")


def listening(processes: list[psutil.Process]) -> set[str]:
    """The addresses on which some processes can be reached."""
    found = [connection for process in processes for connection in process.net_connections()]
    return {connection.laddr.ip for connection in found if connection.status == psutil.CONN_LISTEN}


@pytest.mark.parametrize("cluster", ["local", "slurm"])
def test_nobody_beyond_the_interface_of_the_settings_can_reach_scheduler_or_workers(lay: Lay, cluster: str):
    deployment = lay(cluster=cluster)
    reached: set[str] = set()

    def tell(attempts: list[Attempt]) -> None:
        if any(attempt.started_at for attempt in attempts):
            workers = [each for each in psutil.process_iter(["cmdline"]) if "dask_worker" in str(each.info["cmdline"])]
            reached.update(listening([psutil.Process(), *workers]))

    [outcome] = ways(deployment, tasks(deployment, seconds=2), tell=tell).values()
    assert outcome.state == "scored"
    assert reached == {"127.0.0.1"}


def drive(driver: str) -> dict[str, str]:
    """As a driver in a process of its own: identity → what became of the pair."""
    deployment = load_deployment("still")
    outcomes = ways(deployment, tasks(deployment, count=3, seconds=0.5), driver)
    return {identity: outcome.state for identity, outcome in outcomes.items()}


def test_two_drivers_that_want_the_same_pairs_compute_each_once(lay: Lay):
    deployment = lay(cluster="local", workers=1)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as both:
        found = list(both.map(drive, ("first", "second")))
    assert found[0] == found[1] == {"pair-0": "scored", "pair-1": "scored", "pair-2": "scored"}
    made = [attempt for task in tasks(deployment, count=3) for attempt in attempts_of(task.results)]
    assert [attempt.number for attempt in made] == [1, 1, 1]
