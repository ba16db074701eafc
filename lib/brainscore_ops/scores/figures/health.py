"""Figures of how benchmarks do as measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_ops.scores.analyses.ranking import finite
from brainscore_ops.scores.figures.figure import Figure, figure
from brainscore_ops.scores.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    RED,
    beside,
    label,
    labels,
    layout,
    rows_height,
)

if TYPE_CHECKING:
    from brainscore_ops.scores.analyses.health import BenchmarkHealth

MOST_ROWS = 60
_MOST_NAMES = 6


def spread(health: BenchmarkHealth) -> Figure:
    """How far apart models are on each benchmark: the median, the middle half, the best; and the ceiling of ceiled scores, 1."""
    import numpy as np

    frame = health.frame.head(MOST_ROWS)
    names = labels(list(frame["benchmark"]))
    column = {name: [finite(value) for value in frame[name]] for name in ("median", "best")}
    # Scores are in relation to the ceiling, which is told in units of raw ones: both have to be on one scale.
    ceilings = [1.0 if ceiling == ceiling else None for ceiling in frame["ceiling"]]
    ceiling_errors = [finite(value) for value in frame["ceiling_error"] / frame["ceiling"].abs().replace(0, np.nan)]
    above = [finite(value) for value in frame["high"] - frame["median"]]
    below = [finite(value) for value in frame["median"] - frame["low"]]
    marks = {"type": "scatter", "mode": "markers", "y": names, "showlegend": True}
    traces: list[dict[str, object]] = [
        {
            **marks,
            "name": "median and middle half of models",
            "x": column["median"],
            "marker": {"color": BLUE, "size": 9},
            "error_x": {
                "type": "data",
                "array": above,
                "arrayminus": below,
                "symmetric": False,
                "thickness": 3,
                "width": 0,
            },
        },
        {
            **marks,
            "name": "best model",
            "x": column["best"],
            "marker": {"color": ORANGE, "size": 8, "symbol": "diamond"},
        },
        {
            **marks,
            "name": "ceiling ± standard error",
            "x": ceilings,
            "marker": {"color": INK, "size": 14, "symbol": "line-ns"},
            "error_x": {"type": "data", "array": ceiling_errors, "thickness": 1, "width": 3},
        },
    ]
    return figure(
        traces,
        layout(
            "Spread of models and ceilings" + _shown(health),
            "score (in relation to the ceiling, where there is one)",
            "",
            height=rows_height(len(frame)) + 50,
            yaxis={"autorange": "reversed"},
        ),
        f"{int(frame['ceiling'].notna().sum())} of {len(frame)} benchmarks have a ceiling.",
    )


def prediction(health: BenchmarkHealth) -> Figure:
    """How well each benchmark predicts the rest, against how far its models are apart in standard errors."""
    frame = health.frame.dropna(subset=["rest"])
    known = frame.dropna(subset=["signal"])
    least = set(known.nsmallest(_MOST_NAMES, "rest")["benchmark"])
    trace = {
        "type": "scatter",
        "mode": "markers+text",
        "x": [finite(value) for value in known["signal"]],
        "y": [finite(value) for value in known["rest"]],
        "text": [label(name) if name in least else "" for name in known["benchmark"]],
        "customdata": list(known["benchmark"]),
        "textposition": beside([finite(value) for value in known["signal"]]),
        "marker": {"color": BLUE, "size": 8, "opacity": 0.8},
        "hovertemplate": "%{customdata}: r %{y:.2f}, spread/noise %{x:.1f}<extra></extra>",
    }
    return figure(
        [trace],
        layout(
            f"Agreement with the other benchmarks ({len(known)} of {len(health.frame)} have enough models and errors)",
            "spread of models / standard error of a score",
            "Spearman's r with the mean of the others",
            yaxis={"range": [-1.08, 1.08]},
            shapes=[
                {
                    "type": "line",
                    "xref": "paper",
                    "x0": 0,
                    "x1": 1,
                    "y0": 0,
                    "y1": 0,
                    "line": {"color": GREY, "dash": "dash", "width": 1},
                },
            ],
        ),
        f"A correlation was computed for {len(frame)} benchmarks, each over at least {health.least_models} models.",
    )


def outcomes(health: BenchmarkHealth) -> Figure:
    """How many models were scored, failed or were not tried, by benchmark."""
    frame = health.frame.sort_values(["failed", "missing", "benchmark"], ascending=[False, False, True]).head(MOST_ROWS)
    names = labels(list(frame["benchmark"]))
    parts = (("scored", "scored", GREEN), ("failed", "failed", RED), ("missing", "not tried", "#d8dee4"))
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "y": names,
            "x": [int(value) for value in frame[column]],
            "name": name,
            "showlegend": True,
            "marker": {"color": color},
            "hovertemplate": f"%{{y}}: %{{x}} {name}<extra></extra>",
        }
        for column, name, color in parts
    ]
    return figure(
        traces,
        layout(
            "Outcomes" + _shown(health),
            "models (count)",
            "",
            height=rows_height(len(frame)) + 50,
            barmode="stack",
            yaxis={"autorange": "reversed"},
        ),
        f"{int(health.frame['failed'].sum())} failures on {int((health.frame['failed'] > 0).sum())} benchmarks.",
    )


def _shown(health: BenchmarkHealth) -> str:
    return f", {MOST_ROWS} of {len(health.frame)} benchmarks" if len(health.frame) > MOST_ROWS else ""
