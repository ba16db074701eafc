import pandas as pd
from brainscore_example import load_model


def test_counts_all_vowels():
    stimuli = pd.DataFrame({"stimulus_id": ["a"], "text": ["sequoia"]})
    assert load_model("vowel-counter").represent(stimuli).to_numpy().tolist() == [[5.0]]
