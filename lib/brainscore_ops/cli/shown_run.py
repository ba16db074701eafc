"""How a run is shown in a shell: its steps as they go, and how it ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn

import click

from brainscore_ops.cli.main import print_json
from brainscore_ops.display import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.status import Status

    from brainscore_ops.runbooks.runs import RunResult, StepProgress


_LINE_SECONDS = 10.0


class StepLines:
    """Shows steps as they go: on a terminal the running one turns above what it shows; elsewhere every event is a line, and
    from time to time what a step shows.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._turning: Status | None = None
        self._said, self._said_at = "", 0.0

    def __call__(self, progress: StepProgress) -> None:
        name = f"{progress.position}/{progress.count} {progress.step}"
        if progress.shown:
            self._show(name, progress.shown)
            return
        self.close()
        if progress.seconds is None:
            if self.console.is_terminal:
                self._turning = self.console.status(f"{name} …")
                self._turning.start()
            return
        sign, style = ("✓", "green") if progress.state == "succeeded" else ("✗", "red")
        self.console.print(f"[{style}]{sign}[/] {name}  [dim]{progress.seconds:.1f} s[/]")

    def close(self) -> None:
        """Stop what turns."""
        if self._turning is not None:
            self._turning.stop()
            self._turning = None

    def _show(self, name: str, shown: str) -> None:
        from rich.text import Text

        if self._turning is not None:
            lines = printable(shown).splitlines()[: max(3, self.console.height - 4)]
            self._turning.update(Text("\n".join([f"{name} …", *lines]), no_wrap=True, overflow="ellipsis"))
            return
        line = printable(shown.partition("\n")[0])
        if line != self._said and time.monotonic() - self._said_at > _LINE_SECONDS:
            self._said, self._said_at = line, time.monotonic()
            self.console.print(f"  {name}: {line}", markup=False)


def execute_shown(execute: Callable[[StepLines], RunResult], *, to_stderr: bool) -> RunResult:
    """Execute a run while its steps are shown.

    :param execute: what it does, with what hears of its steps
    :param to_stderr: where stdout is for something else
    :returns: how it ended, if it was interrupted too
    """
    from rich.console import Console

    from brainscore_ops.runbooks.signals import RunInterrupted

    lines = StepLines(Console(stderr=to_stderr, highlight=False))
    try:
        return execute(lines)
    except RunInterrupted as interruption:
        return interruption.result
    finally:
        lines.close()


def leave_with(result: RunResult, *, as_json: bool) -> NoReturn:
    """Print how a run ended, and leave with its exit code."""
    if as_json:
        print_json(result.as_dict())
    else:
        print_result(result)
    raise SystemExit(result.exit_code)


def print_result(result: RunResult, *, to_stderr: bool = False) -> None:
    """Print how a run ended: its state, what ended it, its scraps, where its record is."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=to_stderr, highlight=False)
    style = "green" if result.exit_code == 0 else "red"
    at = f" at {result.failing_step}" if result.failing_step else ""
    console.print(f"[bold {style}]{result.runbook}: {result.state}{escape(at)}[/]  [dim]{result.seconds:.1f} s[/]")
    if result.error:
        print_error(result.error, to_stderr=to_stderr)
    for note in result.notes:
        click.echo(f"note: {note}", err=True)
    for name, value in result.scraps.items():
        console.print(f"  {escape(name)}: {escape(_shorten(value))}", soft_wrap=True)
    click.echo(f"record: {result.record}", err=to_stderr)


def print_error(error: dict[str, Any], *, to_stderr: bool = False) -> None:
    """Print what ended a run: message, problems, remedy, last lines."""
    from brainscore_ops.runbooks.history import LAST_LINES

    lines = [f"{error['type']} [{error['code']}]: {error['message']}"]
    for problem in error["problems"]:
        place = f"{problem['where']}: " if problem["where"] else ""
        lines.append(f"  - {place}{problem['message']} {problem['remedy']}".rstrip())
    lines += [f"  | {line}" for line in error["log"].splitlines()[-LAST_LINES:]]
    if error["remedy"]:
        lines.append(f"what to do: {error['remedy']}")
    click.echo(printable("\n".join(lines)), err=to_stderr)


def _shorten(value: Any, longest: int = 200) -> str:
    text = str(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
