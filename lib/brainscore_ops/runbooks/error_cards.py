"""An IPython extension: errors in notebooks as short cards, with their facts as JSON for whoever executes the notebook.

The kernels of runs load it by themselves; in a notebook that is stepped through by hand, ``%load_ext
brainscore_ops.runbooks.error_cards`` does.
"""

from __future__ import annotations

import html
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainscore_ops.errors import OpsError, StepFailedError

if TYPE_CHECKING:
    from types import TracebackType

ERROR_MIME = "application/vnd.brainscore-ops.error+json"
"""The kind of output that carries :meth:`~brainscore_ops.errors.OpsError.as_dict` of what a cell raised."""

LIBRARY = Path(__file__).resolve().parents[1]
FRAMES = 12
LOG_CHARACTERS = 4000


def load_ipython_extension(shell: Any) -> None:
    """What ``%load_ext`` calls."""
    shell.set_custom_exc((Exception, KeyboardInterrupt), _show)


def unload_ipython_extension(shell: Any) -> None:
    """What ``%unload_ext`` calls."""
    shell.set_custom_exc((), None)


def describe_error(error: BaseException, shell: Any = None) -> dict[str, Any]:
    """The facts of an error: its own if it was foreseen, otherwise type, message and the frames that are ours."""
    if isinstance(error, OpsError):
        return error.as_dict()
    kind = type(error).__name__
    code = "out-of-memory" if isinstance(error, MemoryError) else "unexpected"
    trail = "\n".join(_trail(traceback.TracebackException.from_exception(error), shell))
    unforeseen = StepFailedError(str(error) or kind, code=code, log=trail[-LOG_CHARACTERS:])
    return {**unforeseen.as_dict(), "type": kind}


def render_text(error: dict[str, Any]) -> str:
    """The card for a terminal."""
    problems = [f"  - {_one_problem(problem)}" for problem in error["problems"]]
    parts = [f"{error['type']} [{error['code']}]", error["message"], *problems, error["remedy"], error["log"]]
    return "\n".join(part for part in parts if part)


def render_html(error: dict[str, Any]) -> str:
    """The card for a browser."""
    problems = "".join(
        f"<li style='white-space:pre-wrap'>{html.escape(_one_problem(problem))}</li>" for problem in error["problems"]
    )
    parts = [
        f"<div><b>{html.escape(error['type'])}</b> <code>{html.escape(error['code'])}</code></div>",
        f'<div style="margin-top:.4em;white-space:pre-wrap">{html.escape(error["message"])}</div>',
        f'<ul style="margin:.4em 0">{problems}</ul>' if problems else "",
        f'<div style="margin-top:.4em;white-space:pre-wrap"><b>What to do:</b> {html.escape(error["remedy"])}</div>'
        if error["remedy"]
        else "",
        f"<details open><summary>The end of its log</summary><pre>{html.escape(error['log'])}</pre></details>"
        if error["log"]
        else "",
    ]
    return (
        '<div role="alert" style="border-left:4px solid #c62828;background:rgba(198,40,40,.08);padding:.7em 1em">'
        f"{''.join(parts)}</div>"
    )


def _show(
    shell: Any, kind: type[BaseException], error: BaseException, trace: TracebackType, **_offset: object
) -> list[str]:
    from IPython.display import display

    sys.last_type, sys.last_value, sys.last_traceback = kind, error, trace  # %debug goes on from here
    facts = describe_error(error, shell)
    display({ERROR_MIME: facts, "text/html": render_html(facts), "text/plain": render_text(facts)}, raw=True)
    # The card has said it all; front ends and executors still have to learn that the cell failed.
    lines = [f"{facts['type']}: {facts['message']}"]
    shell._showtraceback(kind, facts["message"], lines)
    return lines


def _one_problem(problem: dict[str, Any]) -> str:
    place = f"{problem['where']}: " if problem["where"] else ""
    remedy = f" {problem['remedy']}" if problem["remedy"] else ""
    return f"{place}{problem['message']}{remedy}"


def _trail(error: traceback.TracebackException, shell: Any) -> list[str]:
    """The error and what led to it, with the frames of the notebook and of this library, and the frame that raised."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = [*_trail(earlier, shell), "", "which led to", ""] if earlier else []
    frames = [frame for frame in error.stack if _place(frame, shell)] or []
    if error.stack and (not frames or frames[-1] is not error.stack[-1]):
        frames.append(error.stack[-1])
    lines += [line for frame in frames[-FRAMES:] for line in _frame(frame, shell)]
    return [*lines, *(line.rstrip("\n") for line in error.format_exception_only())]


def _frame(frame: traceback.FrameSummary, shell: Any) -> list[str]:
    place = _place(frame, shell) or frame.filename
    function = "" if frame.name.startswith("<") else f", in {frame.name}"
    return [f"{place}, line {frame.lineno}{function}", *([f"    {frame.line}"] if frame.line else [])]


def _place(frame: traceback.FrameSummary, shell: Any) -> str:
    """What a reader calls the file of a frame that is ours; nothing for any other."""
    if shell is not None and (cell := shell.compile.format_code_name(frame.filename)):
        return " ".join(cell)
    path = Path(frame.filename)
    return str(path.relative_to(LIBRARY.parent)) if path.is_relative_to(LIBRARY) else ""
