"""How what a step shows looks: a table in HTML in the notebook, the same in plain text everywhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TABLE = "border-collapse:collapse;font:13px/1.45 system-ui,sans-serif;margin:4px 0"
_CELL = "padding:3px 12px 3px 0;text-align:left;vertical-align:top;border-bottom:1px solid #8883"
_HEAD = _CELL + ";font-weight:600;border-bottom:1px solid #888a"
_FIGURES = ";text-align:right;font-variant-numeric:tabular-nums"
_MONOSPACE = "font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
_NUMBER = re.compile(r"[+\-−]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?( ± \d+(\.\d+)?)?( ?(s|ms|%|h|MB|MiB|GiB|bytes))?|–")
_FOLDED_LINES = 12
"""A text of more lines than these is folded in HTML; what it is about is seen without it."""

# Grounds are half transparent and words keep the page's own colour: readable on light and on dark pages, and in mails.
_GROUNDS = {"good": "46,160,67", "bad": "215,58,73", "wait": "212,155,0", "none": "128,128,128"}
_STATES = {
    "good": ("✓", "met", "passed", "scored", "succeeded", "success", "accepted", "merged", "proven", "as expected", "done",
             "tested", "found", "approved"),
    "bad": ("✗", "failed", "refused", "drifted", "lost", "damaged", "tests-failed", "held", "kernel-died", "out-of-memory",
            "cell-timeout", "run-timeout", "unavailable", "differs"),
    "wait": ("running", "retrying", "queued", "waiting", "delayed", "interrupted", "received", "testing", "scoring"),
}  # fmt: skip
_KINDS = {word: kind for kind, words in _STATES.items() for word in words}


class Cell:
    """A cell of a table that is more than its text."""

    @property
    def html(self) -> str:
        """It as HTML; what comes from strangers is escaped."""
        raise NotImplementedError


@dataclass(frozen=True)
class Badge(Cell):
    """How something stands: a word with the colour of what it means. The colour says nothing that the word does not."""

    word: str
    kind: str = ""
    """``good``, ``bad``, ``wait`` or ``none``; by default what the word is known for."""

    @property
    def html(self) -> str:
        ground = _GROUNDS[self.kind or _KINDS.get(self.word, "none")]
        style = f"background:rgba({ground},.2);border-radius:9px;padding:0 8px;white-space:nowrap"
        return f'<span style="{style}">{escape(printable(self.word))}</span>'

    def __str__(self) -> str:
        return self.word


@dataclass(frozen=True)
class Code(Cell):
    """A digest, a commit, a path, a command: what a person copies."""

    text: str
    shown: int = 0
    """How many of its characters are shown in HTML; 0 for all. The rest is there when the pointer rests on it."""

    @property
    def html(self) -> str:
        text = printable(self.text)
        if not self.shown or len(text) <= self.shown:
            return f'<code style="{_MONOSPACE}">{escape(text)}</code>'
        return f'<code style="{_MONOSPACE}" title="{escape(text)}">{escape(text[: self.shown])}…</code>'

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Link(Cell):
    """An address of the web, to be clicked on. Any other kind of address stays a text."""

    url: str
    text: str = ""

    @property
    def html(self) -> str:
        text = escape(printable(self.text or self.url))
        if not self.url.startswith(("https://", "http://")):
            return text
        return f'<a href="{escape(printable(self.url))}" rel="noopener noreferrer" target="_blank">{text}</a>'

    def __str__(self) -> str:
        return f"{self.text} ({self.url})" if self.text else self.url


@dataclass(frozen=True)
class Meter(Cell):
    """A share, drawn as a bar beside its words."""

    share: float
    """From 0 to 1."""
    words: str

    @property
    def html(self) -> str:
        width = round(min(max(self.share, 0.0), 1.0) * 120)
        bar = f"display:inline-block;width:{width}px;height:9px;border-radius:2px;background:rgba(9,105,218,.6)"
        return (
            f'<span style="display:inline-block;width:126px"><span style="{bar}"></span></span>'
            f'<span style="font-variant-numeric:tabular-nums">{escape(printable(self.words))}</span>'
        )

    def __str__(self) -> str:
        return self.words


class Table:
    """Rows under named columns, with a title; shown by a notebook as HTML and by ``str`` as aligned text.

    :param title: one line above the table
    :param columns: the columns' names; without names the first column is the rows' heading
    :param rows: cells of any kind, :class:`Cell` among them; None is shown as nothing
    """

    def __init__(self, title: str, rows: Sequence[Sequence[object]], columns: Sequence[str] = ()) -> None:
        self.title = printable(title)
        self.columns = [printable(str(column)) for column in columns]
        # Without column names a row is a heading and what there is to say of it: nothing to say, no row.
        self._cells = [
            list(row) for row in rows if self.columns or len(row) == 1 or any(_text(cell) for cell in row[1:])
        ]
        self.rows = [[_text(cell) for cell in row] for row in self._cells]

    def _repr_html_(self) -> str:
        figures = [self._is_of_numbers(index) for index in range(len(self.columns))]
        head = "".join(
            f'<th style="{_HEAD}{_FIGURES if of_numbers else ""}" scope="col">{escape(column)}</th>'
            for column, of_numbers in zip(self.columns, figures, strict=True)
        )
        body = "".join(
            f"<tr>{''.join(self._html_cell(i, cell, figures) for i, cell in enumerate(row))}</tr>"
            for row in self._cells
        )
        title = f'<p style="font:600 14px system-ui,sans-serif;margin:6px 0">{escape(self.title)}</p>'
        if not self._cells:
            return f"<div>{title}</div>"
        return (
            f'<div>{title}<div style="overflow-x:auto"><table style="{_TABLE}">'
            f"{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table></div></div>"
        )

    def _is_of_numbers(self, column: int) -> bool:
        if any(isinstance(row[column], Cell) for row in self._cells if column < len(row)):
            return False
        texts = [row[column] for row in self.rows if column < len(row) and row[column]]
        return bool(texts) and all(_NUMBER.fullmatch(text) for text in texts)

    def _html_cell(self, index: int, cell: object, figures: list[bool]) -> str:
        html = cell.html if isinstance(cell, Cell) else _folded(_text(cell))
        if index == 0 and not self.columns:
            return f'<th style="{_CELL};font-weight:600" scope="row">{html}</th>'
        style = f"{_FIGURES};white-space:nowrap" if index < len(figures) and figures[index] else ""
        return f'<td style="{_CELL}{style}">{html}</td>'

    def __str__(self) -> str:
        lines = [self.columns, *self.rows] if self.columns else self.rows
        if not lines:
            return f"{self.title}\n  (nothing)"
        parts = [[cell.split("\n") for cell in row] for row in lines]
        widths = [
            max(len(line) for row in parts if i < len(row) for line in row[i]) for i in range(max(map(len, parts)))
        ]
        text = "\n".join(_aligned(row, widths) for row in parts)
        return f"{self.title}\n{text}"

    __repr__ = __str__


def _aligned(row: list[list[str]], widths: list[int]) -> str:
    """A row of cells of several lines each, so that every line stands under its column."""
    height = max(len(cell) for cell in row)
    lines = []
    for number in range(height):
        cells = [(cell[number] if number < len(cell) else "").ljust(widths[i]) for i, cell in enumerate(row)]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def _text(cell: object) -> str:
    return "" if cell is None else printable(str(cell))


def _folded(text: str) -> str:
    """A text as HTML; a long one folded under its first line."""
    lines = [escape(line) for line in text.split("\n")]
    if len(lines) <= _FOLDED_LINES:
        return "<br>".join(lines)
    return f"<details><summary>{lines[0]} … {len(lines) - 1} more</summary>{'<br>'.join(lines[1:])}</details>"


def printable(text: str) -> str:
    """Text that comes from strangers, so that nothing in it acts on a terminal or cannot be encoded: other characters stand as
    their escapes.
    """
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


class Shown:
    """Mixed into what a step ends with: :meth:`table` says how it looks."""

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        # IPython takes what it finds first on the way up, and there dataclasses have a __repr__ of their own.
        if "_repr_pretty_" not in cls.__dict__:
            cls._repr_pretty_ = Shown._repr_pretty_  # type: ignore[method-assign]

    def table(self) -> Table:
        """What a reader wants to see of this object."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def _repr_pretty_(self, printer: _Printer, cycle: bool) -> None:  # noqa: ARG002 - IPython's signature
        printer.text(str(self.table()))


