import pandas as pd
from brainscore_example import load_model


def test_one_feature_for_each_word():
    stimuli = pd.DataFrame({"stimulus_id": list("ab"), "text": ["boat", "apple"]})
    assert load_model("small-vocabulary").represent(stimuli).to_numpy().tolist() == [[0, 1, 0], [1, 0, 0]]
