"""Where a submission stands: its states, what moves it from one to the next, and its timeline."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from brainscore_ops.database.ops_tables import Run, SubmissionEvent, SubmissionLife, now
from brainscore_ops.display import Badge, Code, Shown, Table
from brainscore_ops.errors import OpsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.submissions.context import Context


class State(StrEnum):
    """Where a submission can stand."""

    RECEIVED = "received"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    PROPOSED = "proposed"
    TESTED = "tested"
    TESTS_FAILED = "tests-failed"
    HELD = "held"
    MERGED = "merged"
    SCORED = "scored"
    PARTLY_SCORED = "partly-scored"
    SCORING_FAILED = "scoring-failed"
    CLOSED = "closed"
    PUBLISHING = "publishing"
    PUBLISHED = "published"


IN_WORDS: Mapping[State, str] = {
    State.RECEIVED: "The archive arrived and is being checked.",
    State.ACCEPTED: "The archive is in order.",
    State.REFUSED: "The archive cannot be accepted as it is.",
    State.PROPOSED: "A pull request proposes the plugins to the library.",
    State.TESTED: "The plugins' own tests passed.",
    State.TESTS_FAILED: "The plugins' own tests did not pass.",
    State.HELD: "A maintainer has to look at the pull request.",
    State.MERGED: "The plugins are part of the library.",
    State.SCORED: "Every score is in.",
    State.PARTLY_SCORED: "Some scores are in; others could not be computed.",
    State.SCORING_FAILED: "No score could be computed.",
    State.CLOSED: "The pull request was closed without being merged.",
    State.PUBLISHING: "It is on its way into the public library.",
    State.PUBLISHED: "The plugins and their scores are public.",
}

DEADLINE_PASSED = "deadline-passed"
"""Why a submission ended that we did not get done in time."""
STALE = "stale"
"""Why one ended that waited for somebody who did nothing."""

# From proposal to merge: where the pull request is what happens.
BEFORE_MERGE = frozenset({State.PROPOSED, State.TESTED, State.TESTS_FAILED, State.HELD})
SCORING_DONE = frozenset({State.SCORED, State.PARTLY_SCORED, State.SCORING_FAILED})
IN_PRIVATE = frozenset({State.MERGED, *SCORING_DONE, State.PUBLISHING})
"""The states in which the private repository holds a private submission's plugins, and the public library does not."""

# The runbook that takes a submission on from a state; from the other states nothing but a person or a new push does.
NEXT_RUNBOOK: Mapping[State, str] = {
    State.ACCEPTED: "create_pr",
    State.PROPOSED: "test_plugins",
    State.TESTED: "merge",
    State.MERGED: "score_plugins",
}

# What the website of the existing system reads from brainscore_submission.status.
_LEGACY_STATUS = {
    State.REFUSED: "failure",
    State.TESTS_FAILED: "failure",
    State.SCORING_FAILED: "failure",
    State.CLOSED: "failure",
    State.SCORED: "successful",
    State.PARTLY_SCORED: "successful",
    State.PUBLISHED: "successful",
}


class UnknownSubmissionError(UsageError):
    """No submission has that number."""

    code = "unknown-submission"


@dataclass(frozen=True)
class NextStep:
    """What is to be run for a submission to go on."""

    runbook: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Event:
    """One entry of a timeline."""

    at: datetime
    state: str
    message: str
    reason_code: str | None
    fault: str | None
    log: str | None
    run_id: str | None


@dataclass(frozen=True)
class Timeline(Shown):
    """A submission with everything that happened to it."""

    submission: int
    name: str
    submitter: str
    email: str
    public: bool
    state: str
    reason_code: str | None
    reason: str | None
    fault: str | None
    pull_request: int | None
    pull_request_url: str | None
    base_sha: str | None
    head_sha: str | None
    merge_sha: str | None
    plugins: Mapping[str, Any]
    identifiers: Mapping[str, Any]
    events: tuple[Event, ...]
    runs: tuple[Mapping[str, Any], ...]

    def table(self) -> Table:
        return Table(
            f"Submission {self.submission}, {self.name}: {self.state}",
            [
                [f"{event.at:%Y-%m-%d %H:%M:%S}", Badge(event.state), event.message, Code(event.run_id or "")]
                for event in self.events
            ],
            ["when (UTC)", "state", "what happened", "run"],
        )

    def as_dict(self) -> dict[str, Any]:
        """The timeline as a JSON document."""
        events = [{**vars(event), "at": event.at.isoformat()} for event in self.events]
        return {**vars(self), "events": events, "runs": list(self.runs)}


def find_life(session: Session, submission: int, *, lock: bool = False) -> SubmissionLife:
    """A submission's row, locked until the end of the transaction when asked.

    :raises UnknownSubmissionError: where there is none of that number
    """
    life = session.get(SubmissionLife, submission, with_for_update=lock)
    if life is None:
        raise UnknownSubmissionError(
            f"expected the number of a submission, found {submission}, which is none",
            remedy="`brainscore-ops status` lists them.",
        )
    return life


def life_of_pull_request(
    session: Session, home: str, pull_request: int, *, lock: bool = False
) -> SubmissionLife | None:
    """The submission that a pull request is, or proposes; None where no runbook has met it yet.

    :param home: whose pull request, :attr:`Context.home`
    """
    query = select(SubmissionLife).where(SubmissionLife.library == home, SubmissionLife.pull_request == pull_request)
    return session.scalar(query.with_for_update() if lock else query)


