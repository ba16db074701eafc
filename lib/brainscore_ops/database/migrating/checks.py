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


def drift(connection: Connection) -> list[Problem]:
    """Where the tables are not what the database's revision makes them."""
    return [
        Problem("drift", f"expected {difference.expected}, found {difference.found}", where=difference.where)
        for difference in find_drift(connection)
    ]


def orphans(connection: Connection) -> list[Problem]:
    """Rows that refer to a row that is not there, foreign key by foreign key, whether or not the database enforces it."""
    there = set(read_structure(connection))
    problems = []
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            target = key.column.table.name
            if not {table.name, target} <= there:
                continue
            count = connection.scalar(
                text(
                    f'SELECT count(*) FROM "{table.name}" AS t LEFT JOIN "{target}" AS r '
                    f'ON r."{key.column.name}"::text = t."{key.parent.name}"::text '
                    f'WHERE t."{key.parent.name}" IS NOT NULL AND r."{key.column.name}" IS NULL'
                )
            )
            if count:
                problems.append(
                    Problem(
                        "orphans", f"{count} rows refer to no row of {target}", where=f"{table.name}.{key.parent.name}"
                    )
                )
    return problems
