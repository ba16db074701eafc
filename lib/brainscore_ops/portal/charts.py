"""How scores are distributed, as small pictures within the page: SVG that the server draws, coloured by the style sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 30
_HEIGHT = 40


class Spread:
    """A histogram on the way from 0 to 1; further, where scores are.

    :param values: of all models; NaN where there is none
    """

    def __init__(self, values: NDArray[np.float64]) -> None:
        known = values[~np.isnan(values)]
        self.count = len(known)
        """How many scores there are."""
        self.low = min(0.0, float(known.min(initial=0.0)))
        self.high = max(1.0, float(known.max(initial=1.0)))
        self._bars = self._drawn(known)

    def picture(self, label: str, *, this: float | None = None, large: bool = False) -> Markup:
        """The picture.

        :param label: what it says, for those who do not see it
        :param this: the score that a line marks
        """
        line = "" if this is None else f'<path class="this" d="M{self._across(this)} 0V{_HEIGHT}"/>'
        return Markup(
            '<svg class="spread{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
            '<path class="bars" d="{}"/><path class="axis" d="M0 {}H{}"/>{}</svg>'
        ).format(
            " large" if large else "",
            BINS,
            _HEIGHT,
            label,
            self._bars,
            _HEIGHT,
            BINS,
            Markup(line),  # noqa: S704 - numbers
        )

    def _drawn(self, known: NDArray[np.float64]) -> str:
        """The outline of the bars, in whole numbers: a page of a large library has hundreds of these."""
        counts, _ = np.histogram(known, bins=BINS, range=(self.low, self.high))
        most = max(int(counts.max()), 1)
        # What is there is seen, however little it is.
        tops = [_HEIGHT - max(round(_HEIGHT * count / most), 2) if count else _HEIGHT for count in counts.tolist()]
        return f"M0 {_HEIGHT}" + "".join(f"V{top}h1" for top in tops) + f"V{_HEIGHT}z"

    def _across(self, value: float) -> str:
        return f"{(value - self.low) / (self.high - self.low) * BINS:.1f}"
