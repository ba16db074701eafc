"""Two runs beside each other: parameters, code, how they ended, scraps, the time of each step, and what their cells showed."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Shown, Table
from brainscore_ops.runbooks.quick_imports import without_unused_options
from brainscore_ops.runbooks.records import RecordChangedError, read_record
from brainscore_ops.runbooks.scraps import SCRAP_MIME

if TYPE_CHECKING:
    from brainscore_ops.runbooks.history import ShownRun
    from brainscore_ops.runbooks.records import Record
    from brainscore_ops.runbooks.runs import Step


@dataclass(frozen=True)
class Change:
    """Something that is not the same in both; None where one has it not."""

    what: str
    first: Any
    second: Any


@dataclass(frozen=True)
class StepPair:
    """A step as it went in each run."""

    name: str
    first: Step | None
    second: Step | None

    @property
    def seconds(self) -> float | None:
        """How much longer the second took; None where one of them did not end."""
        if self.first is None or self.second is None or self.first.seconds is None or self.second.seconds is None:
            return None
        return round(self.second.seconds - self.first.seconds, 3)


@dataclass(frozen=True)
class Comparison(Shown):
    """What two runs do not have in common."""

    first: ShownRun
    second: ShownRun
    facts: tuple[Change, ...]
    """Runbook, its digest, code version, state, failing step, error."""
    parameters: tuple[Change, ...]
    scraps: tuple[Change, ...]
    steps: tuple[StepPair, ...]
    """Every step of either, in order."""
    notebooks: str
    """How sources and outputs of the records differ, as nbdime tells it; empty where they do not."""

    @property
    def same(self) -> bool:
        """Whether nothing but times differs."""
        states = all((pair.first and pair.first.state) == (pair.second and pair.second.state) for pair in self.steps)
        return states and not (self.facts or self.parameters or self.scraps or self.notebooks)

    def as_dict(self) -> dict[str, Any]:
        """The comparison as a JSON document."""

        def changes(found: tuple[Change, ...]) -> dict[str, Any]:
            return {change.what: {"first": change.first, "second": change.second} for change in found}

        def step(found: Step | None) -> dict[str, Any] | None:
            return None if found is None else {"state": str(found.state), "seconds": found.seconds}

        return {
            "first": self.first.entry.id,
            "second": self.second.entry.id,
            "same": self.same,
            "facts": changes(self.facts),
            "parameters": changes(self.parameters),
            "scraps": changes(self.scraps),
            "steps": [
                {"name": pair.name, "first": step(pair.first), "second": step(pair.second), "seconds": pair.seconds}
                for pair in self.steps
            ],
            "notebooks": self.notebooks,
        }

    def table(self) -> Table:
        changed = [
            *(("", *_row(change)) for change in self.facts),
            *(("parameter", *_row(change)) for change in self.parameters),
            *(("scrap", *_row(change)) for change in self.scraps),
        ]
        rows = [
            *changed,
            *(("step", pair.name, _told(pair.first), _told(pair.second)) for pair in self.steps),
        ]
        return Table("Two runs", rows, ("", "what", self.first.entry.id, self.second.entry.id))


def compare_runs(first: ShownRun, second: ShownRun, *, colors: bool = False) -> Comparison:
    """Compare two runs, with their records.

    :param colors: whether the notebooks' differences carry a terminal's colors
    :raises RecordChangedError: a record is missing, or not what its run left
    """
    a, b = first.entry, second.entry
    facts = {
        "runbook": (a.runbook, b.runbook),
        "runbook digest": (a.runbook_digest[:12], b.runbook_digest[:12]),
        "code": (a.code_version, b.code_version),
        "kind": (str(a.kind), str(b.kind)),
        "state": (str(a.state), str(b.state)),
        "failing step": (a.failing_step, b.failing_step),
        "error": ((a.error or {}).get("message"), (b.error or {}).get("message")),
    }
    records = [_record(first), _record(second)]
    names = dict.fromkeys(step.name for shown in (first, second) for step in shown.steps)
    steps = [{step.name: step for step in shown.steps} for shown in (first, second)]
    return Comparison(
        first=first,
        second=second,
        facts=tuple(Change(what, *values) for what, values in facts.items() if values[0] != values[1]),
        parameters=_changes(a.parameters, b.parameters),
        scraps=_changes(a.summary, b.summary),
        steps=tuple(StepPair(name, steps[0].get(name), steps[1].get(name)) for name in names),
        notebooks=_notebooks(*records, colors=colors),
    )


def _record(shown: ShownRun) -> Record:
    if shown.record is None or shown.record_problem:
        raise RecordChangedError(
            f"expected the record of {shown.entry.id} as its run left it: {shown.record_problem or 'there is none'}",
            remedy="Compare runs that have their records.",
        )
    return read_record(shown.record)


def _changes(first: dict[str, Any], second: dict[str, Any]) -> tuple[Change, ...]:
    names = dict.fromkeys([*first, *second])
    return tuple(
        Change(name, first.get(name), second.get(name))
        for name in names
        if (name in first) != (name in second) or first.get(name) != second.get(name)
    )


def _notebooks(first: Record, second: Record, *, colors: bool) -> str:
    with without_unused_options():
        import nbformat
        from nbdime.diffing.notebooks import diff_notebooks, set_notebook_diff_targets
        from nbdime.prettyprint import PrettyPrintConfig, pretty_print_notebook_diff
    set_notebook_diff_targets(
        sources=True, outputs=True, attachments=False, metadata=False, identifier=False, details=False
    )
    before, after = (_readable(nbformat.reads(json.dumps(record.notebook), as_version=4)) for record in (first, second))
    found = diff_notebooks(before, after)
    if not found:
        return ""
    out = io.StringIO()
    config = PrettyPrintConfig(out=out, use_color=colors)
    pretty_print_notebook_diff(first.path.name, second.path.name, before, found, config)
    return out.getvalue()


def _readable(notebook: Any) -> Any:
    """A notebook whose outputs are what a reader reads: the plain text of what is also HTML, and no scraps, which are told apart.

    Cells that a run adds have ids by chance, and nobody reads ids.
    """
    for index, cell in enumerate(notebook.cells):
        cell["metadata"], cell["id"] = {}, str(index)
        shown = []
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if any(kind.startswith(SCRAP_MIME) for kind in data):
                continue
            if "text/plain" in data:
                output["data"] = {"text/plain": data["text/plain"]}
            shown.append(output)
        if cell.cell_type == "code":
            cell["outputs"] = shown
    return notebook


def _row(change: Change) -> tuple[str, str, str]:
    return change.what, _shorten(change.first), _shorten(change.second)


def _shorten(value: Any, longest: int = 60) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _told(step: Step | None) -> str:
    if step is None:
        return "–"
    return str(step.state) + ("" if step.seconds is None else f"  {step.seconds:.1f} s")
