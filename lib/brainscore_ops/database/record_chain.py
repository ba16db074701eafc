"""The chain of records: every run that is closed becomes a link, sealed with the digest of the link before it.

Whoever changes, removes or reorders a link, a run or a record breaks it; whoever forges the whole rest of the chain changes its
head, which is known outside (:class:`Head`). Nothing is ever taken out: what changes by rule is a further link.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import func, insert, select

from brainscore_ops.database.connection import lock_number
from brainscore_ops.database.ops_tables import RecordLink, Run, now
from brainscore_ops.errors import UsageError
from brainscore_ops.planning import is_planning

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

RUNNING, LOST = "running", "lost"
"""The one state in which a run is not closed, and the one after which it may be closed again, when its driver was not gone:
:class:`brainscore_ops.runbooks.states.RunState`."""
FACTS = (
    "id", "deployment", "runbook", "runbook_digest", "code_version", "parameters", "triggered_by", "host", "process",
    "started_at", "ended_at", "state", "failing_step", "error", "summary", "record_path", "record_digest", "kind", "continues",
)  # fmt: skip
"""The columns of a run that its link seals. The submission is none of them: a run outlives it in a restored database, and
parameters or summary, which are sealed, name it."""
SEALED = (
    "number", "run_id", "kind", "at", "state", "facts_digest", "record_digest", "accepted_by", "reason", "previous_digest",
)  # fmt: skip
"""The columns of a link that its digest is of."""
BEGINNING = "0" * 64
"""What the first link follows."""
_PLAIN = {"accepted_by": None, "reason": None}
_LOCK = "record-chain"
_AT_ONCE = 1000


class LinkKind(StrEnum):
    """Why there is a link."""

    CLOSED = "closed"
    """The run was closed: it ended, or was marked as lost. One that was taken for lost and had ended has two."""
    FOUND = "found"
    """The run had been closed before the chain began, or came from another database: this is how it was found then."""
    ACCEPTED = "accepted"
    """Somebody found the run or its record changed or gone, and says why that is right."""


class BadHeadError(UsageError):
    """A text that names no head of a chain."""

    code = "bad-head"


@dataclass(frozen=True)
class Head:
    """The newest link of a chain, as it is kept elsewhere: a chain that once had it and has it no more was cut or forged."""

    number: int
    digest: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The head that ``str`` gave.

        :raises BadHeadError: it is none
        """
        found = re.fullmatch(r"([1-9]\d{0,17}):([0-9a-f]{64})", text.strip())
        if found is None:
            raise BadHeadError(
                f"expected the number of a link, a colon and its digest of 64 hexadecimal digits, found {text!r}",
                remedy="`brainscore-ops audit head` prints one.",
            )
        return cls(int(found[1]), found[2])

    def __str__(self) -> str:
        return f"{self.number}:{self.digest}"


def append_links(session: Session, runs: Collection[str]) -> int:
    """Seal closed runs into the chain, each as its row is in this transaction; one that is sealed so already is left alone.

    The chain's lock is held to the end of the transaction, so that there is one chain whoever appends. The first to append begins
    it with all runs that were closed before. A schema that has no chain yet is left without one, and a plan appends nothing.

    :param runs: their ids; those that are not closed are no part of it
    :returns: how many links were added
    """
    if is_planning() or not _lock(session):
        return 0
    session.flush()
    if read_head(session) is None:
        return _begin(session, set(runs))
    return _append(session, LinkKind.CLOSED, _unsealed(session, _facts().where(Run.id.in_(list(runs)))))


def accept_link(session: Session, run_id: str, *, record_digest: str | None, accepted_by: str, reason: str) -> None:
    """Seal what is there of a run now, in the place of what its last link says.

    :param record_digest: of the file that is there; None for none
    """
    append_links(session, [])  # a chain that has not begun begins with what was there before
    row = session.execute(_facts().where(Run.id == run_id)).mappings().one_or_none()
    content = {
        "run_id": run_id,
        "state": row and row["state"],
        "facts_digest": row and facts_digest(row),
        "record_digest": record_digest,
        "accepted_by": accepted_by,
        "reason": reason,
    }
    _append(session, LinkKind.ACCEPTED, [content])


