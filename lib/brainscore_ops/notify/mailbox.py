"""A mail server of our own that sends nothing on: each mail becomes an ``.eml`` file in a folder.

``python -m brainscore_ops.notify.mailbox --folder DIR [--port 0] [--ready-file FILE]`` serves on 127.0.0.1 until SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import signal
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from email.message import EmailMessage

HOST = "127.0.0.1"
LARGEST_MAIL = 8 * 1024 * 1024


@dataclass(frozen=True)
class ReceivedMail:
    """A mail that a mailbox keeps."""

    path: Path
    message_id: str
    sender: str
    recipient: str
    subject: str
    date: str
    text: str
    html: str
    message: EmailMessage
    """The whole mail."""


def read_mails(folder: Path) -> list[ReceivedMail]:
    """The mails of a mailbox, in the order in which they came."""
    return [_read(path) for path in sorted(folder.glob("*.eml"), key=lambda path: (path.stat().st_mtime_ns, path.name))]


def keep_mail(folder: Path, content: bytes) -> Path:
    """Put a mail into a mailbox; one whose ``Message-ID`` is there already is not kept a second time.

    :returns: its file, named after the mail's time and ``Message-ID``
    """
    mail = _parsed(content)
    identity = str(mail["Message-ID"] or "").strip().encode() or content
    digest = hashlib.sha256(identity).hexdigest()[:16]
    kept = next(folder.glob(f"*-{digest}.eml"), None)
    if kept is not None:
        return kept
    path = folder / f"{_moment(mail):%Y%m%dT%H%M%S}-{digest}.eml"
    _write(path, content)
    return path


def main(arguments: list[str] | None = None) -> None:
    """Serve a mailbox until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the mails are kept; made if missing")
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    parser.add_argument(
        "--ready-file", type=Path, help="written when mails are accepted: host, port and process as a JSON document"
    )
    options = parser.parse_args(arguments)
    asyncio.run(_serve(options.folder, options.port, options.ready_file))


async def _serve(folder: Path, port: int, ready_file: Path | None) -> None:
    from aiosmtpd.smtp import SMTP

    folder.mkdir(parents=True, exist_ok=True)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def connection() -> SMTP:
        return SMTP(
            _Keeper(folder), hostname="localhost", enable_SMTPUTF8=True, data_size_limit=LARGEST_MAIL, ident="mailbox"
        )

    server = await loop.create_server(connection, HOST, port)
    port = server.sockets[0].getsockname()[1]
    if ready_file is not None:
        _write(ready_file, json.dumps({"host": HOST, "port": port, "pid": os.getpid()}).encode())
    try:
        await stop.wait()
    finally:
        server.close()
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


class _Keeper:
    """What aiosmtpd calls for each mail."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        content = envelope.original_content or b""
        path = keep_mail(self._folder, content)
        return f"250 kept as {path.name}"


def _read(path: Path) -> ReceivedMail:
    mail = _parsed(path.read_bytes())
    return ReceivedMail(
        path=path,
        message_id=str(mail["Message-ID"] or ""),
        sender=str(mail["From"] or ""),
        recipient=str(mail["To"] or ""),
        subject=str(mail["Subject"] or ""),
        date=str(mail["Date"] or ""),
        text=_part(mail, "plain"),
        html=_part(mail, "html"),
        message=mail,
    )


def _part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body(preferencelist=(kind,))
    return "" if part is None else str(part.get_content()).replace("\r\n", "\n")


def _parsed(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=default)


def _moment(mail: EmailMessage) -> datetime:
    try:
        return parsedate_to_datetime(str(mail["Date"])).astimezone(UTC)
    except ValueError:
        return datetime.now(UTC)


def _write(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    main()
