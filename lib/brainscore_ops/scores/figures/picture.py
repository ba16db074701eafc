"""A figure of plotly's as an SVG, drawn by matplotlib: no browser, no JavaScript, the same bytes for the same figure.

Kaleido, plotly's own way to pictures, needs a Chrome on every machine that runs a notebook. What our figures use of plotly is
little: bars, points, lines and heat maps on one pair of axes, error bars, straight lines and notes.
"""

from __future__ import annotations

import io
import re
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from brainscore_ops.scores.figures.style import BLUE, FAINT, GREY, INK, PAPER

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

_DPI = 96
_LEGEND_CHARACTERS, _MOST_TICKS, _LEAST_BARS = 130, 30, 6
_MOST_SHAPES = 800
"""More points than these are a bitmap within the picture: as shapes they would make it megabytes large."""
_SYMBOLS = {"circle": "o", "diamond": "D", "square": "s", "x": "x", "line-ns": "|", "line-ew": "_", "triangle-up": "^"}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT")
_DASHES = {"solid": "-", "dash": "--", "dot": ":"}
_DARK = {INK: "#e6edf3", PAPER: "#161b22", FAINT: "#3d444d", "#eaeef2": "#2a313a"}
"""What ink, paper and lines become where the reader's system is dark."""


def picture(document: dict[str, Any], words: str) -> str:
    """The SVG of a figure. On a dark system it is dark.

    :param words: what it shows, for who cannot see it
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    layout = document["layout"]
    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "brainscore_ops",
        "font.family": "DejaVu Sans",
        "font.size": 8.5,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": FAINT,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "axes.facecolor": PAPER,
        "figure.facecolor": PAPER,
        "text.parse_math": False,  # a dollar sign in a stranger's identifier is no formula
    }
    with rc_context(style):
        figure = Figure(figsize=(layout["width"] / _DPI, layout["height"] / _DPI), dpi=_DPI, layout="constrained")
        axes = figure.subplots()
        for axis, said in ((axes.xaxis, layout["xaxis"]), (axes.yaxis, layout["yaxis"])):
            if "categoryarray" in said:  # the order of names, before any of them is drawn
                axis.update_units(said["categoryarray"])  # type: ignore[no-untyped-call]
        for trace in document["data"]:
            _DRAW[trace["type"]](axes, trace, layout)
        _dress(axes, document)
        title = layout["title"]["text"]
        figure.suptitle(title, x=0.012, ha="left", fontsize=11, fontweight="bold")
        named = [trace for trace in document["data"] if trace.get("showlegend", bool(trace.get("name")))]
        if len(named) > 1 or any(trace.get("showlegend") for trace in named):
            columns = max(1, _LEGEND_CHARACTERS // (8 + max(len(str(trace["name"])) for trace in named)))
            figure.legend(loc="outside lower left", ncols=columns, frameon=False, labelcolor=INK)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    return _themed(buffer.getvalue(), f"{title}. {words}")


def _bar(axes: Axes, trace: dict[str, Any], layout: dict[str, Any]) -> None:
    flat = trace.get("orientation") == "h"
    places, sizes = (trace["y"], trace["x"]) if flat else (trace["x"], trace["y"])
    errors = _errors(trace, "error_x" if flat else "error_y")
    base = trace.get("base", 0)
    draw: Callable[..., Any] = axes.barh if flat else axes.bar
    stacked = layout.get("barmode") == "stack"
    known = getattr(axes, "_stacked", {})  # how far each bar of a stack reaches
    offset = [known.get(place, 0) for place in places] if stacked else base
    draw(
        list(places),
        [size or 0 for size in sizes],
        0.72,
        offset,
        color=trace.get("marker", {}).get("color", BLUE),
        label=_legend(trace),
        **(
            {"xerr" if flat else "yerr": errors, "ecolor": INK, "capsize": 2.5, "error_kw": {"elinewidth": 1}}
            if errors
            else {}
        ),
    )
    if stacked:
        for place, size in zip(places, sizes, strict=True):
            known[place] = known.get(place, 0) + (size or 0)
        axes._stacked = known  # type: ignore[attr-defined]


def _scatter(axes: Axes, trace: dict[str, Any], layout: dict[str, Any]) -> None:  # noqa: ARG001 - all are called alike
    mode, marker, line = trace.get("mode", "markers"), trace.get("marker", {}), trace.get("line", {})
    color = marker.get("color", line.get("color", BLUE))
    x, y = (_moments(trace[name]) for name in ("x", "y"))
    axes.errorbar(
        x,
        y,
        xerr=_errors(trace, "error_x"),
        yerr=_errors(trace, "error_y"),
        fmt="none" if "none" in mode else _SYMBOLS[marker.get("symbol", "circle")] if "markers" in mode else "",
        linestyle=_DASHES[line.get("dash", "solid")] if "lines" in mode else "none",
        linewidth=line.get("width", 1.5),
        color=color,
        alpha=marker.get("opacity", 1),
        markersize=marker.get("size", 7) * 0.75,
        markeredgecolor=color,
        elinewidth=1,
        capsize=2,
        label=_legend(trace),
        rasterized=len(x) > _MOST_SHAPES,
    )
    if "text" in mode:
        for place, height, text, where in zip(x, y, trace["text"], trace["textposition"], strict=True):
            across, side = (-4, "right") if where.endswith("left") else (4, "left")
            axes.annotate(text, (place, height), (across, 3), textcoords="offset points", fontsize=7, ha=side)


def _heatmap(axes: Axes, trace: dict[str, Any], layout: dict[str, Any]) -> None:
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    values = np.array([[np.nan if value is None else value for value in row] for row in trace["z"]], dtype=float)
    colors = LinearSegmentedColormap.from_list("ours", list(trace["colorscale"]))
    colors.set_bad(FAINT)
    drawn = axes.imshow(
        values, cmap=colors, vmin=trace.get("zmin"), vmax=trace.get("zmax"), aspect="auto", interpolation="nearest"
    )
    axes.set_xticks(range(len(trace["x"])), trace["x"])
    if layout["xaxis"].get("tickangle"):
        axes.set_xticks(
            range(len(trace["x"])),
            trace["x"],
            rotation=-layout["xaxis"]["tickangle"],
            ha="right",
            rotation_mode="anchor",
        )
    axes.set_yticks(range(len(trace["y"])), trace["y"])
    bar = axes.figure.colorbar(drawn, ax=axes, pad=0.01, aspect=30)
    bar.set_label(trace["colorbar"]["title"]["text"])
    bar.outline.set_visible(False)


_DRAW: dict[str, Callable[[Axes, dict[str, Any], dict[str, Any]], None]] = {
    "bar": _bar,
    "scatter": _scatter,
    "heatmap": _heatmap,
}


def _dress(axes: Axes, document: dict[str, Any]) -> None:
    from matplotlib.ticker import LogLocator

    layout = document["layout"]
    is_map = any(trace["type"] == "heatmap" for trace in document["data"])
    name: Literal["x", "y"]
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        said = layout[f"{name}axis"]
        axis.set_label_text(said["title"]["text"])
        if said.get("type") == "log":
            axes.set(**{f"{name}scale": "log"})
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(lambda value, _: _in_short(value))
            axis.set_minor_formatter(lambda *_: "")
        if "range" in said:
            axes.set(**{f"{name}lim": _moments(said["range"])})
        if said.get("autorange") == "reversed" and not is_map:
            axis.set_inverted(True)
        if "tickangle" in said and not is_map:
            axis.set_ticks(axis.get_majorticklocs()[:: 1 + len(axis.get_majorticklocs()) // _MOST_TICKS])
            axes.tick_params(axis=name, rotation=-said["tickangle"])
    bars = [trace for trace in document["data"] if trace["type"] == "bar" and trace.get("orientation") != "h"]
    if bars:
        count = max(len(trace["x"]) for trace in bars)
        spare = max(0.0, (_LEAST_BARS - count) / 2)  # a single bar is no wall
        axes.set_xlim(-0.6 - spare, count - 0.4 + spare)
    for shape in layout.get("shapes", ()):
        line = {
            "color": shape["line"].get("color", GREY),
            "lw": shape["line"].get("width", 1),
            "zorder": 1,
            "ls": _DASHES[shape["line"].get("dash", "solid")],
        }
        if shape.get("yref") == "paper":
            axes.axvline(shape["x0"], **line)
        elif shape.get("xref") == "paper":
            axes.axhline(shape["y0"], **line)
        else:
            axes.plot([shape["x0"], shape["x1"]], [shape["y0"], shape["y1"]], **line)
    if not is_map and any(trace.get("orientation") == "h" or _named(trace["y"]) for trace in document["data"]):
        axes.margins(y=0.5 / max(1, len(axes.get_yticks())))  # a line of text for each name, and no more
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if is_map:
        axes.tick_params(length=0)
    else:
        axes.grid(visible=True, color="#eaeef2", linewidth=0.8)
        axes.set_axisbelow(True)


def _in_short(value: float) -> str:
    """A number beside an axis: 2.5, 20 k, 10 M."""
    for size, unit in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e4, " k")):
        if value >= size:
            return f"{value / min(size, 1e3 if unit == ' k' else size):g}{unit}"
    return f"{value:,g}"


def _errors(trace: dict[str, Any], name: str) -> list[float] | list[list[float]] | None:
    errors = trace.get(name)
    if not errors:
        return None
    above = [value or 0.0 for value in errors["array"]]
    if "arrayminus" not in errors:
        return above
    return [[value or 0.0 for value in errors["arrayminus"]], above]


def _named(values: list[Any]) -> bool:
    return bool(values) and isinstance(values[0], str) and not _MOMENT.match(values[0])


def _legend(trace: dict[str, Any]) -> str:
    # A name that begins with an underline would be left out by matplotlib.
    name = str(trace.get("name", ""))
    return f" {name}" if name and trace.get("showlegend", True) else "_"


def _moments(values: list[Any]) -> list[Any]:
    """Moments as matplotlib takes them; anything else as it is."""
    if values and all(isinstance(value, str) and _MOMENT.match(value) for value in values):
        return [datetime.fromisoformat(value) for value in values]
    return [float("nan") if value is None else value for value in values]


def _themed(svg: str, words: str) -> str:
    body = svg[svg.index("<svg") :]
    dark = "".join(
        f'[style*="fill: {light}"]{{fill:{color}!important}}[style*="stroke: {light}"]{{stroke:{color}!important}}'
        for light, color in _DARK.items()
    )
    label = f"<title>{escape(words)}</title><style>@media(prefers-color-scheme:dark){{{dark}}}</style>"
    head, rest = body.split(">", 1)
    return f'{head} role="img">{label}{rest}'
