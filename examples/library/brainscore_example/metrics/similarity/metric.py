"""How well the similarity of representations agrees with a measured similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from brainscore_core.metrics import Metric, Score

from brainscore_example.scores import pearsonr

if TYPE_CHECKING:
    from brainscore_core.supported_data_standards.brainio.assemblies import DataAssembly


class Similarity(Metric):
    """Representational similarity analysis over pairs of stimuli.

    Two stimuli are the more similar, the smaller the Euclidean distance between their features (which is defined for a
    single feature too). The score is Pearson's r between the negative distances and the measured similarities over all
    pairs: the upper triangle without the diagonal.
    """

    def __call__(self, assembly1: DataAssembly, assembly2: DataAssembly) -> Score:
        """assembly1: features (presentation, neuroid); assembly2: similarities, square, of the same presentations."""
        features = assembly1.transpose("presentation", "neuroid").to_numpy().astype(np.float64)
        measured = assembly2.to_numpy().astype(np.float64)
        if measured.shape != (len(features), len(features)):
            raise ValueError(f"expected the similarities of {len(features)} stimuli, found {measured.shape}")
        pairs = np.triu_indices(len(features), k=1)
        distances = np.linalg.norm(features[pairs[0]] - features[pairs[1]], axis=1)
        return Score(pearsonr(-distances, measured[pairs]))
