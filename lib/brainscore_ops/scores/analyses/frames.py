"""Data frames as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

MOST_ROWS = 50


def frame_table(
    title: str, frame: pd.DataFrame, columns: Mapping[str, tuple[str, str]], most: int = MOST_ROWS
) -> Table:
    """The first rows of a data frame.

    :param columns: column → its heading, and its format: ``.3f``, ``,``, or empty for text
    """
    rows = [
        [_cell(value, columns[name][1]) for name, value in zip(columns, row, strict=True)]
        for row in frame[list(columns)].head(most).itertuples(index=False)
    ]
    if len(frame) > most:
        rows.append([f"… and {len(frame) - most} more", *[""] * (len(columns) - 1)])
    return Table(title, rows, [heading for heading, _ in columns.values()])


def _cell(value: Any, form: str) -> str:
    import pandas as pd

    if pd.isna(value):
        return "–"
    return format(value, form) if form else str(value)
