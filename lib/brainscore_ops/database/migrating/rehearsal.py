"""A migration, rehearsed on a restored copy of the database that it is for."""

from __future__ import annotations

import difflib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from brainscore_ops.database.compatibility import stand_in_for_newest
from brainscore_ops.database.conditions import Finding, find_broken, insist
from brainscore_ops.database.migrating.checks import drift, orphans
from brainscore_ops.database.migrating.errors import RehearsalError
from brainscore_ops.database.migrating.statements import TimedStatement, in_one_line, watch_statements
from brainscore_ops.database.schema import UPGRADE, Applied, apply
from brainscore_ops.database.snapshots.restoring import fill_database
from brainscore_ops.database.snapshots.scratch import scratch_database
from brainscore_ops.database.snapshots.steps import take
from brainscore_ops.database.snapshots.store import newest_snapshot
from brainscore_ops.database.structure import read_structure
from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Problem
from brainscore_ops.planning import is_planning, planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.migrating.plan import MigrationPlan
    from brainscore_ops.database.snapshots.steps import Vault


SHOWN_SECONDS = 0.01
"""A statement that takes longer is shown, whether it locks anything or not."""
MOST_CHANGES = 10
"""Changed lines of the leaderboard that are shown."""


@dataclass(frozen=True)
class Rehearsal(Shown):
    """What a migration did on a copy of the database."""

    snapshot: str
    restore_seconds: float
    seconds: float
    statements: tuple[TimedStatement, ...]
    applied: tuple[Applied, ...]
    leaderboard_bytes: int
    leaderboard_changes: tuple[str, ...]
    """Lines of the leaderboard that a repair changed, ``-`` before and ``+`` after; nothing else may change any."""

    def table(self) -> Table:
        shown = [item for item in self.statements if item.locks or item.seconds > SHOWN_SECONDS]
        rows: list[list[object]] = [
            [item.statement, _milliseconds(item.seconds), ", ".join(item.locks)] for item in shown
        ]
        others = [item.seconds for item in self.statements if item not in shown]
        if others:
            rows.append(
                [f"{len(others)} statements more", _milliseconds(sum(others)), "no table that was there before"]
            )
        for step in self.applied:
            rows += [
                [f"repaired: {finding.condition.name}", f"{finding.rows} rows archived", finding.condition.table]
                for finding in step.repaired
            ]
        rows += [
            ["snapshot restored", f"{self.restore_seconds:.1f} s", self.snapshot],
            ["drift, orphans", "none", "each revision's tables, each foreign key"],
            ["leaderboard", "as before", f"{self.leaderboard_bytes:,} bytes, the same"],
            ["down and up again", "the same schema", ""],
        ]
        if self.leaderboard_changes:
            rows[-2] = ["leaderboard", "changed by the repair", "\n".join(self.leaderboard_changes[:MOST_CHANGES])]
        return Table(f"Rehearsed on a copy in {self.seconds:.2f} s", rows, ["", "took", "locks, or what was looked at"])


@dataclass(frozen=True)
class Outlook(Shown):
    """What can be said of a migration without a copy: rows that are in the way of its revisions."""

    in_the_way: tuple[Finding, ...]
    not_seen: tuple[str, ...]
    """Conditions of revisions that speak of what only an earlier revision makes."""

    def table(self) -> Table:
        rows = [
            (
                found.revision,
                found.condition.name,
                f"{found.rows} rows of {found.condition.table} or more go to the archive",
            )
            for found in self.in_the_way
        ]
        rows += [(name, "", "seen only when the revisions before it are applied") for name in self.not_seen]
        title = "Not rehearsed, only planned" if rows else "Not rehearsed, only planned: no rows are in its way"
        return Table(title, rows, ["revision", "rule", "rows"] if rows else [])


def look_ahead(database: Database, plan: MigrationPlan, *, repair: bool) -> Outlook:
    """Look for rows that are in the way of a migration, on the database as it is.

    Where some of them are repaired, others may turn out to be in the way of a later revision: the rehearsal counts all.

    :raises ConditionBrokenError: there are some, and they are not to be repaired
    """
    found: list[Finding] = []
    not_seen = []
    with database.engine.connect() as connection, connection.begin():
        for revision, direction in plan.steps:
            if direction != UPGRADE:
                continue
            try:
                with connection.begin_nested():
                    found += find_broken(connection, revision.conditions, revision.id)
            except ProgrammingError:
                not_seen.append(revision.id)
    if not repair:
        insist(found)
    for each in found:
        table, rows = each.condition.table, each.rows
        planned(
            "rows",
            f"move {rows} rows of {table} or more to the archive, for {each.condition.name}",
            table=table,
            rows=rows,
        )
    return Outlook(tuple(found), tuple(not_seen))


