"""Delivery: over a real SMTP connection, whatever the server does."""

from __future__ import annotations

import socket
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import AuthResult

from brainscore_ops.database.brainscore_tables import Submission, User
from brainscore_ops.database.ops_tables import OutboxMessage, now
from brainscore_ops.notify.contexts import Received
from brainscore_ops.notify.messages import queue_message
from brainscore_ops.notify.outbox import GIVEN_UP, deliver

if TYPE_CHECKING:
    from collections.abc import Callable

    from brainscore_ops.database.connection import Database
    from brainscore_ops.settings import Deployment
    from conftest import MailboxProcess


class Counting:
    """An SMTP server's handler that keeps in mind what it accepted, and answers as it is told."""

    def __init__(self, answers: dict[str, str] | None = None, *, seconds: float = 0.0) -> None:
        self.answers = answers or {}
        self.seconds = seconds
        self.accepted: list[str] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        answer = self.answers.get(address, "250 OK")
        if answer == "hang up":
            server.transport.abort()
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        time.sleep(self.seconds)
        self.accepted += envelope.rcpt_tos
        return "250 OK"


def test_what_is_queued_arrives_with_both_parts(
    outbox: Database, deployment: Deployment, mailbox: MailboxProcess, rows: Callable
) -> None:
    with outbox.session() as session:
        user = User(email="ada@example.org", is_active=True, is_staff=False, is_superuser=False, password="")
        session.add(user)
        session.flush()
        submission = Submission(jenkins_id=0, submitter_id=user.id, model_type="base", status="pending")
        session.add(submission)
        session.flush()
        queue_message(
            session,
            deployment,
            Received(submission_name="Größe é 模型", submission_id=submission.id, submitter="Ada"),
            event="received",
            recipient="ada@example.org",
            submission_id=submission.id,
        )

    delivery = deliver(outbox, deployment)

    assert (delivery.sent, delivery.failed, delivery.waiting, delivery.unavailable) == (1, 0, 0, None)
    (mail,) = mailbox.mails
    (row,) = rows()
    assert mail.message_id == row.message_id
    assert mail.subject == "Received: Größe é 模型"
    assert mail.sender == "Brain-Score <submissions@brain-score.example.org>"
    assert mail.recipient == "ada@example.org"
    assert mail.text == row.text
    assert mail.html == row.html
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message["References"] not in (None, mail.message_id)
    assert (row.attempts, row.last_error) == (1, None)
    assert row.sent_at is not None


def test_delivering_again_sends_nothing_again(
    outbox: Database, deployment: Deployment, mailbox: MailboxProcess, queued: Callable
) -> None:
    for number in range(3):
        queued(f"event {number}")
    assert deliver(outbox, deployment).sent == 3
    assert deliver(outbox, deployment).sent == 0
    assert [mail.subject[-7:] for mail in mailbox.mails] == ["event 0", "event 1", "event 2"]


def test_a_server_that_is_away_is_reported_and_the_mail_waits_for_it(
    outbox: Database,
    deployment: Deployment,
    start_mailbox: Callable,
    use_server: Callable,
    queued: Callable,
    rows: Callable,
) -> None:
    queued("one")
    queued("two")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers, and nobody else takes the port
        use_server(*closed.getsockname())
        delivery = deliver(outbox, deployment)
    assert (delivery.sent, delivery.failed, delivery.waiting) == (0, 0, 2)
    assert delivery.unavailable is not None
    assert delivery.unavailable.exit_code == 4
    assert [row.attempts for row in rows()] == [0, 0], "it is no attempt where nobody was there"

    mailbox = start_mailbox()
    use_server(mailbox.ready["host"], mailbox.ready["port"])
    assert deliver(outbox, deployment).sent == 2
    assert len(mailbox.mails) == 2


def test_a_refused_recipient_is_recorded_once_and_holds_nobody_up(
    outbox: Database, deployment: Deployment, difficult_server: Callable, queued: Callable, rows: Callable
) -> None:
    server = Counting({"gone@example.org": "550 no such user"})
    difficult_server(server)
    queued("one", "gone@example.org")
    queued("two", "ada@example.org")

    delivery = deliver(outbox, deployment)
    assert (delivery.sent, delivery.failed, delivery.waiting) == (1, 1, 0)
    assert server.accepted == ["ada@example.org"]
    refused = rows()[0]
    assert refused.last_error == f"{GIVEN_UP}the mail server said 550 no such user"
    again = deliver(outbox, deployment)
    assert (again.sent, again.failed, again.waiting) == (0, 0, 0)
    assert rows()[0].attempts == 1


