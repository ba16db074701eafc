"""Auditing a deployment's records: whether every link, run and executed notebook is what it was when its run was closed."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, select

from brainscore_ops.database.ops_tables import RecordLink, Run
from brainscore_ops.database.record_chain import (
    BEGINNING,
    FACTS,
    LOST,
    RUNNING,
    SEALED,
    Head,
    LinkKind,
    accept_link,
    facts_digest,
    has_link,
    link_digest,
    read_head,
)
from brainscore_ops.display import Badge, Code, Shown, Table
from brainscore_ops.errors import Fault, Problem, StepFailedError, UsageError
from brainscore_ops.runbooks.history import UnknownRunError
from brainscore_ops.runbooks.records import RecordChangedError, describe_run, read_record
from brainscore_ops.runbooks.runs import RunEntry, RunKind, submission_named_in
from brainscore_ops.runbooks.states import RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import RowMapping, Select
    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database

_AT_ONCE = 1000


class ChainNotBegunError(StepFailedError):
    """The chain of records has no link."""

    code = "chain-not-begun"
    fault = Fault.OPERATOR


class NoRecordsHereError(UsageError):
    """The deployment's outputs are not on this machine."""

    code = "no-records-here"


@dataclass(frozen=True)
class Audit(Shown):
    """What an audit looked at, and everything that is not as it was."""

    deployment: str
    links: int
    """How many were walked."""
    runs: int
    """How many of their rows were compared."""
    records: int | None
    """How many executed notebooks were read; None where only the chain was to be looked at."""
    kinds: Mapping[str, int]
    """Kind of link → how many of those walked."""
    head: Head | None
    """The newest link."""
    problems: tuple[Problem, ...]
    """Each names the run or the link in ``where``."""
    seconds: float

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def table(self) -> Table:
        notes = {
            LinkKind.FOUND: "were closed before the chain began, or came from another database: sealed as they were then",
            LinkKind.ACCEPTED: "were found changed or gone, and accepted with a reason",
        }
        rows: list[tuple[object, ...]] = [
            ("the chain", Badge("intact", "good") if self.is_intact else Badge("broken", "bad")),
            ("links", f"{self.links:,}"),
            ("runs compared", f"{self.runs:,}"),
            ("records read", "none: only the chain was looked at" if self.records is None else f"{self.records:,}"),
            *((str(kind), f"{self.kinds[kind]:,} {said}") for kind, said in notes.items() if self.kinds.get(kind)),
            ("head", self.head and Code(str(self.head))),
            ("problems", f"{len(self.problems):,}" if self.problems else None),
        ]
        return Table(f"The records of {self.deployment}", rows)

    def as_dict(self) -> dict[str, Any]:
        """The audit as a JSON document."""
        return {
            "deployment": self.deployment,
            "intact": self.is_intact,
            "links": self.links,
            "runs": self.runs,
            "records": self.records,
            "kinds": dict(self.kinds),
            "head": self.head and {"number": self.head.number, "digest": self.head.digest},
            "problems": [asdict(problem) for problem in self.problems],
            "seconds": round(self.seconds, 3),
        }


