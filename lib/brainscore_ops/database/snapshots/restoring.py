"""Restoring a snapshot into a database of its own, and comparing what came out with what went in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from brainscore_ops.database.programs import client_program, client_programs, server_version
from brainscore_ops.database.snapshots.contents import Contents, compare, one_moment, read_contents
from brainscore_ops.database.snapshots.scratch import (
    create_database,
    drop_database,
    literal,
    quoted,
    scratch_database,
)
from brainscore_ops.database.snapshots.store import Proof, Snapshot, reject, write_proof
from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Fault, Problem, RefusedError, StepFailedError
from brainscore_ops.planning import planned

RESTORING, RESTORED = "brainscore_ops: restoring", "brainscore_ops: restored from"
"""What a restored database's comment starts with: only such a one is ever overwritten."""

if TYPE_CHECKING:
    from collections.abc import Callable

    from brainscore_ops.database.connection import Database


class DatabaseExistsError(RefusedError):
    """A snapshot was to be restored over a database that is there."""

    code = "database-exists"
    fault = Fault.OPERATOR


class RestoreDiffersError(StepFailedError):
    """What was restored is not what the snapshot's manifest says: each problem is one difference."""

    code = "restore-differs"


@dataclass(frozen=True)
class Restored(Shown):
    """A database that was restored from a snapshot and is the same as what went in."""

    snapshot: Snapshot
    database: Database
    contents: Contents
    restore_seconds: float
    verify_seconds: float
    is_there: bool = True
    """Whether it was restored; in a plan it is to be, and ``contents`` are those of the manifest."""

    @property
    def name(self) -> str:
        """The database's name."""
        return self.database.secret.database

    @property
    def seconds(self) -> float:
        """Of the restore and the comparison."""
        return round(self.restore_seconds + self.verify_seconds, 3)

    def table(self) -> Table:
        contents = [
            ("schema revision", self.contents.revision or "none"),
            ("rows", f"{self.contents.rows:,} in {len(self.contents.tables)} tables"),
        ]
        if not self.is_there:
            return Table(f"{self.name}: to be restored from {self.snapshot.id}", contents)
        times = [
            ("restored in", f"{self.restore_seconds:.1f} s"),
            ("compared in", f"{self.verify_seconds:.1f} s"),
        ]
        return Table(f"{self.name}: restored from {self.snapshot.id}, and the same", [*contents, *times])


def restore_snapshot(
    snapshot: Snapshot,
    server_database: Database,
    *,
    into: str,
    replace: bool = False,
    owners: bool = True,
    jobs: int = 2,
    say: Callable[[str], None] = print,
) -> Restored:
    """Restore a snapshot into a new database, and compare it with the manifest.

    :param server_database: any database of the server that it is restored on
    :param into: the new database's name
    :param replace: whether a database of that name is dropped first, if an earlier restore made it
    :param owners: whether tables get the owners and the rights that they had; the server has to know those roles
    :param jobs: how many tables are restored at the same time
    :raises SnapshotDamagedError: where the dump is not what the manifest says; nothing was touched
    :raises DatabaseExistsError: where there is a database of that name, or one that no restore made
    :raises ProgramFailedError: where ``pg_restore`` failed; the new database is dropped
    :raises RestoreDiffersError: where what came out is not what went in; the new database is dropped
    """
    snapshot.insist()
    if _is_to_give_way(server_database, into, replace=replace):
        drop_database(server_database, into)
    create_database(
        server_database,
        into,
        encoding=snapshot.encoding,
        collation=snapshot.collation,
        character_type=snapshot.character_type,
    )
    restored = server_database.beside(into)
    try:
        _remark(server_database, into, f"{RESTORING} {snapshot.id}")
        filled = fill_database(snapshot, restored, owners=owners, jobs=jobs, say=say)
        _remark(server_database, into, f"{RESTORED} {snapshot.id}")
        return filled
    except BaseException:
        restored.close()
        drop_database(server_database, into)
        raise


def plan_restore(snapshot: Snapshot, server_database: Database, *, into: str, replace: bool = False) -> Restored:
    """Write down that a snapshot would be restored, in a run that is only planned; see :func:`restore_snapshot`.

    :returns: what would be restored, which is not there
    :raises SnapshotDamagedError, DatabaseExistsError: as the restore itself would
    """
    snapshot.insist()
    if _is_to_give_way(server_database, into, replace=replace):
        planned("database", f"drop {into}, which an earlier restore made", database=into)
    planned(
        "database",
        f"restore the snapshot {snapshot.id} into the new database {into}, and compare it with the manifest",
        note=f"{snapshot.contents.rows:,} rows in {len(snapshot.contents.tables)} tables",
        database=into,
        snapshot=snapshot.id,
        dump=snapshot.dump_digest,
    )
    return Restored(snapshot, server_database.beside(into), snapshot.contents, 0.0, 0.0, is_there=False)


