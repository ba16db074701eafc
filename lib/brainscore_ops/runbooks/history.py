"""Looking at runs that were: which there are, and one of them with its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from brainscore_ops.database.ops_tables import Run
from brainscore_ops.database.record_chain import has_chain, link_of
from brainscore_ops.display import Badge, Code, Shown, Table
from brainscore_ops.errors import UsageError
from brainscore_ops.runbooks.ledger import entry_of, mark_lost
from brainscore_ops.runbooks.records import RecordChangedError, read_record
from brainscore_ops.runbooks.runs import RunKind
from brainscore_ops.runbooks.scraps import read_scraps
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.runbooks.timings import StepTimings

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.sql.elements import ColumnElement

    from brainscore_ops.database.connection import Database
    from brainscore_ops.runbooks.runs import RunEntry, Step

LAST = "last"
LAST_FAILED = "last-failed"
LAST_LINES = 15
"""Of a log, where a run is shown; its record has the rest."""


class UnknownRunError(UsageError):
    """No run, or more than one, is meant by what was given."""

    code = "unknown-run"


@dataclass(frozen=True)
class ShownRun(Shown):
    """A run with what its record says."""

    entry: RunEntry
    record: Path | None
    steps: list[Step]
    """Empty where the record cannot be read."""
    record_problem: str
    """What is wrong with the record; nothing where it is as its run left it."""
    continued_by: tuple[str, ...] = ()
    """The ids of the runs that went on from it, the oldest first."""
    link: int | None = None
    """The number of the newest link of the chain of records that seals it; None where that is not known."""

    def table(self) -> Table:
        entry, error = self.entry, self.entry.error or {}
        last_lines = "\n".join((error.get("log") or "").splitlines()[-LAST_LINES:])
        return Table(
            entry.id,
            [
                (
                    "state",
                    Badge(str(entry.state), "" if entry.state in (RunState.SUCCEEDED, RunState.RUNNING) else "bad"),
                ),
                ("started", f"{entry.started_at:%Y-%m-%d %H:%M:%S} UTC, by {entry.triggered_by} on {entry.host}"),
                ("took", None if entry.seconds is None else f"{entry.seconds:.1f} s"),
                ("parameters", "\n".join(f"{name}: {value!r}" for name, value in entry.parameters.items())),
                ("failed at", entry.failing_step),
                ("because", error.get("message")),
                ("what to do", error.get("remedy")),
                ("last lines", last_lines),
                ("code", Code(entry.code_version)),
                ("record", self.record_problem or Code(str(self.record))),
                ("sealed by", self.link and f"link {self.link} of the chain of records"),
            ],
        )

    @property
    def timings(self) -> StepTimings:
        """How long its steps took."""
        return StepTimings(self.steps)

    def _repr_html_(self) -> str:
        return self.table()._repr_html_() + (self.timings._repr_html_() if self.steps else "")

    def as_dict(self) -> dict[str, Any]:
        """The run as a JSON document."""
        return {
            **self.entry.as_dict(),
            "seconds": self.entry.seconds,
            "exit_code": self.entry.state.exit_code,
            "steps": [{"name": step.name, "state": str(step.state), "seconds": step.seconds} for step in self.steps],
            "record": self.record and str(self.record),
            "record_problem": self.record_problem,
            "link": self.link,
            "continued_by": list(self.continued_by),
        }


def list_runs(
    database: Database,
    *,
    runbook: str | None = None,
    state: RunState | None = None,
    submission: int | None = None,
    limit: int | None = None,
) -> list[RunEntry]:
    """The newest runs first. Runs that nobody drives any more are marked as lost on the way."""
    mark_lost(database)
    wanted: list[ColumnElement[bool]] = []
    if runbook is not None:
        wanted.append(Run.runbook == runbook)
    if state is not None:
        wanted.append(Run.state == str(state))
    if submission is not None:
        wanted.append(Run.submission_id == submission)
    with database.session() as session:
        found = session.scalars(select(Run).where(*wanted).order_by(Run.started_at.desc(), Run.id.desc()).limit(limit))
        return [entry_of(row) for row in found]


def recorded_scraps(outputs: Path, runbook: str) -> list[dict[str, Any]]:
    """What every run of a runbook that succeeded handed on, by its records alone, the oldest first.

    :param outputs: the records of a deployment; they say what happened there to whoever cannot reach its database
    """
    found = []
    for path in sorted(outputs.glob(f"{runbook}/????-??-??/*.ipynb")):
        try:
            record = read_record(path)
        except RecordChangedError:
            continue
        if record.run["state"] == RunState.SUCCEEDED and record.run.get("kind") != RunKind.PLAN:
            found.append(read_scraps(record.notebook))
    return found


def find_run(database: Database, reference: str) -> RunEntry:
    """The run that is meant by an id, by the start of one, by ``last`` or by ``last-failed``.

    :raises UnknownRunError: there is none, or more than one
    """
    mark_lost(database)
    query = select(Run).order_by(Run.started_at.desc(), Run.id.desc()).limit(5)
    if reference == LAST_FAILED:
        query = query.where(
            Run.state.not_in([RunState.SUCCEEDED, RunState.RUNNING, RunState.REFUSED]), Run.kind != RunKind.PLAN
        )
    elif reference != LAST:
        query = query.where(Run.id.startswith(reference, autoescape=True))
    with database.session() as session:
        found = [entry_of(row) for row in session.scalars(query)]
    exact = [entry for entry in found if entry.id == reference]
    chosen = exact or (found[:1] if reference in (LAST, LAST_FAILED) else found)
    if len(chosen) != 1:
        several = f"several: {', '.join(entry.id for entry in chosen)}" if chosen else "none"
        raise UnknownRunError(
            f"expected one run that {reference!r} means, found {several}",
            remedy=f"`brainscore-ops runs` lists them; {LAST} and {LAST_FAILED} are understood too.",
        )
    return chosen[0]


def continued_by(database: Database, entry: RunEntry) -> tuple[str, ...]:
    """The ids of the runs that went on from a run, the oldest first."""
    with database.session() as session:
        found = session.scalars(select(Run.id).where(Run.continues == entry.id).order_by(Run.started_at, Run.id))
        return tuple(found)


def link_number(database: Database, entry: RunEntry) -> int | None:
    """The number of the newest link of the chain of records that seals a run; None where there is none, or no chain."""
    with database.session() as session:
        return link_of(session, entry.id) if has_chain(session) else None


def show_run(
    entry: RunEntry, outputs: Path, *, continued_by: tuple[str, ...] = (), link: int | None = None
) -> ShownRun:
    """A run with its steps, and whether its record is still what it left.

    :param outputs: the records of its deployment
    :param continued_by: :func:`continued_by`
    :param link: :func:`link_number`
    """
    if entry.record_path is None:
        return ShownRun(entry, None, [], "there is no record", continued_by, link)
    path = outputs / entry.record_path
    try:
        steps = read_record(path).steps
        read_record(path, expected_digest=entry.record_digest)
    except RecordChangedError as problem:
        return ShownRun(entry, path, [], problem.message, continued_by, link)
    return ShownRun(entry, path, steps, "", continued_by, link)
