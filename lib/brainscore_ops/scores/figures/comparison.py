"""Figures of two models beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_ops.scores.analyses.ranking import finite
from brainscore_ops.scores.figures.figure import Figure, figure
from brainscore_ops.scores.figures.style import BLUE, GREY, INK, ORANGE, label, labels, layout, rows_height

if TYPE_CHECKING:
    import pandas as pd

    from brainscore_ops.scores.analyses.comparison import Comparison

MOST_ROWS = 60


def differences(comparison: Comparison) -> Figure:
    """The differences by benchmark, with their intervals; what is significant after correction stands out."""
    frame = comparison.frame.head(MOST_ROWS).sort_values("difference", ascending=False, ignore_index=True)
    names = dict(zip(frame["benchmark"], labels(list(frame["benchmark"])), strict=True))
    significant = frame["significant"].fillna(False).astype(bool)
    traces = [
        _differences(frame[significant], names, "significant after correction", BLUE, "circle"),
        _differences(frame[~significant], names, "not, or no error known", GREY, "diamond"),
    ]
    shown = f", the largest {MOST_ROWS}" if len(comparison.frame) > MOST_ROWS else ""
    return figure(
        [trace for trace in traces if trace["x"]],
        layout(
            f"{label(comparison.first)} minus {label(comparison.second)}{shown}",
            f"difference of scores, {comparison.confidence:.0%} interval (dashed: their mean)",
            "",
            height=rows_height(len(frame)) + 30,
            yaxis={"categoryorder": "array", "categoryarray": list(names.values())[::-1]},
            shapes=[_upright(0.0, INK, "solid"), _upright(comparison.mean, ORANGE, "dash")],
        ),
        f"The mean difference is {comparison.mean:+.3f} (dashed line); {comparison.first} is higher on {comparison.wins}, "
        f"lower on {comparison.losses} benchmarks.",
    )


def pairs(comparison: Comparison) -> Figure:
    """Score against score, with both errors and the ceiling's end at 1."""
    frame = comparison.frame
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [finite(value) for value in frame["second"]],
        "y": [finite(value) for value in frame["first"]],
        "error_x": {"type": "data", "array": [finite(value) for value in frame["second_error"]], "thickness": 1},
        "error_y": {"type": "data", "array": [finite(value) for value in frame["first_error"]], "thickness": 1},
        "text": list(frame["benchmark"]),
        "marker": {"color": BLUE, "size": 8, "opacity": 0.75},
        "hovertemplate": "%{text}: %{y:.3f} and %{x:.3f}<extra></extra>",
    }
    low = min(0.0, frame["first"].min(), frame["second"].min())
    high = max(1.0, frame["first"].max(), frame["second"].max())
    return figure(
        [trace],
        layout(
            "Score against score",
            f"score of {label(comparison.second)} (1 is the ceiling, where there is one)",
            f"score of {label(comparison.first)}",
            height=520,
            xaxis={"range": [low - 0.03, high + 0.03]},
            yaxis={"range": [low - 0.03, high + 0.03]},
            shapes=[
                {
                    "type": "line",
                    "x0": low,
                    "y0": low,
                    "x1": high,
                    "y1": high,
                    "line": {"color": GREY, "dash": "dash", "width": 1},
                }
            ],
        ),
        f"{comparison.wins} of {len(frame)} points are above the diagonal, where both are equal.",
    )


def _differences(frame: pd.DataFrame, names: dict[str, str], name: str, color: str, symbol: str) -> dict[str, object]:
    half = (frame["high"] - frame["low"]) / 2
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "showlegend": True,
        "x": [finite(value) for value in frame["difference"]],
        "y": [names[benchmark] for benchmark in frame["benchmark"]],
        "error_x": {"type": "data", "array": [finite(value) for value in half], "thickness": 1, "width": 3},
        "marker": {"color": color, "size": 8, "symbol": symbol},
        "hovertemplate": "%{y}: %{x:+.3f}<extra></extra>",
    }


def _upright(x: float, color: str, dash: str) -> dict[str, object]:
    return {
        "type": "line",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": color, "dash": dash, "width": 1},
    }
