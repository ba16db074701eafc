"""Attempts: each time that a pair is tried, with what, where, and how it ended. Files first, in the pair's results folder."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from brainscore_ops.errors import Fault, StepFailedError
from brainscore_ops.scoring.classes import larger_class, longer_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from brainscore_ops.settings import ResourceClass

FOLDER = "attempts"


class AttemptState(StrEnum):
    """Where an attempt stands. ``queued`` and ``running`` have a deadline; the others are final."""

    QUEUED = "queued"
    """It waits for a worker; on SLURM mostly for a job to start."""
    RUNNING = "running"
    SCORED = "scored"
    FAILED = "failed"
    LOST = "lost"
    """Nobody knows how it ended, or will: its driver is gone, and its job with it."""

    @property
    def is_final(self) -> bool:
        """Whether it stays so."""
        return self not in (AttemptState.QUEUED, AttemptState.RUNNING)


class FailureKind(StrEnum):
    """What sort of failure it was: it decides whether the pair is tried again, and where."""

    OUT_OF_MEMORY = "out-of-memory"
    """Again, in the next larger class."""
    TIMEOUT = "timeout"
    """Again, in a class with more walltime, or else with all of the walltime to itself."""
    TRANSIENT = "transient"
    """A worker or a node was lost: again, elsewhere."""
    ENVIRONMENT = "environment"
    """What the plugins require could not be installed, or the node could not run it."""
    DETERMINISTIC = "deterministic"
    """The plugins' own: not tried again."""


KINDS: Mapping[str, FailureKind] = {
    "out-of-memory": FailureKind.OUT_OF_MEMORY,
    "timeout": FailureKind.TIMEOUT,
    "killed": FailureKind.TRANSIENT,
    "driver-lost": FailureKind.TRANSIENT,
    "worker-lost": FailureKind.TRANSIENT,
    "node-lost": FailureKind.TRANSIENT,
    "never-started": FailureKind.TRANSIENT,
    "kernel-died": FailureKind.TRANSIENT,
    "scoring-crashed": FailureKind.DETERMINISTIC,
    "invalid-result": FailureKind.DETERMINISTIC,
    "process-limit": FailureKind.DETERMINISTIC,
    "output-limit": FailureKind.DETERMINISTIC,
    "disk-limit": FailureKind.DETERMINISTIC,
    "bad-resources": FailureKind.DETERMINISTIC,
    "environment-not-built": FailureKind.ENVIRONMENT,
    "requirements-refused": FailureKind.ENVIRONMENT,
    "registry-unavailable": FailureKind.ENVIRONMENT,
    "installation-failed": FailureKind.ENVIRONMENT,
    "sandbox-missing": FailureKind.ENVIRONMENT,
    "sandbox-broken": FailureKind.ENVIRONMENT,
    "cluster-refused": FailureKind.ENVIRONMENT,
    "workers-do-not-start": FailureKind.ENVIRONMENT,
    "no-resource-class": FailureKind.ENVIRONMENT,
}

_AGAIN_ON_ANOTHER_NODE = {"registry-unavailable", "installation-failed", "sandbox-missing", "sandbox-broken"}


@dataclass(frozen=True)
class Attempt:
    """One try of a pair; the fields are the columns of :class:`brainscore_ops.database.ops_tables.ScoreAttempt`."""

    identity: str
    number: int
    """From 1, in the order in which the pair was tried, whichever run tried it."""
    model: str
    benchmark: str
    library_commit: str
    resource_class: str
    driver: str
    """The run that asked for it."""
    submission_id: int | None
    state: AttemptState
    queued_at: datetime
    deadline: datetime | None
    """When it is given up, in the state that it is in; None in a final one."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    job_id: str | None = None
    node: str | None = None
    partition: str | None = None
    kind: FailureKind | None = None
    reason_code: str | None = None
    reason: str | None = None
    fault: str | None = None
    wall_seconds: float | None = None
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    run_id: str | None = None
    """The run of ``score_pair`` that is its record."""

    def as_dict(self) -> dict[str, Any]:
        """The attempt as a JSON document."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Attempt:
        """What :meth:`as_dict` gave.

        :raises KeyError, TypeError, ValueError: for another document
        """
        known = {item.name: document[item.name] for item in fields(cls)}
        for name in ("queued_at", "started_at", "ended_at", "deadline"):
            if isinstance(known[name], str):
                known[name] = datetime.fromisoformat(known[name])
        known["state"] = AttemptState(known["state"])
        known["kind"] = known["kind"] and FailureKind(known["kind"])
        return cls(**known)

    def started(
        self, *, seconds: float, job_id: str | None, node: str, partition: str | None, at: datetime | None = None
    ) -> Attempt:
        """The same, now that a worker has it.

        :param seconds: when it is to have ended by itself
        """
        at = at or now()
        return replace(
            self,
            state=AttemptState.RUNNING,
            started_at=at,
            deadline=at + timedelta(seconds=seconds),
            job_id=job_id,
            node=node,
            partition=partition,
        )

    def ended(self, failure: Mapping[str, Any] | None = None, **facts: Any) -> Attempt:
        """The same, at its end.

        :param failure: :meth:`OpsError.as_dict` of what went wrong; None for a score
        :param facts: what else is known by now
        """
        at = now()
        began = self.started_at or at
        facts = {"wall_seconds": (at - began).total_seconds(), **{k: v for k, v in facts.items() if v is not None}}
        ended = replace(self, state=AttemptState.SCORED, ended_at=at, deadline=None, **facts)
        if failure is None:
            return ended
        code = str(failure["code"])
        return replace(
            ended,
            state=AttemptState.LOST if code == "driver-lost" else AttemptState.FAILED,
            kind=kind_of(code, str(failure["fault"])),
            reason_code=code,
            reason=str(failure["message"]),
            fault=str(failure["fault"]),
        )


