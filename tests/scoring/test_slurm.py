"""Pairs on a real SLURM of two nodes, through the real runbook: what is asked of it, and everything that can go wrong.

Waiting is most of what these tests do, so that one run of the runbook meets all the accidents at once.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nbformat
import psutil
import pytest
from tests.slurm_cluster import Slurm

from brainscore_ops.database.ops_tables import Run

from .conftest import Installation, benchmark, model

CLASSES = [
    {"name": "small", "partition": "normal", "memory": "200 MiB", "walltime": "10:00", "jobs": 4},
    {"name": "large", "partition": "big", "memory": "800 MiB", "walltime": "20:00", "jobs": 3},
    {"name": "overlong", "partition": "normal", "memory": "64 MiB", "walltime": "5:00:00", "cores": 2},
    {"name": "nowhere", "partition": "no-such-partition", "memory": "64 MiB", "walltime": "40:00", "cores": 8},
]
SCORING: dict[str, Any] = {
    "cluster": "slurm",
    "classes": CLASSES,
    "default_class": "small",
    "interface": "lo",
    "driver_partition": "big",
    "death_timeout_seconds": 15,
    "idle_seconds": 2,
}
SLEEP = "import time; time.sleep({}); return 0.5"
HUNGRY = "data = bytearray(400 * 1024 * 1024)\nimport time; time.sleep(1)\nreturn 0.6"
SERVICES = ("postgres", "forge.embedded", "notify.mailbox")


def asking(name: str, **resources: Any) -> dict[str, str]:
    """The metadata of a model that asks for resources."""
    return {f"brainscore_stub/models/{name}/metadata.yml": json.dumps({"resources": resources})}


def tries(house: Installation, name: str) -> list[tuple[str, str, str | None]]:
    return [(row.resource_class, row.state, row.kind) for row in house.attempts(name)]


# A merge that goes well.


@dataclass
class Merged:
    """A library that was scored, and a second run that had nothing to do."""

    house: Installation
    ended: dict[str, Any]


@pytest.fixture(scope="module")
def merged(install: Callable[..., Installation]) -> Merged:
    house = install("merged", SCORING)
    commit = house.commit(
        model("one", "import time; time.sleep(0.4); return 0.1"),
        model("two", "import time; time.sleep(0.4); return 0.2"),
        model("three", "import time; time.sleep(0.4); return 0.3"),
        benchmark("plain"),
        benchmark("double", 2.0),
    )
    return Merged(house, house.score(commit))


def test_three_models_and_two_benchmarks_are_scored(merged):
    assert merged.ended["state"] == "succeeded", merged.ended["error"]
    assert {pair: (row.state, row.raw) for pair, row in merged.house.scores().items()} == {
        (name, each): ("scored", pytest.approx(raw * factor))
        for name, raw in (("one", 0.1), ("two", 0.2), ("three", 0.3))
        for each, factor in (("plain", 1), ("double", 2))
    }
    assert {row.number for row in merged.house.attempts()} == {1}


def test_every_attempt_says_where_it_ran_and_what_it_used(merged):
    for row in merged.house.attempts():
        assert row.node in ("n1", "n2")
        assert row.job_id
        assert row.partition == "normal"
        assert 0 < row.wall_seconds < 600
        assert row.cpu_seconds > 0
        assert row.peak_memory_bytes > 1024**2
        assert row.run_id in {run.id for run in merged.house.rows(Run)}
        assert row.started_at <= row.ended_at


def test_no_credential_is_in_a_job(merged):
    scripts = [*(merged.house.deployment.outputs / "workers").iterdir()]
    assert scripts
    secrets = merged.house.deployment.secrets_file.read_text()
    words = {value for secret in json.loads(secrets).values() for value in secret.values() if len(str(value)) > 15}
    for path in scripts:
        assert not [word for word in words if str(word) in path.read_text(errors="replace")], path


# Everything that can go wrong, at once.


@dataclass
class Accidents:
    """A run of ``score_plugins`` that met all of them, and what was done to it."""

    house: Installation
    run: Run
    said: str
    cancelled_job: str
    node_set_down: str
    expired_job: str


@pytest.fixture(scope="module")
def accidents(install: Callable[..., Installation], slurm: Slurm) -> Accidents:
    house = install("accidents", SCORING)
    commit = house.commit(
        benchmark("plain"),
        model("good", "return 0.1"),
        model("hungry", HUNGRY),
        model("crashing", "raise ValueError('no such layer')"),
        model("cancelled", SLEEP.format(6)),
        model("on_a_lost_node", SLEEP.format(10)),
        asking("on_a_lost_node", memory="300 MiB"),
        model("endless", SLEEP.format(25)),
        model("unplaceable"),
        asking("unplaceable", cores=8),
        model("overlong"),
        asking("overlong", cores=2, walltime="3:00:00"),
        model("greedy"),
        asking("greedy", memory="900 GiB"),
        model("confused"),
        asking("confused", memory="a lot"),
    )
    process = house.start("run", "score_plugins", "-p", "commit", commit, "--deployment", house.name)
    try:
        lost = house.await_attempt("on_a_lost_node")
        slurm.run("scontrol", "update", f"NodeName={lost['node']}", "State=DOWN", "Reason=test")
        expired = house.await_attempt("endless")
        slurm.run("scontrol", "update", f"JobId={expired['job_id']}", "EndTime=now")
        cancelled = house.await_attempt("cancelled")
        slurm.run("scancel", cancelled["job_id"])
        time.sleep(4)
        slurm.resume()
        said, _ = process.communicate(timeout=240)
    finally:
        slurm.resume()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    run = next(row for row in house.rows(Run) if row.runbook == "score_plugins")
    return Accidents(house, run, said, cancelled["job_id"], lost["node"], expired["job_id"])


def test_a_pair_over_its_memory_succeeds_in_the_larger_class(accidents):
    assert tries(accidents.house, "hungry") == [
        ("small", "failed", "out-of-memory"),
        ("large", "scored", None),
    ]
    first, second = accidents.house.attempts("hungry")
    assert first.fault == "submission"
    assert first.peak_memory_bytes > 200 * 2**20
    assert second.partition == "big"


def test_a_deterministic_failure_is_not_tried_again(accidents):
    assert tries(accidents.house, "crashing") == [("small", "failed", "deterministic")]
    [attempt] = accidents.house.attempts("crashing")
    assert "no such layer" in attempt.reason


def test_a_pair_whose_worker_was_cancelled_is_computed_by_another(accidents):
    first, second = accidents.house.attempts("cancelled")
    assert (first.state, first.kind, first.reason_code) == ("failed", "transient", "worker-lost")
    assert first.fault == "infrastructure"
    assert first.job_id == accidents.cancelled_job
    assert "cancelled" in first.reason
    assert second.state == "scored"
    assert second.job_id != first.job_id


def test_a_pair_whose_node_was_lost_is_computed_on_another_worker(accidents):
    first, *_, last = accidents.house.attempts("on_a_lost_node")
    assert (first.state, first.kind, first.reason_code) == ("failed", "transient", "node-lost")
    assert first.node == accidents.node_set_down
    assert last.state == "scored"


def test_a_pair_that_reached_the_walltime_goes_to_a_class_with_more_of_it(accidents):
    first, second = accidents.house.attempts("endless")
    assert (first.state, first.kind, first.job_id) == ("failed", "timeout", accidents.expired_job)
    assert (second.resource_class, second.state) == ("large", "scored")


def test_a_partition_that_does_not_exist_is_told_at_once_and_harms_no_other_pair(accidents):
    [attempt] = accidents.house.attempts("unplaceable")
    assert (attempt.state, attempt.kind, attempt.reason_code) == ("failed", "environment", "cluster-refused")
    assert attempt.fault == "operator"
    assert "no-such-partition" in attempt.reason
    assert (attempt.ended_at - attempt.queued_at).total_seconds() < 30


def test_a_class_whose_jobs_would_wait_for_ever_is_told(accidents):
    [attempt] = accidents.house.attempts("overlong")
    assert (attempt.reason_code, attempt.fault) == ("cluster-refused", "operator")
    assert re.search(r"would wait for ever \(Partition\w+\)", attempt.reason)  # as SLURM names it, at that moment


def test_what_no_class_can_offer_and_what_nobody_understands_is_said(accidents):
    [greedy], [confused] = accidents.house.attempts("greedy"), accidents.house.attempts("confused")
    assert greedy.reason_code == "no-resource-class"
    assert "900 GiB" in greedy.reason
    assert confused.reason_code == "bad-resources"
    assert "a lot" in confused.reason


def test_all_other_scores_are_intact(accidents):
    found = {model: row.state for (model, _), row in accidents.house.scores().items()}
    scored = {"good", "hungry", "cancelled", "on_a_lost_node", "endless"}
    failed = {"crashing", "overlong", "unplaceable", "greedy", "confused"}
    assert found == {**dict.fromkeys(scored, "scored"), **dict.fromkeys(failed, "failed")}


def test_no_attempt_is_left_open_and_no_job_either(accidents, slurm):
    assert [row.model for row in accidents.house.attempts() if row.ended_at is None or row.deadline] == []
    assert jobs_end(slurm, "bso.accidents", within=20)


def test_what_the_operator_has_to_mend_makes_the_run_end_with_a_delay(accidents):
    assert accidents.run.state in ("unavailable", "succeeded")
    [unplaceable] = [row for (model, _), row in accidents.house.scores().items() if model == "unplaceable"]
    assert unplaceable.fault == "operator"


def test_the_record_shows_how_each_pair_stood(accidents):
    notebook = nbformat.read(accidents.house.deployment.outputs / accidents.run.record_path, as_version=4)
    cell = next(cell for cell in notebook.cells if "step:score" in cell.metadata.get("tags", []))
    text = "\n".join(output.get("data", {}).get("text/plain", "") for output in cell.outputs)
    assert "5 scored" in text
    assert "no such layer" in text


# A driver that is killed.


@dataclass
class Killed:
    """A run whose driver was killed in the middle, and the one that went on."""

    house: Installation
    seconds_until_its_jobs_ended: float
    processes_left: list[str]
    again: dict[str, Any]


@pytest.fixture(scope="module")
def killed(install: Callable[..., Installation], slurm: Slurm) -> Killed:
    one_at_a_time = [{**CLASSES[0], "jobs": 1}]
    house = install("killed", {**SCORING, "classes": one_at_a_time, "default_class": ""})
    commit = house.commit(
        benchmark("plain"), model("a_first", "return 0.1"), model("b_second", SLEEP.format(10)), model("c_third")
    )
    process = house.start("run", "score_plugins", "-p", "commit", commit, "--deployment", house.name)
    house.await_attempt("a_first", "scored")
    house.await_attempt("b_second")
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert jobs_end(slurm, "bso.killed", within=120)
    seconds = time.monotonic() - began
    return Killed(house, seconds, processes_end(house, within=30), house.score(commit))


def jobs_end(slurm: Slurm, name: str, within: float) -> bool:
    deadline = time.monotonic() + within
    while slurm.jobs(name) and time.monotonic() < deadline:
        time.sleep(0.3)
    return not slurm.jobs(name)


def processes_end(house: Installation, within: float) -> list[str]:
    """The processes that still work for a deployment after a while, its services apart."""
    deadline = time.monotonic() + within
    while (found := working_for(house)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def working_for(house: Installation) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join([*process.cmdline(), process.environ().get("BRAINSCORE_OPS_STATE", "")])
        except psutil.Error:
            continue
        if str(house.folder) in words and not any(each in words for each in SERVICES):
            found.append(words)
    return found


def test_no_job_and_no_process_outlives_a_driver_that_was_killed(killed):
    assert killed.seconds_until_its_jobs_ended < 120
    assert killed.processes_left == []


def test_the_next_run_goes_on_and_computes_nothing_twice(killed):
    assert killed.again["state"] == "succeeded", killed.again["error"]
    assert {pair: row.state for pair, row in killed.house.scores().items()} == {
        (name, "plain"): "scored" for name in ("a_first", "b_second", "c_third")
    }
    assert tries(killed.house, "a_first") == [("small", "scored", None)]
    first, second = killed.house.attempts("b_second")
    # Its worker may have had the time to say so itself.
    assert (first.kind, first.reason_code in ("driver-lost", "worker-lost")) == ("transient", True)
    assert second.state == "scored"


# A driver that is a job itself.


def test_the_driver_runs_as_a_job_too_and_is_followed(merged, slurm):
    house = merged.house
    commit = house.commit(model("four"))
    arguments = ["run", "score_plugins", "-p", "commit", commit, "--deployment", house.name, "--driver", "slurm"]
    done = house.command(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SLURM job " in done.stdout
    assert "score_plugins: succeeded" in done.stdout
    assert {row.state for (name, _), row in house.scores().items() if name == "four"} == {"scored"}
    assert {row.number for row in house.attempts("one")} == {1}
    [driver] = [run for run in house.rows(Run) if run.parameters.get("commit") == commit]
    assert jobs_end(slurm, f"bso.merged.{driver.id}", within=20)


def test_a_secret_that_a_job_would_not_find_is_told_before_it_is_submitted(merged, monkeypatch):
    monkeypatch.setenv("BRAINSCORE_OPS_SECRET_LOCAL_FORGE", "{}")
    done = merged.house.command("run", "score_plugins", "--deployment", "merged", "--driver", "slurm", "--no-wait")
    assert done.returncode == 2
    assert "local/forge" in done.stderr
