import numpy as np
import pandas as pd
import pytest
from brainscore_core.supported_data_standards.brainio.assemblies import DataAssembly

from brainscore_example import load_metric
from brainscore_example.model_interface import representation

STIMULI = pd.DataFrame({"stimulus_id": [f"s{i}" for i in range(30)], "text": "x"})
FEATURES = np.random.default_rng(1).standard_normal((30, 3))
DISTANCES = np.linalg.norm(FEATURES[:, None] - FEATURES[None], axis=2)


def similarities(values):
    return DataAssembly(values, dims=["presentation", "region"])


def test_same_geometry_scores_one():
    score = load_metric("similarity")(representation(STIMULI, FEATURES), similarities(5 - 2 * DISTANCES))
    assert score.item() == pytest.approx(1)


def test_opposite_geometry_scores_minus_one():
    score = load_metric("similarity")(representation(STIMULI, FEATURES), similarities(DISTANCES))
    assert score.item() == pytest.approx(-1)


def test_constant_representation_scores_zero():
    assert load_metric("similarity")(representation(STIMULI, np.ones((30, 2))), similarities(DISTANCES)).item() == 0


def test_shape_must_agree():
    with pytest.raises(ValueError, match="30 stimuli"):
        load_metric("similarity")(representation(STIMULI, FEATURES), similarities(DISTANCES[:5, :5]))
