"""The steps of the runbooks ``snapshot`` and ``restore``, and what ``brainscore-ops db`` shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from brainscore_ops.database.planning import database_of
from brainscore_ops.database.schema import current_revision, newest_revision
from brainscore_ops.database.snapshots.differences import Comparison, Forecast, compare_databases, forecast
from brainscore_ops.database.snapshots.restoring import (
    Restored,
    plan_restore,
    prove_snapshot,
    restore_snapshot,
    reuse_restored,
)
from brainscore_ops.database.snapshots.retention import Dated, Rule
from brainscore_ops.database.snapshots.runs import carry_runs
from brainscore_ops.database.snapshots.store import (
    Snapshot,
    SnapshotStore,
    bytes_text,
    find_snapshot,
    list_snapshots,
    remove_snapshot,
)
from brainscore_ops.database.snapshots.swapping import LONGEST_NAME, Swapped, plan_swap, swap_databases
from brainscore_ops.database.snapshots.taking import plan_snapshot, take_snapshot
from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Fault, RefusedError
from brainscore_ops.planning import TO_BE_MADE, is_planning, planned
from brainscore_ops.settings import Deployment, load_deployment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brainscore_ops.database.connection import Database

SNAPSHOT_LOCK = "snapshot"
HALF_MADE_AGE = timedelta(days=1)
"""What has no manifest after that time was left by a killed run."""


class ConfirmationNeededError(RefusedError):
    """The live database was to be replaced without the deployment's name being typed."""

    code = "confirmation-needed"
    fault = Fault.OPERATOR


@dataclass(frozen=True)
class Vault(Shown):
    """A deployment's database, whatever its schema's revision, and its snapshots."""

    deployment: Deployment
    database: Database
    store: SnapshotStore
    revision: str | None

    def table(self) -> Table:
        newest = newest_revision()
        rule = self.deployment.snapshots
        return Table(
            f"Deployment {self.deployment.name}",
            [
                ("database", f"the secret {self.deployment.database.secret}"),
                (
                    "schema",
                    f"{self.revision or 'none'}{'' if self.revision == newest else f' (the newest is {newest})'}",
                ),
                ("snapshots", self.store.folder),
                (
                    "kept",
                    f"all of {rule.keep_days} days, weekly for {rule.keep_weeks} weeks, monthly for {rule.keep_months} months",
                ),
                ("effects", "only planned" if is_planning() else ""),
            ],
        )


@dataclass(frozen=True)
class Retention(Shown):
    """What the rule kept, and what it removed."""

    kept: tuple[Snapshot, ...]
    removed: tuple[Snapshot, ...]

    @property
    def damaged(self) -> tuple[Snapshot, ...]:
        """Those of the kept that cannot be relied on; a person has to look at them."""
        return tuple(snapshot for snapshot in self.kept if not snapshot.is_good)

    def table(self) -> Table:
        rows = [
            (what, *_line(item)) for what, items in (("kept", self.kept), ("REMOVED", self.removed)) for item in items
        ]
        return Table(
            f"{len(self.kept)} snapshots kept, {len(self.removed)} removed",
            rows,
            ["", "snapshot", "reason", "schema", "rows", "size", "state"],
        )


def open_vault(name: str) -> Vault:
    """Load a deployment's settings and reach its database, whatever its schema's revision.

    :raises UnknownDeploymentError, BadSettingsError, SecretError: where the deployment is not described as it has to be
    :raises DatabaseUnavailableError: where the database does not answer
    """
    deployment = load_deployment(name)
    database = database_of(deployment)
    return Vault(deployment, database, SnapshotStore.of(deployment), current_revision(database))


def take(vault: Vault, *, reason: str, if_older_than_days: int = 0) -> Snapshot:
    """The newest good snapshot; a new one where there is none, or none so young. Two at once take turns.

    :param if_older_than_days: 0 takes one in any case
    """
    with vault.database.lock(SNAPSHOT_LOCK):
        good = (snapshot for snapshot in list_snapshots(vault.store, check=True) if snapshot.is_good)
        newest = next(good, None)
        # By days of the calendar: a daily schedule that is some seconds early must not shift the day by one.
        today = datetime.now(UTC).date()
        if newest and if_older_than_days and (today - newest.taken_at.date()).days < if_older_than_days:
            print(f"nothing is due: {newest.id} is younger than {if_older_than_days} days")  # noqa: T201 - for the record
            return newest
        make = plan_snapshot if is_planning() else take_snapshot
        return make(vault.database, vault.store, deployment=vault.deployment.name, reason=reason)


def prove(vault: Vault, snapshot: Snapshot) -> Snapshot:
    """The snapshot with its proof: restored into a scratch database and compared, where that was not done before."""
    with vault.database.lock(SNAPSHOT_LOCK):
        if snapshot.is_proven:
            return snapshot
        if is_planning():
            what = f"restore the snapshot {snapshot.id} into a scratch database, compare it, and drop that"
            planned("proof", what, snapshot=snapshot.id)
            return snapshot
        return prove_snapshot(snapshot, vault.database, jobs=vault.deployment.snapshots.jobs)


