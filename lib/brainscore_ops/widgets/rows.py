"""Rows that are kept up to date in place: only what changed is sent to the browser, so that nothing flickers."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import ipywidgets as w

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COLORS = {
    "succeeded": "#2e7d32", "scored": "#2e7d32", "accepted": "#2e7d32", "merged": "#2e7d32", "approved": "#2e7d32",
    "running": "#b26a00", "waiting": "#b26a00", "queued": "#b26a00", "retrying": "#b26a00", "waits": "#b26a00",
    "failed": "#c62828", "refused": "#c62828", "lost": "#c62828", "unavailable": "#c62828", "held": "#c62828",
}  # fmt: skip


_BUTTONS = "10em"


@dataclass(frozen=True)
class Action:
    """A button of a row."""

    label: str
    """What it says; with the row's key it is what the button is known by."""
    arguments: tuple[str, ...]
    """The command that it starts."""
    question: str = ""
    """Asked first, where it cannot be undone."""


@dataclass(frozen=True)
class Row:
    """A row as it is now."""

    key: str
    state: str
    cells: tuple[str, ...]
    actions: tuple[Action, ...] = ()


class LiveRows(w.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A table of rows by key.

    :param columns: names of the columns behind the state's, with their widths
    :param act: told which button was clicked
    """

    def __init__(self, columns: Sequence[tuple[str, str]], act: Callable[[Action], None]) -> None:
        self._widths = ["8em", _BUTTONS, *(width for _, width in columns)]
        self._act = act
        self._rows: dict[str, _ShownRow] = {}
        names = ["state", "", *(name for name, _ in columns)]
        self._head = w.HBox([
            w.HTML(f"<b>{escape(name)}</b>", layout=w.Layout(width=width, min_width=width))
            for name, width in zip(names, self._widths, strict=True)
        ])  # fmt: skip
        self._empty = w.HTML("<i>nothing</i>")
        self._children: tuple[w.Widget, ...] = (self._head, self._empty)
        super().__init__(self._children, layout=w.Layout(max_height="26em", overflow="auto", display="block"))

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows, in this order."""
        for row in rows:
            if row.key in self._rows:
                self._rows[row.key].update(row)
            else:
                self._rows[row.key] = _ShownRow(row, self._widths, self._act)
        wanted = [self._rows[row.key] for row in rows]
        children = (self._head, *(wanted or [self._empty]))
        if self._children != children:
            self.children = self._children = children
        for key in self._rows.keys() - {row.key for row in rows}:
            self._rows.pop(key).close()


class _ShownRow(w.HBox):  # type: ignore[misc]
    def __init__(self, row: Row, widths: Sequence[str], act: Callable[[Action], None]) -> None:
        state, buttons, *others = (w.Layout(width=width, min_width=width) for width in widths)
        self._cells = [w.HTML(layout=layout) for layout in (state, *others)]
        self._buttons = w.HBox(layout=buttons)  # before what may be wider than the window
        self._act = act
        self._shown: Row | None = None
        super().__init__([self._cells[0], self._buttons, *self._cells[1:]])
        self.update(row)

    def update(self, row: Row) -> None:
        if row == self._shown:
            return
        for cell, value in zip(self._cells, (_state(row.state), *map(_cell, row.cells)), strict=True):
            if cell.value != value:
                cell.value = value
        if self._shown is None or self._shown.actions != row.actions:
            self._buttons.children = [self._button(action) for action in row.actions]
        self._shown = row

    def _button(self, action: Action) -> w.Button:
        button = w.Button(
            description=action.label,
            tooltip="brainscore-ops " + " ".join(action.arguments),
            layout=w.Layout(width="auto", height="26px"),
        )
        button.on_click(lambda _button: self._act(action))
        return button


def _state(state: str) -> str:
    return f"<span style='color:{COLORS.get(state, 'inherit')};font-weight:600'>{escape(state)}</span>"


def _cell(text: str) -> str:
    # One line, whatever strangers call their plugins.
    style = "white-space:nowrap;overflow:hidden;text-overflow:ellipsis;line-height:26px"
    return f"<div style='{style}' title='{escape(text)}'>{escape(text)}</div>"
