import pandas as pd
from brainscore_example import load_model


def test_frequent_words_score_higher():
    stimuli = pd.DataFrame({"stimulus_id": list("abc"), "text": ["the", "kangaroo", "xazz"]})
    the, kangaroo, nonword = load_model("zipf-frequency").represent(stimuli).to_numpy()[:, 0]
    assert the > 7 > kangaroo > 2 > nonword == 0
