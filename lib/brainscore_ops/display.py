"""How what a step shows looks: a table in HTML in the notebook, the same in plain text everywhere else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TABLE = "border-collapse:collapse;font:13px/1.45 system-ui,sans-serif;margin:4px 0"
_CELL = "padding:3px 12px 3px 0;text-align:left;vertical-align:top;border-bottom:1px solid #8883"
_HEAD = _CELL + ";font-weight:600;border-bottom:1px solid #888a"


class Table:
    """Rows under named columns, with a title; shown by a notebook as HTML and by ``str`` as aligned text.

    :param title: one line above the table
    :param columns: the columns' names; without names the first column is the rows' heading
    :param rows: cells of any kind; None is shown as nothing
    """

    def __init__(self, title: str, rows: Sequence[Sequence[object]], columns: Sequence[str] = ()) -> None:
        self.title = title
        self.columns = [str(column) for column in columns]
        texts = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
        # Without column names a row is a heading and what there is to say of it: nothing to say, no row.
        self.rows = texts if self.columns else [row for row in texts if any(row[1:]) or len(row) == 1]

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="{_HEAD}" scope="col">{escape(column)}</th>' for column in self.columns)
        body = "".join(
            f"<tr>{''.join(self._html_cell(i, cell) for i, cell in enumerate(row))}</tr>" for row in self.rows
        )
        return (
            f'<div><p style="font:600 14px system-ui,sans-serif;margin:6px 0">{escape(self.title)}</p>'
            f'<div style="overflow-x:auto"><table style="{_TABLE}">'
            f"{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table></div></div>"
        )

    def _html_cell(self, index: int, cell: str) -> str:
        text = escape(cell).replace("\n", "<br>")
        if index == 0 and not self.columns:
            return f'<th style="{_CELL};font-weight:600" scope="row">{text}</th>'
        return f'<td style="{_CELL}">{text}</td>'

    def __str__(self) -> str:
        lines = [self.columns, *self.rows] if self.columns else self.rows
        if not lines:
            return f"{self.title}\n  (nothing)"
        widths = [max(len(row[i]) for row in lines if i < len(row)) for i in range(max(map(len, lines)))]
        text = "\n".join(
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
            for row in lines
        )
        return f"{self.title}\n{text}"

    __repr__ = __str__


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
