"""The notebook that a person steps through: the runbook, the failed run's parameters, and a card at the failing cell."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import printable
from brainscore_ops.errors import Fault
from brainscore_ops.runbooks.quick_imports import without_unused_options
from brainscore_ops.runbooks.records import METADATA, write_record
from brainscore_ops.runbooks.states import RunState

if TYPE_CHECKING:
    from pathlib import Path

    from nbformat import NotebookNode

    from brainscore_ops.runbooks.runs import RunEntry

CARD_ID = "stopped-here"
FAILED_COPY = "failed-run.ipynb"
"""A copy of the failed run's record beside the working copy. The record itself is out of JupyterLab's reach."""


@dataclass(frozen=True)
class Link:
    """Something worth a look: a pull request, a job, a log."""

    what: str
    where: str
    """An address, or the words that say where it is."""


_CARD = "border-left: 4px solid #c62828; background: rgba(198,40,40,0.08); padding: 8px 16px"
_CAUSES = {
    RunState.REFUSED: "A rule says no. Executed again it says the same, until what it names has changed.",
    RunState.UNAVAILABLE: "An outside service did not answer. Once it does, execute this cell again: it goes on from there.",
    RunState.CELL_TIMEOUT: "The step waited for something, or has more to do than its bound allows.",
    RunState.RUN_TIMEOUT: "A step waited for something, or the run has more to do than its bound allows.",
    RunState.KERNEL_DIED: "Something crashed or ended the kernel's process: native code, the system, or a person.",
    RunState.OUT_OF_MEMORY: "The step needs more memory than a run may take, or than the machine has.",
    RunState.INTERRUPTED: "Somebody stopped the run (Ctrl-C, a cancelled job): nothing has to be wrong.",
    RunState.LOST: "The machine or the process that drove the run went away: nothing has to be wrong with the step.",
}
_CAUSES_OF_FAULTS = {
    Fault.SUBMISSION: "What was submitted. It is its author's to mend; what the system did with it is right.",
    Fault.INFRASTRUCTURE: "The machine, the network, or a service that the step relies on.",
    Fault.OPERATOR: "A parameter, a setting, or something that a person did beside the system.",
}


def likely_cause(state: RunState, error: dict[str, Any] | None) -> str:
    """What usually is behind a failure of this kind."""
    if (error or {}).get("code") == "unexpected":
        return "Nobody foresaw this error: a fault of this library, or of what it relies on. The frames of its log say where."
    return _CAUSES.get(state) or _CAUSES_OF_FAULTS[Fault((error or {}).get("fault", Fault.INFRASTRUCTURE))]


def card_cell(
    entry: RunEntry, step: str, *, state: RunState, error: dict[str, Any] | None, links: list[Link], code: list[str]
) -> NotebookNode:
    """The card above the cell that a run is stopped at.

    :param entry: the failed run
    :param step: where it is stopped
    :param state: how the step ended: in the failed run, or just now
    :param code: what there is to know of the code version, in sentences of markdown
    """
    from nbformat.v4 import new_markdown_cell

    ended = f", {entry.ended_at:%Y-%m-%d %H:%M} UTC" if entry.ended_at else ""
    facts = [f"**{state}**"] + ([f"`{error['code']}`", f"at fault: {error['fault']}"] if error else [])
    parts = [
        f'<div style="{_CARD}">',
        f"#### Stopped before `{_plain(step)}`",
        f"It ended the run [{_plain(entry.id)}]({FAILED_COPY}){ended}: {', '.join(facts)}.",
    ]
    if error:
        parts += ["**What it found**", _shown(error["message"], error["problems"])]
    parts.append(f"**Likely cause.** {likely_cause(state, error)}")
    if error and error["remedy"]:
        parts.append(f"**What to do.** {_escaped(error['remedy'])}")
    if links:
        parts.append("**Look at**\n\n" + "\n".join(f"- {_link(link)}" for link in links))
    if error and error["log"]:
        log = f"<pre>{html.escape(printable(error['log'])).replace(chr(10), '&#10;')}</pre>"
        parts.append(f"<details><summary>The end of its log</summary>{log}</details>")
    parts += [
        " ".join(code),
        "All steps above are done. Mend the cause, execute the cell below (Shift+Enter), and go on: it is all recorded.",
        "</div>",
    ]
    cell = new_markdown_cell("\n\n".join(part for part in parts if part))
    cell["id"] = CARD_ID
    return cell


def write_working_copy(path: Path, notebook: NotebookNode, *, stopped_at: str, kernel: str) -> None:
    """Write the notebook for JupyterLab, which trusts its outputs: they are ours.

    :param stopped_at: the id of the cell to go to
    :param kernel: the name of the kernel that executes it
    """
    with without_unused_options():
        from nbformat.sign import NotebookNotary
    notebook.metadata.setdefault(METADATA, {})["session"] = {"stopped_at": stopped_at}
    notebook.metadata["kernelspec"] = {
        "name": kernel,
        "display_name": "Brain-Score ops (session)",
        "language": "python",
    }
    NotebookNotary().sign(notebook)
    write_record(path, notebook, final=False)


def _shown(message: str, problems: list[dict[str, Any]]) -> str:
    """Text that strangers may have a hand in, as it is: in a fence longer than any in it."""
    lines = [message]
    for problem in problems:
        place = f"{problem['where']}: " if problem["where"] else ""
        lines.append(f"- {place}{problem['message']} {problem['remedy']}".rstrip())
    text = printable("\n".join(lines))
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def _escaped(text: str) -> str:
    """Prose of ours with strangers' names in it: code spans stay, no markup comes to life."""
    return re.sub(r"([\\*_\[\]<>#|])", r"\\\1", printable(text).replace("\n", " "))


def _plain(text: str) -> str:
    return re.sub(r"[^\w.:@+-]", " ", text)


def _link(link: Link) -> str:
    if re.match(r"https?://[\w.:/@%?&=#~+-]+$", link.where):
        return f"[{_escaped(link.what)}]({link.where})"
    return f"{_escaped(link.what)}: {_escaped(link.where)}"
