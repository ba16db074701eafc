"""Asking for runs: once for one thing, also when many ask at once; listing, cancelling, asking again."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import pytest
from click.testing import CliRunner

from brainscore_ops.cli.main import commands
from brainscore_ops.database import schema
from brainscore_ops.queue.jobs import (
    JobOverError,
    JobState,
    UnknownJobError,
    cancel,
    enqueue,
    find_job,
    jobs,
    retry,
    subject_of,
)
from brainscore_ops.runbooks.catalogue import UnknownRunbookError
from brainscore_ops.runbooks.parameters import ParametersRefusedError


def test_the_tables_of_the_queue_are_those_of_the_library_that_is_installed():
    """A library that moved on needs a revision with what its new version changes."""
    kept = schema.MIGRATIONS / "libraries" / "procrastinate-3.10.0.sql"
    assert kept.read_text() == (resources.files("procrastinate") / "sql" / "schema.sql").read_text()


def test_a_job_waits_with_everything_that_its_run_needs(queue):
    number = enqueue(queue.deployment, "toy", {"number": 4}, by="web:ada")
    (job,) = jobs(queue.deployment)
    assert (job.id, job.runbook, job.parameters, job.by) == (number, "toy", {"number": 4}, "web:ada")
    assert (job.state, job.key, job.subject, job.attempts) == (JobState.WAITING, "toy:number=4", "toy", 0)
    assert job.as_dict()["asked_at"]


def test_many_who_ask_for_the_same_at_once_get_the_same_job(queue):
    with ThreadPoolExecutor(8) as pool:
        numbers = set(
            pool.map(lambda n: enqueue(queue.deployment, "toy", {"submission": 7}, by=f"{n}", key="k"), range(24))
        )
    assert len(numbers) == 1
    assert [job.id for job in jobs(queue.deployment)] == list(numbers)


def test_behind_a_running_job_one_more_may_wait_since_the_first_may_have_looked_too_early(queue):
    first = enqueue(queue.deployment, "toy", {}, by="x", key="k")
    with queue.database().session() as session:
        session.connection().exec_driver_sql(f"UPDATE procrastinate_jobs SET status = 'doing' WHERE id = {first}")
    second, third = (enqueue(queue.deployment, "toy", {}, by="x", key="k") for _ in range(2))
    assert first != second == third


def test_a_job_is_asked_for_with_the_transaction_that_it_is_a_part_of_or_not_at_all(queue):
    database = queue.database()
    with database.session() as session:
        enqueue(queue.deployment, "toy", {}, by="x", session=session)
        session.rollback()
    assert jobs(queue.deployment) == []
    with database.session() as session:
        first = enqueue(queue.deployment, "toy", {}, by="x", session=session)
        assert enqueue(queue.deployment, "toy", {}, by="x", session=session) == first
        assert jobs(queue.deployment) == []
    assert len(jobs(queue.deployment)) == 1
    database.close()


def test_what_is_no_run_is_refused_before_it_waits(queue):
    with pytest.raises(UnknownRunbookError):
        enqueue(queue.deployment, "no-such", {}, by="x")
    with pytest.raises(ParametersRefusedError, match="number"):
        enqueue(queue.deployment, "toy", {"number": "many"}, by="x")
    assert jobs(queue.deployment) == []


def test_a_job_that_waits_can_be_cancelled_and_asked_for_again(queue):
    number = enqueue(queue.deployment, "toy", {"number": 4}, by="x")
    assert cancel(queue.deployment, number, "bob").state is JobState.CANCELLED
    job = find_job(queue.deployment, number)
    assert (job.state, job.reason) == (JobState.CANCELLED, "Cancelled by bob.")
    with pytest.raises(JobOverError, match="cancelled"):
        cancel(queue.deployment, number, "bob")
    again = retry(queue.deployment, number, "bob")
    assert find_job(queue.deployment, again).parameters == {"number": 4}
    with pytest.raises(JobOverError, match="waiting"):
        retry(queue.deployment, again, "bob")
    with pytest.raises(UnknownJobError):
        cancel(queue.deployment, 4711, "bob")


def test_jobs_are_found_by_their_state_and_by_what_they_are_about(queue):
    first, second, third = (enqueue(queue.deployment, "toy", {"submission": n}, by="x") for n in (1, 2, 3))
    cancel(queue.deployment, second, "bob")
    assert [job.id for job in jobs(queue.deployment, states={JobState.WAITING})] == [third, first]
    assert [job.id for job in jobs(queue.deployment, subject="submission 2")] == [second]
    assert [job.id for job in jobs(queue.deployment, limit=1)] == [third]


def test_pull_requests_of_the_private_repository_are_others_than_those_of_the_same_number(queue):
    database = queue.database()
    with database.session() as session:
        subjects = [
            subject_of(session, queue.deployment, "merge", {"pull_request": 7, "private": p}) for p in (False, True)
        ]
    database.close()
    assert subjects == ["pull request 7", "private pull request 7"]


def test_the_command_lists_cancels_and_asks_again(queue):
    def command(*arguments):
        said = CliRunner().invoke(commands, ["queue", "--deployment", "test", *arguments])
        assert said.exit_code == 0, said.exception
        return said.output

    assert command() == "the queue is empty\n"
    number = enqueue(queue.deployment, "toy", {"number": 4}, by="web:ada")
    assert f"{number} waiting     toy" in command()
    assert "cancelled" in command("cancel", str(number))
    assert "Cancelled by cli:" in command()
    assert "waiting" in command("retry", str(number), "--deployment", "test")
    (again,) = json.loads(command("--state", "waiting", "--json"))
    assert (again["runbook"], again["parameters"], again["state"]) == ("toy", {"number": 4}, "waiting")
