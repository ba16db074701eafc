"""The figure of a model's card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_ops.scores.analyses.ranking import finite
from brainscore_ops.scores.figures.figure import Figure, figure
from brainscore_ops.scores.figures.style import BLUE, GREY, INK, ORANGE, labels, layout, rows_height

if TYPE_CHECKING:
    from brainscore_ops.scores.analyses.model_card import ModelCard

MOST_ROWS = 80


def profile(card: ModelCard) -> Figure:
    """The model's scores with their errors, beside the median and the best of all models, and the ceiling of ceiled scores."""
    frame = card.frame.head(MOST_ROWS)
    names = labels(list(frame["benchmark"]))
    x = {name: [finite(value) for value in frame[name]] for name in ("value", "error", "median", "best")}
    ceiled = [1.0 if ceiling == ceiling else None for ceiling in frame["ceiling"]]
    marks = {"type": "scatter", "mode": "markers", "y": names, "showlegend": True}
    traces: list[dict[str, object]] = [
        {
            "type": "bar",
            "orientation": "h",
            "y": names,
            "x": x["value"],
            "name": "score ± standard error",
            "showlegend": True,
            "error_x": {"type": "data", "array": x["error"], "thickness": 1, "width": 3},
            "marker": {"color": BLUE},
            "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
        },
        {**marks, "name": "median model", "x": x["median"], "marker": {"color": GREY, "size": 9, "symbol": "diamond"}},
        {**marks, "name": "best model", "x": x["best"], "marker": {"color": ORANGE, "size": 9, "symbol": "circle"}},
    ]
    if any(ceiled):
        traces.append(
            {**marks, "name": "ceiling", "x": ceiled, "marker": {"color": INK, "size": 16, "symbol": "line-ns"}}
        )
    scored = int(frame["value"].notna().sum())
    return figure(
        traces,
        layout(
            f"Scores of {card.model}",
            "score (in relation to the ceiling, where there is one)",
            "",
            height=rows_height(len(frame)) + 50,
            yaxis={"autorange": "reversed"},
        ),
        f"{scored} of {len(frame)} benchmarks have a score.",
    )
