import pandas as pd

from brainscore_example import load_model


def test_counts_characters():
    stimuli = pd.DataFrame({"stimulus_id": ["a", "b"], "text": ["apple", "left insula"]})
    assert load_model("word-length").represent(stimuli).to_numpy().tolist() == [[5.0], [11.0]]
