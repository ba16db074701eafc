"""Deadlines: no submission stands for ever where it stands, and everybody who submits gets a final answer.

What waits for us (a check, a pull request, tests, the gate, scores) is asked for again when half of its time is over; when all
of it is, the submission ends by our fault, its submitter is told how to begin anew, and the maintainers are told to look. What
waits for a person is warned of, and closed when nothing happens after that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field
from sqlalchemy import false, func, select

from brainscore_ops.database.ops_tables import Run, SubmissionLife, now
from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Fault, OpsError
from brainscore_ops.notify.contexts import Closed, Ended, Mail, NeedsMaintainer, Stale
from brainscore_ops.notify.messages import queue_message
from brainscore_ops.parameters import RunbookParameters
from brainscore_ops.planning import is_planning, of_the_moment, planned
from brainscore_ops.queue.jobs import enqueue
from brainscore_ops.runbooks.ledger import mark_lost
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.submissions import mail
from brainscore_ops.submissions.life import (
    DEADLINE_PASSED,
    STALE,
    State,
    find_life,
    move,
    next_step,
    remark,
    standing_since,
)
from brainscore_ops.submissions.publication import give_up

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from brainscore_ops.settings.deployment import DeadlineSettings
    from brainscore_ops.submissions.context import Context

WAITS_FOR_US = (State.RECEIVED, State.ACCEPTED, State.PROPOSED, State.TESTED, State.MERGED)
WAITS_FOR_SOMEBODY = (State.TESTS_FAILED, State.HELD)

_WAITS_FOR = {
    State.TESTS_FAILED: "a change of yours, since the tests of its plugins did not pass",
    State.HELD: "a change of yours or a maintainer's decision, since a rule holds it back",
}
_NOT_DONE = {
    State.RECEIVED: "its archive was not checked",
    State.ACCEPTED: "no pull request was opened for it",
    State.PROPOSED: "its tests did not come to an end",
    State.TESTED: "it was not merged",
    State.MERGED: "its scores were not computed",
}


WARNED, REMINDED, CLOSED_THERE = "stale-warning", "reminder", "closed-on-the-forge"
"""What is remarked in a timeline, and looked for there."""


class DeadlineParameters(RunbookParameters):
    """What ``deadlines`` is told."""

    dry_run: bool = Field(False, description="only tell what would be done")


class DeadlinePassedError(OpsError):
    """A submission was not done in time."""

    code = DEADLINE_PASSED
    fault = Fault.INFRASTRUCTURE


class StaleError(OpsError):
    """A submission waited for somebody who did nothing."""

    code = STALE
    fault = Fault.SUBMISSION


class Act(StrEnum):
    """What is done about a submission that stands for long."""

    ASK_AGAIN = "ask again"
    """Half of its time is over: what is next is put into the queue."""
    END = "end"
    REMIND = "remind the maintainers"
    WARN = "warn"
    CLOSE = "close"
    FINISH_CLOSING = "finish closing"
    """It was ended, and its pull request is still open: whoever ended it was killed in between."""


@dataclass(frozen=True)
class Overdue:
    """A submission that stands for long."""

    submission: int
    name: str
    state: State
    since: datetime
    act: Act


@dataclass(frozen=True)
class Survey(Shown):
    """What stands for long."""

    overdue: tuple[Overdue, ...]
    looked_at: int

    def table(self) -> Table:
        if not self.overdue:
            return Table(f"All of {self.looked_at} submissions that are under way are in time", [])
        rows = [
            [each.submission, each.name, each.state, f"{each.since:%Y-%m-%d %H:%M}", each.act] for each in self.overdue
        ]
        title = f"{len(rows)} of {self.looked_at} submissions that are under way stand for long"
        return Table(title, rows, ["submission", "name", "state", "since (UTC)", "what is done"])


@dataclass(frozen=True)
class Kept(Shown):
    """What was done."""

    done: tuple[tuple[int, str], ...]
    """Submission, and what was done about it; nothing where it had gone on meanwhile."""

    def table(self) -> Table:
        title = f"{len(self.done)} acted on{', in a plan alone' if is_planning() else ''}"
        return Table(title, [list(each) for each in self.done], ["submission", "what was done"])


def survey(context: Context) -> Survey:
    """Which submissions stand for long, and what is to be done about each. Runs that nobody drives any more are marked."""
    mark_lost(context.database)
    with context.database.session() as session:
        lives = session.scalars(
            select(SubmissionLife)
            .where(
                SubmissionLife.library.in_([side.home for side in context.sides]),
                SubmissionLife.state.in_([*WAITS_FOR_US, *WAITS_FOR_SOMEBODY])
                | ((SubmissionLife.state == State.CLOSED) & SubmissionLife.reason_code.in_([DEADLINE_PASSED, STALE])),
            )
            .order_by(SubmissionLife.submission_id)
        ).all()
        found = [_judge(context, session, life) for life in lives]
    ended = [life for life in lives if life.state == State.CLOSED]
    return Survey(tuple(each for each in found if each is not None), len(lives) - len(ended))


def keep(context: Context, found: Survey, *, dry_run: bool = False) -> Kept:
    """Do what is to be done about each. What has gone on since it was looked at is left alone."""
    done = []
    for each in found.overdue if not dry_run else ():
        with context.database.session() as session:
            life = find_life(session, each.submission, lock=True)
            if _judge(context, session, life) == each:
                if is_planning():
                    _write_down(each)
                _ACTS[each.act](context, session, life, each)
                done.append((each.submission, str(each.act)))
        if each.act in (Act.END, Act.CLOSE, Act.FINISH_CLOSING):
            _close_pull_request(context, each.submission)
    return Kept(tuple(done))


def _write_down(each: Overdue) -> None:
    planned(
        "deadline",
        f"{each.act}: submission {each.submission}, {each.name}, which is {each.state} since {each.since:%Y-%m-%d %H:%M} UTC",
        note=f"for {_words_of(now() - each.since)}",
        submission=each.submission,
        act=str(each.act),
        since=each.since.isoformat(),
    )


def _judge(context: Context, session: Session, life: SubmissionLife) -> Overdue | None:
    state, since = State(life.state), standing_since(life)
    settings, stood = context.deployment.deadlines, now() - standing_since(life)
    act = None
    if state is State.CLOSED:
        if life.pull_request is not None and _remarked(life, CLOSED_THERE) is None:
            act = Act.FINISH_CLOSING
    elif state in WAITS_FOR_US:
        allowed = _allowed(settings, state)
        if stood > allowed and not _is_being_run(session, life):
            act = Act.END
        elif stood > allowed / 2 and next_step(life) is not None and not _is_being_run(session, life):
            act = Act.ASK_AGAIN
    else:
        warned = _remarked(life, WARNED)
        if warned is not None:
            act = Act.CLOSE if now() - warned > timedelta(seconds=settings.warned) else None
        elif stood > timedelta(seconds=settings.stale):
            act = Act.WARN
        elif state is State.HELD and stood > timedelta(seconds=settings.held) and _remarked(life, REMINDED) is None:
            act = Act.REMIND
    return Overdue(life.submission_id, life.name, state, since, act) if act else None


def _allowed(settings: DeadlineSettings, state: State) -> timedelta:
    return timedelta(seconds=float(getattr(settings, state)))


def _is_being_run(session: Session, life: SubmissionLife) -> bool:
    """Whether a run about it goes on: that has bounds of its own."""
    return _last_run(session, life, RunState.RUNNING) is not None


def _last_run(session: Session, life: SubmissionLife, *states: RunState) -> Run | None:
    about = Run.submission_id == life.submission_id
    if life.pull_request is not None:
        private = func.coalesce(Run.parameters["private"].as_boolean(), false())
        about |= (Run.parameters["pull_request"].as_integer() == life.pull_request) & (private == life.private)
    wanted = [about, Run.state.in_(states)] if states else [about]
    return session.scalar(select(Run).where(*wanted).order_by(Run.started_at.desc()).limit(1))


def _ask_again(context: Context, session: Session, life: SubmissionLife, each: Overdue) -> None:  # noqa: ARG001 - as the others
    step = next_step(life)
    if step is not None:
        enqueue(context.deployment, step.runbook, step.parameters, by=_by(context), session=session)


def _end(context: Context, session: Session, life: SubmissionLife, each: Overdue) -> None:
    stood = _in_words(now() - each.since)
    failure = DeadlinePassedError(f"after {stood}, {_NOT_DONE[each.state]}: that is longer than it may take")
    last = _last_run(session, life)
    error = (last.error or {}) if last else {}
    merged = each.state is State.MERGED
    ended = Ended(
        **mail.about(life),
        reason=failure.message,
        merged=merged,
        told=bool(context.deployment.mail.maintainers),
        by_hand=life.archive_digest is None,
    )
    move(
        session,
        life,
        State.SCORING_FAILED if merged else State.CLOSED,
        key=f"deadline:{each.since.isoformat(timespec='seconds')}",
        message=f"It could not be finished, by our fault: {failure.message}.",
        failure=failure,
        run_id=context.run_id,
    )
    give_up(context, session, life, "deadline")
    event = f"deadline-{each.state}-{each.since.isoformat(timespec='seconds')}"
    mail.queue(session, context.deployment, life, ended, event=event)
    _tell_maintainers(
        context,
        session,
        life,
        NeedsMaintainer(
            **_about(life),
            what=f"It ended, since {failure.message}; its submitter has been told that it is our fault",
            state=each.state,
            run_id=last.id if last else "",
            log=str(error.get("message", "")),
        ),
        event,
    )


def _remind(context: Context, session: Session, life: SubmissionLife, each: Overdue) -> None:
    key = _key(REMINDED, each.since)
    remark(session, life, "The maintainers were reminded of it.", key=key, run_id=context.run_id)
    what = f"It has been waiting for {_in_words(now() - each.since)} for somebody to decide: {life.reason or 'a rule holds it'}"
    told = NeedsMaintainer(**_about(life), what=what.partition("\n")[0], state=each.state)
    _tell_maintainers(context, session, life, told, key)


def _warn(context: Context, session: Session, life: SubmissionLife, each: Overdue) -> None:
    closed_on = of_the_moment(_day(now() + timedelta(seconds=context.deployment.deadlines.warned)))
    key = _key(WARNED, each.since)
    said = f"It is closed on {closed_on} unless it goes on."
    remark(session, life, said, key=key, run_id=context.run_id)
    warning = Stale(
        **mail.about(life),
        waits_for=_WAITS_FOR[each.state],
        since=_day(each.since),
        closed_on=closed_on,
        by_hand=life.archive_digest is None,
    )
    mail.queue(session, context.deployment, life, warning, event=key)


def _close(context: Context, session: Session, life: SubmissionLife, each: Overdue) -> None:
    failure = StaleError(f"nothing has happened to it since {_day(each.since)}")
    reason = f"{failure.message}, as we wrote to you before"
    closed = Closed(**mail.about(life), reason=reason, by_hand=life.archive_digest is None)
    key = f"stale:{each.since.isoformat(timespec='seconds')}"
    move(session, life, State.CLOSED, key=key, failure=failure, run_id=context.run_id)
    give_up(context, session, life, STALE)
    mail.queue(session, context.deployment, life, closed, event=key)


def _finish_closing(context: Context, session: Session, life: SubmissionLife, each: Overdue) -> None:
    """The pull request is closed after the transaction."""


_ACTS = {
    Act.ASK_AGAIN: _ask_again,
    Act.END: _end,
    Act.REMIND: _remind,
    Act.WARN: _warn,
    Act.CLOSE: _close,
    Act.FINISH_CLOSING: _finish_closing,
}


def _close_pull_request(context: Context, submission: int) -> None:
    """Close the pull request of a submission that ended before its merge, and say there why."""
    with context.database.session() as session:
        life = find_life(session, submission)
        number, state, reason, code = life.pull_request, State(life.state), life.reason or "", life.reason_code
        home = life.library
    if number is None or state is not State.CLOSED:
        return
    forge = context.side_of(home).forge
    if forge.pull_request(number).state == "open":
        forge.close(number)
        ours = "This is our fault and not yours. " if code == DEADLINE_PASSED else ""
        said = f"Closed: {reason}. {ours}Open it again, and it begins anew."
        forge.comment(number, key=f"brainscore-ops/closed/{submission}", body=said)
    with context.database.session() as session:
        life = find_life(session, submission, lock=True)
        if life.state == State.CLOSED:
            said = "Its pull request is closed."
            closed_at = of_the_moment(standing_since(life).isoformat(timespec="seconds"))
            remark(session, life, said, key=f"{CLOSED_THERE}:{closed_at}", run_id=context.run_id)


def _about(life: SubmissionLife) -> dict[str, Any]:
    """What a mail to maintainers says of the submission: it greets nobody by the submitter's name."""
    return {**mail.about(life), "submitter": ""}


