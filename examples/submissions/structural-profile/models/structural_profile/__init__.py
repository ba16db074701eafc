"""A model that reads structural connectivity and no words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from brainscore_example import model_registry
from brainscore_example.model_interface import BrainModel, representation

if TYPE_CHECKING:
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet


class StructuralProfile(BrainModel):
    """A region is where activity goes that starts in it: the row of exp(W), the network's communicability.

    W are the logarithms of the fibre counts, normalized by the strength of both regions (Crofts & Higham 2009,
    https://doi.org/10.1098/rsif.2008.0484). Stimuli without connectivity are all the same to this model.
    """

    identifier = "structural-profile"

    def represent(self, stimuli: StimulusSet) -> NeuroidAssembly:
        if "connectivity" not in stimuli:
            return representation(stimuli, np.zeros((len(stimuli), 1)))
        fibres = np.log1p(np.stack(list(stimuli["connectivity"])))
        strength = np.sqrt(fibres.sum(axis=1))
        values, vectors = np.linalg.eigh(fibres / np.outer(strength, strength))
        return representation(stimuli, (vectors * np.exp(values)) @ vectors.T)


model_registry["structural-profile"] = StructuralProfile
