import numpy as np
import pandas as pd
import pytest
from brainscore_core.supported_data_standards.brainio.assemblies import DataAssembly

from brainscore_example import load_metric
from brainscore_example.model_interface import representation

STIMULI = pd.DataFrame({"stimulus_id": [f"s{i}" for i in range(200)], "text": "x"})
FEATURES = np.random.default_rng(1).standard_normal((200, 20))


def measurement(values):
    coords = {column: ("presentation", STIMULI[column].to_numpy(dtype=object)) for column in STIMULI}
    return DataAssembly(values, coords=coords, dims=["presentation"])


def test_linear_measurements_are_predicted():
    score = load_metric("ridge")(representation(STIMULI, FEATURES), measurement(FEATURES @ np.arange(20.0)))
    assert score.item() > 0.99
    assert score.attrs["raw"].shape == (5,)
    assert 0 < score.attrs["error"] < 0.01


def test_unrelated_measurements_are_not():
    noise = np.random.default_rng(2).standard_normal(200)
    score = load_metric("ridge")(representation(STIMULI, FEATURES), measurement(noise))
    assert abs(score.item()) < 3 * score.attrs["error"]


def test_constant_features_score_zero():
    assert load_metric("ridge")(representation(STIMULI, np.ones((200, 1))), measurement(FEATURES[:, 0])).item() == 0


def test_stimuli_must_agree():
    with pytest.raises(ValueError, match="same stimuli"):
        load_metric("ridge")(representation(STIMULI[::-1], FEATURES), measurement(FEATURES[:, 0]))
