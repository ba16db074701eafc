"""What somebody may see of a submission."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from brainscore_ops.database.brainscore_tables import Submission
from brainscore_ops.database.ops_tables import PRIVATE, Run, SubmissionLife, now
from brainscore_ops.portal.errors import PageNotFoundError
from brainscore_ops.portal.submitting import can_publish, can_try_again, models_of
from brainscore_ops.scoring.attempt_rows import Standing, standings
from brainscore_ops.submissions.life import IN_WORDS, NEXT_RUNBOOK, SCORING_DONE, State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.viewer import Viewer
    from brainscore_ops.settings import Deployment

KINDS = {
    State.REFUSED: "bad",
    State.TESTS_FAILED: "bad",
    State.SCORING_FAILED: "bad",
    State.CLOSED: "bad",
    State.HELD: "wait",
    State.SCORED: "good",
    State.PARTLY_SCORED: "wait",
    State.PUBLISHED: "good",
}
"""How a state is shown: the others are on their way."""

NEXT_IN_WORDS = {
    State.RECEIVED: "It is being checked.",
    State.ACCEPTED: "Next, a pull request proposes it to the library.",
    State.PROPOSED: "Next, its tests are run.",
    State.TESTED: "Next, it is merged into the library.",
    State.MERGED: "It is being scored.",
    State.PUBLISHING: "A public submission carries its plugins there.",
    State.HELD: "A maintainer of the library looks at it. You need not do anything.",
}
"""What happens next."""

PAIR = "score_pair"
"""The runbook of one pair of model and benchmark."""

WHOSE_FAULT = {
    "submission": "This is about what was submitted. Mend it, and send it again.",
    "infrastructure": "This was our fault. It does not count against your quota.",
    "operator": "The Brain-Score team has to look at this.",
}
OF_WHAT_IS_MERGED = (
    "This is about what was submitted, and that is part of the library now. Mend it there by a pull request, which is tested and "
    "merged like the first one; what it changes is scored again."
)
OF_WHAT_IS_MERGED_IN_PRIVATE = "This is about what was submitted. Mend it, and send it again under another name."
"""Names that are in the library cannot be sent in again."""

RECORDED_WITHIN = timedelta(minutes=15)
"""A run closes its record after the last event that it caused. For so long that is waited for; then its process is gone."""


@dataclass(frozen=True)
class Line:
    """One line of a list of submissions."""

    number: int
    name: str
    state: str
    kind: str
    says: str
    public: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Step:
    """One entry of a timeline."""

    at: datetime
    state: str
    kind: str
    message: str
    log: str
    """The end of its log, for those who may see it."""
    run_id: str
    """The run whose record they may see."""


@dataclass(frozen=True)
class View:
    """A submission, as somebody sees it."""

    line: Line
    submitter: str
    next: str
    """What happens next; empty where nothing does."""
    is_final: bool
    is_settled: bool
    """Whether it is final, and no record is on its way that the viewer could open: nothing here changes by itself."""
    reason: str
    fault: str
    plugins: tuple[str, ...]
    models: tuple[str, ...]
    """Identifiers of models that have a page."""
    benchmarks: tuple[str, ...]
    pull_request: int | None
    pull_request_url: str
    """Its page, for who is looking: of a private submission that is one of ours."""
    steps: tuple[Step, ...]
    runs: tuple[Run, ...]
    pair_runs: tuple[Run, ...]
    """Those of its single pairs of model and benchmark."""
    standing: Standing | None
    is_theirs: bool
    """Whether they may change it."""
    scores_are_public: bool | None
    """None where there is nothing yet that could be shown or hidden."""
    has_archive: bool
    """Whether the viewer may have what was sent in."""
    can_try_again: bool
    can_publish: bool
    """Whether it is private, and could be brought into the public library."""
    carriers: tuple[int, ...]
    """The public submissions that bring a private one there, or tried to."""


def of_person(session: Session, user_id: int) -> list[Line]:
    """Somebody's submissions, the newest first."""
    found = session.scalars(
        select(SubmissionLife)
        .join(Submission, Submission.id == SubmissionLife.submission_id)
        .where(Submission.submitter_id == user_id)
        .order_by(SubmissionLife.submission_id.desc())
    )
    return [line_of(life) for life in found]


