"""The runs' history, which outlives a restored database: its records are in files, and stay known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import MetaData, Table, inspect, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from brainscore_ops.database.record_chain import LOST, RUNNING, carry_links

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from brainscore_ops.database.connection import Database

RUNS, SUBMISSIONS = "run", "brainscore_submission"


def carry_runs(former: Database, live: Database) -> int:
    """Enter the runs of a database that was live until now into the one that is.

    A run that the restored one has as running or lost is given the end that it had since. Where a run's submission is not there
    any more, the run stands without it. Columns that only one of the two has are left out; a schema without runs has none to
    carry. The chain of records goes on with them.

    :returns: how many runs the live one learned of
    """
    with former.engine.connect() as source, live.engine.begin() as target:
        if not all(inspect(connection).has_table(RUNS) for connection in (source, target)):
            return 0
        theirs, ours = _table(source, RUNS), _table(target, RUNS)
        names = [column.name for column in ours.columns if column.name in theirs.columns]
        submissions = set(target.scalars(select(_table(target, SUBMISSIONS).c.id)))
        known = {row.id: row.state for row in target.execute(select(ours.c.id, ours.c.state))}
        rows = [
            {**row, "submission_id": row["submission_id"] if row["submission_id"] in submissions else None}
            for row in source.execute(select(*(theirs.c[name] for name in names))).mappings()
            if known.get(row["id"], RUNNING) in (RUNNING, LOST)
        ]
        if rows:
            entry = insert(ours)
            news = {name: entry.excluded[name] for name in names if name != "id"}
            target.execute(entry.on_conflict_do_update(index_elements=["id"], set_=news), rows)
        carry_links(Session(source), Session(target), [row["id"] for row in rows])
        return sum(1 for row in rows if row["id"] not in known)


def _table(connection: Connection, name: str) -> Table:
    return Table(name, MetaData(), autoload_with=connection, resolve_fks=False)
