"""Workers, as processes: they run what waits, once; die, are told to end, lose their database, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from brainscore_ops.queue.jobs import JobState, cancel, enqueue, find_job, jobs

QUICK = {"heartbeat_seconds": 0.5, "silent_seconds": 2, "grace_seconds": 20, "first_pause_seconds": 0.2}
COMMAND = Path(sys.executable).parent / "brainscore-ops"
SLEEP = "\nimport time; time.sleep(60)"


@pytest.fixture
def start(queue, tmp_path):
    """Starts workers that notice quickly; none outlives its test. What they say is in the test's output."""
    started = []
    said = tmp_path / "said"

    def start_worker(*arguments):
        with said.open("a") as file:
            process = subprocess.Popen([COMMAND, "worker", "--deployment", "test", *arguments], stderr=file)
        started.append(process)
        return process

    queue.configure(QUICK)
    yield start_worker
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
    sys.stdout.write(said.read_text() if said.exists() else "")


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
    return found


def in_state(queue, job, state):
    return lambda: (found := find_job(queue.deployment, job)).state is state and found


def test_a_job_ends_as_its_run_does_and_only_what_was_unavailable_is_tried_again(queue, start, tmp_path):
    times = tmp_path / "times"
    queue.write("refused", "from brainscore_ops.errors import RefusedError\nraise RefusedError('not like this')")
    queue.write("broken", "1 / 0")
    queue.write(
        "away",
        "import time\nfrom brainscore_ops.errors import UnavailableError",
        f"open({str(times)!r}, 'a').write(f'{{time.time()}}\\n'); raise UnavailableError('the forge is away')",
    )
    queue.configure({**QUICK, "attempts": 3, "first_pause_seconds": 1})
    for name in ("refused", "broken", "away"):
        enqueue(queue.deployment, name, {}, by="x")
    (queue.root / "params" / "scheduled").mkdir()
    (queue.root / "params" / "scheduled" / "toy.yaml").write_text("every: '1:00:00'\nparameters: {number: 4}\n")
    start()
    until(lambda: len(found := jobs(queue.deployment)) == 4 and all(job.state.is_final for job in found))
    found = {job.runbook: job for job in jobs(queue.deployment)}
    assert {name: job.state.value for name, job in found.items()} == {
        "toy": "succeeded",
        "refused": "refused",
        "broken": "failed",
        "away": "failed",
    }
    run = queue.entry(found["toy"].run_id)
    assert (run.triggered_by, run.parameters["number"]) == (f"queue:{found['toy'].id} schedule", 4)
    assert (found["refused"].reason, found["refused"].attempts) == ("not like this", 1)
    assert (found["away"].reason, found["away"].exit_code) == ("the forge is away", 4)
    first, second, third = map(float, times.read_text().split())
    assert second - first > 1
    assert third - second > 2, "the pauses grow"


def test_a_worker_that_is_killed_in_the_middle_of_a_run_is_replaced_and_the_effect_is_there_once(
    queue, start, tmp_path
):
    begun, effects = tmp_path / "begun", tmp_path / "effects"
    queue.write(
        "toy",
        "import os, time, pathlib",
        f"pathlib.Path({str(begun)!r}).open('a').write('x')\n"
        f"if os.path.getsize({str(begun)!r}) == 1: time.sleep(60)\n"
        f"pathlib.Path({str(effects)!r}).open('a').write('x')",
    )
    number = enqueue(queue.deployment, "toy", {}, by="x")
    first = start()
    until(begun.exists)
    run = find_job(queue.deployment, number).run_id
    first.kill()
    until(lambda: queue.entry(run).state == "interrupted")  # a run whose worker is gone stops by itself
    start()
    job = until(in_state(queue, number, JobState.SUCCEEDED))
    assert effects.read_text() == "x"
    assert job.attempts == 2
    assert job.reason is None, "of the last attempt"


def test_two_jobs_about_one_submission_never_run_at_the_same_time(queue, start, tmp_path):
    inside = tmp_path / "inside"
    queue.write("toy", f"import os, time\nos.mkdir({str(inside)!r}); time.sleep(0.7); os.rmdir({str(inside)!r})")
    for number in range(2):
        enqueue(queue.deployment, "toy", {"submission": 7, "number": number}, by="x")
    assert start("--drain", "--parallel", "2").wait(60) == 0
    assert [job.state for job in jobs(queue.deployment)] == [JobState.SUCCEEDED] * 2, "mkdir fails for a second one"


def test_a_job_that_runs_is_cancelled_on_request_and_its_run_records_that(queue, start, marker):
    begun, says_so = marker
    queue.write("toy", says_so + SLEEP)
    number = enqueue(queue.deployment, "toy", {}, by="x")
    start()
    until(begun.exists)
    assert cancel(queue.deployment, number, "bob").state is JobState.CANCELLING
    job = until(in_state(queue, number, JobState.CANCELLED))
    assert (job.reason, job.exit_code) == ("Cancelled by bob.", 130)
    assert queue.entry(job.run_id).state == "interrupted"


def test_a_worker_that_is_told_to_end_lets_its_run_finish_and_begins_no_other(queue, start, marker):
    begun, says_so = marker
    queue.write("toy", says_so + "\nimport time; time.sleep(1)")
    first = enqueue(queue.deployment, "toy", {"number": 1}, by="x")
    second = enqueue(queue.deployment, "toy", {"number": 2}, by="x")
    worker = start("--parallel", "1")
    until(begun.exists)
    worker.terminate()
    assert worker.wait(30) == 0
    assert [find_job(queue.deployment, job).state for job in (first, second)] == [JobState.SUCCEEDED, JobState.WAITING]


@pytest.mark.parametrize("how", ["its time is over", "it is told again"])
def test_a_run_that_does_not_finish_is_stopped_and_handed_back(queue, start, marker, how):
    begun, says_so = marker
    queue.write("toy", says_so + SLEEP)
    queue.configure({**QUICK, "grace_seconds": 0.5 if how == "its time is over" else 30})
    number = enqueue(queue.deployment, "toy", {}, by="x")
    worker = start()
    until(begun.exists)
    worker.terminate()
    if how == "it is told again":
        time.sleep(0.3)
        worker.terminate()
    assert worker.wait(30) == 0
    job = find_job(queue.deployment, number)
    assert (job.state, job.attempts, job.exit_code) == (JobState.RETRYING, 1, 130)
    if how == "its time is over":
        queue.write("toy", "print('quick')")
        assert start("--once").wait(60) == 0
        assert find_job(queue.deployment, number).state is JobState.SUCCEEDED


def test_a_worker_and_its_run_survive_a_restart_of_the_database(queue, start, marker, server):
    begun, says_so = marker
    queue.write("toy", says_so + "\nimport time; time.sleep(3)")
    first = enqueue(queue.deployment, "toy", {"number": 1}, by="x")
    worker = start()
    until(begun.exists)
    server.stop()
    server.start()
    until(in_state(queue, first, JobState.SUCCEEDED))
    queue.write("toy", "print('quick')")
    second = enqueue(queue.deployment, "toy", {"number": 2}, by="x")
    until(in_state(queue, second, JobState.SUCCEEDED))
    assert worker.poll() is None
    assert {job.attempts for job in jobs(queue.deployment)} == {1}, "nothing had to be run again"
