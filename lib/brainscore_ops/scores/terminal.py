"""The leaderboard in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_ops.display import printable
from brainscore_ops.scores.columns import FAILED, SCORED
from brainscore_ops.scores.identifiers import parts

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from brainscore_ops.scores.benchmark_tree import Benchmark
    from brainscore_ops.scores.leaderboard import Cell, Leaderboard

PLAIN_WIDTH = 160
"""How wide the table may be where no terminal shows it: in a pipe, in a log."""
_FIXED_WIDTH = 40  # rank, a model's name, the average, and the space around them
_COLUMN_WIDTH = 16


def print_leaderboard(leaderboard: Leaderboard, console: Console | None = None) -> None:
    """Print the leaderboard: in colour on a terminal, as plain text elsewhere; the reasons of failures below it.

    Where the benchmarks are too many for the width, the means of their groups stand in their place.
    """
    from rich.console import Console

    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, PLAIN_WIDTH)
    if not leaderboard.rows:
        console.print(f"There are no scores in the domain {leaderboard.domain} yet.", markup=False)
        _print_failures(leaderboard, console)
        return
    fit = (console.width - _FIXED_WIDTH) // _COLUMN_WIDTH
    console.print(_table(leaderboard, whole=len(leaderboard.benchmarks) <= fit))
    _print_failures(leaderboard, console)


def _print_failures(leaderboard: Leaderboard, console: Console) -> None:
    failed = [
        (row.model, benchmark.identifier, cell.reason)
        for row in leaderboard.rows
        for benchmark, cell in zip(leaderboard.benchmarks, row.cells, strict=True)
        if cell.state == FAILED
    ]
    failed += [(failure.model, failure.benchmark, failure.reason) for failure in leaderboard.failures]
    for model, benchmark, reason in failed:
        said = printable(reason) or "no reason was recorded"
        console.print(f"failed: {model} on {benchmark}: {said}", markup=False, highlight=False)


def _table(leaderboard: Leaderboard, *, whole: bool) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=f"Leaderboard: {leaderboard.domain}",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_footer=whole,
        footer_style="dim",
    )
    table.add_column("#", justify="right")
    # Identifiers come from strangers: as Text, brackets in them are no markup.
    table.add_column("Model", Text("ceiling"), overflow="fold", min_width=12)
    table.add_column("Average", justify="right", style="bold")
    if whole:
        for benchmark in leaderboard.benchmarks:
            ceiling = _with_error(benchmark.ceiling, benchmark.ceiling_error)
            table.add_column(Text(_heading(benchmark)), ceiling, justify="right", overflow="fold")
    else:
        for group in leaderboard.groups:
            title = " / ".join(group.path) or "others"
            table.add_column(Text(f"{title} ({len(group.benchmarks)})"), justify="right", overflow="fold")
    for row in leaderboard.rows:
        rank = "" if row.rank is None else str(row.rank)
        cells = [_cell(cell) for cell in row.cells] if whole else [Text(_number(mean)) for mean in row.means]
        table.add_row(rank, Text(row.model), _number(row.average), *cells)
    return table


def _heading(benchmark: Benchmark) -> str:
    """The identifier in short lines, and the version below it."""
    lines = [""]
    for part in parts(benchmark.identifier):
        if len(lines[-1]) + len(part) > _COLUMN_WIDTH and lines[-1]:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines if benchmark.version is None else [*lines, f"v{benchmark.version}"])


def _cell(cell: Cell) -> Text:
    from rich.text import Text

    if cell.state == SCORED:
        text = Text(_number(cell.value))
        if cell.error is not None:
            text.append(f" ±{cell.error:.3f}", style="dim")
        return text
    return Text("failed", style="red") if cell.state == FAILED else Text("–", style="dim")


def _with_error(value: float | None, error: float | None) -> str:
    return _number(value) + ("" if value is None or error is None else f" ±{error:.3f}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