def submission_of(context: Context, pull_request: int) -> int | None:
    """The number of the submission that a pull request is, or proposes; None where no runbook has met it yet."""
    with context.database.session() as session:
        life = life_of_pull_request(session, context.home, pull_request)
        return life.submission_id if life else None


def move(
    session: Session,
    life: SubmissionLife,
    state: State,
    *,
    key: str,
    message: str = "",
    failure: OpsError | None = None,
    run_id: str | None = None,
) -> None:
    """Move a submission to a state, and write it into its timeline once.

    :param key: what makes the event one: a second call with the same key adds nothing
    :param message: what happened, for the submitter; the state in words, where it is empty
    :param failure: why, where the state is a failure
    """
    reason = failure.message if failure else None
    life.state = state
    life.reason_code = failure.code if failure else None
    life.reason = str(failure) if failure else None
    life.fault = str(failure.fault) if failure else None
    life.updated_at = now()
    life.submission.status = _LEGACY_STATUS.get(state, "running")
    session.execute(
        insert(SubmissionEvent)
        .values(
            submission_id=life.submission_id,
            key=f"{state}:{key}"[:200],
            at=life.updated_at,
            state=state,
            message=message or reason or IN_WORDS[state],
            reason_code=life.reason_code,
            fault=life.fault,
            log=(failure.log if failure else None) or None,
            run_id=run_id,
        )
        .on_conflict_do_nothing(index_elements=["submission_id", "key"])
    )


def note(session: Session, life: SubmissionLife, failure: OpsError, *, key: str, run_id: str | None) -> None:
    """Write into the timeline why a submission does not go on, where it stays: it will, when somebody mends that."""
    move(session, life, State(life.state), key=f"delayed:{key}", failure=failure, run_id=run_id)


def remark(session: Session, life: SubmissionLife, message: str, *, key: str, run_id: str | None) -> bool:
    """Write something into the timeline that changes nothing about where the submission stands, once.

    :returns: whether it is new
    """
    row = {
        "submission_id": life.submission_id,
        "key": f"{life.state}:remark:{key}"[:200],
        "at": now(),
        "state": life.state,
        "message": message,
        "run_id": run_id,
    }
    statement = insert(SubmissionEvent).values(row).on_conflict_do_nothing(index_elements=["submission_id", "key"])
    return session.scalar(statement.returning(SubmissionEvent.id)) is not None


def standing_since(life: SubmissionLife) -> datetime:
    """Since when a submission stands where it stands; remarks and delays move nothing."""
    moved = [
        event.at
        for event in life.events
        if event.state in (life.state, State.RECEIVED) and event.key.split(":")[1] not in ("delayed", "remark")
    ]
    return max(moved, default=life.created_at)


def next_step(life: SubmissionLife) -> NextStep | None:
    """The runbook that takes the submission on; None where it has arrived, or waits for a person."""
    published = life if life.private else life.publishes if life.state in SCORING_DONE else None
    if published is not None and published.state == State.PUBLISHED and published.removal_sha is None:
        return NextStep("publish_submission", {"submission": published.submission_id})
    runbook = NEXT_RUNBOOK.get(State(life.state))
    if runbook is None:
        return None
    if runbook == "create_pr":
        return NextStep(runbook, {"submission": life.submission_id})
    return NextStep(runbook, {"pull_request": life.pull_request, **({"private": True} if life.private else {})})


def timeline(database: Database, submission: int) -> Timeline:
    """Everything that happened to a submission.

    :raises UnknownSubmissionError: where there is none of that number
    """
    with database.session() as session:
        life = find_life(session, submission)
        runs = session.scalars(select(Run).where(Run.submission_id == submission).order_by(Run.started_at)).all()
        return Timeline(
            submission=submission,
            name=life.name,
            submitter=life.submitter,
            email=life.submission.submitter.email or "",
            public=life.public,
            state=life.state,
            reason_code=life.reason_code,
            reason=life.reason,
            fault=life.fault,
            pull_request=life.pull_request,
            pull_request_url=life.pull_request_url,
            base_sha=life.base_sha,
            head_sha=life.head_sha,
            merge_sha=life.merge_sha,
            plugins=life.plugins,
            identifiers=life.identifiers,
            events=tuple(
                Event(event.at, event.state, event.message, event.reason_code, event.fault, event.log, event.run_id)
                for event in life.events
            ),
            runs=tuple(
                {
                    "id": run.id,
                    "runbook": run.runbook,
                    "state": run.state,
                    "started_at": run.started_at.isoformat(),
                    "failing_step": run.failing_step,
                    "error": run.error,
                }
                for run in runs
            ),
        )


def submissions(database: Database) -> list[dict[str, Any]]:
    """Every submission with where it stands, the oldest first."""
    with database.session() as session:
        lives = session.scalars(select(SubmissionLife).order_by(SubmissionLife.submission_id)).all()
        return [
            {
                "submission": life.submission_id,
                "name": life.name,
                "archive": life.archive_name,
                "state": life.state,
                "reason_code": life.reason_code,
                "fault": life.fault,
                "pull_request": life.pull_request,
                "updated_at": life.updated_at.isoformat(),
            }
            for life in lives
        ]
