"""A PostgreSQL of our own, once; an empty outbox, a deployment and a mailbox process for each test that asks for them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import delete, select
from tests.postgres_servers import migrated_database

from brainscore_ops.database.ops_tables import OutboxMessage
from brainscore_ops.notify.contexts import Delayed
from brainscore_ops.notify.mailbox import read_mails
from brainscore_ops.notify.messages import queue_message
from brainscore_ops.settings import Deployment, Workspace
from brainscore_ops.settings.secrets import write_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from brainscore_ops.database.connection import Database
    from brainscore_ops.notify.mailbox import ReceivedMail


@pytest.fixture(scope="session")
def outbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with migrated_database(tmp_path_factory.mktemp("notify-postgres")) as database:
        yield database


@pytest.fixture
def outbox(outbox_server: Database) -> Database:
    """A database with nothing in its outbox."""
    with outbox_server.session() as session:
        session.execute(delete(OutboxMessage))
    return outbox_server


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment.model_validate(
        {
            "name": "test",
            "tier": "test",
            "library": {"package": "brainscore_example", "repository": "brain-score/example", "domain": "example"},
            "database": {"secret": "test/database"},
            "forge": {"secret": "test/forge"},
            "mail": {
                "secret": "test/mail",
                "sender": "Brain-Score <submissions@brain-score.example.org>",
                "website": "https://brain-score.example.org",
            },
            "workspace": Workspace(tmp_path, tmp_path / "state", tmp_path / "outputs"),
        }
    )


@dataclass
class MailboxProcess:
    """``python -m brainscore_ops.notify.mailbox``, as ``brainscore-ops up`` starts it."""

    folder: Path
    process: subprocess.Popen[bytes]
    ready: dict[str, Any]
    ready_file: Path

    @classmethod
    def start(cls, folder: Path, port: int = 0) -> MailboxProcess:
        ready_file = folder.parent / "mailbox.json"
        command = [sys.executable, "-m", "brainscore_ops.notify.mailbox", "--folder", str(folder), "--port", str(port)]
        process = subprocess.Popen([*command, "--ready-file", str(ready_file)])
        deadline = time.monotonic() + 20
        while not ready_file.exists():
            assert process.poll() is None, "the mailbox ended before it was ready"
            assert time.monotonic() < deadline, "the mailbox was not ready in time"
            time.sleep(0.02)
        return cls(folder, process, json.loads(ready_file.read_text(encoding="utf-8")), ready_file)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=10)

    @property
    def mails(self) -> list[ReceivedMail]:
        return read_mails(self.folder)


@pytest.fixture
def use_server(deployment: Deployment) -> Callable[..., None]:
    """``use_server(host, port)`` has the deployment's mail secret name that server."""

    def use(host: str, port: int, **more: Any) -> None:
        document = {"host": host, "port": port, "tls": False, **more}
        write_secret(deployment.secrets_file, deployment.mail.secret, document)

    return use


@pytest.fixture
def start_mailbox(tmp_path: Path) -> Iterator[Callable[..., MailboxProcess]]:
    """``start_mailbox(port)`` starts one on the folder ``mails``; all are stopped in the end."""
    running = []

    def start(port: int = 0) -> MailboxProcess:
        running.append(MailboxProcess.start(tmp_path / "mails", port))
        return running[-1]

    yield start
    for mailbox in running:
        mailbox.stop()


@pytest.fixture
def mailbox(start_mailbox: Callable[..., MailboxProcess], use_server: Callable[..., None]) -> MailboxProcess:
    """A running mailbox that the deployment uses."""
    running = start_mailbox()
    use_server(running.ready["host"], running.ready["port"])
    return running


@pytest.fixture
def difficult_server(use_server: Callable[..., None]) -> Iterator[Callable[..., None]]:
    """``difficult_server(handler)`` starts an SMTP server with a mind of its own, and has the deployment use it."""
    controllers = []

    def start(handler: object, secret: dict[str, Any] | None = None, **options: Any) -> None:
        # The controller asks its port whether it is up, so that it cannot be left to the system to choose one.
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        controller = Controller(handler, hostname="127.0.0.1", port=port, **options)
        controller.start()
        controllers.append(controller)
        use_server("127.0.0.1", port, **(secret or {}))

    yield start
    for controller in controllers:
        controller.stop()


@pytest.fixture
def queued(outbox: Database, deployment: Deployment) -> Callable[..., None]:
    """``queued(event, recipient)`` puts a mail into the outbox."""

    def put(event: str, recipient: str = "ada@example.org") -> None:
        mail = Delayed(submission_name=event, submitter="Ada", step="a step", reason="none")
        with outbox.session() as session:
            assert queue_message(session, deployment, mail, event=event, recipient=recipient) is not None

    return put


@pytest.fixture
def rows(outbox: Database) -> Callable[[], list[OutboxMessage]]:
    """``rows()`` is what stands in the outbox, oldest first."""

    def read() -> list[OutboxMessage]:
        with outbox.session() as session:
            return list(session.scalars(select(OutboxMessage).order_by(OutboxMessage.id)))

    return read
