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


def until(condition, seconds=40):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
    return found


def test_a_worker_drains_the_queue_and_the_runs_say_which_job_they_were(queue, start):
    first = enqueue(queue.deployment, "toy", {"number": 4}, by="web:ada")
    second = enqueue(queue.deployment, "toy", {"number": 5}, by="web:bob")
    worker = start("--drain")
    assert worker.wait(20) == 0
    found = {job.id: job for job in jobs(queue.deployment)}
    assert {found[first].state, found[second].state} == {JobState.SUCCEEDED}
    run = queue.entry(found[first].run_id)
    assert (run.triggered_by, run.parameters["number"]) == (f"queue:{first} web:ada", 4)


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
    first.kill()
    start()
    until(lambda: find_job(queue.deployment, number).state is JobState.SUCCEEDED)
    assert effects.read_text() == "x"
    job = find_job(queue.deployment, number)
    assert job.attempts == 2


def test_a_run_whose_worker_is_killed_stops_by_itself(queue, start, marker):
    begun, says_so = marker
    queue.write("toy", says_so + "\nimport time; time.sleep(60)")
    number = enqueue(queue.deployment, "toy", {}, by="x")
    worker = start()
    until(begun.exists)
    worker.kill()
    run = find_job(queue.deployment, number).run_id
    until(lambda: queue.entry(run).state == "interrupted")


def test_two_jobs_about_one_submission_never_run_at_the_same_time(queue, start, tmp_path):
    inside = tmp_path / "inside"
    queue.write("toy", f"import os, time\nos.mkdir({str(inside)!r}); time.sleep(0.7); os.rmdir({str(inside)!r})")
    for number in range(3):
        enqueue(queue.deployment, "toy", {"submission": 7, "number": number}, by="x")
    assert start("--drain", "--parallel", "3").wait(60) == 0
    assert [job.state for job in jobs(queue.deployment)] == [JobState.SUCCEEDED] * 3, "mkdir fails for a second one"


def test_a_job_that_runs_is_cancelled_on_request_and_its_run_records_that(queue, start, marker):
    begun, says_so = marker
    queue.write("toy", says_so + "\nimport time; time.sleep(60)")
    number = enqueue(queue.deployment, "toy", {}, by="x")
    start()
    until(begun.exists)
    assert cancel(queue.deployment, number, "bob").state is JobState.CANCELLING
    job = until(lambda: (job := find_job(queue.deployment, number)).state is JobState.CANCELLED and job)
    assert (job.reason, job.exit_code) == ("Cancelled by bob.", 130)
    assert queue.entry(job.run_id).state == "interrupted"


def test_a_worker_that_is_told_to_end_lets_its_run_finish_and_begins_no_other(queue, start, marker):
    begun, says_so = marker
    queue.write("toy", says_so + "\nimport time; time.sleep(2)")
    first = enqueue(queue.deployment, "toy", {"number": 1}, by="x")
    second = enqueue(queue.deployment, "toy", {"number": 2}, by="x")
    worker = start("--parallel", "1")
    until(begun.exists)
    worker.terminate()
    assert worker.wait(30) == 0
    assert [find_job(queue.deployment, job).state for job in (first, second)] == [JobState.SUCCEEDED, JobState.WAITING]


def test_a_worker_that_is_told_to_end_twice_hands_its_job_back(queue, start, marker):
    begun, says_so = marker
    queue.write("toy", says_so + "\nimport time; time.sleep(60)")
    number = enqueue(queue.deployment, "toy", {}, by="x")
    worker = start()
    until(begun.exists)
    worker.terminate()
    time.sleep(0.5)
    worker.terminate()
    assert worker.wait(30) == 0
    job = find_job(queue.deployment, number)
    assert (job.state, job.attempts, job.exit_code) == (JobState.RETRYING, 1, 130)
    queue.write("toy", "print('quick')")
    assert start("--once").wait(30) == 0
    assert find_job(queue.deployment, number).state is JobState.SUCCEEDED


def test_an_unavailable_service_is_tried_again_with_longer_pauses_and_not_for_ever(queue, start, tmp_path):
    times = tmp_path / "times"
    queue.write(
        "toy",
        "import time\nfrom brainscore_ops.errors import UnavailableError",
        f"open({str(times)!r}, 'a').write(f'{{time.time()}}\\n'); raise UnavailableError('the forge is away')",
    )
    queue.configure({**QUICK, "attempts": 3, "first_pause_seconds": 1})
    number = enqueue(queue.deployment, "toy", {}, by="x")
    start()
    job = until(lambda: (job := find_job(queue.deployment, number)).state is JobState.FAILED and job)
    assert (job.attempts, job.exit_code, job.reason) == (3, 4, "the forge is away")
    first, second, third = map(float, times.read_text().split())
    assert second - first > 1
    assert third - second > 2


def test_what_a_rule_refuses_or_what_fails_is_not_tried_again(queue, start):
    queue.write("toy", "from brainscore_ops.errors import RefusedError\nraise RefusedError('not like this')")
    queue.write("broken", "1 / 0")
    refused = enqueue(queue.deployment, "toy", {}, by="x")
    failed = enqueue(queue.deployment, "broken", {}, by="x")
    assert start("--drain").wait(60) == 0
    assert find_job(queue.deployment, refused).state is JobState.REFUSED
    assert find_job(queue.deployment, refused).reason == "not like this"
    assert find_job(queue.deployment, failed).state is JobState.FAILED
    assert {job.attempts for job in jobs(queue.deployment)} == {1}


def test_a_worker_and_its_run_survive_a_restart_of_the_database(queue, start, marker, server):
    begun, says_so = marker
    queue.write("toy", says_so + "\nimport time; time.sleep(4)")
    first = enqueue(queue.deployment, "toy", {"number": 1}, by="x")
    worker = start()
    until(begun.exists)
    server.stop()
    time.sleep(1)
    server.start()
    until(lambda: find_job(queue.deployment, first).state is JobState.SUCCEEDED)
    second = enqueue(queue.deployment, "toy", {"number": 2}, by="x")
    until(lambda: find_job(queue.deployment, second).state is JobState.SUCCEEDED)
    assert worker.poll() is None
    assert {job.attempts for job in jobs(queue.deployment)} == {1}, "nothing had to be run again"
