"""How well a linear read-out of features predicts one measurement for each stimulus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from brainscore_core.metrics import Metric

from brainscore_example.scores import pearsonr, summarize

if TYPE_CHECKING:
    from brainscore_core.metrics import Score
    from brainscore_core.supported_data_standards.brainio.assemblies import DataAssembly

FOLDS = 5
PENALTIES = 10.0 ** np.arange(-2, 6)
BOOTSTRAPS = 1000
SEED = 20140901


class Ridge(Metric):
    """Cross-validated ridge regression, compared with the measurements by Pearson's r.

    Stimuli are dealt to 5 folds at random (seeded). In each fold the penalty is the one with the least leave-one-out
    error on the training stimuli; features are standardized by the training stimuli. The score is the mean over folds
    of r between predicted and measured values; its error is the standard deviation of that mean when stimuli are
    resampled within folds (1000 bootstraps).
    """

    def __call__(self, assembly1: DataAssembly, assembly2: DataAssembly) -> Score:
        """assembly1: features (presentation, neuroid); assembly2: one measurement for each of the same presentations."""
        if list(assembly1["stimulus_id"].to_numpy()) != list(assembly2["stimulus_id"].to_numpy()):
            raise ValueError("expected features and measurements of the same stimuli in the same order")
        features = assembly1.transpose("presentation", "neuroid").to_numpy().astype(np.float64)
        measured = assembly2.to_numpy().astype(np.float64)
        rng = np.random.default_rng(SEED)
        folds = np.array_split(rng.permutation(len(measured)), FOLDS)
        correlations, resampled = [], []
        for held_out in folds:
            training = np.setdiff1d(np.arange(len(measured)), held_out)
            predicted = _predict(features[training], measured[training], features[held_out])
            correlations.append(pearsonr(predicted, measured[held_out]))
            draws = rng.integers(len(held_out), size=(BOOTSTRAPS, len(held_out)))
            resampled.append(pearsonr(predicted[draws], measured[held_out][draws]))
        return summarize(correlations, dim="split", error=float(np.mean(resampled, axis=0).std(ddof=1)))


def _predict(features: np.ndarray, target: np.ndarray, new_features: np.ndarray) -> np.ndarray:
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale < 1e-12] = np.inf  # a feature that does not vary says nothing
    left, singular, right = np.linalg.svd((features - mean) / scale, full_matrices=False)
    projected = left.T @ (target - target.mean())
    # Leave-one-out residuals follow from the diagonal of the hat matrix: no model is fitted again.
    shrinkage = singular**2 / (singular**2 + PENALTIES[:, None])
    residuals = (target - target.mean()) - (shrinkage * projected) @ left.T
    leverage = 1 / len(target) + shrinkage @ (left**2).T
    best = np.argmin(((residuals / (1 - leverage)) ** 2).sum(axis=1))
    weights = right.T @ (singular / (singular**2 + PENALTIES[best]) * projected)
    return target.mean() + ((new_features - mean) / scale) @ weights
