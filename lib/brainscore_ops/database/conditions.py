"""What the rows of a database have to be like before a revision can demand it: found, reported, and repaired when told to.

A revision names its conditions in ``CONDITIONS``; :func:`brainscore_ops.database.schema.upgrade` looks at them right before it
applies the revision, in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Fault, Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.engine import Connection

MOST_SHOWN = 20
"""Groups of rows that a message names; their number is always told."""


class ConditionBrokenError(RefusedError):
    """Rows of the database break what a revision is about to demand."""

    code = "condition-broken"
    fault = Fault.OPERATOR


@dataclass(frozen=True)
class OneRow:
    """No two rows of a table have the same key.

    Its repair keeps the newest row of each key. What referred to the others refers to it afterwards; the others are copied to
    ``archived_row`` and then deleted.
    """

    name: str
    """In kebab case: ``one-row-a-model``."""
    table: str
    """It has a key column ``id``."""
    key: tuple[str, ...]
    """Columns, or expressions over the row ``t``. As in PostgreSQL's unique constraints, a NULL is equal to nothing."""
    newest_first: str
    """The order in which the first row of a key is the one to keep."""


@dataclass(frozen=True)
class Group:
    """Rows that have the same key."""

    key: tuple[Any, ...]
    kept: int
    """The ``id`` of the row that a repair keeps."""
    others: tuple[int, ...]


@dataclass(frozen=True)
class Finding(Shown):
    """The rows that break a condition."""

    condition: OneRow
    revision: str
    groups: tuple[Group, ...]

    @property
    def rows(self) -> int:
        """How many rows a repair takes away."""
        return sum(len(group.others) for group in self.groups)

    def table(self) -> Table:
        shown = [
            [", ".join(map(str, group.key)), group.kept, ", ".join(map(str, group.others))]
            for group in self.groups[:MOST_SHOWN]
        ]
        if len(self.groups) > MOST_SHOWN:
            shown.append([f"… {len(self.groups) - MOST_SHOWN} more", "", ""])
        title = f"{self.condition.name} ({self.condition.table}): {len(self.groups)} keys have several rows"
        return Table(
            title, shown, [" and ".join(self.condition.key[:2]), "row that is kept", "rows that go to the archive"]
        )

    def problems(self) -> list[Problem]:
        """The finding as what an error lists."""
        shown = [
            Problem(
                self.condition.name,
                f"expected one row, found those of id {', '.join(map(str, (group.kept, *group.others)))}",
                where=f"{self.condition.table} ({', '.join(map(str, group.key))})",
            )
            for group in self.groups[:MOST_SHOWN]
        ]
        if len(self.groups) > MOST_SHOWN:
            more = f"and {len(self.groups) - MOST_SHOWN} keys more"
            shown.append(Problem(self.condition.name, more, where=self.condition.table))
        return shown


def find_broken(connection: Connection, conditions: Iterable[OneRow], revision: str) -> list[Finding]:
    """The conditions of a revision that the database does not meet, each with all of its rows."""
    found = []
    for condition in conditions:
        rows = connection.execute(text(f"SELECT * FROM ({_grouped(condition)}) AS g WHERE cardinality(ids) > 1")).all()
        if rows:
            groups = tuple(Group(tuple(row[:-1]), row.ids[0], tuple(row.ids[1:])) for row in rows)
            found.append(Finding(condition, revision, groups))
    return found


def insist(findings: Sequence[Finding]) -> None:
    """:raises ConditionBrokenError: where anything was found, with all of it"""
    if findings:
        raise ConditionBrokenError(
            f"revision {findings[0].revision} demands that {' and '.join(f.condition.name for f in findings)}; "
            f"{sum(finding.rows for finding in findings)} rows are in its way",
            problems=[problem for finding in findings for problem in finding.problems()],
            remedy="Mend them by hand, or run the `migrate` runbook with repair=true: it keeps the newest row of each, lets "
            "everything refer to that, and moves the others to the table archived_row.",
        )


