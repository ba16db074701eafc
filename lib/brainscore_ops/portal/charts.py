"""How scores are distributed, as small pictures within the page: SVG that the server draws, coloured by the style sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 30
_HEIGHT = 20


def spread(values: NDArray[np.float64], *, label: str, this: float | None = None, large: bool = False) -> Markup:
    """A histogram on the way from 0 to 1 (further, where scores are), with a line where one of them is.

    :param values: of all models; NaN where there is none
    :param label: what it says, for those who do not see it
    :param this: the one that is marked
    """
    low, high = bounds(values)
    line = "" if this is None else f'<path class="this" d="M{_across(this, low, high)} 0V{_HEIGHT}"/>'
    return Markup(
        '<svg class="spread{}" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<path class="bars" d="{}"/><path class="axis" d="M0 20H100"/>{}</svg>'
    ).format(" large" if large else "", label, _bars(values, low, high), Markup(line))  # noqa: S704 - numbers


def bounds(values: NDArray[np.float64]) -> tuple[float, float]:
    """Where the axis begins and ends."""
    known = values[~np.isnan(values)]
    return min(0.0, float(known.min(initial=0.0))), max(1.0, float(known.max(initial=1.0)))


def _bars(values: NDArray[np.float64], low: float, high: float) -> str:
    counts, edges = np.histogram(values[~np.isnan(values)], bins=BINS, range=(low, high))
    most = max(int(counts.max()), 1)
    bars = []
    for count, left, right in zip(counts, edges, edges[1:], strict=False):
        if count:
            top = _HEIGHT * (1 - max(count / most, 0.06))
            bars.append(f"M{_across(left, low, high)} {_HEIGHT}V{top:.1f}H{_across(right, low, high)}V{_HEIGHT}")
    return "".join(bars)


def _across(value: float, low: float, high: float) -> str:
    return f"{(value - low) / (high - low) * 100:.1f}"