def reuse_restored(snapshot: Snapshot, server_database: Database, name: str) -> Restored | None:
    """The database of that name, if an earlier restore made it from this snapshot and it is still the same; otherwise None."""
    if _remark_of(server_database, name) != f"{RESTORED} {snapshot.id}":
        return None
    database, started = server_database.beside(name), time.monotonic()
    try:
        contents = verify_restored(snapshot, database)
    except RestoreDiffersError:  # somebody worked in it
        database.close()
        return None
    return Restored(snapshot, database, contents, 0.0, round(time.monotonic() - started, 3))


def fill_database(
    snapshot: Snapshot, empty: Database, *, owners: bool = False, jobs: int = 2, say: Callable[[str], None] = print
) -> Restored:
    """Restore a snapshot into an empty database, such as a scratch one, and compare it with the manifest.

    :raises SnapshotDamagedError, ProgramFailedError, RestoreDiffersError: as :func:`restore_snapshot` does
    """
    snapshot.insist()
    say(f"restoring {snapshot.id} into {empty.secret.database} …")
    started = time.monotonic()
    rights = () if owners else ("--no-owner", "--no-privileges")
    arguments = ("--dbname=service=ops", "--exit-on-error", f"--jobs={jobs}", *rights, snapshot.dump)
    with client_program(client_programs(server_version(empty)), "pg_restore", *arguments, secret=empty.secret):
        pass
    restore_seconds = time.monotonic() - started
    say(f"restored in {restore_seconds:.1f} s")
    started = time.monotonic()
    contents = verify_restored(snapshot, empty)
    return Restored(
        snapshot=snapshot,
        database=empty,
        contents=contents,
        restore_seconds=round(restore_seconds, 3),
        verify_seconds=round(time.monotonic() - started, 3),
    )


def verify_restored(snapshot: Snapshot, database: Database) -> Contents:
    """Compare a database with the manifest of the snapshot that it was restored from.

    :raises RestoreDiffersError: with every difference
    """
    with one_moment(database) as connection:
        contents = read_contents(connection)
    differences = compare(snapshot.contents, contents)
    if differences:
        table = Table(
            f"{snapshot.id} and {database.secret.database}",
            [(item.what, item.expected, item.found) for item in differences],
            ["what", "in the snapshot", "restored"],
        )
        raise RestoreDiffersError(
            f"what was restored from {snapshot.id} is not what it was taken of: "
            f"{len(differences)} difference{'s' if len(differences) > 1 else ''}",
            problems=[
                Problem("differs", f"expected {item.expected}, found {item.found}", where=item.what)
                for item in differences
            ],
            remedy="Do not rely on this snapshot: take a new one, and find out what changed it.",
            log=str(table),
        )
    return contents


def prove_snapshot(
    snapshot: Snapshot, database: Database, *, jobs: int = 2, say: Callable[[str], None] = print
) -> Snapshot:
    """Restore a snapshot into a scratch database, compare it with the manifest, and record that beside the manifest.

    :param database: any database of the server that it is restored on
    :returns: the snapshot with its proof
    :raises SnapshotDamagedError, ProgramFailedError, RestoreDiffersError: where it cannot be relied on
    """
    with scratch_database(database, "snapshot") as scratch:
        try:
            restored = fill_database(snapshot, scratch, jobs=jobs, say=say)
        except RestoreDiffersError as error:
            reject(snapshot, f"restored on {datetime.now(UTC):%Y-%m-%d}, it was not the same: {error.problems[0]}")
            raise
    proof = Proof(
        at=datetime.now(UTC),
        seconds=round(restored.seconds, 3),
        dump_digest=snapshot.dump_digest,
        server=_version(database),
    )
    say(f"the same: {restored.contents.rows:,} rows in {len(restored.contents.tables)} tables")
    return write_proof(snapshot, proof)


def _version(database: Database) -> str:
    with database.connection() as connection:
        return str(connection.scalar(text("SHOW server_version")))


def _is_to_give_way(database: Database, name: str, *, replace: bool) -> bool:
    """Whether there is a database of that name, which may be dropped.

    :raises DatabaseExistsError: there is one, and it may not
    """
    if name == database.secret.database:
        raise DatabaseExistsError(f"expected the name of a new database, found that of the live one: {name}")
    with database.connection() as connection:
        exists = connection.scalar(text("SELECT count(*) FROM pg_database WHERE datname = :name"), {"name": name})
    if not exists:
        return False
    if not replace or not (_remark_of(database, name) or "").startswith((RESTORING, RESTORED)):
        raise DatabaseExistsError(
            f"expected the name of a new database, found that there is one called {name}"
            + (", which no restore made" if replace else ""),
            remedy="Choose another name" + ("." if replace else ", or say that it is to be overwritten."),
        )
    return True


def _remark(database: Database, name: str, remark: str) -> None:
    with database.connection() as connection:
        connection.execute(text(f"COMMENT ON DATABASE {quoted(name)} IS {literal(remark)}"))


def _remark_of(database: Database, name: str) -> str | None:
    statement = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = :name"
    with database.connection() as connection:
        remark: str | None = connection.scalar(text(statement), {"name": name})
    return remark
