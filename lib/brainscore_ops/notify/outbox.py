"""Sending what waits in the outbox."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from email.headerregistry import BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, or_, select

from brainscore_ops.database.ops_tables import OutboxMessage, now
from brainscore_ops.notify.errors import MailRejectedError, MailUnavailableError
from brainscore_ops.notify.messages import message_id
from brainscore_ops.notify.smtp import MailServer
from brainscore_ops.planning import is_planning
from brainscore_ops.settings import MailSecret, resolve_secret

if TYPE_CHECKING:
    from email.policy import Policy

    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.settings import Deployment

GIVE_UP_AFTER = timedelta(days=5)
"""How long a mail is offered that the server puts off or hangs up on: RFC 5321, 4.5.4.1."""
GIVEN_UP = "given up: "
"""How ``last_error`` begins for a mail that is not offered again."""

NOT_KEPT = {"account"}
"""Templates of mails that carry keys: what was sent of them is not kept, here and in snapshots."""

SENT, FAILED, WAITING = "sent", "failed", "waiting"

TO_BE_SENT = and_(
    OutboxMessage.sent_at.is_(None),
    or_(OutboxMessage.last_error.is_(None), ~OutboxMessage.last_error.startswith(GIVEN_UP)),
)


@dataclass(frozen=True)
class Delivery:
    """What one delivery did."""

    sent: int
    failed: int
    """Mails that this delivery gave up; their ``last_error`` says why."""
    waiting: int
    """Mails that are still to be sent, by a later delivery."""
    unavailable: MailUnavailableError | None = None
    """Why the delivery ended early: nobody answered. The mails that wait lose nothing by it."""


def deliver(database: Database, deployment: Deployment) -> Delivery:
    """Send what waits, oldest first; each mail is offered once.

    A mail server that is away is no failure of the caller's: what was sent stays sent, the rest waits for the next delivery,
    and the result says so. Each mail is marked in a transaction of its own that holds its row, so that of two deliveries at
    once only one sends it. A process that is killed between the server's yes and the mark leaves the mail to be sent again
    with the same ``Message-ID``, by which mail systems know it for the same.

    :raises SecretError: where the deployment's mail secret is missing
    :raises DatabaseUnavailableError: where the database is away
    """
    if is_planning():
        with database.session() as session:
            return Delivery(sent=0, failed=0, waiting=_count_waiting(session))  # each was written down as it was queued
    secret = resolve_secret(deployment, deployment.mail.secret, MailSecret)
    count: Counter[str] = Counter()
    unavailable = None
    offered = 0
    with MailServer(secret) as server:
        while unavailable is None:
            with database.session() as session:
                message = session.scalar(
                    select(OutboxMessage)
                    .where(TO_BE_SENT, OutboxMessage.id > offered)
                    .order_by(OutboxMessage.id)
                    .limit(1)
                    .with_for_update(skip_locked=True)
                )
                if message is None:
                    break
                offered = message.id
                try:
                    server.connect()
                except MailUnavailableError as error:
                    unavailable = error
                    message.last_error = error.message
                else:
                    outcome = _offer(message, server, deployment)
                    count[outcome] += 1
                    if message.template in NOT_KEPT and outcome != WAITING:
                        message.text = message.html = ""
    with database.session() as session:
        waiting = _count_waiting(session)
    return Delivery(sent=count[SENT], failed=count[FAILED], waiting=waiting, unavailable=unavailable)


def _count_waiting(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(OutboxMessage).where(TO_BE_SENT)) or 0


def compose(message: OutboxMessage, deployment: Deployment) -> EmailMessage:
    """The mail as it is sent: text and HTML, in one thread with the other mails about its submission."""
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = deployment.mail.sender
    mail["To"] = message.recipient
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(message.created_at)
    mail["Message-ID"] = message.message_id
    if message.submission_id is not None:
        mail["References"] = message_id(deployment, f"submission:{message.submission_id}")
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies, please
    if message.unsubscribe_url:
        # RFC 8058: mail programs show a button, and send the one click themselves.
        mail["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail


class _Whole(UnstructuredHeader, BaseHeader):
    """A header that is never folded: an address of more than a line's length would be encoded, and be none any more."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _Whole)
_POLICY = SMTP.clone(header_factory=_HEADERS)


def _offer(message: OutboxMessage, server: MailServer, deployment: Deployment) -> str:
    """Offer a mail to the server and mark it.

    :returns: ``sent``, ``failed`` (given up) or ``waiting``
    """
    message.attempts += 1
    sender = parseaddr(deployment.mail.sender)[1]
    try:
        server.send(compose(message, deployment), sender=sender, recipient=message.recipient)
    except MailRejectedError as error:
        message.last_error = GIVEN_UP + error.message
        return FAILED
    except MailUnavailableError as error:
        late = now() - message.created_at > GIVE_UP_AFTER
        message.last_error = GIVEN_UP + error.message if late else error.message
        return FAILED if late else WAITING
    message.sent_at = now()
    message.last_error = None
    return SENT
