"""Taking a snapshot: the dump, and the counts and checksums, all of one moment of the database."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from brainscore_ops.database.programs import client_program, client_programs, client_version
from brainscore_ops.database.snapshots.contents import count_contents, one_moment, read_contents
from brainscore_ops.database.snapshots.store import (
    DUMP,
    Snapshot,
    SnapshotStore,
    bytes_text,
    file_digest,
    write_manifest,
)
from brainscore_ops.errors import StepFailedError
from brainscore_ops.planning import TO_BE_MADE, planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from brainscore_ops.database.connection import Database


class SnapshotFailedError(StepFailedError):
    """A snapshot could not be taken; nothing is left of it."""

    code = "snapshot-failed"


def take_snapshot(
    database: Database,
    store: SnapshotStore,
    *,
    deployment: str,
    reason: str,
    now: datetime | None = None,
    say: Callable[[str], None] = print,
) -> Snapshot:
    """Dump a database, with a manifest that says what is in it.

    ``pg_dump`` and the reading of counts and checksums share one exported snapshot of the database: what others write meanwhile
    is in neither. What a killed one leaves has no manifest, and is none.

    :param reason: why it is taken: ``weekly``, ``before migration 0005``
    :raises ProgramsMissingError: where the server is newer than our programs
    :raises ProgramFailedError: where ``pg_dump`` failed; nothing is left then
    :raises SnapshotFailedError: where the rows could not be counted; nothing is left then
    :raises DatabaseUnavailableError: where the database does not answer
    """
    moment, started = now or datetime.now(UTC), time.monotonic()
    with one_moment(database) as connection:
        exported = connection.scalar(text("SELECT pg_export_snapshot()"))
        version_number = int(connection.scalar(text("SHOW server_version_num")))
        programs = client_programs(version_number // 10000)
        facts = connection.execute(text(_FACTS)).mappings().one()
        folder = store.begin(moment)
        try:
            say(f"dumping {facts['database']} ({bytes_text(facts['database_bytes'])}) …")
            dumping = client_program(
                programs,
                "pg_dump",
                "--format=custom",
                "--compress=gzip:1",  # measured: half the time of the default, for a tenth more bytes; two jobs gain nothing
                f"--file={folder / DUMP}",
                f"--snapshot={exported}",
                "--lock-wait-timeout=60s",
                secret=database.secret,
            )
            with dumping:
                contents = read_contents(connection)
                say(f"counted {contents.rows:,} rows in {len(contents.tables)} tables")
            dump = folder / DUMP
            dump.chmod(0o600)
            snapshot = Snapshot(
                id=folder.name,
                folder=folder,
                taken_at=moment,
                deployment=deployment,
                reason=reason,
                client=client_version(programs),
                contents=contents,
                dump_bytes=dump.stat().st_size,
                dump_digest=file_digest(dump),
                seconds=round(time.monotonic() - started, 3),
                **facts,
            )
            write_manifest(snapshot)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, DBAPIError):
                raise SnapshotFailedError(
                    f"the tables could not be counted: {str(error.orig).strip()}",
                    remedy="Where a table is locked (a migration), wait until that is done, then run this again.",
                ) from error
            raise
    say(f"dumped in {snapshot.seconds:.1f} s: {bytes_text(snapshot.dump_bytes)}")
    return snapshot


def plan_snapshot(database: Database, store: SnapshotStore, *, deployment: str, reason: str) -> Snapshot:
    """Write down that a snapshot would be taken, in a run that is only planned.

    :returns: as much of it as is known before, without a dump
    :raises ProgramsMissingError: where the server is newer than our programs
    :raises DatabaseUnavailableError: where the database does not answer
    """
    moment = datetime.now(UTC)
    with one_moment(database) as connection:
        version_number = int(connection.scalar(text("SHOW server_version_num")))
        client = client_version(client_programs(version_number // 10000))
        facts = connection.execute(text(_FACTS)).mappings().one()
        contents = count_contents(connection)
    planned(
        "snapshot",
        f"dump the database {facts['database']}, which is at revision {contents.revision or 'none'}: {reason}",
        note=f"{bytes_text(facts['database_bytes'])}, {contents.rows:,} rows in {len(contents.tables)} tables",
        database=facts["database"],
        revision=contents.revision,
        reason=reason,
        folder=str(store.folder),
    )
    return Snapshot(
        id=TO_BE_MADE,
        folder=store.folder / TO_BE_MADE,
        taken_at=moment,
        deployment=deployment,
        reason=reason,
        client=client,
        contents=contents,
        **facts,
    )


_FACTS = """
SELECT current_database()::text AS database, current_setting('server_version') AS server,
       pg_database_size(current_database()) AS database_bytes, pg_encoding_to_char(encoding)::text AS encoding,
       datcollate::text AS collation, datctype::text AS character_type
FROM pg_database WHERE datname = current_database()
"""
