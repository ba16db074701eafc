"""A submission by way of the website: checked while its sender waits, by the same code as in ``intake``, then handed over."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.database.brainscore_tables import Model, User
from brainscore_ops.database.ops_tables import SubmissionLife
from brainscore_ops.database.schema import MIGRATION_LOCK
from brainscore_ops.errors import Fault, OpsError
from brainscore_ops.portal import quota
from brainscore_ops.portal.errors import NotAllowedError, PageNotFoundError
from brainscore_ops.submissions.context import Context
from brainscore_ops.submissions.intake import Accepted, Received, accept, receive, validate
from brainscore_ops.submissions.life import DEADLINE_PASSED, SCORING_DONE, State, find_life, next_step

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.portal.sessions import Person
    from brainscore_ops.settings import Deployment

LOG = logging.getLogger(__name__)

LOCK_SECONDS = 120.0
"""How long somebody's second upload waits for the first to be checked, and any for a migration."""

_AGAIN = {
    State.TESTS_FAILED: "test_plugins",
    State.SCORING_FAILED: "score_plugins",
    State.PARTLY_SCORED: "score_plugins",
}


@dataclass(frozen=True)
class Arrived:
    """A submission that was accepted."""

    submission: int
    known: bool
    """Whether it was accepted before: the same archive from the same person is the same submission."""


def submit(
    deployment: Deployment, database: Database, person: Person, archive: Path, *, name: str, public: bool
) -> Arrived:
    """Check an archive, and record it as a submission.

    :raises QuotaError: its sender made as many submissions as they may
    :raises ArchiveRefusedError: with everything that is wrong with it; recorded, and mailed
    :raises VisibilityError: it was accepted before with the other visibility
    """
    context = Context(deployment=deployment, database=database, run_id=None)
    # One after the other, so that two at once are not both the last that the quota has room for.
    with (
        database.lock(MIGRATION_LOCK, wait=LOCK_SECONDS, shared=True),
        database.lock(f"uploads:{person.user_id}", wait=LOCK_SECONDS),
    ):
        with database.session() as session:  # it may have been changed while the file arrived
            email = session.get_one(User, person.user_id).email or ""
        received = receive(context, archive, email=email, submitter=person.name, name=name, public=public)
        if not received.accepted:
            with database.session() as session:
                quota.standing(session, deployment, person.user_id).require()
        accepted = accept(context, received, validate(context, received))
        hand_over(deployment, database, person, received, accepted)
    return Arrived(received.submission, known=received.accepted)


def hand_over(
    deployment: Deployment, database: Database, person: Person, received: Received, accepted: Accepted
) -> None:
    """Ask the queue for what comes next. A submission whose server dies before this is found by ``reconcile``."""
    with database.session() as session:
        life = find_life(session, accepted.submission)
        step = next_step(life)
        intake = intake_parameters(life, str(deployment.state / (life.archive_path or "")))
        if not received.accepted:
            # The run that finds everything done is the record that people look for.
            _enqueue(deployment, session, "intake", intake, f"web:{person.email}")
        if step is not None:
            _enqueue(deployment, session, step.runbook, dict(step.parameters), f"web:{person.email}")


def can_try_again(life: SubmissionLife) -> bool:
    """Whether the same thing may be tried once more: it ended by our fault, not by its own."""
    return life.fault == Fault.INFRASTRUCTURE and _again(life) is not None


def try_again(session: Session, deployment: Deployment, person: Person, submission: int) -> None:
    """Ask the queue to try once more what failed by our fault.

    :raises NotAllowedError: it is not theirs, or there is nothing to try again
    """
    life = own_submission(session, person, submission)
    step = _again(life)
    if not can_try_again(life) or step is None:
        raise NotAllowedError("expected a submission of yours that failed by our fault")
    runbook, parameters = step
    if runbook == "intake":
        parameters["archive"] = str(deployment.state / parameters["archive"])
    _enqueue(deployment, session, runbook, parameters, f"web:{person.email}")


def _again(life: SubmissionLife) -> tuple[str, dict[str, Any]] | None:
    """The runbook that tries the same once more, from a state that a submission does not leave by itself."""
    if State(life.state) in _AGAIN and life.pull_request is not None:
        private = {"private": True} if life.private else {}
        return _AGAIN[State(life.state)], {"pull_request": life.pull_request, **private}
    if life.state == State.CLOSED and life.reason_code == DEADLINE_PASSED and life.archive_path:
        return "intake", intake_parameters(life, life.archive_path)
    return None


def intake_parameters(life: SubmissionLife, archive: str) -> dict[str, Any]:
    """What ``intake`` is told of a submission that was sent in."""
    return {
        "archive": archive,
        "email": life.submission.submitter.email or "",
        "submitter": life.submitter,
        "name": life.name,
        "public": life.public,
    }


def set_visibility(session: Session, person: Person, submission: int, *, public: bool) -> int:
    """Show the scores of a submission's models to everybody, or to their owner alone.

    :returns: how many models that concerns
    :raises NotAllowedError: the submission is not theirs
    """
    life = own_submission(session, person, submission)
    if public and life.private and life.state != State.PUBLISHED:
        raise NotAllowedError(
            "The scores of private code are for its owner.", remedy="Publish the submission: code and scores together."
        )
    models = models_of(session, life)
    for model in models:
        model.public = public
    return len(models)


def own_submission(session: Session, person: Person, submission: int) -> SubmissionLife:
    """A submission that somebody may change, locked.

    :raises PageNotFoundError: there is none, or they may not know of it: the two are told apart by nothing
    :raises NotAllowedError: it is public, and somebody else's
    """
    life = session.get(SubmissionLife, submission, with_for_update=True)
    if life is None or not person.viewer.sees_submission(life):
        raise PageNotFoundError("There is no such submission.")
    if not (person.viewer.owns(life) or person.viewer.sees_everything):
        raise NotAllowedError("expected a submission of yours")
    return life


def can_publish(life: SubmissionLife) -> bool:
    """Whether a submission is private, and far enough to be brought into the public library."""
    return life.private and life.state in SCORING_DONE


def publish(session: Session, deployment: Deployment, person: Person, submission: int) -> None:
    """Ask the queue to bring a private submission into the public library, by a pull request like any other.

    :raises NotAllowedError: it is not theirs, or there is nothing to publish (yet)
    """
    life = own_submission(session, person, submission)
    if not can_publish(life):
        raise NotAllowedError("expected a private submission of yours that was scored")
    _enqueue(deployment, session, "publish_submission", {"submission": submission}, f"web:{person.email}")


def models_of(session: Session, life: SubmissionLife) -> list[Model]:
    """The models of a submission that have been, or are being, scored; those alone that are its submitter's."""
    found = session.query(Model).where(
        Model.name.in_(life.identifiers.get("models", [])), Model.owner_id == life.submission.submitter_id
    )
    return list(found.order_by(Model.name))


def _enqueue(deployment: Deployment, session: Session, runbook: str, parameters: dict[str, Any], by: str) -> None:
    from brainscore_ops.queue.jobs import enqueue

    try:
        enqueue(deployment, runbook, parameters, by=by, session=session)
    except OpsError:
        LOG.exception("%s was not asked for; reconcile will find what it is for", runbook)
