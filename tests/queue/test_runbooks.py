"""The runbooks that see to what stands still, run as the schedule has them: what they ask for waits in the queue."""

from __future__ import annotations

import json

from tests.queue.test_deadlines import days_later
from tests.reconcile.conftest import Place, metric

from brainscore_ops.queue.jobs import enqueue, jobs


def test_reconcile_leaves_what_it_finds_to_the_queue_and_does_not_ask_twice(place: Place) -> None:
    submission = place.accepted(metric("missed"))
    known = enqueue(place.deployment, "create_pr", {"submission": submission}, by="web:ada")
    result = place.run("reconcile", enqueue=True)
    assert result["state"] == "succeeded", result
    assert f"submission {submission}: create_pr asked for" in result["scraps"]["repairs"]
    assert [job.id for job in jobs(place.deployment, subject=f"submission {submission}")] == [known]
    assert place.state(submission) == "accepted", "nothing was run here"


def test_deadlines_ends_what_was_not_done_in_time(place: Place) -> None:
    submission = place.accepted(metric("forgotten"))
    days_later(place, submission, 2)
    tried = place.run("deadlines", dry_run=True)
    assert f"{submission}: end" in tried["scraps"]["overdue"]
    assert tried["scraps"]["done"] == []
    planned = json.loads(place.command("run", "deadlines", "--plan", "--json").stdout)
    assert f"end: submission {submission}, a submission" in planned["plan"]["effects"][0]["what"]
    assert place.state(submission) == "accepted"
    finished = place.command("run", "deadlines", "--plan-digest", planned["plan"]["digest"], "--json")
    result = json.loads(finished.stdout)
    assert result["state"] == "succeeded", result
    assert f"{submission}: end" in result["scraps"]["done"]
    assert place.state(submission) == "closed"
