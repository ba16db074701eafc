"""What became of scores over time, and whether known ones drifted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brainscore_ops.display import Shown, Table
from brainscore_ops.scores.analyses.frames import frame_table

if TYPE_CHECKING:
    import pandas as pd

    from brainscore_ops.scores.score_data import ScoreData

_CELL = ["model", "benchmark", "version"]


@dataclass(frozen=True)
class Drift(Shown):
    """Outcomes by the time at which they were recorded."""

    history: pd.DataFrame
    """See :meth:`ScoreData.history`, the oldest first; without rescorings that changed nothing."""
    changes: pd.DataFrame
    """Scores that another one of the same benchmark's version took the place of: ``before``, ``after``, ``difference``,
    ``in_errors`` (the difference over both standard errors), ``at``; the largest difference first."""
    canaries: pd.DataFrame
    """A row a canary: ``scored``, ``first``, ``newest``, ``range``, ``failed``, ``at``."""
    canary_scores: pd.DataFrame

    def table(self) -> Table:
        moved = self.changes["difference"] != 0
        span = self.history["at"]
        return Table(
            f"{len(self.history)} outcomes of {self.history['model'].nunique()} models",
            [
                ("from, to", f"{span.min():%Y-%m-%d} to {span.max():%Y-%m-%d}" if len(span) else None),
                ("computed again", f"{len(self.changes)}, {int(moved.sum())} with another score"),
                ("largest change", _largest(self.changes)),
                ("canaries", f"{len(self.canaries)}, {int((self.canaries['range'] > 0).sum())} that changed"),
            ],
        )

    @property
    def details(self) -> Table:
        """A row a score that another one replaced."""
        columns = {
            "model": ("model", ""),
            "benchmark": ("benchmark", ""),
            "version": ("version", ""),
            "before": ("before", ".4f"),
            "after": ("after", ".4f"),
            "difference": ("difference", "+.4f"),
            "in_errors": ("in s.e.", ".1f"),
            "when": ("when (UTC)", ""),
        }
        shown = self.changes.assign(when=self.changes["at"].dt.strftime("%Y-%m-%d %H:%M"))
        title = (
            "Scores that were computed again, the largest change first" if len(shown) else "No score was computed again"
        )
        return frame_table(title, shown, columns)

    @property
    def known_scores(self) -> Table:
        """A row a canary."""
        columns = {
            "model": ("model", ""),
            "benchmark": ("benchmark", ""),
            "scored": ("scored", ""),
            "failed": ("failed", ""),
            "first": ("first", ".6f"),
            "newest": ("newest", ".6f"),
            "range": ("range", ".2g"),
        }
        return frame_table("Canaries: known pairs, computed again where something changed", self.canaries, columns)


def score_drift(
    data: ScoreData, *, models: list[str] | None = None, under: str | None = None, since: str | None = None
) -> Drift:
    """Follow scores through time.

    :param since: only what was recorded then or later
    """
    history = data.history(models=models, under=under, since=since)
    history = history[history["place"] != "not-replaced"].sort_values("at", kind="stable", ignore_index=True)
    scored = history[history["value"].notna()]
    before = scored.groupby(_CELL, dropna=False)[["value", "error"]].shift()
    changes = scored.assign(before=before["value"], after=scored["value"], of_before=before["error"])
    changes = changes[changes["before"].notna()]
    changes["difference"] = changes["after"] - changes["before"]
    errors = (changes["error"] ** 2 + changes["of_before"] ** 2) ** 0.5
    changes["in_errors"] = changes["difference"].abs() / errors.where(errors > 0)
    changes = changes.sort_values("difference", key=abs, ascending=False, kind="stable", ignore_index=True)
    kept = [*_CELL, "before", "after", "difference", "in_errors", "at", "library_commit", "run"]
    canaries = data.canaries().sort_values("at", kind="stable", ignore_index=True)
    summary = (
        canaries.groupby(["model", "benchmark"])
        .agg(
            scored=("value", "count"),
            failed=("state", lambda states: int((states == "failed").sum())),
            first=("value", "first"),
            newest=("value", "last"),
            low=("value", "min"),
            high=("value", "max"),
            at=("at", "max"),
        )
        .reset_index()
    )
    summary["range"] = summary["high"] - summary["low"]
    return Drift(history, changes[kept], summary, canaries)


def _largest(changes: pd.DataFrame) -> str | None:
    if changes.empty:
        return None
    worst = changes.iloc[0]
    return f"{worst['difference']:+.4f}: {worst['model']} on {worst['benchmark']}"
