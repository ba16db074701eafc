"""The leaderboard as a static site: a page that needs no server and no JavaScript, with the data beside it."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from brainscore_ops.scores.benchmark_tree import RULE
from brainscore_ops.scores.columns import FAILED
from brainscore_ops.scores.identifiers import parts
from brainscore_ops.scores.leaderboard import leaderboard

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup
    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.scores.benchmark_tree import Benchmark
    from brainscore_ops.scores.leaderboard import Cell, Leaderboard, Row

TEMPLATES = Path(__file__).parent / "templates"
PAGE = "index.html"
JSON_FILE = "leaderboard.json"
CSV_FILE = "leaderboard.csv"


def published_revision(folder: Path) -> str | None:
    """The revision of the scores that the page in a folder shows; None where there is none."""
    data = folder / JSON_FILE
    if not ((folder / PAGE).exists() and data.exists()):
        return None
    revision: str | None = json.loads(data.read_text(encoding="utf-8")).get("revision")
    return revision


def write_page(leaderboard: Leaderboard, folder: Path) -> Path:
    """Write ``index.html``, ``leaderboard.csv`` and ``leaderboard.json``.

    At any moment each file is there whole, old or new. The page comes last, so that the data that it links to is never older
    than it. The same leaderboard gives the same bytes, and a file that has them already is not touched.

    :returns: the page
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in page_files(leaderboard).items():
        _write(folder / name, content)
    return folder / PAGE


def page_files(leaderboard: Leaderboard) -> dict[str, bytes]:
    """The site's files, in the order in which they are written: name → content."""
    texts = {JSON_FILE: leaderboard.to_json(), CSV_FILE: _csv(leaderboard), PAGE: _page(leaderboard)}
    return {name: text.encode() for name, text in texts.items()}


def published_bytes(source: Database | Session, *, domain: str) -> bytes:
    """What the public sees of a domain, as one text: the site's files, the table first. Equal bytes are equal sites."""
    files = page_files(leaderboard(source, domain=domain))
    return b"\n".join([files[CSV_FILE], files[JSON_FILE], files[PAGE]])


@dataclass(frozen=True)
class _Column:
    """A column of the table: a benchmark, or the mean of a group of them."""

    benchmark: Benchmark | None
    index: int
    """Of the cell in a row's cells, or of the mean in its means."""
    first: bool
    """Whether its group begins here."""


@dataclass(frozen=True)
class _Line:
    """A row of the table, with its cells or means in the order of the columns."""

    row: Row
    entries: tuple[_Entry, ...]


@dataclass(frozen=True)
class _Entry:
    column: _Column
    cell: Cell | None
    mean: float | None
    anchor: str
    """Of the reason, in the list of failures; empty for what did not fail."""


def _page(leaderboard: Leaderboard) -> str:
    groups = _grouped_columns(leaderboard)
    columns = [column for group in groups.values() for column in group]
    lines = [_line(number, row, columns) for number, row in enumerate(leaderboard.rows, start=1)]
    return (
        _environment()
        .get_template("leaderboard.html")
        .render(
            board=leaderboard,
            groups=[(" › ".join(path) or "Others", len(group)) for path, group in groups.items()],
            columns=columns,
            lines=lines,
            failures=[(line.row, entry) for line in lines for entry in line.entries if entry.anchor],
            rule=RULE,
            json_file=JSON_FILE,
            csv_file=CSV_FILE,
        )
    )


def _grouped_columns(leaderboard: Leaderboard) -> dict[tuple[str, ...], list[_Column]]:
    """The columns under each group; the mean of a group comes first, where there is more than one benchmark to take it of."""
    grouped = {}
    done = 0
    for index, group in enumerate(leaderboard.groups):
        mean = [_Column(None, index, first=True)] if group.path and len(group.benchmarks) > 1 else []
        grouped[group.path] = mean + [
            _Column(benchmark, done + place, first=not mean and place == 0)
            for place, benchmark in enumerate(group.benchmarks)
        ]
        done += len(group.benchmarks)
    return grouped


def _line(number: int, row: Row, columns: list[_Column]) -> _Line:
    entries = []
    for column in columns:
        if column.benchmark is None:
            entries.append(_Entry(column, None, row.means[column.index], ""))
        else:
            cell = row.cells[column.index]
            entries.append(
                _Entry(column, cell, None, f"failure-{number}-{column.index + 1}" if cell.state == FAILED else "")
            )
    return _Line(row, tuple(entries))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": _number, "count": _count, "breakable": _breakable, "place": _place}
    return environment


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".replace("-", "−")


def _count(value: int) -> str:
    """A count in words that are short: 22.7 M."""
    for size, unit in ((10**12, " T"), (10**9, " B"), (10**6, " M"), (10**3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return str(value)


def _breakable(identifier: str) -> Markup:
    """An identifier that a browser may break between its parts."""
    from markupsafe import Markup, escape

    return Markup("<wbr>").join(escape(part) for part in parts(identifier))


def _place(value: float, error: float | None = None) -> str:
    """Where a value and its error are drawn on the way from 0 to 1, in per cent: custom properties for the style sheet."""
    low, high = (value - (error or 0.0), value + (error or 0.0))
    places = {"v": value, "a": low, "b": high} if error else {"v": value}
    return ";".join(f"--{name}:{min(max(at, 0.0), 1.0) * 100:.1f}%" for name, at in places.items())


def _csv(leaderboard: Leaderboard) -> str:
    """One line a model, for spreadsheets: a benchmark's score and its error; empty where there is none."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = [_titled(benchmark) for benchmark in leaderboard.benchmarks]
    writer.writerow(
        ["rank", "model", "average", *(_plain(column) for name in names for column in (name, f"{name} error"))]
    )
    for row in leaderboard.rows:
        writer.writerow(
            [row.rank, _plain(row.model), row.average, *(n for cell in row.cells for n in (cell.value, cell.error))]
        )
    return file.getvalue()


def _titled(benchmark: Benchmark) -> str:
    return benchmark.identifier if benchmark.version is None else f"{benchmark.identifier} v{benchmark.version}"


def _plain(text: str) -> str:
    # A spreadsheet takes text that begins so for a formula.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _write(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        partial.chmod(0o644)  # a web server of another user reads it
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
