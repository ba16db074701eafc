"""What a migration would run: the revisions between where a database is and where it is to be."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from sqlalchemy import text

from brainscore_ops.database.migrating.errors import MigrationRefusedError
from brainscore_ops.database.schema import Revision, current_revision, newest_revision, steps
from brainscore_ops.display import Code, Shown, Table

if TYPE_CHECKING:
    from brainscore_ops.database.connection import Database


@dataclass(frozen=True)
class MigrationPlan(Shown):
    """The revisions between where a database is and where it is to be."""

    current: str | None
    target: str
    steps: tuple[tuple[Revision, str], ...]
    """Each revision with its direction."""

    @property
    def sql(self) -> str:
        """All that would run."""
        return "\n".join(
            f"-- {direction} {revision.id}\n{revision.sql(direction)}" for revision, direction in self.steps
        )

    def table(self) -> Table:
        if not self.steps:
            return Table(f"The schema is at {self.target}: nothing to do", [])
        rows = [
            [revision.id, direction, revision.title, Code(revision.digest, 12)] for revision, direction in self.steps
        ]
        return Table(f"From {self.current or 'nothing'} to {self.target}", rows, ["revision", "", "what for", "SQL"])


MOST_LINES = 60
"""Of SQL that stand in a record unfolded."""


@dataclass(frozen=True)
class Statements(Shown):
    """SQL, to be read."""

    sql: str

    def table(self) -> Table:
        return Table("SQL", [[self.sql or "none"]])

    def _repr_html_(self) -> str:
        sql = f'<pre style="font:12px/1.5 ui-monospace,monospace;margin:4px 0">{escape(self.sql) or "none"}</pre>'
        lines = self.sql.count("\n") + 1
        return sql if lines <= MOST_LINES else f"<details><summary>SQL, {lines} lines</summary>{sql}</details>"


def make_plan(database: Database, target: str) -> MigrationPlan:
    """The way from the database's revision to the target.

    :raises UnknownRevisionError: no such revision, or the database is ahead of this code
    :raises MigrationRefusedError: the database records no revision
    """
    current = current_revision(database)
    if current is None:
        raise MigrationRefusedError(
            "expected a database that records its schema's revision, found none",
            remedy="An existing Brain-Score database: `brainscore-ops db adopt`. An empty one: `brainscore-ops up`.",
        )
    goal = newest_revision() if target == "head" else target
    return MigrationPlan(current=current, target=goal, steps=tuple(steps(current, goal)))


def server_version(database: Database) -> int:
    """The major version of the database's server."""
    with database.connection() as connection:
        return int(connection.scalar(text("SHOW server_version_num")) or 0) // 10000
