from brainscore_example import model_registry
from brainscore_example.model_interface import BrainModel, representation
from wordfreq import zipf_frequency


class FutureFrequency(BrainModel):
    identifier = "future-frequency"

    def represent(self, stimuli):
        return representation(stimuli, [[zipf_frequency(text, "en")] for text in stimuli["text"]])


model_registry["future-frequency"] = FutureFrequency
