"""Figures of what scoring took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_ops.scores.analyses.cost import hours
from brainscore_ops.scores.analyses.ranking import finite
from brainscore_ops.scores.figures.figure import Figure, figure
from brainscore_ops.scores.figures.style import BLUE, GREY, ORANGE, PALETTE, RED, labels, layout, rows_height

if TYPE_CHECKING:
    from brainscore_ops.scores.analyses.cost import CostReport

MOST_ROWS, MOST_POINTS = 40, 2000
_MOST_UPRIGHT = 8  # months that fit beside each other


def node_hours(report: CostReport) -> Figure:
    """Node hours by benchmark, with those that gave no score."""
    frame = report.frame.head(MOST_ROWS)
    factor, unit = _unit(frame["node_hours"].max())
    names = labels(list(frame["benchmark"]))
    parts = (
        ("with a score", frame["node_hours"] - frame["lost_hours"], BLUE),
        ("without one", frame["lost_hours"], RED),
    )
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "y": names,
            "x": [finite(value * factor) for value in values],
            "name": name,
            "showlegend": True,
            "marker": {"color": color},
            "hovertemplate": f"%{{y}}: %{{x:.2f}} node {unit}<extra></extra>",
        }
        for name, values, color in parts
    ]
    shown = (
        f", the {MOST_ROWS} most expensive of {len(report.frame)} benchmarks" if len(report.frame) > MOST_ROWS else ""
    )
    return figure(
        traces,
        layout(
            f"Node {unit} by benchmark{shown}",
            f"node {unit}",
            "",
            height=rows_height(len(frame)) + 50,
            barmode="stack",
            yaxis={"autorange": "reversed"},
        ),
        f"{hours(report.frame['node_hours'].sum())} node hours in all, "
        f"{hours(report.frame['lost_hours'].sum())} without a score.",
    )


def time_and_memory(report: CostReport) -> Figure:
    """Every try: how long it took, and the most memory that it had."""
    known = report.runs.dropna(subset=["seconds", "gib"])
    known = known[(known["seconds"] > 0) & (known["gib"] > 0)]
    if len(known) > MOST_POINTS:
        known = known.sample(MOST_POINTS, random_state=0)
    traces = []
    states = (("scored", BLUE, "circle"), ("failed", RED, "x"), ("lost", ORANGE, "diamond"))
    for state, color, symbol in states:
        frame = known[known["state"] == state]
        if frame.empty:
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": state,
                "showlegend": True,
                "x": [finite(value) for value in frame["seconds"]],
                "y": [finite(value) for value in frame["gib"]],
                "text": [
                    f"{model} on {benchmark}"
                    for model, benchmark in zip(frame["model"], frame["benchmark"], strict=True)
                ],
                "marker": {"color": color, "size": 7, "symbol": symbol, "opacity": 0.6},
                "hovertemplate": "%{text}: %{x:.1f} s, %{y:.2f} GiB<extra></extra>",
            }
        )
    return figure(
        traces,
        layout(
            f"Time and memory of {len(known)} tries",
            "time (s, logarithmic)",
            "most memory (GiB, logarithmic)",
            xaxis={"type": "log"},
            yaxis={"type": "log"},
        ),
        f"{len(report.runs) - len(known)} tries were not measured."
        if len(known) < len(report.runs)
        else "All were measured.",
    )


def by_month(report: CostReport) -> Figure:
    """Node hours by the month in which tries ended, by resource class."""
    known = report.runs.dropna(subset=["ended_at", "node_hours"])
    month = known["ended_at"].dt.strftime("%Y-%m")
    wide = known.groupby([month, known["resource_class"].fillna("not said")])["node_hours"].sum().unstack(fill_value=0)
    factor, unit = _unit(wide.sum(axis=1).max())
    colors = (*PALETTE, GREY)
    traces = [
        {
            "type": "bar",
            "x": list(wide.index),
            "y": [finite(value * factor) for value in wide[name]],
            "name": str(name),
            "showlegend": True,
            "marker": {"color": colors[min(index, len(PALETTE))]},
        }
        for index, name in enumerate(wide.columns)
    ]
    return figure(
        traces,
        layout(
            f"Node {unit} by month and resource class",
            "month (UTC)",
            f"node {unit}",
            barmode="stack",
            xaxis={"type": "category"} | ({"tickangle": -60} if len(wide) > _MOST_UPRIGHT else {}),
        ),
        f"{len(wide)} {'month' if len(wide) == 1 else 'months'}.",
    )


def _unit(most: float) -> tuple[int, str]:
    """Hours that nobody could read are shown as minutes."""
    return (1, "hours") if most >= 1 else (60, "minutes")