def carry_links(former: Session, live: Session, runs: Collection[str]) -> int:
    """Go on with the chain of a database in the restored one that takes its place.

    Where the restored one's chain is the beginning of the former's, the rest is taken over link by link: heads that were kept
    elsewhere stay heads of it. Otherwise the runs that came over are sealed as they were found.

    :param runs: the ids of those that came over
    :returns: how many links were added
    """
    if not _lock(live):
        return 0
    head = read_head(live)
    if has_chain(former) and (head is None or has_link(former, head)):
        rest = select(*RecordLink.__table__.columns).where(RecordLink.number > (head.number if head else 0))
        links = [dict(row) for row in former.execute(rest.order_by(RecordLink.number)).mappings()]
        if links:
            live.execute(insert(RecordLink), links)
        return len(links)
    if head is None:
        return 0  # the next run that ends begins it, with all that ended before
    return _append(live, LinkKind.FOUND, _unsealed(live, _facts().where(Run.id.in_(list(runs)))))


def has_link(session: Session, head: Head) -> bool:
    """Whether the chain has, or once had as its newest link, what is known as a head of it."""
    found = select(RecordLink.number).where(RecordLink.number == head.number, RecordLink.digest == head.digest)
    return session.scalar(found) is not None


def read_head(session: Session) -> Head | None:
    """The newest link; None where the chain has not begun."""
    newest = select(RecordLink.number, RecordLink.digest).order_by(RecordLink.number.desc()).limit(1)
    row = session.execute(newest).one_or_none()
    return row and Head(row.number, row.digest)


def has_chain(session: Session) -> bool:
    """Whether the schema has a place for the chain."""
    return bool(session.scalar(select(func.to_regclass(RecordLink.__tablename__).is_not(None))))


def link_of(session: Session, run_id: str) -> int | None:
    """The number of a run's newest link; None where it has none."""
    return session.scalar(select(func.max(RecordLink.number)).where(RecordLink.run_id == run_id))


def facts_digest(row: Mapping[Any, Any]) -> str:
    """SHA-256 of a run as the database has it, by the names in :data:`FACTS`.

    What is NULL is no part of it, so that a column that comes later changes nothing for the runs before.
    """
    return _digest({name: row[name] for name in FACTS if row[name] is not None})


def link_digest(link: Mapping[Any, Any]) -> str:
    """SHA-256 of what a link seals, by the names in :data:`SEALED`; what is NULL is no part of it."""
    return _digest({name: link[name] for name in SEALED if link[name] is not None})


def _digest(values: dict[str, Any]) -> str:
    document = json.dumps(values, sort_keys=True, separators=(",", ":"), default=_as_text)
    return hashlib.sha256(document.encode()).hexdigest()


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"expected a value of a run or a link, found {value!r}")


def _lock(session: Session) -> bool:
    """Wait for the chain, until the transaction ends.

    :returns: whether the schema has one
    """
    locked = select(func.pg_advisory_xact_lock(lock_number(_LOCK)), func.to_regclass(RecordLink.__tablename__))
    return session.execute(locked).one()[1] is not None


def _facts() -> Select[Any]:
    return select(*(getattr(Run, name) for name in FACTS))


def _unsealed(session: Session, runs: Select[Any]) -> Iterator[dict[str, Any]]:
    """What seals the closed runs among those selected that are not what their last link says."""
    last = (
        select(RecordLink.facts_digest).where(RecordLink.run_id == Run.id).order_by(RecordLink.number.desc()).limit(1)
    )
    wanted = runs.add_columns(last.scalar_subquery().label("sealed")).where(Run.state != RUNNING)
    # As the database has them, not as they were given to it: documents come back with their numbers as it keeps them.
    for row in session.execute(wanted.order_by(Run.ended_at, Run.id).execution_options(yield_per=_AT_ONCE)).mappings():
        digest = facts_digest(row)
        if row["sealed"] != digest:
            facts = {name: row[name] for name in ("state", "record_digest")}
            yield {"run_id": row["id"], "facts_digest": digest, **facts}


def _begin(session: Session, closing: set[str]) -> int:
    found = _append(session, LinkKind.FOUND, _unsealed(session, _facts().where(Run.id.not_in(closing))))
    return found + _append(session, LinkKind.CLOSED, _unsealed(session, _facts().where(Run.id.in_(closing))))


def _append(session: Session, kind: LinkKind, contents: Iterable[dict[str, Any]]) -> int:
    """Number and seal links behind the newest one. The caller has the chain's lock."""
    head = read_head(session)
    number, previous = (0, BEGINNING) if head is None else (head.number, head.digest)
    moment, count = now(), 0
    rest = iter(contents)
    while some := list(islice(rest, _AT_ONCE)):
        links = []
        for content in some:
            number += 1
            link = {**_PLAIN, **content, "number": number, "kind": str(kind), "at": moment, "previous_digest": previous}
            previous = link_digest(link)
            links.append({**link, "digest": previous})
        session.execute(insert(RecordLink), links)
        count += len(links)
    return count
