"""Mails as they are written into the outbox: rendered from templates, one for each event."""

from __future__ import annotations

import hashlib
import math
import re
import textwrap
from dataclasses import dataclass, fields, is_dataclass, replace
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.utils import parseaddr
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy.dialects.postgresql import insert

from brainscore_ops.database.ops_tables import OutboxMessage, now
from brainscore_ops.notify.errors import BadRecipientError

if TYPE_CHECKING:
    from jinja2 import Environment
    from sqlalchemy.orm import Session

    from brainscore_ops.notify.contexts import Mail
    from brainscore_ops.settings import Deployment

TEMPLATES = Path(__file__).parent / "templates"
TEXT_WIDTH = 76
LONGEST_SUBJECT = 140
LONGEST_RECIPIENT = 320  # RFC 5321: 64 for the local part, 255 for the domain, and the sign between them
LOG_LINES = 40
LOG_WIDTH = 160

_TERMINAL_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# Control characters, line and paragraph separators, what turns the direction in which text reads, and the halves of
# characters that names of undecodable files have.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Rendered:
    """A mail's words."""

    subject: str
    text: str
    html: str


def queue_message(
    session: Session,
    deployment: Deployment,
    mail: Mail,
    *,
    event: str,
    recipient: str,
    submission_id: int | None = None,
    unsubscribe_url: str = "",
) -> OutboxMessage | None:
    """Write a mail into the outbox, in the caller's transaction: it is sent if and only if what it reports is committed.

    :param event: what the mail reports, in the words of the submission's timeline: ``tested:<head SHA>``. One event makes
        one mail, ever: its ``Message-ID`` is derived from the deployment and the event.
    :param recipient: a mail address, without a name
    :param unsubscribe_url: where its reader chooses which mails to get; without one there is no such link
    :returns: the mail that waits; None where the event had its mail before
    :raises BadRecipientError: where ``recipient`` is not an address
    """
    rendered = render(mail, website=deployment.mail.website, unsubscribe_url=unsubscribe_url)
    statement = (
        insert(OutboxMessage)
        .values(
            message_id=message_id(deployment, event),
            submission_id=submission_id,
            template=mail.template,
            recipient=mail_address(recipient),
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            unsubscribe_url=None if mail.is_result else unsubscribe_url or None,
            created_at=now(),
        )
        .on_conflict_do_nothing(index_elements=[OutboxMessage.message_id])
        .returning(OutboxMessage)
    )
    return session.scalars(statement).one_or_none()


def render(mail: Mail, *, website: str = "", unsubscribe_url: str = "") -> Rendered:
    """The words of a mail: a subject of one line, a text of lines that a terminal shows, an HTML document.

    :param website: the start of the links to the submission and the leaderboard; without one there are none
    """
    mail = _harmless(mail)
    website = _web_address(website).rstrip("/")
    words = {
        **{field.name: getattr(mail, field.name) for field in fields(mail)},
        "website": website,
        "unsubscribe_url": _web_address(unsubscribe_url),
        "submission_url": f"{website}/submissions/{mail.submission_id}" if website and mail.submission_id else "",
    }
    text = _environment().get_template(f"{mail.template}.txt")
    html = _environment().get_template(f"{mail.template}.html")
    subject = _one_line("".join(text.blocks["subject"](text.new_context(words))))
    return Rendered(
        subject=_shortened(subject, LONGEST_SUBJECT),
        text=_wrapped(text.render(words)),
        html=html.render({**words, "subject": subject}),
    )


def message_id(deployment: Deployment, name: str) -> str:
    """The ``Message-ID`` of what has that name in a deployment: always the same, and nobody else's."""
    domain = parseaddr(deployment.mail.sender)[1].rpartition("@")[2] or "localhost"
    digest = hashlib.sha256(f"{deployment.name}\0{name}".encode()).hexdigest()[:32]
    return f"<{digest}@{domain}>"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"], default_for_string=False, default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"score": _score, "sentence": _sentence}
    return environment


def _score(value: float | None) -> str:
    """Three decimals, the precision of the leaderboard; a dash for what is not there."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"


def _sentence(text: str) -> str:
    """With a capital at its start (unless it starts with code) and a stop at its end."""
    first = text.partition(" ")[0]
    start = text[:1].upper() if first.isalpha() else text[:1]
    return start + text[1:] + ("" if text.endswith((".", "!", "?", ":", "…")) or not text else ".")


def _harmless(mail: Any) -> Any:
    """The same dataclass with every text in it fit for a mail: one line (but for logs), no control characters, web links only."""
    return replace(mail, **{field.name: _clean(field.name, getattr(mail, field.name)) for field in fields(mail)})


def _clean(name: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_clean(name, item) for item in value)
    if is_dataclass(value):
        return _harmless(value)
    if not isinstance(value, str):
        return value
    if name.endswith("_url"):
        return _web_address(value)
    return _log(value) if name == "log" else _one_line(value)


def _one_line(text: str) -> str:
    return " ".join(_CONTROLS.sub(" ", _TERMINAL_CODES.sub("", text)).split())


def _log(text: str) -> str:
    """The end of a log, as plain lines of a bounded length."""
    # A progress bar writes its states over one another with carriage returns: the last one is what was to be seen.
    plain = (line.rstrip("\r").rpartition("\r")[2] for line in _TERMINAL_CODES.sub("", text).rstrip().split("\n"))
    lines = [_shortened(_CONTROLS.sub("", line).expandtabs(4).rstrip(), LOG_WIDTH) for line in plain]
    return "\n".join(lines[-LOG_LINES:])


def _web_address(text: str) -> str:
    text = _one_line(text)
    return text if urlsplit(text).scheme in {"http", "https"} and " " not in text else ""


def _wrapped(text: str) -> str:
    """Paragraphs and list items at :data:`TEXT_WIDTH`; indented lines (tables, logs, links) as they are."""
    lines: list[str] = []
    for line in text.strip().splitlines():
        if len(line) <= TEXT_WIDTH or line.startswith("  "):
            lines.append(line)
        else:
            hanging = "  " if line.startswith("- ") else ""
            lines += textwrap.wrap(
                line, TEXT_WIDTH, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
            )
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def mail_address(recipient: str) -> str:
    """A mail address as it is given.

    :raises BadRecipientError: where it is none
    """
    """The address as it is written to: a domain in another script than ASCII in its ASCII form."""
    try:
        local, at, domain = recipient.rpartition("@")
        address = local + at + (domain if domain.isascii() else domain.encode("idna").decode("ascii"))
        parsed = Address(addr_spec=address)
        valid = bool(parsed.username and parsed.domain) and len(address) <= LONGEST_RECIPIENT
    except (HeaderParseError, ValueError, IndexError):
        valid = False
    if not valid or _one_line(recipient) != recipient:
        raise BadRecipientError(
            f"expected a mail address, found {_shortened(recipient, 80)!r}",
            remedy="Give an address of the form name@example.org.",
        )
    return address
