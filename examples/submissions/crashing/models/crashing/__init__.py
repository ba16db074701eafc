from brainscore_example import model_registry
from brainscore_example.model_interface import BrainModel, representation

VOCABULARY = ["apple", "boat", "cloud"]


class SmallVocabulary(BrainModel):
    """One feature for each word of a vocabulary, and none for any other."""

    identifier = "small-vocabulary"

    def represent(self, stimuli):
        return representation(stimuli, [self._one_hot(text) for text in stimuli["text"]])

    def _one_hot(self, text):
        if text not in VOCABULARY:
            raise ValueError(f"the vocabulary of {self.identifier} has {len(VOCABULARY)} words, and not {text!r}")
        return [float(text == word) for word in VOCABULARY]


model_registry["small-vocabulary"] = SmallVocabulary
