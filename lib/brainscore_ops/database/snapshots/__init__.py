"""Snapshots of a database: taken, kept, proven by restoring them, and put in the place of a live one."""

from brainscore_ops.database.snapshots.contents import Contents, Difference, TableContent, compare, read_contents
from brainscore_ops.database.snapshots.restoring import (
    DatabaseExistsError,
    Restored,
    RestoreDiffersError,
    prove_snapshot,
    restore_snapshot,
    verify_restored,
)
from brainscore_ops.database.snapshots.scratch import remove_leftovers, scratch_database
from brainscore_ops.database.snapshots.store import (
    NoSnapshotError,
    Proof,
    Snapshot,
    SnapshotDamagedError,
    SnapshotStore,
    find_snapshot,
    list_snapshots,
    newest_snapshot,
)
from brainscore_ops.database.snapshots.swapping import SwapFailedError, Swapped, swap_databases
from brainscore_ops.database.snapshots.taking import SnapshotFailedError, take_snapshot

__all__ = [
    "Contents",
    "DatabaseExistsError",
    "Difference",
    "NoSnapshotError",
    "Proof",
    "RestoreDiffersError",
    "Restored",
    "Snapshot",
    "SnapshotDamagedError",
    "SnapshotFailedError",
    "SnapshotStore",
    "SwapFailedError",
    "Swapped",
    "TableContent",
    "compare",
    "find_snapshot",
    "list_snapshots",
    "newest_snapshot",
    "prove_snapshot",
    "read_contents",
    "remove_leftovers",
    "restore_snapshot",
    "scratch_database",
    "swap_databases",
    "take_snapshot",
    "verify_restored",
]
