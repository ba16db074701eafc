"""What all figures look like: colours that colour-blind people tell apart, the size, the layout."""

from __future__ import annotations

from typing import Any

from brainscore_ops.display import printable

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, GREY = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#cc79a7",
    "#56b4e9",
    "#f0e442",
    "#8c959f",
)
"""Okabe and Ito's palette, which people with any kind of colour vision tell apart (doi:10.1038/nmeth.1618)."""
PALETTE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW)
INK, FAINT, PAPER = "#24292f", "#d0d7de", "#ffffff"
CIVIDIS = ((0, "#00224e"), (0.25, "#35456c"), (0.5, "#7d7c78"), (0.75, "#bcae6c"), (1, "#fee838"))
"""For heat maps: even in lightness, and made for colour-blind people (doi:10.1371/journal.pone.0199239)."""

WIDTH, HEIGHT, ROW = 860, 420, 22
LONGEST_LABEL = 34


def layout(title: str, x: str, y: str, *, height: int = HEIGHT, **more: Any) -> dict[str, Any]:
    """The layout of a figure, with its title and what its axes measure, in which unit."""
    axis = {"gridcolor": "#eaeef2", "linecolor": FAINT, "zerolinecolor": FAINT, "automargin": True}
    axes = {"xaxis": {**axis, "title": {"text": x}}, "yaxis": {**axis, "title": {"text": y}}}
    for name in axes:
        axes[name] |= more.pop(name, {})
    return {
        "title": {
            "text": printable(title),
            "x": 0,
            "xanchor": "left",
            "xref": "container",
            "pad": {"l": 12},
            "font": {"size": 15},
        },
        "width": WIDTH,
        "height": height,
        # A card with a ground of its own: readable on light and on dark pages.
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": INK},
        "margin": {"l": 60, "r": 24, "t": 48, "b": 52},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        "colorway": list(PALETTE),
        **axes,
        **more,
    }


def label(identifier: str, longest: int = LONGEST_LABEL) -> str:
    """An identifier that fits beside an axis: shortened in its middle, where it says least."""
    identifier = printable(identifier)
    if len(identifier) <= longest:
        return identifier
    head = (longest - 1) * 2 // 3
    return f"{identifier[:head]}…{identifier[head + 1 - longest :]}"


def labels(identifiers: list[str], longest: int = LONGEST_LABEL) -> list[str]:
    """Labels that differ wherever the identifiers do."""
    short = [label(identifier, longest) for identifier in identifiers]
    return [
        each if short.count(each) == 1 else printable(whole) for each, whole in zip(short, identifiers, strict=True)
    ]


def beside(places: list[float | None]) -> list[str]:
    """Where the name of each point stands: to the left of those on the right, whose names would leave the figure."""
    known = [place for place in places if place is not None]
    middle = (min(known) + max(known)) / 2 if known else 0.0
    return ["top left" if place is not None and place > middle else "top right" for place in places]


def rows_height(rows: int) -> int:
    """The height of a figure with a line of text for each row."""
    return 130 + ROW * max(rows, 3)
