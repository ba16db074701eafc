"""Deadlines: what was not done in time ends with a mail, what waits for a person is warned of and then closed, and what ended by
our fault begins anew when it is sent again. With the real forge, database and mail server.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from tests.planned import effects_on
from tests.reconcile.conftest import Place, metric, of_library

from brainscore_ops import services
from brainscore_ops.database.ops_tables import now
from brainscore_ops.deadlines import Act, keep, survey
from brainscore_ops.notify.mailbox import ReceivedMail, read_mails
from brainscore_ops.planning import Effects
from brainscore_ops.queue.jobs import jobs
from brainscore_ops.submissions import intake, mail, plugin_tests, proposal
from brainscore_ops.submissions.context import Context
from brainscore_ops.submissions.life import State, find_life, move
from brainscore_ops.submissions.pull_requests import follow


@pytest.fixture
def ops(place: Place) -> Context:
    """The deployment, with somebody who is told; what stands there from other tests is as new."""
    settings = place.deployment.mail.model_copy(update={"maintainers": ("root@example.org",)})
    with place.context.database.session() as session:
        session.execute(text("UPDATE submission_event SET at = now()"))
    return replace(place.context, deployment=place.deployment.model_copy(update={"mail": settings}))


def days_later(place: Place, submission: int, days: float) -> None:
    with place.context.database.session() as session:
        session.execute(
            text("UPDATE submission_event SET at = at - :days * interval '1 day' WHERE submission_id = :submission"),
            {"days": days, "submission": submission},
        )


def acts(ops: Context) -> dict[int, Act]:
    return {each.submission: each.act for each in survey(ops).overdue}


def act(ops: Context) -> list[tuple[int, str]]:
    done = keep(ops, survey(ops)).done
    mail.deliver(ops)
    return list(done)


def mails(place: Place, subject: str) -> list[ReceivedMail]:
    return [found for found in read_mails(services.mail_folder(place.deployment)) if subject in found.subject]


def test_what_was_not_done_in_time_is_asked_for_again_and_then_ends_with_an_answer(place: Place, ops: Context) -> None:
    submission, number = place.proposed(metric("slow"))
    days_later(place, submission, 2)
    assert act(ops) == [(submission, "ask again")]
    assert ("test_plugins", number) in {
        (job.runbook, job.parameters.get("pull_request")) for job in jobs(ops.deployment)
    }

    days_later(place, submission, 2)
    assert keep(ops, survey(ops), dry_run=True).done == ()
    assert act(ops) == [(submission, "end")]
    line = place.timeline(submission)
    assert (line.state, line.reason_code, line.fault) == ("closed", "deadline-passed", "infrastructure")
    assert place.context.forge.pull_request(number).state == "closed"
    (answer,) = mails(place, "Not finished, by our fault: a submission")
    assert answer.recipient == "ada@example.org"
    assert "After 4 days, its tests did not come to an end" in " ".join(answer.text.split())
    assert "send the same archive again" in " ".join(answer.text.split())
    (notice,) = mails(place, f"has to look: submission {submission}")
    assert notice.recipient == "root@example.org"
    assert acts(ops) == {}, "and a second time there is nothing to do"


def test_what_ended_by_our_fault_begins_anew_when_it_is_sent_again(place: Place, ops: Context) -> None:
    archive = place.archive(metric("anew"))

    def send() -> int:
        received = intake.receive(ops, archive, email="ada@example.org", submitter="Ada", name="anew", public=True)
        intake.accept(ops, received, intake.validate(ops, received))
        prepared = proposal.prepare(ops, received.submission)
        proposal.propose(ops, prepared)
        return proposal.open_pull_request(ops, prepared).pull_request.number

    number = send()
    submission = max(_submissions(place))
    days_later(place, submission, 4)
    assert act(ops) == [(submission, "end")]
    assert send() == number, "the same submission, and the same pull request"
    assert place.context.forge.pull_request(number).state == "open"
    assert place.state(submission) == "proposed"
    assert acts(ops) == {}, "its time begins anew"


def test_a_pull_request_whose_closing_was_cut_off_is_closed_and_not_taken_for_opened_again(
    place: Place, ops: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission, number = place.proposed(metric("cut_off"))
    days_later(place, submission, 4)
    with monkeypatch.context() as patched:
        patched.setattr("brainscore_ops.deadlines._close_pull_request", _killed)
        with pytest.raises(KeyboardInterrupt):
            act(ops)
    follow(ops, place.context.forge.pull_request(number))
    assert place.state(submission) == "closed"
    assert act(ops) == [(submission, "finish closing")]
    assert place.context.forge.pull_request(number).state == "closed"
    assert acts(ops) == {}


def test_what_waits_for_its_author_is_warned_of_and_then_closed(place: Place, ops: Context) -> None:
    pull = place.by_hand(of_library(metric("stale")))
    submission = follow(ops, pull)
    with ops.database.session() as session:
        failure = plugin_tests.PluginTestsFailedError("its tests failed")
        move(session, find_life(session, submission), State.TESTS_FAILED, key=pull.head_sha, failure=failure)
    days_later(place, submission, 59)
    assert acts(ops) == {}
    days_later(place, submission, 2)
    assert act(ops) == [(submission, "warn")]
    assert place.state(submission) == "tests-failed"
    assert act(ops) == []
    days_later(place, submission, 15)
    assert act(ops) == [(submission, "close")]
    line = place.timeline(submission)
    assert (line.state, line.reason_code) == ("closed", "stale")
    assert place.context.forge.pull_request(pull.number).state == "closed"


def test_what_is_overdue_is_planned_and_nothing_is_done(
    place: Place, ops: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission, number = place.proposed(metric("foreseen"))
    days_later(place, submission, 4)

    def plan() -> Effects:
        before = standing()
        effects = effects_on(ops.deployment, act)
        assert standing() == before
        return effects

    def standing() -> list[object]:
        with ops.database.session() as session:
            counts = [
                session.scalar(text(f"SELECT count(*) FROM {table}"))
                for table in ("submission_event", "outbox", "procrastinate_jobs")
            ]
        pull = place.context.forge.pull_request(number)
        return [*counts, place.state(submission), pull.state, len(read_mails(services.mail_folder(place.deployment)))]

    first = plan()
    said = [effect.what for effect in first.effects]
    assert said[0].startswith(f"end: submission {submission}, a submission, which is proposed since")
    assert "for 4 days" in first.effects[0].note
    assert [what for effect, what in zip(first.effects, said, strict=True) if effect.kind == "mail"] == [
        "to ada@example.org: Not finished, by our fault: a submission",
        f"to root@example.org: A maintainer has to look: submission {submission}, a submission",
    ]
    assert {"pull request", "comment", "row"} <= {effect.kind for effect in first.effects}
    assert f"close {number}" in said
    with monkeypatch.context() as patched:
        patched.setattr("brainscore_ops.deadlines.now", lambda: now() + timedelta(days=1))
        tomorrow = plan()
    assert "for 5 days" in tomorrow.effects[0].note
    assert tomorrow.digest == first.digest, "how long it stands there is no part of it"

    other, _ = place.proposed(metric("foreseen_later"))
    days_later(place, other, 4)
    assert plan().digest != first.digest
    assert set(act(ops)) == {(submission, "end"), (other, "end")}
    assert plan().effects == ()


def _submissions(place: Place) -> list[int]:
    with place.context.database.session() as session:
        return list(session.scalars(text("SELECT submission_id FROM submission_life")))


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
