"""The facts of one run, as the ledgers, the records and the commands hand them around."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from brainscore_ops.runbooks.states import RunState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class StepState(StrEnum):
    """The state of one step."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RunKind(StrEnum):
    """How a run is done."""

    RUN = "run"
    """Headlessly, from its first cell to its last."""
    SESSION = "session"
    """By a person who steps through it in JupyterLab."""
    PLAN = "plan"
    """With every outside effect replaced by its description."""


@dataclass(frozen=True)
class Step:
    """A tagged cell of a runbook, in one run."""

    name: str
    state: StepState = StepState.PENDING
    seconds: float | None = None
    """None until it has run."""


@dataclass(frozen=True)
class RunEntry:
    """A run as its ledger has it; the fields are the columns of :class:`brainscore_ops.database.ops_tables.Run`."""

    id: str
    deployment: str
    runbook: str
    runbook_digest: str
    code_version: str
    parameters: dict[str, Any]
    triggered_by: str
    host: str
    process: int
    started_at: datetime
    state: RunState = RunState.RUNNING
    ended_at: datetime | None = None
    failing_step: str | None = None
    error: dict[str, Any] | None = None
    """:meth:`brainscore_ops.errors.OpsError.as_dict` of what ended it."""
    summary: dict[str, Any] = field(default_factory=dict)
    """Its scraps."""
    record_path: str | None = None
    """Relative to the outputs of its deployment."""
    record_digest: str | None = None
    submission_id: int | None = None
    kind: RunKind = RunKind.RUN
    continues: str | None = None
    """The id of the run that this one goes on from."""

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()

    def as_dict(self) -> dict[str, Any]:
        """The run as a JSON document."""
        document = asdict(self)
        for name in ("started_at", "ended_at"):
            document[name] = document[name] and document[name].isoformat()
        return {**document, "state": str(self.state), "kind": str(self.kind)}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> RunEntry:
        """What :meth:`as_dict` gave.

        :raises KeyError, TypeError, ValueError: for any other document
        """
        # Code that is older than these two leaves files without them.
        document = {"kind": RunKind.RUN, "continues": None, **document}
        known = {item.name: document[item.name] for item in fields(cls)}
        for name in ("started_at", "ended_at"):
            known[name] = known[name] and datetime.fromisoformat(known[name])
        return cls(**{**known, "state": RunState(known["state"]), "kind": RunKind(known["kind"])})


@dataclass(frozen=True)
class StepProgress:
    """A step of a running runbook has started or ended."""

    run_id: str
    step: str
    position: int
    """From 1."""
    count: int
    """How many steps the runbook has."""
    state: StepState
    """``running`` when it starts and while it goes on, ``succeeded`` or ``failed`` when it ends."""
    seconds: float | None = None
    shown: str = ""
    """While it goes on: what it shows now, as text."""


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    id: str
    runbook: str
    state: RunState
    failing_step: str | None
    error: dict[str, Any] | None
    """:meth:`brainscore_ops.errors.OpsError.as_dict`; None after a success."""
    scraps: dict[str, Any]
    record: Path
    seconds: float
    notes: tuple[str, ...] = ()
    """What a person has to know beside it: that the ledger did not answer."""

    @property
    def exit_code(self) -> int:
        """What a command ends with that did this run: a step's own code where it says more than that it failed."""
        if self.state is RunState.FAILED and self.error:
            return int(self.error["exit_code"])
        return self.state.exit_code

    def as_dict(self) -> dict[str, Any]:
        """The result as a JSON document."""
        return {**asdict(self), "state": str(self.state), "exit_code": self.exit_code, "record": str(self.record)}


def new_run_id(runbook: str, started: datetime) -> str:
    """A run's id: sorts by time, names the runbook, is unique. ``20261123T153501-merge-3f9a1c``."""
    return f"{started.astimezone(UTC):%Y%m%dT%H%M%S}-{runbook}-{secrets.token_hex(3)}"


def record_path(run_id: str, runbook: str, started: datetime) -> str:
    """Where a run's record is, relative to the outputs of its deployment."""
    return str(PurePosixPath(runbook, f"{started.astimezone(UTC):%Y-%m-%d}", f"{run_id}.ipynb"))


def submission_named_in(values: Mapping[str, Any]) -> int | None:
    """The submission that a run is for: a parameter or a scrap of that name says so."""
    value = values.get("submission")
    return value if isinstance(value, int) and not isinstance(value, bool) else None
