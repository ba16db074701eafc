"""The leaderboard, with the uncertainty of its averages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brainscore_ops.display import Shown, Table
from brainscore_ops.scores.analyses.frames import frame_table
from brainscore_ops.scores.benchmark_tree import leaf_weights, tree_of, walk

if TYPE_CHECKING:
    import pandas as pd

    from brainscore_ops.scores.benchmark_tree import Node
    from brainscore_ops.scores.score_data import ScoreData


@dataclass(frozen=True)
class Ranking(Shown):
    """Models by their average."""

    frame: pd.DataFrame
    """A row a model, the best first: ``rank``, ``model``, ``average``, ``error``, ``scored``, ``failed``, ``missing``."""
    averages: pd.DataFrame
    """Models × parents, see :meth:`ScoreData.averages`."""
    matrix: pd.DataFrame
    """Models × benchmarks."""
    errors: pd.DataFrame
    """The standard errors of the matrix."""
    under: str | None

    def table(self) -> Table:
        title = f"{len(self.frame)} models on {self.matrix.shape[1]} benchmarks" + (
            f" under {self.under}" if self.under else ""
        )
        columns = {
            "rank": ("", ""),
            "model": ("model", ""),
            "average": ("average", ".3f"),
            "error": ("± s.e.", ".3f"),
            "scored": ("scored", ""),
            "failed": ("failed", ""),
            "missing": ("not tried", ""),
        }
        return frame_table(title, self.frame, columns)


def rank_models(data: ScoreData, *, models: list[str] | None = None, under: str | None = None) -> Ranking:
    """Rank models by their averages, by the leaderboard's rule.

    The error of an average follows from those of its scores, taken as independent: the root of the sum of
    (weight × error)². Scores without an error, and pairs without a score, add nothing to it: where there are such, it is a
    lower bound.

    :raises NoScoresError: there are none
    """
    data.insist()
    averages = data.averages(models=models, under=under)
    matrix, errors = (data.matrix(column, models=models, under=under) for column in ("value", "error"))
    weights = leaf_weights(subtree(tree_of(data.benchmarks()), under))
    counted = [benchmark for benchmark in matrix.columns if benchmark in weights]
    of_weights = [weights[benchmark] for benchmark in counted]
    table = data.table(models=models, under=under)
    failed = table[table["state"] == "failed"].groupby("model").size()
    frame = averages[["average"]].reset_index()
    known = errors.reindex(frame["model"])[counted]
    frame["error"] = (known.pow(2).mul([weight**2 for weight in of_weights]).sum(axis=1, min_count=1) ** 0.5).to_numpy()
    frame["scored"] = matrix.notna().sum(axis=1).reindex(frame["model"]).fillna(0).astype("int64").to_numpy()
    frame["failed"] = frame["model"].map(failed).fillna(0).astype("int64")
    frame["missing"] = len(weights) - frame["scored"] - frame["failed"]
    # Equal averages share a rank, and the next one is left out.
    frame.insert(0, "rank", frame["average"].rank(method="min", ascending=False).astype("Int64"))
    return Ranking(frame, averages, matrix, errors, under)


def subtree(tree: tuple[Node, ...], under: str | None) -> tuple[Node, ...]:
    """What is below a parent; the whole tree where none is named."""
    if under is None:
        return tree
    return next(node.children or (node,) for _, node in walk(tree) if node.identifier == under)


def finite(value: float) -> float | None:
    """A number for JSON; None for NaN."""
    return None if value is None or not math.isfinite(value) else float(value)