def verify_chain(
    database: Database,
    deployment: str,
    outputs: Path | None,
    *,
    since: datetime | None = None,
    heads: Sequence[Head] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> Audit:
    """Walk the chain of records as it is at this moment, and compare it with the runs and their executed notebooks.

    :param outputs: the deployment's records; None to leave them out
    :param since: only links that were added then or later; what they follow is taken as it is
    :param heads: heads that were kept elsewhere: each has to be a link of the chain still
    :param on_progress: told after each thousand how many links are walked, and of how many
    :raises NoRecordsHereError: there is no such folder of records
    """
    if outputs is not None and not outputs.is_dir():
        raise NoRecordsHereError(
            f"expected the records of {deployment} in {outputs}, found no such folder",
            remedy="Run this where the records are, or with --chain-only.",
        )
    started = time.monotonic()
    with database.moment() as session:
        walk = _Walk(session, deployment, outputs)
        walk.go(since, on_progress)
        walk.look_for_unsealed(since)
        walk.look_for(heads)
        head = read_head(session)
    return Audit(
        deployment=deployment,
        links=walk.links,
        runs=walk.runs,
        records=None if outputs is None else walk.records,
        kinds=dict(walk.kinds),
        head=head,
        problems=tuple(walk.problems),
        seconds=time.monotonic() - started,
    )


def chain_head(database: Database) -> Head:
    """The newest link, to be kept elsewhere.

    :raises ChainNotBegunError: there is none
    """
    with database.session() as session:
        head = read_head(session)
    if head is None:
        raise ChainNotBegunError(
            "expected a chain of records, found no link",
            remedy="The next run that ends begins it, with all that ended before.",
        )
    return head


def accept_runs(database: Database, outputs: Path, runs: Iterable[str], *, accepted_by: str, reason: str) -> list[str]:
    """Say in the chain that what is there of runs now, changed or gone, is right: what was sealed before stays in it, too.

    :returns: the runs' ids, each once
    :raises UnknownRunError: the chain and the table know no such run, or it goes on; nothing is accepted then
    """
    wanted = list(dict.fromkeys(runs))
    with database.session() as session:
        found = session.execute(select(Run.id, Run.state, Run.record_path).where(Run.id.in_(wanted)))
        rows = {row.id: row for row in found}
        known = set(session.scalars(select(RecordLink.run_id).where(RecordLink.run_id.in_(wanted))))
        known |= {run for run, row in rows.items() if row.state != RUNNING}
        if strange := [run for run in wanted if run not in known]:
            raise UnknownRunError(
                f"expected runs that have ended, found {', '.join(strange)}",
                remedy="`brainscore-ops audit verify` names those that are not as they were.",
            )
        for run in wanted:
            path = rows[run].record_path if run in rows else None
            digest = _read_digest(outputs, path) if path else None
            accept_link(session, run, record_digest=digest, accepted_by=accepted_by, reason=reason)
    return wanted


class _Walk:
    """The links in their order, and what is wrong with them and with what they seal."""

    def __init__(self, session: Session, deployment: str, outputs: Path | None) -> None:
        self._session = session
        self._deployment = deployment
        self._outputs = outputs
        self._number, self._digest = 0, BEGINNING
        self._newest = self._newest_of_several()
        self._ends: dict[str, tuple[int, str]] = {}
        """Of each run that has more than one link: the one before, and the state that it seals."""
        self._reopened: dict[str, Problem] = {}
        self.problems: list[Problem] = []
        self.links = self.runs = self.records = 0
        self.kinds: Counter[str] = Counter()

    def go(self, since: datetime | None, on_progress: Callable[[int, int], None] | None) -> None:
        """Look at every link from a moment on, and at what it seals."""
        if since is not None:
            self._start_behind(since)
        wanted = RecordLink.number > self._number
        total = self._session.scalar(select(func.count()).where(wanted)) or 0
        links = self._session.execute(_links_with_runs().where(wanted).execution_options(yield_per=_AT_ONCE))
        with ThreadPoolExecutor() as readers:
            for rows in links.mappings().partitions():
                for row in rows:
                    self._look_at_link(row)
                newest = [row for row in rows if self._is_newest(row)]
                for row, digest in zip(newest, readers.map(self._digest_of_record, newest), strict=True):
                    self._compare_record(row, digest)
                    self._compare_run(row, digest)
                if on_progress is not None:
                    on_progress(self.links, total)
        self.problems += self._reopened.values()

    def look_for_unsealed(self, since: datetime | None) -> None:
        """The closed runs that no link seals."""
        query = select(Run.id).where(Run.state != RUNNING, ~exists().where(RecordLink.run_id == Run.id))
        if since is not None:
            query = query.where(Run.started_at >= since)
        runs = self._session.scalars(query.order_by(Run.started_at, Run.id)).all()
        if runs and read_head(self._session) is None:
            said = f"expected links of {len(runs):,} runs that have ended, found none at all."
            todo = f"The next run that ends begins the chain. Had it begun, it was removed. {self._restore}"
            self._add("chain-not-begun", "the chain", said, todo)
            return
        said = "expected a link of this run, which has ended, found none: it was put there by hand, or closed by older code."
        for run in runs:
            look = f"Look what it was: `brainscore-ops show {run} --deployment {self._deployment}`."
            self._add("run-unsealed", run, said, f"{look} {self._accept(run)}")

    def look_for(self, heads: Iterable[Head]) -> None:
        """The heads from elsewhere that the chain has no more."""
        now = read_head(self._session)
        ends = f"the chain ends at {now}" if now else "there is no chain"
        for head in heads:
            if not has_link(self._session, head):
                said = f"expected the digest {head.digest}, as the chain once had; {ends}: its end was cut off, or it was forged."
                self._add("head-missing", f"link {head.number}", said, self._restore)

    def _start_behind(self, since: datetime) -> None:
        links = select(RecordLink).where(RecordLink.at < since)
        before = self._session.scalar(links.order_by(RecordLink.number.desc()).limit(1))
        if before is not None:
            self._number, self._digest = before.number, before.digest

    def _newest_of_several(self) -> dict[str, int]:
        """The number of the newest link of each run that has more than one."""
        newest = func.max(RecordLink.number)
        several = select(RecordLink.run_id, newest.label("newest")).group_by(RecordLink.run_id).having(func.count() > 1)
        return {row.run_id: row.newest for row in self._session.execute(several)}

    def _is_newest(self, row: RowMapping) -> bool:
        return bool(self._newest.get(row["link_run_id"], row["link_number"]) == row["link_number"])

    def _look_at_link(self, row: RowMapping) -> None:
        number, digest, previous = row["link_number"], row["link_digest"], row["link_previous_digest"]
        expected = self._number + 1
        self.links += 1
        self.kinds[row["link_kind"]] += 1
        if number != expected:
            missing = f"link {expected}" if number == expected + 1 else f"links {expected} to {number - 1}"
            self._add(
                "link-missing", missing, f"expected one link after the other, found link {number}.", self._restore
            )
        elif previous != self._digest:
            said = f"expected it to follow {self._digest}, found {previous}: the one before was replaced, or this one put here."
            self._add("chain-broken", f"link {number}", said, self._restore)
        found = link_digest({name: row[f"link_{name}"] for name in SEALED})
        if found != digest:
            said = f"expected what the digest {digest} seals, found what would have {found}."
            self._add("link-changed", f"link {number}", said, self._restore)
        self._number, self._digest = number, digest
        if row["link_run_id"] in self._newest:
            self._look_at_end(row)

    def _look_at_end(self, row: RowMapping) -> None:
        """A run ends once, unless it was taken for lost: one that was set to running by hand is closed as lost."""
        run, number = row["link_run_id"], row["link_number"]
        earlier, state = self._ends.get(run, (0, LOST))
        if row["link_kind"] == LinkKind.ACCEPTED:
            self._reopened.pop(run, None)
        elif state != LOST:
            again = f"{row['link_state']} in link {number}"
            said = f"expected one end, {state} as link {earlier} seals it, found another, {again}: it was set to running by hand."
            self._reopened[run] = Problem(
                "run-reopened", said, where=run, remedy=f"{self._restore} {self._accept(run)}"
            )
        self._ends[run] = (number, row["link_state"] or LOST)

    def _digest_of_record(self, row: RowMapping) -> str | None:
        if self._outputs is None or row["link_record_digest"] is None or row["record_path"] is None:
            return None
        return _read_digest(self._outputs, row["record_path"])

    def _compare_record(self, row: RowMapping, found: str | None) -> None:
        expected, run = row["link_record_digest"], row["link_run_id"]
        if self._outputs is None or expected is None or row["record_path"] is None:
            return
        self.records += 1
        path = self._outputs / row["record_path"]
        back = f"Put the file back from a copy. {self._accept(run)}"
        if found is None:
            self._add("record-missing", run, f"expected its record at {path}, found no such file there.", back)
        elif found != expected:
            self._add(
                "record-changed", run, f"expected the digest {expected} of its record {path}, found {found}.", back
            )

    def _compare_run(self, row: RowMapping, record: str | None) -> None:
        run, expected = row["link_run_id"], row["link_facts_digest"]
        link = f"link {row['link_number']}"
        self.runs += 1
        back = f"{self._restore} {self._accept(run)}"
        if row["id"] is None:
            if expected is not None:
                self._add("run-removed", run, f"expected its row, which {link} seals, found none.", back)
            return
        found = facts_digest(row)
        if found != expected:
            told = self._differences(row) if record is not None and record == row["link_record_digest"] else ""
            said = told or f"expected the facts that {link} seals with {expected}, found what would have {found}"
            self._add("run-changed", run, f"{said}.", back)
            return
        # No link seals the submission, which may be gone from a restored database; what it can be only is.
        named = submission_named_in(row["summary"]) or submission_named_in(row["parameters"])
        if row["submission_id"] not in (None, named):
            said = (
                f"expected it to be for submission {named or 'none'}, as it says itself, found {row['submission_id']}."
            )
            self._add("run-changed", run, said, back)

    def _differences(self, row: RowMapping) -> str:
        """What the row says otherwise than its record, which is as its run left it."""
        assert self._outputs is not None  # noqa: S101 - there is a record's digest
        try:
            record = read_record(self._outputs / row["record_path"]).run
            facts = {name: row[name] for name in FACTS}
            entry = RunEntry(**{**facts, "state": RunState(row["state"]), "kind": RunKind(row["kind"])})
        except (RecordChangedError, ValueError):
            return ""
        here = describe_run(entry, [])
        changed = [name for name in here if name != "steps" and here[name] != record.get(name)]
        return "; ".join(f"expected {name} {record.get(name)!r}, found {here[name]!r}" for name in changed)

    @property
    def _restore(self) -> str:
        return f"Compare with a snapshot: `brainscore-ops run restore --deployment {self._deployment}` puts one beside."

    def _accept(self, run: str) -> str:
        return f"If it is right so: `brainscore-ops audit accept {run} --deployment {self._deployment} --reason …`."

    def _add(self, code: str, where: str, message: str, remedy: str) -> None:
        self.problems.append(Problem(code, message, where=where, remedy=remedy))


def _links_with_runs() -> Select[Any]:
    """Every link, in order, with its run as it is now."""
    link = [column.label(f"link_{column.name}") for column in RecordLink.__table__.columns]
    run = [*(getattr(Run, name) for name in FACTS), Run.submission_id]
    return select(*link, *run).outerjoin(Run, Run.id == RecordLink.run_id).order_by(RecordLink.number)


def _read_digest(outputs: Path, record_path: str) -> str | None:
    """SHA-256 of a record; None where there is none to be read: what a row names may be anything."""
    path = outputs / record_path
    try:
        if not (path.resolve().is_relative_to(outputs.resolve()) and path.is_file()):
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None
