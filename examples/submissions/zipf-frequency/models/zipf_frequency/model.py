from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_example.model_interface import BrainModel, representation
from wordfreq import zipf_frequency

if TYPE_CHECKING:
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet


class ZipfFrequency(BrainModel):
    """One feature: how often the text is used in English, as log10 of its occurrences in a billion words.

    0 for what is never used. `wordfreq` estimates the frequency of several words from those of each.
    """

    identifier = "zipf-frequency"

    def represent(self, stimuli: StimulusSet) -> NeuroidAssembly:
        return representation(stimuli, [[zipf_frequency(text, "en")] for text in stimuli["text"]])
