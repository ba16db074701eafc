"""How well benchmarks do as measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brainscore_ops.display import Shown, Table
from brainscore_ops.scores.analyses.frames import frame_table
from brainscore_ops.scores.analyses.ranking import subtree
from brainscore_ops.scores.benchmark_tree import leaf_weights, tree_of

if TYPE_CHECKING:
    import pandas as pd

    from brainscore_ops.scores.score_data import ScoreData


@dataclass(frozen=True)
class BenchmarkHealth(Shown):
    """A row a benchmark."""

    frame: pd.DataFrame
    """``benchmark``, ``scored``, ``failed``, ``missing``, ``ceiling``, ``ceiling_error``, ``best``, ``median``, ``low`` and
    ``high`` (quartiles), ``spread`` (standard deviation over models), ``noise`` (median standard error of a score), ``signal``
    (spread over noise), ``rest`` (rank correlation with the mean of the others), ``models`` (over how many), ``influence``
    (1 minus the rank correlation of the average with that without this benchmark)."""
    least_models: int

    def table(self) -> Table:
        frame = self.frame
        said = {
            "without a ceiling": frame["ceiling"].isna(),
            "where more models failed than were scored": frame["failed"] > frame["scored"],
            "whose noise is as large as the spread of models": frame["signal"] <= 1,
            "saturated: the median model within 5 % of the ceiling": frame["median"] >= 0.95,
            "that rank models unlike the others do (rank correlation below 0)": frame["rest"] < 0,
        }
        rows = [
            (
                words,
                f"{int(mask.sum())}: {', '.join(frame.loc[mask, 'benchmark'].head(5))}{' …' if mask.sum() > 5 else ''}",
            )
            for words, mask in said.items()
            if mask.any()
        ]
        return Table(
            f"{len(frame)} benchmarks; to look at:", rows or [("nothing", "every one has a ceiling, spread and models")]
        )

    @property
    def details(self) -> Table:
        """A row a benchmark, those that predict the others worst first."""
        columns = {
            "benchmark": ("benchmark", ""),
            "scored": ("scored", ""),
            "failed": ("failed", ""),
            "missing": ("not tried", ""),
            "ceiling": ("ceiling (raw)", ".3f"),
            "median": ("median", ".3f"),
            "best": ("best", ".3f"),
            "spread": ("spread", ".3f"),
            "noise": ("noise", ".3f"),
            "signal": ("spread / noise", ".1f"),
            "rest": ("r with the rest", ".2f"),
            "influence": ("influence", ".3f"),
        }
        return frame_table("By benchmark, the worst predictor of the others first", self.frame, columns, 300)


def benchmark_health(data: ScoreData, *, under: str | None = None, least_models: int = 5) -> BenchmarkHealth:
    """Look at every benchmark.

    How well a benchmark predicts the rest is Spearman's rank correlation, over the models that it scored, of its scores with the
    mean of the other benchmarks' (each standardized over models first, so that none counts more for being wider).

    :param least_models: a correlation over fewer models is left out
    :raises NoScoresError: there are none
    """
    import numpy as np

    data.insist()
    table = data.table(under=under)
    matrix, errors = (data.matrix(column, under=under) for column in ("value", "error"))
    matrix, errors = matrix.sort_index(), errors.reindex(matrix.index).sort_index()
    failed = table[table["state"] == "failed"].groupby("benchmark").size()
    ceilings = data.benchmarks().set_index("benchmark")
    frame = matrix.columns.to_frame(index=False, name="benchmark")
    of = {
        "scored": matrix.notna().sum(),
        "best": matrix.max(),
        "median": matrix.median(),
        "low": matrix.quantile(0.25),
        "high": matrix.quantile(0.75),
        "spread": matrix.std(),
        "noise": errors.median(),
        "failed": failed,
        "ceiling": ceilings["ceiling"],
        "ceiling_error": ceilings["ceiling_error"],
    }
    for name, values in of.items():
        frame[name] = frame["benchmark"].map(values)
    frame["failed"] = frame["failed"].fillna(0).astype("int64")
    frame["missing"] = len(matrix) - frame["scored"] - frame["failed"]
    frame["signal"] = frame["spread"] / frame["noise"].replace(0, np.nan)
    frame["rest"], frame["models"] = _with_the_rest(matrix, least_models)
    weights = leaf_weights(subtree(tree_of(data.benchmarks()), under))
    frame["influence"] = _influence(matrix, weights, least_models)
    return BenchmarkHealth(
        frame.sort_values("rest", kind="stable", na_position="last", ignore_index=True), least_models
    )


def _with_the_rest(matrix: pd.DataFrame, least: int) -> tuple[list[float], list[int]]:
    """Spearman's correlation of each column with the mean of the others, and over how many rows."""
    standardized = (matrix - matrix.mean()) / matrix.std().where(lambda spread: spread > 0)
    total, count = standardized.sum(axis=1), standardized.notna().sum(axis=1)
    correlations, sizes = [], []
    for name in matrix.columns:
        own = standardized[name]
        others = count - own.notna()
        rest = (total - own.fillna(0)) / others.where(others > 0)
        both = own.notna() & rest.notna()
        sizes.append(int(both.sum()))
        correlations.append(_rank_correlation(own[both], rest[both]) if both.sum() >= least else float("nan"))
    return correlations, sizes


def _influence(matrix: pd.DataFrame, weights: dict[str, float], least: int) -> list[float]:
    known = matrix[[name for name in matrix.columns if name in weights]].fillna(0)
    average = known.mul([weights[name] for name in known.columns]).sum(axis=1)
    if len(matrix) < least:
        return [float("nan")] * matrix.shape[1]
    return [
        1 - _rank_correlation(average, average - weights.get(name, 0) * matrix[name].fillna(0))
        for name in matrix.columns
    ]


def _rank_correlation(first: pd.Series, second: pd.Series) -> float:
    a, b = first.rank(), second.rank()
    return float(a.corr(b)) if a.std() > 0 and b.std() > 0 else float("nan")
