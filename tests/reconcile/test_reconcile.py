"""Submissions are stopped at every step of their way, and one reconciliation brings each to its end; a second does nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from brainscore_ops import reconcile
from brainscore_ops.reconcile import survey
from brainscore_ops.runbooks.ledger import DatabaseLedger
from brainscore_ops.runbooks.runs import RunEntry, new_run_id
from brainscore_ops.submissions import intake, proposal
from brainscore_ops.submissions.context import Context
from brainscore_ops.submissions.plugin_tests import STATUS_CONTEXT, PluginTestsFailedError

from .conftest import Place, metric, of_library

DEFAULTS = {"look_back_days": 30, "tries": 3}


def killed(place: Place, runbook: str, **parameters: Any) -> str:
    """Leave what a driver leaves that was killed: an open run whose lock nobody holds."""
    started = datetime.now(UTC)
    entry = RunEntry(
        id=new_run_id(runbook, started),
        deployment="local",
        runbook=runbook,
        runbook_digest="0" * 64,
        code_version="test",
        parameters={"deployment": "local", **parameters},
        triggered_by="test",
        host="a machine that is gone",
        process=1,
        started_at=started,
    )
    ledger = DatabaseLedger(place.deployment)
    ledger.open(entry)
    ledger._open.close()
    return entry.id


def findings(place: Place) -> dict[str, str]:
    """Subject → the runbook that continues it."""
    return {found.subject: found.runbook for found in survey(place.context, **DEFAULTS).findings}


def reconciled(place: Place) -> dict[str, Any]:
    result = place.run("reconcile")
    assert result["state"] == "succeeded", result
    return result["scraps"]


@pytest.mark.timeout(900)
def test_whatever_was_missed_is_continued_once(place: Place) -> None:
    forge = place.context.forge
    # Killed within its intake: the archive had come, and nothing was looked at yet.
    archive = place.archive(metric("interrupted"), name="interrupted")
    received = intake.receive(
        place.context, archive, email="ada@example.org", submitter="Ada", name="interrupted", public=True
    ).submission
    lost = killed(place, "intake", archive=str(archive), email="ada@example.org", name="interrupted", submitter="Ada")
    # The event that asks for the pull request was missed.
    accepted = place.accepted(metric("accepted"))
    # The event that asks for the tests was missed; and once the tests were killed when they had begun.
    proposed, proposed_pull = place.proposed(metric("proposed"))
    testing, testing_pull = place.proposed(metric("testing"))
    forge.set_status(
        forge.pull_request(testing_pull).head_sha, context=STATUS_CONTEXT, state="pending", description="running"
    )
    lost_tests = killed(place, "test_plugins", pull_request=testing_pull)
    # The event that asks the gate was missed.
    tested, tested_pull = place.proposed(metric("tested"))
    place.test(tested_pull)
    # A maintainer merged it, and nobody was told; and once the runbook merged it, and the scores were not asked for.
    by_maintainer, by_maintainer_pull = place.proposed(metric("by_maintainer"))
    forge.squash_merge(
        by_maintainer_pull, head_sha=forge.pull_request(by_maintainer_pull).head_sha, title="By hand", message=""
    )
    merged, merged_pull = place.proposed(metric("merged"))
    place.test(merged_pull)
    place.merge(merged_pull)
    # Opened by hand and merged by hand, and never scored.
    other = place.by_hand(of_library(metric("other")))
    forge.squash_merge(other.number, head_sha=other.head_sha, title="Other", message="")
    # These wait for a person: tests that failed, and a change of more than plugins.
    failing, failing_pull = place.proposed(metric("failing", test="assert False"))
    with pytest.raises(PluginTestsFailedError):
        place.test(failing_pull)
    more = place.by_hand(of_library(metric("more")) | {"README.md": "More.\n"})

    # Nothing is published, whatever others did here before.
    (place.deployment.outputs / "site").unlink(missing_ok=True)

    assert findings(place) == {
        f"submission {received}": "intake",
        f"submission {accepted}": "create_pr",
        f"pull request {proposed_pull}": "test_plugins",
        f"pull request {testing_pull}": "test_plugins",
        f"pull request {tested_pull}": "merge",
        f"pull request {by_maintainer_pull}": "score_plugins",
        f"pull request {merged_pull}": "score_plugins",
        f"pull request {other.number}": "score_plugins",
        f"pull request {more.number}": "test_plugins",
        "the leaderboard": "publish",
    }

    said = reconciled(place)
    assert (said["findings"], said["left"]) == (10, 0)
    ways = [repair.split(": ", 1) for repair in said["repairs"]]
    assert [step for subject, step in ways if subject == f"pull request {tested_pull}"] == [
        "merge succeeded",
        "score_plugins succeeded",
    ]
    assert [step for subject, step in ways if subject == f"pull request {more.number}"] == [
        "test_plugins succeeded",
        "merge refused",
    ]
    assert ways[-1] == ["the leaderboard", "publish succeeded"]
    for submission in (received, accepted, proposed, testing, tested, by_maintainer, merged):
        assert place.state(submission) == "scored", place.timeline(submission)
    assert place.state(failing) == "tests-failed"
    runs = {run["id"]: run["state"] for run in json.loads(place.command("runs", "--json").stdout)}
    assert (runs[lost], runs[lost_tests]) == ("lost", "lost")

    # Nothing stands still any more, and nothing is done.
    assert findings(place) == {}
    assert reconciled(place) == {"findings": 0, "repairs": [], "left": 0, "mails": 0}

    # What the gate refused is asked for again when something about it changed.
    forge._repository.get_pull(more.number).edit(title="More, with reasons")
    assert findings(place) == {f"pull request {more.number}": "merge"}
    forge.close(more.number)
    assert findings(place) == {}


def test_what_is_under_way_is_left_alone(place: Place) -> None:
    pull = place.by_hand(of_library(metric("under_way")))
    subject = f"pull request {pull.number}"
    assert findings(place)[subject] == "test_plugins"
    started = datetime.now(UTC)
    entry = RunEntry(
        id=new_run_id("test_plugins", started),
        deployment="local",
        runbook="test_plugins",
        runbook_digest="0" * 64,
        code_version="test",
        parameters={"deployment": "local", "pull_request": pull.number},
        triggered_by="test",
        host="another machine",
        process=1,
        started_at=started,
    )
    ledger = DatabaseLedger(place.deployment)
    ledger.open(entry)
    assert subject not in findings(place)
    ledger._open.close()
    assert findings(place)[subject] == "test_plugins", "its driver is gone"
    place.context.forge.close(pull.number)
    assert subject not in findings(place)


def test_what_failed_too_often_is_left_to_a_maintainer_and_named(place: Place) -> None:
    pull = place.by_hand(of_library(metric("unlucky")))
    runs = [killed(place, "test_plugins", pull_request=pull.number) for _ in range(3)]
    (found,) = (
        finding
        for finding in survey(place.context, **DEFAULTS).findings
        if finding.subject == f"pull request {pull.number}"
    )
    assert found.runbook == ""
    assert "failed 3 times" in found.why
    assert runs[-1] in found.why
    assert survey(place.context, look_back_days=30, tries=4).repairable
    place.context.forge.close(pull.number)


def test_drafts_and_other_branches_are_not_looked_at(place: Place) -> None:
    pull = place.by_hand(of_library(metric("draft")))
    place.context.forge.close(pull.number)
    draft = place.context.forge._repository.create_pull(base="main", head=pull.head_ref, title="Draft", draft=True)
    assert f"pull request {draft.number}" not in findings(place)
    draft.edit(state="closed")


def test_two_reconciliations_at_once_are_one(place: Place) -> None:
    with place.context.database.lock(reconcile.LOCK):
        result = place.run("reconcile")
    assert (result["state"], result["error"]["code"]) == ("unavailable", "already-reconciling")


def test_an_event_runs_its_runbook_and_keeps_its_record(place: Place, tmp_path: Path) -> None:
    pull = place.by_hand(of_library(metric("evented", test="assert False")))
    payload = tmp_path / "event.json"
    environment = {
        "GITHUB_EVENT_PATH": str(payload),
        "GITHUB_EVENT_NAME": "repository_dispatch",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "BRAINSCORE_OPS_DEPLOYMENT": "local",
    }

    def send(workflow: str, sender: str = "ops-bot", **content: Any) -> Any:
        document = {"action": workflow, "client_payload": content, "sender": {"login": sender}}
        payload.write_text(json.dumps(document))
        return place.command("event", workflow, environment=environment)

    repository = place.deployment.library.repository
    assert send("test_plugins", repository="brain-score/another", pull_request=pull.number).returncode == 3
    assert send("test_plugins", pull_request=f"{pull.number}; id").returncode == 2
    assert not (tmp_path / "output").exists(), "nothing was run"

    finished = send("test_plugins", repository=repository, pull_request=pull.number)
    assert finished.returncode == 1, "the workflow fails when its runbook fails"
    delimiter, record, end = (tmp_path / "output").read_text().splitlines()
    assert (delimiter, end) == ("record<<RECORD", "RECORD")
    assert json.loads(Path(record).read_text())["nbformat"] == 4
    assert "**test_plugins** failed" in (tmp_path / "summary").read_text()
    (run, *_) = json.loads(place.command("runs", "--json").stdout)
    assert run["triggered_by"] == "ci:repository_dispatch:ops-bot"

    nothing = send("automerge_plugin-only_prs", repository=repository, sha="0" * 40)
    assert (nothing.returncode, "nothing to run" in nothing.stdout) == (0, True), nothing
    by_head = send("automerge_plugin-only_prs", repository=repository, sha=pull.head_sha)
    assert by_head.returncode == 3, "the gate refuses what failed"
    place.context.forge.close(pull.number)


def test_what_is_private_is_looked_at_where_nobody_else_looks_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = place.accepted(metric("private_accepted"), public=False)
    submission = place.accepted(metric("private_proposed"), public=False)
    prepared = proposal.prepare(place.context, submission)
    proposal.propose(place.context, prepared)
    number = proposal.open_pull_request(place.context, prepared).pull_request.number
    found = {each.subject: each for each in survey(place.context, **DEFAULTS).findings}
    assert found[f"submission {accepted}"].runbook == "create_pr"
    proposed = found[f"private pull request {number}"]
    assert (proposed.runbook, proposed.parameters) == ("test_plugins", {"pull_request": number, "private": True})
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    fresh = Context(deployment=place.deployment, database=place.context.database, run_id=None)
    subjects = {each.subject for each in survey(fresh, **DEFAULTS).findings}
    assert not subjects & {f"submission {accepted}", f"private pull request {number}"}