def rehearse_on_copy(
    vault: Vault,
    plan: MigrationPlan,
    *,
    published: Callable[[Session], bytes],
    repair: bool,
    say: Callable[[str], None] = print,
) -> Rehearsal | Outlook | None:
    """Restore the newest snapshot of a database beside it, and :func:`rehearse` there.

    Where there is no snapshot of the revision that the database has, one is taken first. The database itself is only read.

    :returns: None where the plan is empty; in a run that is only planned, what can be seen without a copy
    :raises ConditionBrokenError, RehearsalError: see :func:`rehearse`
    """
    if not plan.steps:
        return None
    snapshot = newest_snapshot(vault.store)
    if snapshot is None or snapshot.revision != plan.current:
        say(f"there is no snapshot of revision {plan.current} yet: taking one")
        snapshot = take(vault, reason=f"rehearsal of {plan.target}")
    if is_planning():
        planned(
            "scratch database",
            f"rehearse it on a copy that is restored from a snapshot of revision {plan.current}, and drop that",
            note=f"the snapshot {snapshot.id}",
        )
        return look_ahead(vault.database, plan, repair=repair)
    with scratch_database(vault.database, "migrate") as copy:
        restored = fill_database(snapshot, copy, jobs=vault.deployment.snapshots.jobs, say=say)
        return rehearse(
            copy,
            plan,
            snapshot=snapshot.id,
            restore_seconds=restored.restore_seconds,
            published=published,
            repair=repair,
        )


def rehearse(
    copy: Database,
    plan: MigrationPlan,
    *,
    snapshot: str,
    restore_seconds: float,
    published: Callable[[Session], bytes],
    repair: bool,
) -> Rehearsal:
    """Migrate a restored copy, and look at everything that could be wrong afterwards.

    :param copy: a scratch database with the newest snapshot of the target in it
    :param published: what the public sees of a database; it has to be the same to the byte afterwards
    :raises ConditionBrokenError: rows that a revision does not allow, where they are not to be repaired
    :raises RehearsalError: the copy drifts from the models, has orphans, shows another leaderboard, or does not come back
    """
    started = time.monotonic()
    before = _published(copy, published)
    with copy.engine.connect() as connection, connection.begin():
        structure = read_structure(connection)
        with watch_statements(connection) as statements:
            try:
                applied = apply(connection, plan.target, repair=repair)
            except DBAPIError as error:
                raise RehearsalError(
                    f"the server refused a statement on a copy of the database: {str(error.orig).strip()}",
                    problems=[Problem("statement", in_one_line(error.statement or ""))],
                    remedy="The database itself was not touched. Mend the revision, then run this again.",
                ) from error
    seconds = time.monotonic() - started
    after = _published(copy, published)
    changes = _changes(before, after)
    with copy.engine.connect() as connection, connection.begin():
        problems = [*drift(connection), *orphans(connection)]
        if changes and not any(step.repaired for step in applied):
            shown = "; ".join(changes[:MOST_CHANGES])
            problems.append(Problem("leaderboard-changed", f"expected the leaderboard as it was, found: {shown}"))
        # A repair cannot be taken back, and the archive is not dropped while it holds something.
        if connection.scalar(text("SELECT to_regclass('archived_row') IS NOT NULL")):
            connection.execute(text("DELETE FROM archived_row"))
        apply(connection, plan.current or "base")
        if read_structure(connection) != structure:
            problems.append(Problem("not-reversible", f"taken back to {plan.current}, the schema is not what it was"))
        apply(connection, plan.target)
        problems += drift(connection)
    if problems:
        raise RehearsalError(
            "the migration did on a copy what it must not do",
            problems=problems,
            remedy="The database itself was not touched. Mend the revision, then run this again.",
        )
    return Rehearsal(snapshot, restore_seconds, seconds, tuple(statements), tuple(applied), len(after), changes)


def _published(copy: Database, published: Callable[[Session], bytes]) -> bytes:
    with copy.session() as session:
        stand_in_for_newest(session.connection())
        content = published(session)
        session.rollback()
    return content


def _changes(before: bytes, after: bytes) -> tuple[str, ...]:
    if before == after:
        return ()
    old, new = (content.decode(errors="replace").splitlines() for content in (before, after))
    return tuple(
        in_one_line(line)
        for line in difflib.unified_diff(old, new, lineterm="", n=0)
        if line.startswith(("-", "+")) and not line.startswith(("---", "+++"))
    )


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"
