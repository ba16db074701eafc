"""Which rows of two databases of one server differ: what would be lost if one took the place of the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from brainscore_ops.database.snapshots.contents import one_moment, read_contents
from brainscore_ops.display import Shown, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy.engine import Connection

    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.snapshots.store import Snapshot

NAMED = 5
"""So many of a table's rows are named, the last by key; all are counted."""
BATCH = 5000

_COLUMNS = """
SELECT a.attname FROM pg_attribute a
WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_KEY = """
SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = to_regclass(:name) AND i.indisprimary ORDER BY array_position(i.indkey::smallint[], a.attnum)
"""


@dataclass(frozen=True)
class TableChange:
    """What would become of the rows of a table."""

    table: str
    lost: int
    """Rows that are there now, and not in the snapshot."""
    changed: int
    """Rows that are in both, with other values."""
    returning: int
    """Rows of the snapshot that are not there now."""
    lost_keys: tuple[str, ...] = ()
    """The primary keys of the last of them."""


@dataclass(frozen=True)
class Comparison(Shown):
    """A live database, and one that may take its place."""

    live: str
    other: str
    revisions: tuple[str | None, str | None]
    changes: tuple[TableChange, ...]

    @property
    def lost(self) -> int:
        """The rows that would be lost."""
        return sum(change.lost for change in self.changes)

    def table(self) -> Table:
        title = f"{self.live} now, and {self.other}"
        if not self.changes and self.revisions[0] == self.revisions[1]:
            return Table(f"{title}: the same rows", [])
        schema = [] if self.revisions[0] == self.revisions[1] else [("schema revision", *self.revisions, "", "")]
        rows = [
            (change.table, change.lost, change.changed, change.returning, _named(change)) for change in self.changes
        ]
        columns = ["table", "would be lost", "would be as before", "would come back", "lost rows (keys)"]
        return Table(title, [*rows, *schema], columns)


@dataclass(frozen=True)
class Forecast(Shown):
    """A live database, and what a snapshot's manifest says of one that may take its place and is not restored yet."""

    live: str
    snapshot: str
    revisions: tuple[str | None, str | None]
    rows: Mapping[str, tuple[int | None, int | None]]
    """Of each table that differs: how many now, and how many in the snapshot; None where it has no such table."""
    checksums: Mapping[str, str]
    """Of what each table holds now."""

    lost = None
    """How many rows would be lost: only the restored database can tell."""

    def table(self) -> Table:
        title = f"{self.live} now, and what {self.snapshot} holds by its manifest"
        if not self.rows and self.revisions[0] == self.revisions[1]:
            return Table(f"{title}: the same rows", [])
        schema = [] if self.revisions[0] == self.revisions[1] else [("schema revision", *self.revisions)]
        rows = [(name, *counts) for name, counts in self.rows.items()]
        return Table(title, [*rows, *schema], ["table that differs", "rows now", "rows in the snapshot"])


def forecast(live: Database, snapshot: Snapshot) -> Forecast:
    """Compare what a database holds with a snapshot's manifest, by the number and the checksum of each table's rows."""
    with one_moment(live) as connection:
        contents = read_contents(connection)
    ours, theirs = contents.tables, snapshot.contents.tables
    differing = [name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]
    return Forecast(
        live=live.secret.database,
        snapshot=snapshot.id,
        revisions=(contents.revision, snapshot.revision),
        rows={
            name: (ours[name].rows if name in ours else None, theirs[name].rows if name in theirs else None)
            for name in differing
        },
        checksums={name: table.checksum for name, table in ours.items()},
    )


def compare_databases(live: Database, other: Database) -> Comparison:
    """Compare all rows of two databases, table by table; tables whose contents are the same are not looked at twice.

    Rows are matched by primary key, and without one by their values. Columns that only one of the two has are left out.
    """
    with one_moment(live) as ours, one_moment(other) as theirs:
        contents, others = read_contents(ours), read_contents(theirs)
        names = sorted(contents.tables.keys() | others.tables.keys())
        changed = [name for name in names if contents.tables.get(name) != others.tables.get(name)]
        changes = [_compare_table(name, ours, theirs) for name in changed]
    return Comparison(
        live=live.secret.database,
        other=other.secret.database,
        revisions=(contents.revision, others.revision),
        changes=tuple(change for change in changes if change.lost or change.changed or change.returning),
    )


def _compare_table(name: str, ours: Connection, theirs: Connection) -> TableChange:
    columns = [list(connection.scalars(text(_COLUMNS), {"name": name})) for connection in (ours, theirs)]
    common = [column for column in columns[0] if column in columns[1]] if all(columns) else columns[0] or columns[1]
    side = ours if columns[0] else theirs
    key = [column for column in side.scalars(text(_KEY), {"name": name}) if column in common]
    rows = [
        _rows(connection, name, common, key) if there else iter(())
        for connection, there in zip((ours, theirs), columns, strict=True)
    ]
    lost = changed = returning = 0
    last: list[str] = []
    left, right = next(rows[0], None), next(rows[1], None)
    while left or right:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None  # noqa: S101 - one of the two is there
            lost += 1
            last = [*last, left[2]][-NAMED:]
            left = next(rows[0], None)
        elif left is None or right[0] < left[0]:
            returning += 1
            right = next(rows[1], None)
        else:
            changed += left[1] != right[1]
            left, right = next(rows[0], None), next(rows[1], None)
    return TableChange(name, lost, changed, returning, tuple(last) if key else ())


def _rows(connection: Connection, name: str, columns: list[str], key: list[str]) -> Iterator[tuple[str, str, str]]:
    """The rows of a table, sorted: what sorts them, what they hold, what they are called. Never all at once in memory."""
    called = _row_text(key or columns)
    # Sorted by a digest: it has the same order here as on any server, whatever its collation.
    statement = (
        f"SELECT md5({called}) AS sorting, md5({_row_text(columns)}), "
        f"{called if key else repr('')} FROM ONLY {_escaped(name)} AS t ORDER BY sorting"
    )
    with connection.execute(text(statement), execution_options={"yield_per": BATCH}) as result:
        for row in result:
            yield row[0], row[1], row[2]


def _row_text(columns: list[str]) -> str:
    names = ", ".join("t." + _escaped('"' + column.replace('"', '""') + '"') for column in columns)
    return f"ROW({names})::text"


def _escaped(name: str) -> str:
    return name.replace(":", r"\:")


def _named(change: TableChange) -> str:
    more = "… " if change.lost > len(change.lost_keys) and change.lost_keys else ""
    return more + ", ".join(key.strip("()") for key in change.lost_keys)
