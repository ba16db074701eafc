"""Figures of the leaderboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_ops.scores.analyses.ranking import finite
from brainscore_ops.scores.figures.figure import Figure, figure
from brainscore_ops.scores.figures.style import BLUE, CIVIDIS, beside, label, labels, layout, rows_height

if TYPE_CHECKING:
    import pandas as pd

    from brainscore_ops.scores.analyses.ranking import Ranking

MOST_COLUMNS = 60
_MOST_UPRIGHT = 4


def averages(ranking: Ranking, *, top: int = 30) -> Figure:
    """The averages of the best models, with their standard errors."""
    best = ranking.frame[ranking.frame["average"].notna()].head(top)
    names = labels(list(best["model"]))
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": names,
        "x": [finite(value) for value in best["average"]],
        "error_x": {"type": "data", "array": [finite(value) for value in best["error"]], "thickness": 1, "width": 3},
        "marker": {"color": BLUE},
        "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
    }
    leader = f"{best['model'].iloc[0]} leads with {best['average'].iloc[0]:.3f}" if len(best) else "there is no score"
    of = f" on the benchmarks under {ranking.under}" if ranking.under else ""
    return figure(
        [trace],
        layout(
            f"Average{of}, {len(best)} of {len(ranking.frame)} models",
            "average score ± standard error",
            "",
            height=rows_height(len(best)),
            yaxis={"autorange": "reversed"},
        ),
        f"{leader}; {len(ranking.frame)} models.",
    )


def score_map(ranking: Ranking, *, top: int = 30) -> Figure:
    """The scores of the best models as a map; of the groups where there are more benchmarks than a figure can name."""
    best = list(ranking.frame["model"].head(top))
    groups = ranking.averages.drop(columns="average")
    whole = ranking.matrix.shape[1] <= MOST_COLUMNS or groups.shape[1] == 0
    values = (ranking.matrix if whole else groups).reindex(best)
    values = values.iloc[:, :MOST_COLUMNS]
    turned = values.shape[1] > _MOST_UPRIGHT  # names that do not fit beside each other
    what = "benchmarks" if whole else "groups of benchmarks"
    return figure(
        [heat(values, "score")],
        layout(
            f"Scores, {len(best)} models on {values.shape[1]} {what} (grey: no score)",
            "",
            "",
            height=rows_height(len(best)) + (110 if turned else 0),
            xaxis={"tickangle": -60 if turned else 0},
            yaxis={"autorange": "reversed"},
        ),
        f"{int(values.notna().sum().sum())} of {values.size} cells have a score.",
    )


def size(ranking: Ranking, models: pd.DataFrame) -> Figure:
    """The average against the number of a model's parameters."""
    known = ranking.frame.merge(models[["model", "parameters"]], on="model").dropna(subset=["parameters", "average"])
    known = known[known["parameters"] > 0]
    named = len(known) <= 12
    trace = {
        "type": "scatter",
        "mode": "markers+text" if named else "markers",
        "x": [float(value) for value in known["parameters"]],
        "y": [finite(value) for value in known["average"]],
        "error_y": {"type": "data", "array": [finite(value) for value in known["error"]], "thickness": 1},
        "text": [label(name) for name in known["model"]],
        "textposition": beside([float(value) for value in known["parameters"]]),
        "marker": {"color": BLUE, "size": 8, "opacity": 0.8},
        "hovertemplate": "%{text}: %{y:.3f}, %{x:,} parameters<extra></extra>",
    }
    unknown = len(ranking.frame) - len(known)
    return figure(
        [trace],
        layout(
            f"Size and average ({unknown} models have no parameters, or do not say how many)",
            "parameters (count, logarithmic)",
            "average score ± standard error",
            xaxis={"type": "log"},
        ),
        f"{len(known)} models say how many parameters they have.",
    )


def heat(values: pd.DataFrame, title: str) -> dict[str, object]:
    """A heat map of models × columns."""
    return {
        "type": "heatmap",
        "z": [[finite(value) for value in row] for row in values.round(4).to_numpy()],
        "x": labels(list(values.columns)),
        "y": labels(list(values.index)),
        "colorscale": [list(stop) for stop in CIVIDIS],
        "zmin": 0,
        "zmax": 1,
        "colorbar": {"title": {"text": title}},
        "hovertemplate": "%{y} on %{x}: %{z:.3f}<extra></extra>",
    }
