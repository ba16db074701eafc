"""Records: executed notebooks in ``outputs/<deployment>/<runbook>/<date>/<run id>.ipynb``, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.errors import Fault, RefusedError
from brainscore_ops.runbooks.quick_imports import without_unused_options
from brainscore_ops.runbooks.runs import RunEntry, Step, StepState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nbformat import NotebookNode

METADATA = "brainscore_ops"


class RecordChangedError(RefusedError):
    """A record is not what its run left, or is no record."""

    code = "record-changed"
    fault = Fault.OPERATOR


@dataclass(frozen=True)
class Record:
    """An executed notebook, as its file has it."""

    path: Path
    digest: str
    """SHA-256 of the file."""
    run: dict[str, Any]
    """:func:`describe_run` of the run that it is the record of."""
    notebook: dict[str, Any]

    @property
    def steps(self) -> list[Step]:
        """The run's steps."""
        return [
            Step(name=step["name"], state=StepState(step["state"]), seconds=step["seconds"])
            for step in self.run["steps"]
        ]


def read_record(path: Path, *, expected_digest: str | None = None) -> Record:
    """Read a record.

    :param expected_digest: what the run's ledger says of it
    :raises RecordChangedError: it is missing, no record, or not the one of that digest
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordChangedError(f"expected a record at {path}: {error.strerror}") from None
    digest = hashlib.sha256(content).hexdigest()
    if expected_digest not in (None, digest):
        raise RecordChangedError(
            f"expected the record {path} with the digest {expected_digest}, found {digest}",
            remedy="It was changed after its run: restore it from a copy.",
        )
    try:
        notebook = json.loads(content)
        return Record(path=path, digest=digest, run=notebook["metadata"][METADATA]["run"], notebook=notebook)
    except (ValueError, KeyError, TypeError):
        raise RecordChangedError(f"expected the record of a run, found something else at {path}") from None


def write_record(path: Path, notebook: NotebookNode, *, final: bool) -> str:
    """Put a notebook at its place in one move: whoever reads sees the former one or this one.

    :param final: whether it stays so: it is then on disk when this returns, and closed to writing
    :returns: the file's digest
    """
    with without_unused_options():
        from nbformat import v4
    content = (v4.writes(notebook) + "\n").encode()
    write_whole(path, content, mode=0o444 if final else 0o644, flushed=final)
    return hashlib.sha256(content).hexdigest()


def write_whole(path: Path, content: bytes, *, mode: int = 0o644, flushed: bool = True) -> None:
    """Put a file at its place in one move.

    :param flushed: whether it is on disk when this returns
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        if flushed:
            os.fsync(file.fileno())
    partial.chmod(mode)
    partial.replace(path)


def describe_run(entry: RunEntry, steps: Iterable[Step]) -> dict[str, Any]:
    """What a record says of its run, under ``brainscore_ops.run`` in its metadata."""
    return {
        "id": entry.id,
        "runbook": entry.runbook,
        "deployment": entry.deployment,
        "parameters": entry.parameters,
        "triggered_by": entry.triggered_by,
        "kind": str(entry.kind),
        "continues": entry.continues,
        "state": str(entry.state),
        "failing_step": entry.failing_step,
        "error": entry.error,
        "started": entry.started_at.isoformat(),
        "ended": entry.ended_at and entry.ended_at.isoformat(),
        "code_version": entry.code_version,
        "runbook_digest": entry.runbook_digest,
        "steps": [{"name": step.name, "state": str(step.state), "seconds": step.seconds} for step in steps],
    }
