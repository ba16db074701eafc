"""What a database holds, in numbers that are the same before a dump and after its restore."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.engine import Connection

    from brainscore_ops.database.connection import Database

_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmlbinary": "base64",
    "search_path": "pg_catalog",
    "statement_timeout": "0",
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "0",
}
"""Settings that decide how a row reads as text; a long read must not be cut short, nor wait for ever for a locked table."""

_USER_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_TABLES = f"""
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {_USER_SCHEMA}
ORDER BY 1
"""
_SEQUENCES = f"""
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' AND {_USER_SCHEMA}
ORDER BY 1
"""
_OBJECTS = f"""
WITH relation AS (
    SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't' AND {_USER_SCHEMA}
)
SELECT
    (SELECT count(*) FROM pg_attribute a JOIN relation ON relation.oid = attrelid
     WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm')) AS columns,
    (SELECT count(*) FROM pg_constraint JOIN relation ON relation.oid = conrelid WHERE contype <> 'n') AS constraints,
    (SELECT count(*) FROM relation WHERE relkind IN ('i', 'I')) AS indexes,
    (SELECT count(*) FROM pg_trigger JOIN relation ON relation.oid = tgrelid WHERE NOT tgisinternal) AS triggers,
    (SELECT count(*) FROM relation WHERE relkind IN ('v', 'm')) AS views,
    (SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_USER_SCHEMA}) AS functions
"""


@dataclass(frozen=True)
class TableContent:
    """The rows of a table."""

    rows: int
    checksum: str
    """Of all rows, in whatever order: the sum of the first 64 bits of their texts' MD5."""


@dataclass(frozen=True)
class Contents:
    """The contents of a database at one moment."""

    revision: str | None
    """Of its schema; None where it records none."""
    tables: dict[str, TableContent] = field(default_factory=dict)
    """By qualified name: ``public.brainscore_score``."""
    sequences: dict[str, int] = field(default_factory=dict)
    """The last number that each gave out; sequences are no part of transactions, so that a later dump may be ahead."""
    objects: dict[str, int] = field(default_factory=dict)
    """How many columns, constraints, indexes, triggers, views and functions there are."""

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(table.rows for table in self.tables.values())

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Contents:
        """What ``dataclasses.asdict`` gave.

        :raises KeyError, TypeError: for any other document
        """
        tables = {name: TableContent(**table) for name, table in document["tables"].items()}
        return cls(
            revision=document["revision"],
            tables=tables,
            sequences=dict(document["sequences"]),
            objects=dict(document["objects"]),
        )


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was."""

    what: str
    expected: str
    found: str


def read_contents(connection: Connection) -> Contents:
    """Read what a database holds, in the transaction of the connection; the rows stay on the server.

    :param connection: of :func:`one_moment`, so that all tables are read as of the same
    """
    use_stable_texts(connection)
    tables = connection.scalars(text(_TABLES)).all()
    return Contents(
        revision=_revision(connection, tables),
        tables={name: _table_content(connection, name) for name in tables},
        sequences={name: _last_number(connection, name) for name in connection.scalars(text(_SEQUENCES)).all()},
        objects={name: int(count) for name, count in connection.execute(text(_OBJECTS)).mappings().one().items()},
    )


def count_contents(connection: Connection) -> Contents:
    """What a database holds as :func:`read_contents` reads it, but rows alone: no checksums, no sequences, no objects."""
    rows = count_rows(connection)
    return Contents(_revision(connection, rows), {name: TableContent(count, "") for name, count in rows.items()})


@contextmanager
def one_moment(database: Database) -> Iterator[Connection]:
    """A connection that sees a database as it is now, whoever writes meanwhile, and that writes nothing.

    :raises DatabaseUnavailableError: where the database does not answer
    """
    with database.connection():
        pass  # waited for, and told in words, where it is away
    isolated = database.engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with isolated as connection, connection.begin():
        yield connection


def use_stable_texts(connection: Connection) -> None:
    """Have values read as the same texts everywhere, for the rest of the transaction."""
    for name, value in _SETTINGS.items():
        connection.execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value})


def count_rows(connection: Connection) -> dict[str, int]:
    """The rows of each table, by qualified name."""
    names = connection.scalars(text(_TABLES)).all()
    return {name: int(connection.scalar(text(f"SELECT count(*) FROM ONLY {_literal(name)}")) or 0) for name in names}


def compare(expected: Contents, found: Contents) -> list[Difference]:
    """What differs between a snapshot and what was restored from it; nothing where they are the same."""
    return [
        *_named("schema revision", {"": expected.revision or "none"}, {"": found.revision or "none"}),
        *_named("rows of", _rows(expected), _rows(found)),
        *(
            Difference(f"content of {name}", table.checksum, found.tables[name].checksum)
            for name, table in expected.tables.items()
            if name in found.tables and found.tables[name].rows == table.rows and found.tables[name] != table
        ),
        *_named("number of", expected.objects, found.objects),
        *(
            Difference(f"sequence {name}", f"{number} or later", str(found.sequences.get(name, "none")))
            for name, number in expected.sequences.items()
            if name not in found.sequences or found.sequences[name] < number
        ),
    ]


def _named(what: str, expected: dict[str, Any], found: dict[str, Any]) -> Iterable[Difference]:
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            yield Difference(f"{what} {name}".strip(), str(expected.get(name, "none")), str(found.get(name, "none")))


def _rows(contents: Contents) -> dict[str, int]:
    return {name: table.rows for name, table in contents.tables.items()}


def _revision(connection: Connection, tables: Iterable[str]) -> str | None:
    if "public.alembic_version" not in tables:
        return None
    revisions = connection.scalars(text("SELECT version_num FROM public.alembic_version ORDER BY 1")).all()
    return ", ".join(revisions) or None


def _table_content(connection: Connection, name: str) -> TableContent:
    # The name comes quoted from the catalogue. `t.*` is the row, also in a table that has a column named t.
    row = connection.execute(
        text(
            "SELECT count(*), coalesce(sum(('x' || left(md5((t.*)::text), 16))::bit(64)::bigint), 0) "
            f"FROM ONLY {_literal(name)} AS t"
        )
    ).one()
    return TableContent(rows=int(row[0]), checksum=f"{int(row[1]) % 2**64:016x}")


def _last_number(connection: Connection, name: str) -> int:
    row = connection.execute(text(f"SELECT last_value, is_called FROM {_literal(name)}")).one()
    return int(row[0]) if row[1] else int(row[0]) - 1


def _literal(name: str) -> str:
    return name.replace(":", r"\:")  # no parameter of SQLAlchemy's
