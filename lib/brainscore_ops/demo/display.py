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
_HEADINGS = ("intake", "PR", "tests", "merge", "scores", "page")
_GOOD = "succeeded"
FOUND = "found"
"""What was done before."""


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
        self._begun: set[str] = set()
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=4, transient=False)

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
            self._states[news.job, news.runbook] = _sign(news.state)
            self._steps.pop(news.job, None)
            self._begun.add(news.job)
        elif not news.step:
            self._states[news.job, news.runbook] = Spinner("dots", style="cyan")
        if news.step:
            self._steps[news.job] = news.step
            self._begun.add(news.job)
        if not self._console.is_terminal and news.state:
            elapsed = time.monotonic() - self._began
            self._console.print(f"[{elapsed:6.1f} s] {news.job}: {news.runbook} {news.state}", markup=False)

    def _table(self) -> Table:
        begun = len(self._begun)
        title = f"{begun} of {len(self._jobs)} begun · {time.monotonic() - self._began:.0f} s"
        table = Table(box=None, pad_edge=False, title=title, title_justify="left")
        table.add_column("submission", style="bold", no_wrap=True)
        for heading in _HEADINGS:
            table.add_column(heading, justify="center", min_width=7, no_wrap=True)
        table.add_column("now", style="dim", no_wrap=True, width=16)
        for job in self._rows():
            cells = [self._states.get((job, runbook), Text("·", style="dim")) for runbook in RUNBOOKS]
            table.add_row(job, *cells, self._steps.get(job, ""))
        return table

    def _rows(self) -> list[str]:
        """The jobs that fit: those under way, and before them as many as there is room for, the last that began."""
        room = self._console.height - 4
        if len(self._jobs) <= room:
            return self._jobs
        begun = [job for job in self._jobs if job in self._begun]
        under_way = [job for job in begun if job in self._steps]
        others = [job for job in begun if job not in self._steps]
        shown = {*under_way, *others[-max(1, room - len(under_way)) :]}
        return [job for job in self._jobs if job in shown]


def _sign(state: str) -> Text:
    if state == _GOOD:
        return Text("✓", style="green")
    return Text("✓", style="dim") if state == FOUND else Text(state, style="red")


def print_outcomes(outcomes: list[Outcome], expected: dict[str, str], console: Console) -> None:
    """Print where each submission ended, and why."""
    table = Table(box=None, pad_edge=False, expand=True, title="What became of the submissions", title_justify="left")
    table.add_column("submission", no_wrap=True, min_width=max(len(outcome.job) for outcome in outcomes))
    table.add_column("ended as", no_wrap=True, min_width=max(len(outcome.state) for outcome in outcomes))
    table.add_column("because", no_wrap=True, overflow="ellipsis", ratio=1)
    for outcome in outcomes:
        surprise = expected.get(outcome.job, outcome.state) != outcome.state
        style = "bold red" if surprise else ("green" if outcome.state == "scored" else "yellow")
        state = f"{outcome.state} (expected {expected[outcome.job]})" if surprise else outcome.state
        table.add_row(Text(outcome.job), Text(state, style=style), Text(_gist(outcome.reason), style="dim"))
    console.print(table)


def _gist(reason: str) -> str:
    """The first problem of a reason that lists them, on one line; the whole elsewhere."""
    problems = [line.removeprefix("  - ") for line in reason.splitlines() if line.startswith("  - ")]
    return " ".join((problems[0] if problems else reason).split())
