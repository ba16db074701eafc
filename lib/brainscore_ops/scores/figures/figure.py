"""A figure that every reader can see: plotly's in JupyterLab, a picture on GitHub, in HTML and in mails, words elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import printable
from brainscore_ops.scores.figures.picture import picture

if TYPE_CHECKING:
    import plotly.graph_objects as go

PLOTLY_MIME = "application/vnd.plotly.v1+json"


@dataclass(frozen=True, repr=False)
class Figure:
    """A figure in plotly's own form, and what it says in words."""

    document: dict[str, Any]
    """``data`` and ``layout``, as plotly's schema has them."""
    words: str
    """What it shows, for who cannot see it."""

    @cached_property
    def plotly(self) -> go.Figure:
        """The figure as plotly's object, to change it."""
        import plotly.graph_objects as go

        return go.Figure(self.document)

    @cached_property
    def svg(self) -> str:
        """The figure as a picture that needs nothing else."""
        return picture(self.document, self.words)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:  # noqa: ARG002 - IPython's
        # The plotly document alone, without plotly.js: who can show it has the program, and a record stays small.
        return {PLOTLY_MIME: self.document, "image/svg+xml": self.svg, "text/plain": repr(self)}

    def __repr__(self) -> str:
        title = self.document["layout"]["title"]["text"]
        return printable(f"{title}\n  {self.words}")


def figure(traces: list[dict[str, Any]], layout: dict[str, Any], words: str) -> Figure:
    """A figure of traces on a layout."""
    return Figure({"data": traces, "layout": layout}, printable(words))
