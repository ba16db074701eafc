"""Mails to submitters: queued in the transaction that they report, delivered after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Shown, Table
from brainscore_ops.notify.choices import address_of, choice_of
from brainscore_ops.notify.messages import queue_message
from brainscore_ops.notify.outbox import Delivery
from brainscore_ops.notify.outbox import deliver as deliver_outbox

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from brainscore_ops.database.ops_tables import SubmissionLife
    from brainscore_ops.notify.contexts import Mail
    from brainscore_ops.settings import Deployment
    from brainscore_ops.submissions.context import Context


class Delivered(Shown):
    """What a delivery of the outbox did."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery

    def table(self) -> Table:
        delivery = self.delivery
        rows = [("sent", delivery.sent), ("given up", delivery.failed), ("waiting", delivery.waiting)]
        if delivery.unavailable:
            rows.append(("the mail server", delivery.unavailable.message))  # type: ignore[arg-type]
        return Table("Mails", rows)


def about(life: SubmissionLife) -> dict[str, Any]:
    """What every mail says of its submission."""
    return {
        "submission_name": life.name,
        "submission_id": life.submission_id,
        "submitter": life.submitter,
        # A private pull request's page on the forge is the team's; its owner finds ours from the submission's.
        "pull_request_url": "" if life.private else life.pull_request_url or "",
    }


def queue(session: Session, deployment: Deployment, life: SubmissionLife, mail: Mail, *, event: str) -> None:
    """Queue a mail to the submitter: one for each event of the submission, ever; to who wants results alone, no others."""
    recipient = life.submission.submitter.email
    if not recipient:  # who came by way of GitHub may have no address with us; the pull request tells them
        return
    choice = choice_of(session, life.submission.submitter_id)
    if mail.is_result or not choice.results_only:
        queue_message(
            session,
            deployment,
            mail,
            event=f"submission-{life.submission_id}:{event}",
            recipient=recipient,
            submission_id=life.submission_id,
            unsubscribe_url=address_of(deployment, choice),
        )


def deliver(context: Context) -> Delivered:
    """Send what waits; a mail server that is away is reported, and no failure: the next run delivers."""
    return Delivered(deliver_outbox(context.database, context.deployment))
