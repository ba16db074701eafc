from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_example import model_registry
from brainscore_example.model_interface import BrainModel, representation

if TYPE_CHECKING:
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

IDENTIFIER = "word-length"


class WordLength(BrainModel):
    """One feature: the number of characters of the text."""

    identifier = IDENTIFIER

    def represent(self, stimuli: StimulusSet) -> NeuroidAssembly:
        return representation(stimuli, [[len(text)] for text in stimuli["text"]])


model_registry[IDENTIFIER] = WordLength
