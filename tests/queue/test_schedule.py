"""Runs that come again and again: asked for when their time has come, once, and once for all that was missed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from brainscore_ops.queue.jobs import JobState, enqueue, jobs
from brainscore_ops.queue.schedule import BadScheduleError, ask_for_due, read_schedule, remove_old
from brainscore_ops.settings import Workspace

ROOT = Path(__file__).parents[2]


@pytest.fixture
def schedule(queue):
    """The toy's, every hour."""
    folder = queue.root / "params" / "scheduled"
    folder.mkdir()
    (folder / "toy.yaml").write_text("every: '1:00:00'\nparameters: {number: 7}\n")
    return read_schedule(queue.deployment.workspace)


@pytest.fixture
def ask(queue, schedule):
    def ask_once():
        database = queue.database()
        try:
            with database.session() as session:
                return ask_for_due(queue.deployment, session, schedule)
        finally:
            database.close()

    return ask_once


def done(queue, ago="0 seconds"):
    database = queue.database()
    with database.session() as session:
        session.execute(text("UPDATE procrastinate_jobs SET status = 'succeeded'"))
        session.execute(text(f"UPDATE procrastinate_events SET at = at - interval '{ago}'"))
    database.close()


def test_a_run_is_asked_for_with_its_parameters_and_again_when_its_time_has_come(queue, ask):
    assert len(ask()) == 1
    (job,) = jobs(queue.deployment)
    assert (job.runbook, job.parameters, job.by) == ("toy", {"number": 7}, "schedule")
    done(queue)
    assert ask() == []
    done(queue, ago="61 minutes")
    assert len(ask()) == 1


def test_many_workers_ask_once(queue, ask):
    with ThreadPoolExecutor(6) as pool:
        assert sum(len(asked) for asked in pool.map(lambda _: ask(), range(6))) == 1


def test_what_was_missed_many_times_is_made_up_for_once(queue, ask):
    ask()
    done(queue, ago="30 hours")
    assert len(ask()) == 1
    assert ask() == []
    assert [job.state for job in jobs(queue.deployment)] == [JobState.WAITING, JobState.SUCCEEDED]


def test_jobs_that_ended_long_ago_are_removed_but_what_the_schedule_counts_from(queue, ask):
    enqueue(queue.deployment, "toy", {}, by="somebody")
    ask()
    done(queue, ago="31 days")
    enqueue(queue.deployment, "toy", {}, by="somebody")
    database = queue.database()
    with database.session() as session:
        assert remove_old(queue.deployment, session) == 1
    database.close()
    assert [job.by for job in jobs(queue.deployment)] == ["somebody", "schedule"]


def test_every_file_that_cannot_be_run_is_named(queue):
    folder = queue.root / "params" / "scheduled"
    folder.mkdir()
    (folder / "toy.yaml").write_text("every: weekly\n")
    (folder / "no-such.yaml").write_text("every: 60\n")
    (folder / "also.yaml").write_text("[")
    with pytest.raises(BadScheduleError) as refusal:
        read_schedule(queue.deployment.workspace)
    assert [problem.where for problem in refusal.value.problems] == [
        "scheduled/also.yaml",
        "scheduled/no-such.yaml",
        "scheduled/toy.yaml",
    ]


def test_the_schedule_of_this_repository_can_be_run():
    found = {each.runbook for each in read_schedule(Workspace(ROOT, ROOT, ROOT))}
    assert found >= {"publish", "reconcile", "snapshot"}
