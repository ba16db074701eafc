"""Which runbooks there are, and what each says of itself: read as JSON, without any notebook library."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.errors import Fault, Problem, StepFailedError, UsageError
from brainscore_ops.settings import Workspace, find_workspace

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = ("runbooks", "scoring")
"""The folders of ``notebooks/`` that hold runbooks."""

STEP_TAG = "step:"
PARAMETERS_TAG = "parameters"


class UnknownRunbookError(UsageError):
    """There is no runbook of that name."""

    code = "unknown-runbook"


class BadRunbookError(StepFailedError):
    """A notebook is not made as a runbook has to be."""

    code = "bad-runbook"
    fault = Fault.OPERATOR


@dataclass(frozen=True)
class Runbook:
    """A notebook that can be run."""

    name: str
    """The notebook's file name without its ending."""
    path: Path
    purpose: str
    """One sentence."""
    parameters: str
    """The model of its parameters, ``module:Class``."""
    records_by_file: bool
    """Whether its runs are recorded in a file beside the record, for machines that reach no database."""
    steps: tuple[str, ...]
    """The names of its steps, in order."""
    digest: str
    """SHA-256 of the file."""
    no_plan: str = ""
    """Why it cannot be run with ``--plan``, and what can be done instead; empty where it can."""


def find_runbook(name: str, workspace: Workspace | None = None) -> Runbook:
    """The runbook of that name.

    :raises UnknownRunbookError: with the names that come close
    :raises BadRunbookError: what its notebook lacks
    """
    workspace = workspace or find_workspace()
    paths = {path.stem: path for path in _notebooks(workspace)}
    if name in paths:
        return read_runbook(paths[name])
    close = difflib.get_close_matches(name, paths, n=3, cutoff=0.5)
    raise UnknownRunbookError(
        f"expected the name of a runbook ({', '.join(sorted(paths)) or 'there are none'}), found {name!r}",
        remedy=f"Did you mean {' or '.join(close)}?" if close else "",
    )


def list_runbooks(workspace: Workspace | None = None) -> list[Runbook]:
    """All runbooks, by name; notebooks that are none are left out."""
    found = []
    for path in _notebooks(workspace or find_workspace()):
        try:
            found.append(read_runbook(path))
        except BadRunbookError:
            continue
    return sorted(found, key=lambda runbook: runbook.name)


def read_runbook(path: Path) -> Runbook:
    """What a notebook says of itself.

    :raises BadRunbookError: everything that it lacks
    """
    content = path.read_bytes()
    try:
        notebook = json.loads(content)
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        tags = [tag for cell in cells for tag in cell["metadata"].get("tags", [])]
        said: dict[str, Any] = dict(notebook["metadata"].get("brainscore_ops", {}))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRunbookError(f"{path} is not a notebook: {error!r}", remedy="Mend the file.") from None
    steps = tuple(tag.removeprefix(STEP_TAG) for tag in tags if tag.startswith(STEP_TAG))
    if problems := _problems(said, tags, steps):
        raise BadRunbookError(f"{path.name} is not made as a runbook has to be", problems=problems)
    return Runbook(
        name=path.stem,
        path=path,
        purpose=said["purpose"],
        parameters=said["parameters"],
        records_by_file=said.get("ledger") == "file",
        steps=steps,
        digest=hashlib.sha256(content).hexdigest(),
        no_plan=_why_no_plan(said.get("plan")),
    )


def _why_no_plan(said: object) -> str:
    """A notebook says ``"plan": true``, or why it has none."""
    if said is True:
        return ""
    return said if isinstance(said, str) else "Its notebook does not say that all that it does outside can be planned."


def _notebooks(workspace: Workspace) -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((workspace.notebooks / folder).glob("*.ipynb"))]


def _problems(said: dict[str, Any], tags: list[str], steps: tuple[str, ...]) -> list[Problem]:
    problems = [
        Problem("runbook-metadata", f"expected {key!r}, {meaning}", where="metadata.brainscore_ops")
        for key, meaning in (("purpose", "one sentence"), ("parameters", "'module:Class' of its parameters' model"))
        if not isinstance(said.get(key), str)
    ]
    if said.get("ledger", "database") not in ("database", "file"):
        problems.append(
            Problem("runbook-metadata", f"expected database or file, found {said['ledger']!r}", where="ledger")
        )
    if tags.count(PARAMETERS_TAG) != 1:
        problems.append(
            Problem("runbook-cells", f"expected one cell tagged {PARAMETERS_TAG!r}, found {tags.count(PARAMETERS_TAG)}")
        )
    if repeated := sorted({step for step in steps if steps.count(step) > 1}):
        problems.append(Problem("runbook-cells", f"expected every step once, found twice: {', '.join(repeated)}"))
    return problems
