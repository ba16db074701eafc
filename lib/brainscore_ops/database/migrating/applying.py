"""A migration, applied to the database that it was planned for: all of it, or nothing."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from brainscore_ops.database.migrating.checks import drift, orphans
from brainscore_ops.database.migrating.errors import MigrationFailedError
from brainscore_ops.database.schema import MIGRATION_LOCK, Applied, apply, read_revision
from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Problem

if TYPE_CHECKING:
    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.migrating.plan import MigrationPlan

LOCK_SECONDS = 5
"""A statement that does not get its lock within this gives up: who waits for a lock makes everybody behind it wait."""
STATEMENT_SECONDS = 300
ATTEMPTS = 5
_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True)
class Outcome(Shown):
    """What became of the database."""

    message: str
    revision: str | None
    applied: tuple[Applied, ...] = field(default=())

    def table(self) -> Table:
        rows = [[step.revision, step.direction, f"{step.seconds:.2f} s"] for step in self.applied]
        return Table(self.message, rows, ["revision", "", "took"] if rows else [])


def migrate(
    database: Database, plan: MigrationPlan, *, repair: bool, wait_seconds: float, run_id: str | None = None
) -> Outcome:
    """Apply a plan to the database that it was made for: all of it, or nothing.

    Runs that are going on are waited for, and none starts meanwhile. A lock that is not had soon is given up and tried again,
    so that nobody waits behind it for long.

    :raises LockHeldError: runs went on for longer than ``wait_seconds``
    :raises MigrationFailedError: the database changed since the plan was made, or did not give its locks; it is as it was
    """
    with database.lock(MIGRATION_LOCK, wait=max(wait_seconds, 0.1)):
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return Outcome(
                    f"The schema is at {plan.target}", plan.target, tuple(_apply_once(database, plan, repair, run_id))
                )
            except OperationalError as error:
                if getattr(error.orig, "pgcode", None) != _LOCK_NOT_AVAILABLE or attempt == ATTEMPTS:
                    raise MigrationFailedError(
                        f"could not be applied, after {attempt} attempts: {str(error.orig).strip()}",
                        remedy="The database is as it was. Look who holds locks on its tables (pg_stat_activity), then run this "
                        "again.",
                    ) from error
                print(f"no lock within {LOCK_SECONDS} s, trying again ({attempt} of {ATTEMPTS})", file=sys.stderr)  # noqa: T201
                time.sleep(attempt)
    raise AssertionError  # the last attempt returned or raised


def verify(database: Database, plan: MigrationPlan) -> Outcome:
    """Look at the database itself.

    :raises MigrationFailedError: it is not at the target, or not as the target makes it
    """
    with database.engine.connect() as connection, connection.begin() as transaction:
        found = read_revision(connection)
        problems = [*drift(connection), *orphans(connection)]
        transaction.rollback()
    if found != plan.target:
        problems.insert(0, Problem("revision", f"expected {plan.target}, found {found}"))
    if problems:
        raise MigrationFailedError(
            "the database is not as the migration should have left it",
            problems=problems,
            remedy="Look whether somebody changes tables by hand; the `restore` runbook puts the snapshot back.",
        )
    return Outcome(f"The database is at {found}: no drift, no orphans", found)


def _apply_once(database: Database, plan: MigrationPlan, repair: bool, run_id: str | None) -> list[Applied]:
    with database.engine.connect() as connection, connection.begin():
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'"))
        found = read_revision(connection)
        if found != plan.current:
            raise MigrationFailedError(
                f"expected the database at {plan.current}, as when this was planned, found {found}",
                remedy="Somebody else has migrated it meanwhile. Run this again.",
            )
        applied = apply(connection, plan.target, repair=repair, run_id=run_id)
        if problems := drift(connection):
            raise MigrationFailedError(
                "the tables are not what the revisions make them; everything was rolled back",
                problems=problems,
                remedy="Mend what differs, or the revision, then run this again.",
            )
        return applied
