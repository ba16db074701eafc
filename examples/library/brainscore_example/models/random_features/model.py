from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from brainscore_example.model_interface import BrainModel, representation

if TYPE_CHECKING:
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

FEATURES = 100


class RandomFeatures(BrainModel):
    """The floor: a random direction for each stimulus, fixed by its identifier, that knows nothing of it."""

    identifier = "random-features"

    def represent(self, stimuli: StimulusSet) -> NeuroidAssembly:
        return representation(stimuli, [_draw(str(stimulus)) for stimulus in stimuli["stimulus_id"]])


def _draw(stimulus_id: str) -> np.ndarray:
    digest = hashlib.sha256(stimulus_id.encode()).digest()
    vector = np.random.default_rng(int.from_bytes(digest[:8], "big")).standard_normal(FEATURES)
    return vector / np.linalg.norm(vector)
