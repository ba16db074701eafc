"""Scratch databases: made beside a database for a trial, and gone after it."""

from __future__ import annotations

import re
import secrets
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from brainscore_ops.database.connection import lock_number
from brainscore_ops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brainscore_ops.database.connection import Database

LEFTOVER_AGE = timedelta(minutes=10)
"""A scratch database of that age whose maker holds no lock any more was left by a killed run."""
LONGEST_PREFIX = 24


@contextmanager
def scratch_database(database: Database, name_prefix: str) -> Iterator[Database]:
    """An empty database on the same server, dropped at the end however that comes.

    What killed runs left under the same prefix is dropped first.

    :param name_prefix: of its name, as in ``migrate_scratch_20261124t083730_3f9a1c``
    :raises UsageError: for a prefix that is no plain word
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name_prefix) or len(name_prefix) > LONGEST_PREFIX:
        raise UsageError(f"expected a lower-case word of at most {LONGEST_PREFIX} letters, found {name_prefix!r}")
    remove_leftovers(database, name_prefix)
    name = f"{name_prefix}_scratch_{datetime.now(UTC):%Y%m%dt%H%M%S}_{secrets.token_hex(3)}"
    with database.lock(_lock_name(name)):
        create_database(database, name)
        scratch = database.beside(name)
        try:
            yield scratch
        finally:
            scratch.close()
            drop_database(database, name)


def remove_leftovers(database: Database, name_prefix: str, *, older_than: timedelta = LEFTOVER_AGE) -> list[str]:
    """Drop the scratch databases of that prefix that are old enough and have no maker any more, and nothing else.

    :returns: their names
    """
    pattern = re.compile(rf"{re.escape(name_prefix)}_scratch_(\d{{8}}t\d{{6}})_[0-9a-f]{{6}}")
    removed = []
    with database.connection() as connection:
        for name in connection.scalars(text("SELECT datname FROM pg_database ORDER BY datname")).all():
            match = pattern.fullmatch(name)
            if match is None or datetime.now(UTC) - _moment(match[1]) < older_than:
                continue
            # Locks are looked up over all databases: the maker may work beside another one of this server.
            held = connection.scalar(
                text(
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 "
                    "AND (classid::bigint << 32) | objid::bigint = :number"
                ),
                {"number": lock_number(_lock_name(name))},
            )
            if not held:
                drop_database(database, name)
                removed.append(name)
    return removed


def create_database(
    database: Database, name: str, *, encoding: str = "", collation: str = "", character_type: str = ""
) -> None:
    """Make an empty database on the same server; what is not given is as in the server's template."""
    options = {"ENCODING": encoding, "LC_COLLATE": collation, "LC_CTYPE": character_type}
    chosen = "".join(f" {option} {literal(value)}" for option, value in options.items() if value)
    with database.connection() as connection:
        connection.execute(text(f"CREATE DATABASE {quoted(name)} TEMPLATE template0{chosen}"))


def drop_database(database: Database, name: str) -> None:
    """Drop another database of the same server, whoever is connected to it; nothing happens where it is not there."""
    with database.connection() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)"))


def quoted(name: str) -> str:
    """A name as an identifier in a statement."""
    return '"' + name.replace('"', '""').replace(":", r"\:") + '"'


def literal(value: str) -> str:
    """A text as a constant in a statement."""
    return "'" + value.replace("'", "''").replace(":", r"\:") + "'"


def _lock_name(name: str) -> str:
    return f"scratch:{name}"


def _moment(written: str) -> datetime:
    return datetime.strptime(written, "%Y%m%dt%H%M%S").replace(tzinfo=UTC)