def all_of(session: Session, states: Sequence[str] = (), limit: int = 200) -> list[Line]:
    """Everybody's submissions, the newest first."""
    query = select(SubmissionLife).order_by(SubmissionLife.submission_id.desc()).limit(limit)
    return [
        line_of(life) for life in session.scalars(query.where(SubmissionLife.state.in_(states)) if states else query)
    ]


def line_of(life: SubmissionLife) -> Line:
    """A submission in one line."""
    state = State(life.state)
    return Line(
        number=life.submission_id,
        name=life.name,
        state=state.replace("-", " "),
        kind=KINDS.get(state, "note"),
        says=IN_WORDS[state],
        public=life.public,
        created_at=life.created_at,
        updated_at=life.updated_at,
    )


def look(database: Database, viewer: Viewer, deployment: Deployment, number: int) -> View:
    """A submission as somebody may see it: strangers see the steps, its owner and the team also logs and records.

    :raises PageNotFoundError: where there is none of that number, or they may not know of it
    """
    with database.session() as session:
        life = session.get(SubmissionLife, number)
        homes = (deployment.library.package, deployment.library.package + PRIVATE)
        if life is None or life.library not in homes or not viewer.sees_submission(life):
            raise PageNotFoundError("There is no such submission.", remedy="Sign in, if it is yours.")
        state, theirs = State(life.state), viewer.sees_inside(life)
        models = models_of(session, life)
        is_private = life.private and state != State.PUBLISHED
        runs = session.scalars(select(Run).where(Run.submission_id == number).order_by(Run.started_at)).all()
        known_runs = {run.id for run in runs}
        is_final = state not in NEXT_RUNBOOK and state not in (State.RECEIVED, State.HELD, State.PUBLISHING)
        return View(
            line=line_of(life),
            submitter=life.submitter,
            next=NEXT_IN_WORDS.get(state, ""),
            is_final=is_final,
            is_settled=is_final and not (theirs and _is_recording(session, life)),
            reason=life.reason or "",
            fault=_whose_fault(life.fault, state, is_private=is_private),
            plugins=tuple(f"{kind}/{name}" for kind, names in life.plugins.items() for name in names),
            models=tuple(model.name for model in models if theirs or model.public),
            benchmarks=tuple(life.identifiers.get("benchmarks", ())),
            pull_request=life.pull_request,
            pull_request_url=f"/submissions/{number}/pull-request"
            if life.private and life.pull_request is not None
            else _web_address(life.pull_request_url),
            steps=tuple(
                Step(
                    at=event.at,
                    state=event.state.replace("-", " "),
                    kind=_kind_of_event(event),
                    message=event.message,
                    log=(event.log or "") if theirs else "",
                    run_id=event.run_id if theirs and event.run_id in known_runs and event.run_id else "",
                )
                for event in life.events
            ),
            runs=tuple(run for run in runs if theirs and run.runbook != PAIR),
            pair_runs=tuple(run for run in runs if theirs and run.runbook == PAIR),
            standing=standings(session, [number]).get(number),
            is_theirs=theirs,
            scores_are_public=all(model.public for model in models) if models and not is_private else None,
            has_archive=theirs and life.archive_path is not None,
            can_try_again=theirs and can_try_again(life),
            can_publish=theirs and can_publish(life),
            carriers=tuple(carrier.submission_id for carrier in life.carriers) if theirs else (),
        )


def _whose_fault(fault: str | None, state: State, *, is_private: bool) -> str:
    if fault == "submission" and state in SCORING_DONE:
        return OF_WHAT_IS_MERGED_IN_PRIVATE if is_private else OF_WHAT_IS_MERGED
    return WHOSE_FAULT.get(fault or "", "")


def _is_recording(session: Session, life: SubmissionLife) -> bool:
    """Whether a run that caused an event has yet to close its record.

    Which submission a run is about it often finds out itself, and the table of runs when it has ended.
    """
    since = now() - RECORDED_WITHIN
    causes = {event.run_id for event in life.events if event.run_id and event.at > since}
    ended = session.scalars(select(Run.id).where(Run.id.in_(causes), Run.ended_at.is_not(None))).all() if causes else ()
    return len(causes) > len(ended)


def _kind_of_event(event: Any) -> str:
    if event.reason_code:
        return "bad" if event.state in KINDS and KINDS[State(event.state)] == "bad" else "wait"
    return KINDS.get(State(event.state), "good") if event.state in list(State) else "note"


def _web_address(text: str | None) -> str:
    return text if text and text.startswith(("http://", "https://")) else ""
