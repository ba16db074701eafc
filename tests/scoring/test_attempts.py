"""What is tried again, and where: decided from how the tries went, without running anything."""

from __future__ import annotations

import pytest

from brainscore_ops.errors import Fault, StepFailedError
from brainscore_ops.scoring.attempts import (
    Attempt,
    AttemptState,
    FailureKind,
    attempts_of,
    next_try,
    now,
    read_attempt,
    write_attempt,
)
from brainscore_ops.settings import ResourceClass

SMALL = ResourceClass(name="small", memory="1 GiB", walltime="10:00")
LARGE = ResourceClass(name="large", memory="4 GiB", walltime="10:00")
LONG = ResourceClass(name="long", memory="4 GiB", walltime="12:00:00")
GPU = ResourceClass(name="gpu", memory="2 GiB", walltime="10:00", gpus=1)
CLASSES = (SMALL, LARGE, LONG)


def attempt(number: int = 1, offered: ResourceClass = SMALL) -> Attempt:
    return Attempt(
        identity="i" * 64,
        number=number,
        model="m",
        benchmark="b",
        library_commit="c" * 40,
        resource_class=offered.name,
        driver="d",
        submission_id=None,
        state=AttemptState.QUEUED,
        queued_at=now(),
        deadline=now(),
    )


def failed(code: str, *, fault: Fault = Fault.INFRASTRUCTURE, offered: ResourceClass = SMALL, **facts) -> Attempt:
    failure = StepFailedError("it failed", code=code, fault=fault).as_dict()
    return attempt(offered=offered).ended(failure, **facts)


def test_out_of_memory_goes_up_class_by_class_until_there_is_no_larger_one():
    assert next_try([failed("out-of-memory")], CLASSES, 3).resource_class == LARGE
    assert next_try([failed("out-of-memory", offered=LARGE)], CLASSES, 3) is None
    assert next_try([failed("out-of-memory", offered=LONG)], CLASSES, 3) is None


def test_out_of_memory_on_a_gpu_stays_with_gpus():
    assert next_try([failed("out-of-memory", offered=GPU)], (SMALL, GPU, LARGE), 3) is None


def test_out_of_time_goes_to_more_walltime_and_skips_what_has_no_more():
    assert next_try([failed("timeout")], CLASSES, 3).resource_class == LONG


def test_out_of_time_where_there_is_no_more_is_tried_once_with_all_of_it():
    first = failed("timeout", offered=LONG, wall_seconds=100.0)
    again = next_try([first], CLASSES, 3)
    assert (again.resource_class, again.fresh) == (LONG, True)
    assert next_try([first, first], CLASSES, 3) is None


def test_out_of_time_after_all_of_the_walltime_is_the_end():
    assert next_try([failed("timeout", offered=LONG, wall_seconds=12 * 3600.0)], CLASSES, 3) is None


@pytest.mark.parametrize("code", ["worker-lost", "node-lost", "kernel-died", "killed", "sandbox-broken"])
def test_what_machines_are_at_fault_for_is_tried_again_so_often(code):
    lost = failed(code)
    assert next_try([lost], CLASSES, 3).resource_class == SMALL
    assert next_try([lost, lost], CLASSES, 3).resource_class == SMALL
    assert next_try([lost, lost, lost], CLASSES, 3) is None


@pytest.mark.parametrize(
    "code",
    ["scoring-crashed", "invalid-result", "disk-limit", "process-limit", "output-limit", "environment-not-built"],
)
def test_what_is_the_plugins_own_is_not_tried_again(code):
    assert next_try([failed(code, fault=Fault.SUBMISSION)], CLASSES, 3) is None


def test_a_lost_driver_does_not_count():
    lost = failed("driver-lost")
    assert lost.state is AttemptState.LOST
    assert next_try([lost, lost, lost, lost], CLASSES, 3).resource_class == SMALL


def test_a_reason_that_nobody_knows_is_judged_by_its_fault():
    assert failed("something-new", fault=Fault.SUBMISSION).kind is FailureKind.DETERMINISTIC
    assert failed("something-new").kind is FailureKind.TRANSIENT


def test_an_open_attempt_has_a_deadline_and_a_final_one_has_none():
    running = attempt().started(seconds=60, job_id="7", node="n1", partition="normal")
    assert running.deadline > now()
    assert running.ended(None).deadline is None


def test_attempts_are_kept_in_files_and_found_in_their_order(tmp_path):
    kept = [attempt(2), attempt(1).ended(StepFailedError("no", code="timeout").as_dict()), attempt(10)]
    for each in kept:
        write_attempt(tmp_path, each)
    (tmp_path / "attempts" / "0011.json").write_text("{}")
    assert [each.number for each in attempts_of(tmp_path)] == [1, 2, 10]
    assert read_attempt(tmp_path, 1) == kept[1]
