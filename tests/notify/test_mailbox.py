"""The mailbox: a server that keeps mails as files."""

from __future__ import annotations

import os
import smtplib
from email.message import EmailMessage
from typing import TYPE_CHECKING

from brainscore_ops.notify.mailbox import keep_mail, read_mails

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import MailboxProcess


def mail(message_id: str | None = "<1@example.org>", subject: str = "Hello") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Brain-Score <submissions@example.org>"
    message["To"] = "ada@example.org"
    message["Subject"] = subject
    message["Date"] = "Wed, 04 Nov 2026 10:30:00 +0100"
    if message_id:
        message["Message-ID"] = message_id
    message.set_content("Text.\n")
    return message


def send(mailbox: MailboxProcess, message: EmailMessage) -> None:
    with smtplib.SMTP(mailbox.ready["host"], mailbox.ready["port"], timeout=10) as smtp:
        smtp.send_message(message)


def test_it_says_where_it_is_and_goes_when_it_is_told(mailbox: MailboxProcess) -> None:
    assert mailbox.ready == {"host": "127.0.0.1", "port": mailbox.ready["port"], "pid": mailbox.process.pid}
    assert mailbox.stop() == 0
    assert not mailbox.ready_file.exists()


def test_each_mail_is_a_file_and_a_repeated_one_is_not_kept_twice(mailbox: MailboxProcess) -> None:
    send(mailbox, mail(subject="first"))
    send(mailbox, mail(subject="again"))
    send(mailbox, mail("<2@example.org>", subject="second"))
    assert [kept.subject for kept in mailbox.mails] == ["first", "second"]
    kept = mailbox.mails[0]
    assert kept.path.name.startswith("20261104T093000-")
    assert kept.path.suffix == ".eml"
    assert (kept.text, kept.html) == ("Text.\n", "")
    assert sorted(path.suffix for path in mailbox.folder.iterdir()) == [".eml", ".eml"]


def test_it_goes_on_where_it_was_after_a_kill(start_mailbox: Callable) -> None:
    first = start_mailbox()
    send(first, mail())
    first.process.kill()
    first.process.wait()
    first.ready_file.unlink()

    second = start_mailbox(port=first.ready["port"])
    assert second.ready["port"] == first.ready["port"]
    send(second, mail())
    send(second, mail("<2@example.org>"))
    assert len(second.mails) == 2


def test_a_mail_without_date_and_id_is_kept_too(tmp_path: Path) -> None:
    keep_mail(tmp_path, b"Subject: bare\r\nDate: no date\r\n\r\nText\r\n")
    (kept,) = read_mails(tmp_path)
    assert (kept.subject, kept.message_id, kept.text) == ("bare", "", "Text\n")


def test_no_message_id_leaves_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "mails"
    folder.mkdir()
    path = keep_mail(folder, mail("<../../../escape@example.org>").as_bytes())
    assert path.parent == folder
    assert os.listdir(tmp_path) == ["mails"]  # noqa: PTH208 - names are what is compared
