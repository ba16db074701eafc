"""The demo's progress: a live table in a terminal, a line for each event elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

    from brainscore_ops.demo.journey import News, Outcome

RUNBOOKS = ("intake", "create_pr", "test_plugins", "merge", "score_plugins", "publish")
_HEADINGS = ("intake", "pull request", "tests", "merge", "scores", "page")
_GOOD = "succeeded"


class Display:
    """Shows what happens to each job, as it happens.

    :param jobs: the jobs' names, in the order of the table
    """

    def __init__(self, jobs: list[str], console: Console) -> None:
        self._jobs = jobs
        self._console = console
        self._began = time.monotonic()
        self._states: dict[tuple[str, str], Text | Spinner] = {}
        self._steps: dict[str, str] = {}
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=8, transient=False)

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.__exit__(kind, error, traceback)

    def tell(self, news: News) -> None:
        """Take up something that happened."""
        if news.state:
            good = news.state == _GOOD
            self._states[news.job, news.runbook] = Text("✓" if good else news.state, style="green" if good else "red")
            self._steps.pop(news.job, None)
        elif not news.step:
            self._states[news.job, news.runbook] = Spinner("dots", style="cyan")
        if news.step:
            self._steps[news.job] = news.step
        if not self._console.is_terminal and news.state:
            elapsed = time.monotonic() - self._began
            self._console.print(f"[{elapsed:6.1f} s] {news.job}: {news.runbook} {news.state}", markup=False)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, title=f"{time.monotonic() - self._began:.0f} s", title_justify="right")
        table.add_column("submission", style="bold", no_wrap=True)
        for heading in _HEADINGS:
            table.add_column(heading, justify="center", min_width=6)
        table.add_column("now", style="dim", no_wrap=True)
        for job in self._jobs:
            cells = [self._states.get((job, runbook), Text("·", style="dim")) for runbook in RUNBOOKS]
            table.add_row(job, *cells, self._steps.get(job, ""))
        return table


def print_outcomes(outcomes: list[Outcome], expected: dict[str, str], console: Console) -> None:
    """Print where each submission ended, and why."""
    table = Table(box=None, pad_edge=False, title="What became of the submissions", title_justify="left")
    table.add_column("submission", no_wrap=True)
    table.add_column("ended as", no_wrap=True)
    table.add_column("because", overflow="fold")
    for outcome in outcomes:
        surprise = expected.get(outcome.job, outcome.state) != outcome.state
        style = "bold red" if surprise else ("green" if outcome.state == "scored" else "yellow")
        state = f"{outcome.state} (expected {expected[outcome.job]})" if surprise else outcome.state
        table.add_row(Text(outcome.job), Text(state, style=style), Text(_gist(outcome.reason), style="dim"))
    console.print(table)


def _gist(reason: str, longest: int = 140) -> str:
    """The first problem of a reason that lists them, on one line; the whole elsewhere."""
    problems = [line.removeprefix("  - ") for line in reason.splitlines() if line.startswith("  - ")]
    line = " ".join((problems[0] if problems else reason).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
