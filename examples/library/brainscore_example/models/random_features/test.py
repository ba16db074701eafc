import numpy as np
import pandas as pd

from brainscore_example import load_model

STIMULI = pd.DataFrame({"stimulus_id": ["a", "b", "c"], "text": ["apple", "boat", "cloud"]})


def test_is_fixed_by_the_stimulus():
    model = load_model("random-features")
    features = model.represent(STIMULI).to_numpy()
    np.testing.assert_array_equal(features, model.represent(STIMULI).to_numpy())
    np.testing.assert_array_equal(features[[2]], model.represent(STIMULI[2:]).to_numpy())


def test_differs_between_stimuli():
    first, second, _ = load_model("random-features").represent(STIMULI).to_numpy()
    assert not np.array_equal(first, second)
