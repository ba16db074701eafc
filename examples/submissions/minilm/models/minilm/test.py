import numpy as np
import pandas as pd
from brainscore_example import load_model


def test_similar_meanings_are_near():
    texts = ["cat", "kitten", "The treaty was signed in 1648."]
    stimuli = pd.DataFrame({"stimulus_id": list("abc"), "text": texts})
    cat, kitten, treaty = load_model("minilm").represent(stimuli).to_numpy()
    assert cat @ kitten > 0.7 > 0.2 > cat @ treaty


def test_padding_changes_nothing():
    model = load_model("minilm")
    alone = pd.DataFrame({"stimulus_id": ["a"], "text": ["cat"]})
    beside = pd.DataFrame({"stimulus_id": ["a", "b"], "text": ["cat", "a rather long text, so that cat is padded"]})
    np.testing.assert_allclose(model.represent(alone).to_numpy()[0], model.represent(beside).to_numpy()[0], atol=1e-6)