def test_a_mail_that_is_put_off_is_offered_again_for_five_days(
    outbox: Database, deployment: Deployment, difficult_server: Callable, queued: Callable, rows: Callable
) -> None:
    server = Counting({"grey@example.org": "450 try later"})
    difficult_server(server)
    queued("one", "grey@example.org")
    queued("two", "ada@example.org")

    delivery = deliver(outbox, deployment)
    assert (delivery.sent, delivery.failed, delivery.waiting) == (1, 0, 1)
    assert rows()[0].last_error == "the mail server said 450 try later"

    with outbox.session() as session:
        session.get_one(OutboxMessage, rows()[0].id).created_at = now() - timedelta(days=6)
    delivery = deliver(outbox, deployment)
    assert (delivery.sent, delivery.failed, delivery.waiting) == (0, 1, 0)
    assert rows()[0].attempts == 2


def test_a_mail_on_which_the_server_hangs_up_does_not_stop_the_others(
    outbox: Database, deployment: Deployment, difficult_server: Callable, queued: Callable, rows: Callable
) -> None:
    server = Counting({"poison@example.org": "hang up"})
    difficult_server(server)
    queued("one", "poison@example.org")
    queued("two", "ada@example.org")

    delivery = deliver(outbox, deployment)
    assert (delivery.sent, delivery.failed, delivery.waiting, delivery.unavailable) == (1, 0, 1, None)
    assert server.accepted == ["ada@example.org"]


def test_unusual_addresses_are_written_to(
    outbox: Database, deployment: Deployment, mailbox: MailboxProcess, queued: Callable
) -> None:
    addresses = ["ada@exämple.org", "o'brien+tag@example.org", '"a b"@example.org', "ada@[127.0.0.1]"]
    for address in addresses:
        queued(address, address)
    assert deliver(outbox, deployment).sent == len(addresses)
    assert [mail.recipient for mail in mailbox.mails] == ["ada@xn--exmple-cua.org", *addresses[1:]]


def test_a_sender_that_the_server_refuses_costs_no_mail(
    outbox: Database, deployment: Deployment, difficult_server: Callable, queued: Callable, rows: Callable
) -> None:
    server = Counting()
    server.handle_MAIL = _refuse_sender  # type: ignore[attr-defined]
    difficult_server(server)
    queued("one")
    delivery = deliver(outbox, deployment)
    assert (delivery.sent, delivery.failed, delivery.waiting) == (0, 0, 1)
    assert "does not take mails from submissions@brain-score.example.org" in rows()[0].last_error


async def _refuse_sender(*_: Any) -> str:
    return "550 not from you"


def test_two_deliveries_at_once_send_each_mail_once(
    outbox: Database, deployment: Deployment, difficult_server: Callable, queued: Callable
) -> None:
    server = Counting(seconds=0.05)
    difficult_server(server)
    recipients = [f"person{number}@example.org" for number in range(8)]
    for recipient in recipients:
        queued(recipient, recipient)

    deliveries = []
    threads = [threading.Thread(target=lambda: deliveries.append(deliver(outbox, deployment))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(server.accepted) == recipients
    assert sum(delivery.sent for delivery in deliveries) == 8


def test_a_delivery_that_died_before_its_mark_leaves_one_mail_in_the_mailbox(
    outbox: Database, deployment: Deployment, mailbox: MailboxProcess, queued: Callable, rows: Callable
) -> None:
    queued("one")
    deliver(outbox, deployment)
    with outbox.session() as session:  # as if the process had been killed after the server's yes
        session.get_one(OutboxMessage, rows()[0].id).sent_at = None
    assert deliver(outbox, deployment).sent == 1
    assert len(mailbox.mails) == 1


def test_nothing_is_sent_unencrypted_where_encryption_is_asked_for(
    outbox: Database, deployment: Deployment, difficult_server: Callable, queued: Callable
) -> None:
    server = Counting()
    difficult_server(server, {"tls": True})
    queued("one")
    delivery = deliver(outbox, deployment)
    assert server.accepted == []
    assert delivery.waiting == 1
    assert delivery.unavailable is not None
    assert "STARTTLS" in delivery.unavailable.message


def test_a_wrong_password_is_the_operators_fault_and_is_not_told(
    outbox: Database, deployment: Deployment, difficult_server: Callable, queued: Callable
) -> None:
    difficult_server(
        Counting(),
        {"username": "brain", "password": "hunter2-and-more"},
        authenticator=lambda *_: AuthResult(success=False, handled=False),
        auth_require_tls=False,
    )
    queued("one")
    delivery = deliver(outbox, deployment)
    assert delivery.unavailable is not None
    assert delivery.unavailable.fault == "operator"
    assert "hunter2" not in str(delivery.unavailable.as_dict())


def test_with_an_empty_outbox_no_server_is_needed(
    outbox: Database, deployment: Deployment, use_server: Callable
) -> None:
    use_server("127.0.0.1", 1)
    delivery = deliver(outbox, deployment)
    assert (delivery.sent, delivery.waiting, delivery.unavailable) == (0, 0, None)