def repair(connection: Connection, finding: Finding) -> None:
    """Keep the newest row of every key, in the caller's transaction; nothing is lost.

    Rows elsewhere that refer to a row that goes are made to refer to the one that is kept. Where only one row may refer to it,
    a row that would be the second goes to the archive as well.
    """
    table = finding.condition.table
    connection.execute(
        text("CREATE TEMPORARY TABLE merged (id bigint PRIMARY KEY, kept bigint NOT NULL) ON COMMIT DROP")
    )
    pairs = [{"id": other, "kept": group.kept} for group in finding.groups for other in group.others]
    connection.execute(text("INSERT INTO merged VALUES (:id, :kept)"), pairs)
    reason = f"{finding.condition.name}, revision {finding.revision}"
    for referring, column, exclusive in _references(connection, table):
        if exclusive:
            _give_up_seconds(connection, referring, column, reason)
        connection.execute(
            text(f"UPDATE {referring} AS r SET {column} = merged.kept FROM merged WHERE r.{column} = merged.id")
        )
    _archive(connection, table, "t.id = merged.id", "merged.kept::text", reason)
    connection.execute(text(f"DELETE FROM {table} AS t USING merged WHERE t.id = merged.id"))
    connection.execute(text("DROP TABLE merged"))
    # Django's foreign keys wait for the end of the transaction, and a table cannot be altered while they do.
    connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))


def _grouped(condition: OneRow) -> str:
    keys = ", ".join(condition.key)
    known = " AND ".join(f"{key} IS NOT NULL" for key in condition.key)
    return (
        f"SELECT {keys}, array_agg(t.id ORDER BY {condition.newest_first}) AS ids "
        f"FROM {condition.table} AS t WHERE {known} GROUP BY {keys}"
    )


def _references(connection: Connection, table: str) -> list[tuple[str, str, bool]]:
    """Every (table, column) that refers to the ids of a table, and whether no two of its rows may refer to the same.

    All of the database's, also those of tables that this system knows nothing of.
    """
    rows = connection.execute(
        text(
            """
            SELECT c.conrelid::regclass::text AS referring, quote_ident(a.attname) AS column,
                   EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indisunique
                           AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum) AS exclusive
            FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
            WHERE c.contype = 'f' AND c.confrelid = CAST(:table AS regclass) AND cardinality(c.conkey) = 1
            ORDER BY 1, 2
            """
        ),
        {"table": table},
    )
    return [(row.referring, row.column, row.exclusive) for row in rows]


def _give_up_seconds(connection: Connection, referring: str, column: str, reason: str) -> None:
    """Of the rows that would refer to the same one, keep the one that does already, or else that of the newest."""
    connection.execute(
        text(
            f"""
            CREATE TEMPORARY TABLE second ON COMMIT DROP AS
            SELECT own, kept FROM (
              SELECT r.{column} AS own, coalesce(merged.kept, r.{column}) AS kept,
                     row_number() OVER (PARTITION BY coalesce(merged.kept, r.{column})
                                        ORDER BY merged.kept IS NOT NULL, r.{column} DESC) AS place
              FROM {referring} AS r LEFT JOIN merged ON merged.id = r.{column} WHERE r.{column} IS NOT NULL
            ) AS ranked WHERE place > 1
            """
        )
    )
    _archive(connection, referring, f"t.{column} = second.own", "second.kept::text", reason, source="second")
    connection.execute(text(f"DELETE FROM {referring} AS t USING second WHERE t.{column} = second.own"))
    connection.execute(text("DROP TABLE second"))


def _archive(connection: Connection, table: str, where: str, kept: str, reason: str, *, source: str = "merged") -> None:
    connection.execute(
        text(
            "INSERT INTO archived_row (table_name, row, kept, reason, archived_at) "
            f"SELECT :table, to_jsonb(t), {kept}, :reason, now() FROM {table} AS t JOIN {source} ON {where}"
        ),
        {"table": table, "reason": reason},
    )
