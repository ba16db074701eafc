"""A migration, applied to the database that it was planned for: all of it, or nothing."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from brainscore_ops.database.marker import mark
from brainscore_ops.database.migrating.checks import drift, orphans
from brainscore_ops.database.migrating.errors import MigrationFailedError
from brainscore_ops.database.migrating.statements import in_one_line
from brainscore_ops.database.schema import (
    MIGRATION_LOCK,
    Applied,
    apply,
    find_revision,
    read_revision,
    revision_ids,
)
from brainscore_ops.database.snapshots.steps import prove, take
from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Problem
from brainscore_ops.planning import is_planning, planned
from brainscore_ops.settings.workspace import RUN_VARIABLE

if TYPE_CHECKING:
    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.migrating.lint import Lint
    from brainscore_ops.database.migrating.plan import MigrationPlan
    from brainscore_ops.database.snapshots.steps import Vault
    from brainscore_ops.database.snapshots.store import Snapshot

MARKER_REVISION = "0008"
"""The one that gives a database a place for whose it is."""
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
    """Where it is now."""
    applied: tuple[Applied, ...] = field(default=())
    planned: str | None = None
    """Where it would be, in a run that is only planned."""

    @property
    def summary(self) -> list[dict[str, str]]:
        """What a record says of it: the rules of other deployments' migrations read that."""
        return [
            {"revision": step.revision, "direction": step.direction, "sql_digest": find_revision(step.revision).digest}
            for step in self.applied
        ]

    def table(self) -> Table:
        rows = [[step.revision, step.direction, f"{step.seconds:.2f} s"] for step in self.applied]
        return Table(self.message, rows, ["revision", "", "took"] if rows else [])


def take_snapshot_before(vault: Vault, plan: MigrationPlan, *, dry_run: bool) -> Snapshot | None:
    """Take a snapshot of what is about to be changed, and prove that it can be restored.

    :returns: None where nothing is about to be changed
    """
    if dry_run or not plan.steps:
        return None
    return prove(vault, take(vault, reason=f"before migration to {plan.target}"))


def migrate(
    database: Database,
    plan: MigrationPlan,
    *,
    found: Lint | None = None,
    dry_run: bool = False,
    repair: bool = False,
    wait_seconds: float = 0,
) -> Outcome:
    """Apply a plan to the database that it was made for: all of it, or nothing.

    Runs that are going on are waited for, and none starts meanwhile. A lock that is not had soon is given up and tried again,
    so that nobody waits behind it for long.

    :param found: what squawk says of it, for a run that is only planned
    :param dry_run: leave the database alone
    :raises LockHeldError: runs went on for longer than ``wait_seconds``
    :raises ConditionBrokenError: rows that a revision does not allow, where they are not to be repaired
    :raises MigrationFailedError: the database changed since the plan was made, or a statement failed; it is as it was
    """
    if dry_run:
        return Outcome(f"A dry run: the database was left at {plan.current}", plan.current)
    if not plan.steps:
        return Outcome(f"The schema was at {plan.target} before", plan.target)
    if is_planning():
        _write_down(plan, found)
        return Outcome(f"Only planned: the database was left at {plan.current}", plan.current, planned=plan.target)
    with database.lock(MIGRATION_LOCK, wait=max(wait_seconds, 0.1)):
        for attempt in range(1, ATTEMPTS + 1):
            try:
                applied = _apply_once(database, plan, repair=repair)
            except DBAPIError as error:
                if getattr(error.orig, "pgcode", None) != _LOCK_NOT_AVAILABLE or attempt == ATTEMPTS:
                    raise MigrationFailedError(
                        f"a statement failed, in attempt {attempt}: {str(error.orig).strip()}",
                        problems=[Problem("statement", in_one_line(error.statement or ""))],
                        remedy="Everything was rolled back: the database is as it was. Mend what is named, or look who holds "
                        "locks on its tables (pg_stat_activity), then run this again.",
                    ) from error
                print(f"no lock within {LOCK_SECONDS} s, trying again ({attempt} of {ATTEMPTS})", file=sys.stderr)  # noqa: T201
                time.sleep(attempt)
            else:
                return Outcome(f"The schema is at {plan.target}", plan.target, tuple(applied))
    raise AssertionError  # the last attempt returned or raised


def verify(database: Database, outcome: Outcome) -> Outcome:
    """Look at the database itself.

    :raises MigrationFailedError: it is not where the migration left it, or not as that revision makes it
    """
    with database.session() as session:
        connection = session.connection()
        found = read_revision(connection)
        problems = [*drift(connection), *orphans(connection)]
        session.rollback()
    if found != outcome.revision:
        problems.insert(0, Problem("revision", f"expected {outcome.revision}, found {found}"))
    if problems:
        raise MigrationFailedError(
            "the database is not as the migration should have left it",
            problems=problems,
            remedy="Look whether somebody changes tables by hand; the `restore` runbook puts the snapshot back.",
        )
    return Outcome(f"The database is at {found}: no drift, no orphans", found)


def mark_as_own(vault: Vault, outcome: Outcome) -> Outcome:
    """Enter into the database which deployment it is of, where its schema has a place for that and nobody did before.

    :raises WrongDatabaseError: it is another tier's
    """
    with vault.database.connection() as connection:
        has_place = connection.scalar(text("SELECT to_regclass('deployment_marker') IS NOT NULL"))
    if not has_place:
        line = revision_ids()
        if outcome.planned and line.index(outcome.planned) >= line.index(MARKER_REVISION):
            planned(
                "row", f"add to deployment_marker: tier {vault.deployment.tier}, deployment {vault.deployment.name}"
            )
        return Outcome(f"There is no place for it before revision {MARKER_REVISION}", outcome.revision)
    mark(vault.database, vault.deployment)
    return Outcome(f"It is of the tier {vault.deployment.tier}", outcome.revision)


def _write_down(plan: MigrationPlan, found: Lint | None) -> None:
    for revision, direction in plan.steps:
        rules = [item.rule for item in found.findings if item.revision == revision.id] if found else []
        taken = found.contracting.get(revision.id, ()) if found else ()
        accepted = f"squawk finds {', '.join(dict.fromkeys(rules))}, accepted with a reason" if rules else ""
        contracts = f"contracts: {', '.join(taken)}" if taken else "takes nothing away that running code uses"
        planned(
            "SQL",
            f"{direction} {revision.id}: {revision.title.rstrip('.')}",
            note=f"{accepted or 'squawk finds nothing'}; {contracts}",
            revision=revision.id,
            direction=direction,
            sql=revision.sql(direction),
        )


def _apply_once(database: Database, plan: MigrationPlan, *, repair: bool) -> list[Applied]:
    with database.engine.connect() as connection, connection.begin():
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'"))
        found = read_revision(connection)
        if found != plan.current:
            raise MigrationFailedError(
                f"expected the database at {plan.current}, as when this was planned, found {found}",
                remedy="Somebody else has migrated it meanwhile. Run this again.",
            )
        applied = apply(connection, plan.target, repair=repair, run_id=os.environ.get(RUN_VARIABLE))
        if problems := drift(connection):
            raise MigrationFailedError(
                "the tables are not what the revisions make them; everything was rolled back",
                problems=problems,
                remedy="Mend what differs, or the revision, then run this again.",
            )
        return applied