class _Printer:
    """The part of IPython's printer that is used here."""

    def text(self, text: str) -> None:
        raise NotImplementedError


def number(value: float | None, digits: int = 3) -> str:
    """A number for people; an en dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def with_error(value: float | None, error: float | None, digits: int = 3) -> str:
    """A number with its standard error."""
    return number(value, digits) + (f" ± {number(error, digits)}" if value is not None and error is not None else "")


class LiveTable:
    """Something that a long step shows while it goes on: rewritten in place, and readable in the stored record afterwards."""

    def __init__(self) -> None:
        self._handle: _DisplayHandle | None = None

    def show(self, shown: Shown) -> None:
        """Show it as it is now."""
        if self._handle is None:
            self._handle = _display_handle(shown)
        else:
            self._handle.update(shown)


class _DisplayHandle:
    """The part of IPython's display handle that is used here."""

    def update(self, shown: object) -> None:
        raise NotImplementedError


class _NoHandle(_DisplayHandle):
    """Outside of a notebook nothing is shown: the caller's own progress is."""

    def update(self, shown: object) -> None:
        pass


def _display_handle(shown: object) -> _DisplayHandle:
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        return _NoHandle()
    if get_ipython() is None:
        return _NoHandle()
    handle: _DisplayHandle = display(shown, display_id=True)
    return handle
