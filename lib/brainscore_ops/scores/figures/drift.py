"""Figures of scores through time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from brainscore_ops.scores.analyses.ranking import finite
from brainscore_ops.scores.figures.figure import Figure, figure
from brainscore_ops.scores.figures.style import BLUE, GREY, PALETTE, RED, label, layout

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import pandas as pd

    from brainscore_ops.scores.analyses.drift import Drift

MOST_LINES, MOST_POINTS = 7, 2000


def through_time(drift: Drift) -> Figure:
    """Every score at the time at which it was recorded; what was replaced or superseded stands in grey."""
    scored = drift.history[drift.history["value"].notna()].tail(MOST_POINTS)
    counts = scored["place"] == "counts"
    traces = [
        _points(scored[~counts], "replaced, or of earlier code", GREY, "x"),
        _points(scored[counts], "counts", BLUE, "circle"),
    ]
    return figure(
        [trace for trace in traces if trace["x"]],
        layout(
            f"{len(scored)} scores through time", "recorded (UTC)", "score ± standard error", xaxis={"type": "date"}
        ),
        f"{int(counts.sum())} of {len(scored)} scores count.",
    )


def canaries(drift: Drift) -> Figure:
    """The score of each canary, in relation to its first one."""
    traces: list[dict[str, object]] = []
    scored = drift.canary_scores[drift.canary_scores["value"].notna()]
    for index, (pair, frame) in enumerate(scored.groupby(["model", "benchmark"])):
        if index == MOST_LINES:
            break
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": _moments(frame["at"]),
                "y": [finite(value) for value in frame["value"] - frame["value"].iloc[0]],
                "name": label(f"{pair[0]} on {pair[1]}", 44),
                "showlegend": True,
                "marker": {"color": PALETTE[index % len(PALETTE)], "size": 8},
                "line": {"color": PALETTE[index % len(PALETTE)]},
            }
        )
    zero = {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": 0,
        "y1": 0,
        "line": {"color": GREY, "dash": "dash", "width": 1},
    }
    return figure(
        traces,
        layout(
            f"Drift of {len(drift.canaries)} {'canary' if len(drift.canaries) == 1 else 'canaries'}",
            "computed (UTC)",
            "score minus the first one",
            xaxis={"type": "date"} | _around(scored["at"]),
            yaxis={"rangemode": "tozero"},
            shapes=[zero],
        ),
        f"{int((drift.canaries['range'] > 0).sum())} of {len(drift.canaries)} canaries changed.",
    )


def changes(drift: Drift) -> Figure:
    """What computing again changed: before against after."""
    frame = drift.changes.head(MOST_POINTS)
    ends = [*frame["before"], *frame["after"], 0.0, 1.0]
    low, high = min(ends), max(ends)
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [finite(value) for value in frame["before"]],
        "y": [finite(value) for value in frame["after"]],
        "text": [
            f"{model} on {benchmark}" for model, benchmark in zip(frame["model"], frame["benchmark"], strict=True)
        ],
        "marker": {"color": RED, "size": 8, "opacity": 0.75},
        "hovertemplate": "%{text}: %{x:.4f} to %{y:.4f}<extra></extra>",
    }
    return figure(
        [trace],
        layout(
            f"{len(frame)} {'score that was' if len(frame) == 1 else 'scores that were'} computed again"
            if len(frame)
            else "No score was computed again",
            "score before",
            "score after",
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
        f"{int((frame['difference'] != 0).sum())} of {len(frame)} are another score than before.",
    )


def _points(frame: pd.DataFrame, name: str, color: str, symbol: str) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "showlegend": True,
        "x": _moments(frame["at"]),
        "y": [finite(value) for value in frame["value"]],
        "error_y": {"type": "data", "array": [finite(value) for value in frame["error"]], "thickness": 1, "width": 2},
        "text": [
            f"{model} on {benchmark}" for model, benchmark in zip(frame["model"], frame["benchmark"], strict=True)
        ],
        "marker": {"color": color, "size": 7, "symbol": symbol, "opacity": 0.7},
        "hovertemplate": "%{text}: %{y:.3f}<extra></extra>",
    }


def _moments(moments: Iterable[datetime]) -> list[str]:
    return [moment.isoformat() for moment in moments]


def _around(moments: pd.Series) -> dict[str, object]:
    """The range of an axis with a single moment on it: a day before and after, where its own choice would be years."""
    first, last = moments.min(), moments.max()
    if first != last:  # of none at all, too: those are NaT
        return {}
    return {"range": _moments([first - timedelta(days=1), first + timedelta(days=1)])}
