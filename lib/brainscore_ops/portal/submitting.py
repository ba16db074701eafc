"""A submission by way of the website: checked while its sender waits, by the same code as in ``intake``, then handed over."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.database.brainscore_tables import Model
from brainscore_ops.database.schema import MIGRATION_LOCK
from brainscore_ops.errors import Fault, OpsError
from brainscore_ops.portal import quota
from brainscore_ops.portal.errors import NotAllowedError
from brainscore_ops.submissions.context import Context
from brainscore_ops.submissions.intake import Accepted, Received, accept, receive, validate
from brainscore_ops.submissions.life import State, find_life, next_step

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.ops_tables import SubmissionLife
    from brainscore_ops.portal.sessions import Person
    from brainscore_ops.settings import Deployment

LOG = logging.getLogger(__name__)

LOCK_SECONDS = 120.0
"""How long somebody's second upload waits for the first to be checked, and any for a migration."""

# What is run again from a state that a submission does not leave by itself.
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
        received = receive(context, archive, email=person.email, submitter=person.name, name=name, public=public)
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
        intake = {
            "archive": str(deployment.state / (life.archive_path or "")),
            "email": person.email,
            "submitter": person.name,
            "name": life.name,
            "public": life.public,
        }
        if not received.accepted:
            # The run that finds everything done is the record that people look for.
            _enqueue(deployment, session, "intake", intake, f"web:{person.email}")
        if step is not None:
            _enqueue(deployment, session, step.runbook, dict(step.parameters), f"web:{person.email}")


def can_try_again(life: SubmissionLife) -> bool:
    """Whether the same thing may be tried once more: it ended by our fault, not by its own."""
    return life.fault == Fault.INFRASTRUCTURE and State(life.state) in _AGAIN and life.pull_request is not None


def try_again(session: Session, deployment: Deployment, person: Person, submission: int) -> None:
    """Ask the queue to try once more what failed by our fault.

    :raises NotAllowedError: it is not theirs, or there is nothing to try again
    """
    life = find_life(session, submission)
    if not (person.viewer.owns(life) or person.viewer.sees_everything) or not can_try_again(life):
        raise NotAllowedError("expected a submission of yours that failed by our fault")
    _enqueue(deployment, session, _AGAIN[State(life.state)], {"pull_request": life.pull_request}, f"web:{person.email}")


def set_visibility(session: Session, person: Person, submission: int, *, public: bool) -> int:
    """Show the scores of a submission's models to everybody, or to their owner alone.

    :returns: how many models that concerns
    :raises NotAllowedError: the submission is not theirs
    """
    life = find_life(session, submission, lock=True)
    if not (person.viewer.owns(life) or person.viewer.sees_everything):
        raise NotAllowedError("expected a submission of yours")
    models = models_of(session, life)
    for model in models:
        model.public = public
    return len(models)


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