@dataclass(frozen=True)
class Again:
    """A pair is tried again."""

    resource_class: ResourceClass
    fresh: bool
    """Whether by a worker that has all of its walltime left."""
    why: str


def kind_of(code: str, fault: str) -> FailureKind:
    """What sort of failure a reason code stands for; of one that is not known the fault decides."""
    return KINDS.get(code) or (FailureKind.DETERMINISTIC if fault == Fault.SUBMISSION else FailureKind.TRANSIENT)


def next_try(tries: Sequence[Attempt], classes: Sequence[ResourceClass], most: int) -> Again | None:
    """Whether, and how, a pair is tried again. A pure function of how it went.

    - out of memory: in the next class with more memory, while there is one
    - out of time: in the next class with more walltime, or once more with the whole walltime of its own
    - a worker, a node or the way to a service was lost: again in the same class, ``most`` times in all
    - a driver was lost: again; it says nothing about the pair
    - anything else: no

    :param tries: of one run, the last one ended without a score
    :param most: how often it is tried where machines are at fault
    """
    last = tries[-1]
    current = next(each for each in classes if each.name == last.resource_class)
    if last.state is AttemptState.LOST:
        return Again(current, fresh=False, why="its driver was lost")
    kinds = [each.kind for each in tries if each.state is not AttemptState.LOST]
    if last.kind is FailureKind.OUT_OF_MEMORY:
        larger = larger_class(current, classes)
        return Again(larger, fresh=False, why=f"out of memory in {current.name}") if larger is not None else None
    if last.kind is FailureKind.TIMEOUT:
        longer = longer_class(current, classes)
        if longer is not None:
            return Again(longer, fresh=False, why=f"out of time in {current.name}")
        had_all = len(tries) > 1 and kinds[-2:] == [FailureKind.TIMEOUT, FailureKind.TIMEOUT]
        full = (last.wall_seconds or 0) >= 0.9 * current.walltime
        return None if had_all or full else Again(current, fresh=True, why=f"out of time on a worker of {current.name}")
    if last.reason_code == "never-started":
        return None
    passing = last.kind is FailureKind.TRANSIENT or last.reason_code in _AGAIN_ON_ANOTHER_NODE
    counted = [each for each in tries if each.kind in (FailureKind.TRANSIENT, FailureKind.ENVIRONMENT)]
    if passing and len(counted) < most:
        return Again(current, fresh=False, why=str(last.reason_code))
    return None


def driver_lost(driver: str) -> StepFailedError:
    """What ended an attempt whose driver was gone before it."""
    return StepFailedError(
        f"its driver {driver} ended before it did",
        remedy="Run the same runbook again: it goes on with what is missing.",
        code="driver-lost",
    )


def attempts_of(folder: Path) -> list[Attempt]:
    """The attempts that a pair's results folder holds, the first one first."""
    found = []
    for path in sorted((folder / FOLDER).glob("[0-9]*.json")):
        try:
            found.append(Attempt.from_dict(json.loads(path.read_bytes())))
        except (ValueError, KeyError, TypeError):
            continue  # of another version of this software
    return found


def write_attempt(folder: Path, attempt: Attempt) -> None:
    """Put an attempt into its file, whole or not at all."""
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    partial = place / f".{attempt.number:04}.{os.getpid()}.partial"
    partial.write_text(json.dumps(attempt.as_dict(), ensure_ascii=False), encoding="utf-8")
    partial.replace(place / f"{attempt.number:04}.json")


def read_attempt(folder: Path, number: int) -> Attempt:
    """An attempt that is in its file."""
    return Attempt.from_dict(json.loads((folder / FOLDER / f"{number:04}.json").read_bytes()))


@contextmanager
def alone_in(folder: Path, lock: str = ".lock") -> Iterator[None]:
    """Let one process at a time work in a results folder, on whichever machine; the lock goes with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / lock).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)
