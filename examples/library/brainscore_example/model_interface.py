"""What a model of this library has to do: represent stimuli by numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

if TYPE_CHECKING:
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet
    from numpy.typing import ArrayLike


class BrainModel(ABC):
    """A model under test. It answers every benchmark through one method."""

    identifier: str
    """The identifier that the model is registered under."""

    @abstractmethod
    def represent(self, stimuli: StimulusSet) -> NeuroidAssembly:
        """Represent each stimulus by a vector of features, in the order of `stimuli`.

        `stimuli` has one row for each stimulus. Its columns:

        - `stimulus_id`: unique within the set.
        - `text`: the stimulus in words. A word (`"kangaroo"`), or the name of a brain region
          (`"left superior frontal gyrus"`).
        - `connectivity` (brain regions only): the region's structural profile, an array with the number of
          fibres to each region of the set, in the set's order.

        A model uses of these what it can read; every row is answered. What the model has no information about it may
        represent by a constant.

        Returns an assembly of dimensions (presentation, neuroid), finite float64, with at least one neuroid: see
        `representation`. Calling it again gives the same values to the last bit.
        """


def representation(stimuli: StimulusSet, features: ArrayLike) -> NeuroidAssembly:
    """Wrap `features`, an array (stimulus, feature), in the assembly that `BrainModel.represent` returns."""
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or len(features) != len(stimuli) or features.shape[1] == 0:
        raise ValueError(f"expected one row of features for each of {len(stimuli)} stimuli, found {features.shape}")
    if not np.isfinite(features).all():
        raise ValueError(f"expected finite features, found {(~np.isfinite(features)).sum()} that are not")
    return NeuroidAssembly(
        features,
        coords={
            "stimulus_id": ("presentation", stimuli["stimulus_id"].to_numpy(dtype=object)),
            "text": ("presentation", stimuli["text"].to_numpy(dtype=object)),
            "neuroid_id": ("neuroid", np.arange(features.shape[1])),
            "feature": ("neuroid", [f"feature {index}" for index in range(features.shape[1])]),
        },
        dims=["presentation", "neuroid"],
    )
