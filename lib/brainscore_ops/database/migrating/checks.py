"""What has to be so of a database after a migration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from brainscore_ops.database.brainscore_tables import Base
from brainscore_ops.database.drift import find_drift
from brainscore_ops.database.structure import read_structure
from brainscore_ops.errors import Problem

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from brainscore_ops.database.structure import Structure


def drift(connection: Connection) -> list[Problem]:
    """Where the tables are not what the database's revision makes them."""
    return [
        Problem("drift", f"expected {difference.expected}, found {difference.found}", where=difference.where)
        for difference in find_drift(connection)
    ]


def orphans(connection: Connection) -> list[Problem]:
    """Rows that refer to a row that is not there, by every foreign key of the database and of the models, enforced or not."""
    tables = read_structure(connection)
    problems = []
    for name, column, target, key in sorted(_references(tables)):
        count = connection.scalar(
            text(
                f'SELECT count(*) FROM "{name}" AS t LEFT JOIN "{target}" AS r ON r."{key}" = t."{column}" '
                f'WHERE t."{column}" IS NOT NULL AND r."{key}" IS NULL'
            )
        )
        if count:
            problems.append(Problem("orphans", f"{count} rows refer to no row of {target}", where=f"{name}.{column}"))
    return problems


def _references(tables: Structure) -> set[tuple[str, str, str, str]]:
    """(table, its column, the table that it refers to, that one's column)"""
    enforced = {
        (name, own[0], target, theirs[0])
        for name, table in tables.items()
        for own, target, theirs in table.foreign_keys
        if len(own) == 1
    }
    meant = {
        (table.name, key.parent.name, key.column.table.name, key.column.name)
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
    }
    # A column that the models refer by and another program's tables lack cannot have orphans.
    there = {(name, column) for name, table in tables.items() for column in table.columns}
    return enforced | {link for link in meant if {link[:2], link[2:]} <= there}
