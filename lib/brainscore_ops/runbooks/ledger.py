"""Ledgers: where a run is entered when it starts and closed when it ends."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack, suppress
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from brainscore_ops.errors import Fault, OpsError, StepFailedError
from brainscore_ops.planning import is_planning
from brainscore_ops.runbooks.records import write_whole
from brainscore_ops.runbooks.runs import RunEntry, RunKind
from brainscore_ops.runbooks.states import RunState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.ops_tables import Run
    from brainscore_ops.settings import Deployment

FILE_ENDING = ".run.json"
LONGEST_RUN = timedelta(days=8)
"""A run in a file whose machine does not answer for it is lost after this: clusters end jobs after a week."""
HARVESTED_DAYS = 30
"""How far back a starting run looks for files of runs that the database does not know."""
HARVESTED_AT_ONCE = 200
"""How many of them are entered in one transaction."""


class BadRunFileError(StepFailedError):
    """A file is not the entry of a run."""

    code = "bad-run-file"
    fault = Fault.OPERATOR


class Ledger(Protocol):
    """Where a run is entered."""

    def open(self, entry: RunEntry) -> None:
        """Enter a run that starts.

        :raises UnavailableError: the ledger does not answer; nothing may run then
        """

    def close(self, entry: RunEntry) -> str:
        """Enter how it ended; it never fails for an outside reason.

        :returns: what a person has to know, or nothing
        """


class DatabaseLedger:
    """The ``run`` table. While a run is open its lock ``run:<id>`` is held: one whose lock is free has lost its driver."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._open = ExitStack()
        self._database: Database | None = None

    def open(self, entry: RunEntry) -> None:
        """See :class:`Ledger`. What former runs left in files is entered first.

        A database whose schema is older than this code has no place for the run: it is kept in a file until there is one.
        """
        from sqlalchemy.exc import ProgrammingError

        from brainscore_ops.database.connection import Database

        with ExitStack() as opening:
            self._database = Database.of(self._deployment)
            opening.callback(self._database.close)
            # The lock comes before the row: at no moment does a running one look lost.
            opening.enter_context(self._database.lock(lock_name(entry.id)))
            try:
                mark_lost(self._database)
                harvest_outputs(self._database, self._deployment.outputs)
                self._database.transact(partial(_merge, entry))
            except ProgrammingError:
                _write_file(file_of(entry, self._deployment.outputs), entry)
            self._open = opening.pop_all()

    def close(self, entry: RunEntry) -> str:
        """See :class:`Ledger`. Where the database is gone, the entry is kept in a file, and a later run enters it."""
        from sqlalchemy.exc import SQLAlchemyError

        assert self._database is not None, "close follows open"  # noqa: S101
        path = file_of(entry, self._deployment.outputs)
        try:
            self._database.transact(partial(_close, [entry]))
            with suppress(OSError):  # there is none, or no folder for it
                path.unlink()
        except (OpsError, SQLAlchemyError) as error:
            _write_file(path, entry)
            said = error.message if isinstance(error, OpsError) else type(error).__name__
            return f"The database could not be told how this run ended ({said}). It is kept in {path}; the next run enters it."
        finally:
            self._open.close()
        return ""


class FileLedger:
    """A file beside the record, for machines that reach no database; :func:`harvest_run` enters it later."""

    def __init__(self, deployment: Deployment) -> None:
        self._outputs = deployment.outputs

    def open(self, entry: RunEntry) -> None:
        """See :class:`Ledger`."""
        _write_file(file_of(entry, self._outputs), entry)

    def close(self, entry: RunEntry) -> str:
        """See :class:`Ledger`."""
        _write_file(file_of(entry, self._outputs), entry)
        return ""


def file_of(entry: RunEntry, outputs: Path) -> Path:
    """Where a file ledger keeps a run: beside its record."""
    if entry.record_path is None:
        raise BadRunFileError(f"expected the run {entry.id} to have a record, found none")
    return (outputs / entry.record_path).with_suffix("").with_suffix(FILE_ENDING)


def lock_name(run_id: str) -> str:
    """The advisory lock that a run's driver holds."""
    return f"run:{run_id}"


def harvest_run(database: Database, path: Path) -> bool:
    """Enter the run of a file into the database, once; the file is then removed.

    A run that still goes on is left alone, one whose driver is gone is entered as lost.

    :returns: whether the database learned something
    :raises BadRunFileError: the file is no entry of a run
    """
    if is_planning():
        return False  # its file would be gone, and what it said taken back
    entry = _ended(path)
    return entry is not None and _harvest(database, {path: entry}) == 1


def harvest_outputs(database: Database, outputs: Path) -> int:
    """Enter every run that lies in a file among the records of the last days, many at a time.

    :returns: how many the database did not know
    """
    if is_planning():
        return 0
    count = 0
    paths = _recent_files(outputs)
    while some := list(islice(paths, HARVESTED_AT_ONCE)):
        ended = {}
        for path in some:
            with suppress(BadRunFileError):  # it stays where it is, and harm comes to no other run
                if (entry := _ended(path)) is not None:
                    ended[path] = entry
        count += _harvest(database, ended)
    return count


