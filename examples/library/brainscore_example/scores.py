"""Building blocks of scores that metrics and benchmarks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from brainscore_core.metrics import Score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def summarize(values: ArrayLike, dim: str, error: float | None = None) -> Score:
    """The mean of `values` (one for each fold, subject, …: `dim`) as a score.

    `error` defaults to the standard error of the mean. `attrs`: `error`, and the values themselves in `raw`.
    """
    values = np.asarray(values, dtype=np.float64)
    score = Score(values.mean())
    score.attrs["error"] = float(values.std(ddof=1) / np.sqrt(len(values)) if error is None else error)
    score.attrs[Score.RAW_VALUES_KEY] = Score(values, coords={dim: np.arange(len(values))}, dims=[dim])
    return score


def normalize(raw: Score, ceiling: Score) -> Score:
    """Divide a raw score and its error by the ceiling. `attrs`: `error`, `raw`, `ceiling`.

    The error is that of the model's agreement alone; the ceiling has its own in `ceiling.attrs["error"]`.
    """
    score = Score(raw.item() / ceiling.item())
    score.attrs["error"] = raw.attrs["error"] / ceiling.item()
    score.attrs[Score.RAW_VALUES_KEY] = raw
    score.attrs["ceiling"] = ceiling
    return score


def pearsonr(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson correlation along the last axis; 0 where one side is constant, since a constant predicts nothing."""
    first = first - first.mean(axis=-1, keepdims=True)
    second = second - second.mean(axis=-1, keepdims=True)
    covariance = (first * second).sum(axis=-1)
    scale = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    return np.where(scale > 1e-12, covariance / np.maximum(scale, 1e-12), 0.0)
