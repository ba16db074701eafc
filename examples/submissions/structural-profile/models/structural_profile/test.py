import pandas as pd
from brainscore_example import load_model

FIBRES = [[0, 900, 10, 5], [900, 0, 5, 10], [10, 5, 0, 900], [5, 10, 900, 0]]


def test_connected_regions_are_near():
    regions = pd.DataFrame({"stimulus_id": list("abcd"), "text": "a region", "connectivity": FIBRES})
    a, b, c, _ = load_model("structural-profile").represent(regions).to_numpy()
    assert ((a - b) ** 2).sum() < ((a - c) ** 2).sum()


def test_words_are_all_the_same():
    words = pd.DataFrame({"stimulus_id": list("ab"), "text": ["apple", "boat"]})
    assert (load_model("structural-profile").represent(words).to_numpy() == 0).all()