def mark_lost(database: Database) -> list[str]:
    """Mark the runs that nobody drives any more.

    :returns: their ids
    """
    from sqlalchemy import select

    from brainscore_ops.database.ops_tables import Run

    lost = []
    with database.session() as session:
        running = list(session.scalars(select(Run.id).where(Run.state == RunState.RUNNING)))
    for run_id in running:
        with database.lock(lock_name(run_id), wait=False) as held, database.session() as session:
            row = session.get(Run, run_id) if held else None
            # It may have ended since we asked, or its lock went with a restart of the database.
            if row is not None and row.state == RunState.RUNNING and not _is_driven_here(entry_of(row)):
                _close([_lost(entry_of(row))], session)
                lost.append(run_id)
    return lost


def entry_of(row: Run) -> RunEntry:
    """The run of a row."""
    values = {item.name: getattr(row, item.name) for item in fields(RunEntry)}
    return RunEntry(**{**values, "state": RunState(row.state), "kind": RunKind(row.kind)})


def _as_row(entry: RunEntry, session: Session) -> Run:
    from brainscore_ops.database.brainscore_tables import Submission
    from brainscore_ops.database.ops_tables import Run

    values = {item.name: getattr(entry, item.name) for item in fields(RunEntry)}
    values.update(state=str(entry.state), kind=str(entry.kind))
    if entry.submission_id is not None and session.get(Submission, entry.submission_id) is None:
        values["submission_id"] = None  # a mistyped number must not cost us the record of the run
    return Run(**values)


def _lost(entry: RunEntry) -> RunEntry:
    error = StepFailedError(
        f"the process {entry.process} on {entry.host} that drove this run is gone",
        remedy="Run it again: it goes on from what is done.",
        code="lost",
    )
    return replace(entry, state=RunState.LOST, ended_at=datetime.now(UTC), error=error.as_dict())


def _ended(path: Path) -> RunEntry | None:
    """The run of a file, as it ended; None where it still goes on, or the file is gone."""
    try:
        entry = RunEntry.from_dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None  # somebody else was quicker
    except (ValueError, KeyError, TypeError) as error:
        raise BadRunFileError(f"expected the entry of a run in {path}: {error!r}", remedy="Move it away.") from error
    if entry.state is not RunState.RUNNING:
        return entry
    return None if _may_be_driven(entry) else _lost(entry)


def _harvest(database: Database, ended: Mapping[Path, RunEntry]) -> int:
    """Enter the runs of files in one transaction, and remove the files.

    :returns: how many the database did not know
    """

    def enter(session: Session) -> int:
        from sqlalchemy import func, select

        from brainscore_ops.database.connection import lock_number
        from brainscore_ops.database.ops_tables import Run

        # In one order, whoever harvests: two that do so at once wait for each other, and not both.
        for number in sorted(lock_number(lock_name(entry.id)) for entry in ended.values()):
            session.execute(select(func.pg_advisory_xact_lock(number)))
        ids = [entry.id for entry in ended.values()]
        known = {row.id: row.state for row in session.execute(select(Run.id, Run.state).where(Run.id.in_(ids)))}
        unfinished = (None, RunState.RUNNING, RunState.LOST)
        news = [entry for entry in ended.values() if known.get(entry.id) in unfinished]
        _close(news, session)
        return len(news)

    count = database.transact(enter) if ended else 0
    for path in ended:
        path.unlink(missing_ok=True)
    return count


def _merge(entry: RunEntry, session: Session) -> None:
    session.merge(_as_row(entry, session))


def _close(entries: Sequence[RunEntry], session: Session) -> None:
    """Enter runs that have ended, and seal them into the chain of records: both or neither."""
    from brainscore_ops.database.record_chain import append_links

    for entry in entries:
        _merge(entry, session)
    append_links(session, [entry.id for entry in entries])


def _may_be_driven(entry: RunEntry) -> bool:
    """Whether somebody may still drive a run. Of another machine's processes nothing is known but that none runs for so long."""
    if entry.host != socket.gethostname():
        return datetime.now(UTC) - entry.started_at < LONGEST_RUN
    return _is_driven_here(entry)


def _is_driven_here(entry: RunEntry) -> bool:
    import psutil

    if entry.host != socket.gethostname():
        return False
    try:
        # Process numbers are used again: one that began after the run is another process.
        return psutil.Process(entry.process).create_time() <= entry.started_at.timestamp() + 1
    except psutil.Error:
        return False


def _recent_files(outputs: Path) -> Iterator[Path]:
    first = f"{datetime.now(UTC) - timedelta(days=HARVESTED_DAYS):%Y-%m-%d}"
    for day in outputs.glob("*/????-??-??"):
        if day.name >= first:
            yield from day.glob(f"*{FILE_ENDING}")


def _write_file(path: Path, entry: RunEntry) -> None:
    write_whole(path, (json.dumps(entry.as_dict(), ensure_ascii=False, indent=1) + "\n").encode())
