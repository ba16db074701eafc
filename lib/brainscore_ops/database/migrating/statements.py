"""The statements that a migration runs: how long each takes, and what it locks."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from brainscore_ops.database.structure import read_structure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection


@dataclass(frozen=True)
class TimedStatement:
    """A statement that a migration ran."""

    statement: str
    seconds: float
    locks: tuple[str, ...]
    """Tables that were there before and that it locked, each with the strongest mode:
    ``brainscore_score: AccessExclusiveLock``."""


@contextmanager
def watch_statements(connection: Connection) -> Iterator[list[TimedStatement]]:
    """Every statement that changes something, with its time and the locks that it took on tables that were there before."""
    seen: list[TimedStatement] = []
    known = _held_locks(connection)
    there = set(read_structure(connection))
    started = 0.0

    def begin(*_: Any) -> None:
        nonlocal started
        started = time.monotonic()

    def end(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal known
        seconds = time.monotonic() - started
        if (
            statement.lstrip().upper().startswith(("SELECT", "SHOW", "SET", "INSERT INTO SCHEMA_CHANGE"))
            or "alembic" in statement
        ):
            return
        held = _held_locks(connection)
        new = sorted((table, mode) for table, mode in held.items() if known.get(table) != mode and table in there)
        known = held
        seen.append(TimedStatement(in_one_line(statement), seconds, tuple(f"{table}: {mode}" for table, mode in new)))

    event.listen(connection, "before_cursor_execute", begin)
    event.listen(connection, "after_cursor_execute", end)
    try:
        yield seen
    finally:
        event.remove(connection, "before_cursor_execute", begin)
        event.remove(connection, "after_cursor_execute", end)


def in_one_line(statement: str, longest: int = 110) -> str:
    """A statement, shortened; of one that runs others where a condition holds, these others."""
    _, is_conditional, conditional = statement.partition(" THEN\n")
    line = " ".join((conditional if is_conditional else statement).split())
    line = f"where needed: {line.removesuffix('; END IF; END $$')}" if is_conditional else line
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


_MODES = ("ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
"""Locks that make others wait, the strongest last: https://www.postgresql.org/docs/current/explicit-locking.html"""


def _held_locks(connection: Connection) -> dict[str, str]:
    """Table → the strongest mode in which this connection has it locked."""
    # Past SQLAlchemy's events, which are being listened to.
    cursor = connection.connection.cursor()
    cursor.execute(
        "SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
        "WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace "
        "AND l.mode = ANY(%s)",
        (list(_MODES),),
    )
    return dict(sorted(cursor.fetchall(), key=lambda row: _MODES.index(row[1])))