def retain(vault: Vault, *, proven: Snapshot | None = None, now: datetime | None = None) -> Retention:
    """Apply the deployment's retention rule, and remove what killed runs left. Damaged snapshots are left to a person.

    :param proven: what :func:`prove` gave; in a plan that is neither there nor proven, and counts as if it were
    """
    expected = proven if is_planning() else None
    moment, settings = now or datetime.now(UTC), vault.deployment.snapshots
    rule = Rule(weeks=settings.keep_weeks, months=settings.keep_months, days=settings.keep_days)
    with vault.database.lock(SNAPSHOT_LOCK):
        found = list_snapshots(vault.store, check=True)
        if expected is not None:
            found = [expected, *(item for item in found if item.id != expected.id)]
        good = [Dated(item.id, item.taken_at, item.is_proven or item is expected) for item in found if item.is_good]
        kept = rule.kept(good, moment)
        removed = [item for item in found if (item.id not in kept if item.is_good else _is_left_over(item, moment))]
        for snapshot in removed:
            if is_planning():
                why = snapshot.reason or "half made"
                what = f"remove the snapshot {snapshot.id}, taken on {snapshot.taken_at:%Y-%m-%d} ({why})"
                planned("file", what, snapshot=snapshot.id)
            else:
                remove_snapshot(snapshot)
    return Retention(tuple(item for item in found if item not in removed), tuple(removed))


def choose(vault: Vault, given: str = "") -> Snapshot:
    """The snapshot that is meant: :func:`find_snapshot`."""
    return find_snapshot(vault.store, given)


def insist_on_confirmation(vault: Vault, *, confirm: str, swap: bool, overwrite: bool) -> None:
    """Go on only if what is live, or was restored before, may be replaced.

    :raises ConfirmationNeededError: unless the deployment's name was typed, where it is guarded; wherever another one was typed
    """
    name = vault.deployment.name
    if (swap or overwrite) and confirm != name and (confirm or is_guarded(vault.deployment)):
        raise ConfirmationNeededError(
            f"expected the name of the deployment, {name}, in the parameter confirm, found {confirm!r}: "
            f"{'its live database' if swap else 'a database on its server'} would be replaced",
            remedy="Run it without swap and overwrite first and look at the comparison; then type the name.",
        )


def is_guarded(deployment: Deployment) -> bool:
    """Whether replacing the deployment's database has to be confirmed."""
    return deployment.rules.restore_asks_name or deployment.snapshots.restore_asks_name


def restore(vault: Vault, snapshot: Snapshot, *, into: str = "", overwrite: bool = False) -> Restored:
    """The snapshot in a database of its own; one that an earlier run restored from it is taken if it is still the same.

    :raises DatabaseExistsError, SnapshotDamagedError, ProgramFailedError, RestoreDiffersError: see :func:`restore_snapshot`
    """
    live = vault.database.secret.database
    moment = TO_BE_MADE if is_planning() else f"{datetime.now(UTC):%Y%m%dt%H%M%S}"
    name = into or f"{live[: LONGEST_NAME - 26]}_restored_{moment}"
    if not overwrite and (restored := reuse_restored(snapshot, vault.database, name)):
        return restored
    if is_planning():
        return plan_restore(snapshot, vault.database, into=name, replace=overwrite)
    return restore_snapshot(
        snapshot, vault.database, into=name, replace=overwrite, jobs=vault.deployment.snapshots.jobs
    )


def compare_with_live(vault: Vault, restored: Restored) -> Comparison | Forecast:
    """What would be lost and what would come back if the restored database were live.

    :returns: in a plan, where there is no restored database yet: as much as the manifest tells of that
    """
    if not restored.is_there:
        return forecast(vault.database, restored.snapshot)
    return compare_databases(vault.database, restored.database)


def swap(vault: Vault, restored: Restored, *, wanted: bool) -> Swapped | None:
    """Put the restored database in the place of the live one, after a snapshot of that one.

    The former one is kept, and its runs are entered into the restored one: the records stay known.

    :param wanted: otherwise nothing is done
    :raises SwapFailedError: where it could not be done; nothing has changed
    """
    if not wanted:
        print(f"no swap: {restored.name} is there to look at, and nothing else has changed")  # noqa: T201 - for the record
        return None
    before = take(vault, reason=f"before {restored.snapshot.id} was put in its place")
    prove(vault, before)
    if is_planning():
        plan_swap(vault.database, restored.name, forecast(vault.database, restored.snapshot))
        return None
    restored.database.close()
    swapped = swap_databases(vault.database, restored.name)
    former = vault.database.beside(swapped.former)
    try:
        carried = carry_runs(former, vault.database)
    finally:
        former.close()
    print(f"{carried} runs of the former database were entered into the restored one")  # noqa: T201 - for the record
    return swapped


def snapshots_table(deployment: str, snapshots: Sequence[Snapshot]) -> Table:
    """The snapshots of a deployment, the newest first."""
    return Table(
        f"Snapshots of {deployment}",
        [_line(snapshot) for snapshot in snapshots],
        ["snapshot", "reason", "schema", "rows", "size", "state"],
    )


def _line(snapshot: Snapshot) -> tuple[str, str, str, str, str, str]:
    if snapshot.proof and snapshot.is_good:
        state = f"proven {snapshot.proof.at:%Y-%m-%d}, restored in {snapshot.proof.seconds:.1f} s"
    else:
        state = f"DAMAGED: {snapshot.problem}" if snapshot.is_finished and snapshot.problem else "not proven"
    if not snapshot.is_finished:
        state = f"HALF MADE: {snapshot.problem}"
    rows = f"{snapshot.contents.rows:,}" if snapshot.contents.tables else ""
    size = bytes_text(snapshot.dump_bytes) if snapshot.dump_bytes else ""
    return snapshot.id, snapshot.reason, snapshot.revision or "", rows, size, state


def _is_left_over(snapshot: Snapshot, now: datetime) -> bool:
    return not snapshot.is_finished and now - snapshot.taken_at > HALF_MADE_AGE
