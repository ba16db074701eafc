"""Events that the forge tells us: each is written down, and what it asks for is in the queue, in one transaction."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from brainscore_ops.database.ops_tables import SubmissionLife, WebhookDelivery, now
from brainscore_ops.events import parse_webhook, tasks_of
from brainscore_ops.queue.jobs import enqueue
from brainscore_ops.submissions.life import BEFORE_MERGE

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.settings import Deployment


@dataclass(frozen=True)
class Receipt:
    """What became of an event."""

    jobs: tuple[int, ...]
    known: bool
    """Whether it had come before; then nothing is done."""


def receive(
    deployment: Deployment, database: Database, *, delivery: str, event: str, body: bytes, document: Any
) -> Receipt:
    """Act on an event, once: on one of the same number, or with the same body, nothing is done.

    :param delivery: the forge's number of it
    :param body: as it was signed
    :param document: what it says
    :raises BadEventError: it is not made as the forge makes it
    :raises ForeignEventError: it comes from another repository than the deployment's library
    """
    payload = parse_webhook(event, document)

    def act(session: Session) -> Receipt:
        row = {
            "id": delivery,
            "digest": hashlib.sha256(body).hexdigest(),
            "event": event[:100],
            "received_at": now(),
        }
        if not session.execute(insert(WebhookDelivery).values(row).on_conflict_do_nothing()).rowcount:  # type: ignore[attr-defined]
            return Receipt((), known=True)
        too_old = now() - timedelta(days=deployment.portal.webhook_days)
        session.execute(delete(WebhookDelivery).where(WebhookDelivery.received_at < too_old))
        if payload is None:
            return Receipt((), known=False)
        found = tasks_of(deployment, payload, lambda sha: _heads(session, deployment, sha))
        asked = (
            enqueue(deployment, task.runbook, task.parameters, by=f"webhook:{event}", session=session) for task in found
        )
        return Receipt(tuple(asked), known=False)

    return database.transact(act)


def _heads(session: Session, deployment: Deployment, sha: str) -> list[int]:
    """The open pull requests whose head is a commit, as far as any runbook has met them: others have no tests to pass yet."""
    found = session.scalars(
        select(SubmissionLife.pull_request).where(
            SubmissionLife.library == deployment.library.package,
            SubmissionLife.head_sha == sha,
            SubmissionLife.state.in_(BEFORE_MERGE),
        )
    )
    return [number for number in found if number is not None]