def _tell_maintainers(context: Context, session: Session, life: SubmissionLife, told: Mail, event: str) -> None:
    for address in context.deployment.mail.maintainers:
        queue_message(
            session,
            context.deployment,
            told,
            event=f"maintainer:{address}:submission-{life.submission_id}:{event}",
            recipient=address,
            submission_id=life.submission_id,
        )


def _remarked(life: SubmissionLife, what: str) -> datetime | None:
    """When something was last remarked since the submission stands where it stands."""
    since, begins = standing_since(life), f"{life.state}:remark:{what}:"
    found = [event.at for event in life.events if event.key.startswith(begins) and event.at >= since]
    return max(found, default=None)


def _key(what: str, since: datetime) -> str:
    return f"{what}:{since.isoformat(timespec='seconds')}"


def _by(context: Context) -> str:
    return f"deadlines:{context.run_id or 'by hand'}"


def _day(moment: datetime) -> str:
    return f"{moment:%B} {moment.day}, {moment.year}"


def _in_words(length: timedelta) -> str:
    return of_the_moment(_words_of(length))


def _words_of(length: timedelta) -> str:
    hours = length.total_seconds() / 3600
    return f"{length.days} days" if hours >= 48 else f"{max(1, round(hours))} hours" if hours >= 1.5 else "an hour"
