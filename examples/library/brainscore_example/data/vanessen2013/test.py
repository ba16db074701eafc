import numpy as np
import pytest

from brainscore_example import load_dataset, load_stimulus_set


def test_regions_have_names_in_words():
    regions = load_stimulus_set("VanEssen2013.regions")
    assert len(regions) == 94
    assert regions["text"].is_unique
    assert regions["text"].str.match("(left|right) [a-z ]+$").all()


@pytest.mark.parametrize("identifier", ["VanEssen2013.structural", "VanEssen2013.functional"])
def test_connectivity_is_symmetric_and_complete(identifier):
    connectivity = load_dataset(identifier)
    assert connectivity.shape == (7, 94, 94)
    assert list(connectivity["stimulus_id"].to_numpy()) == list(
        load_stimulus_set("VanEssen2013.regions")["stimulus_id"]
    )
    assert np.isfinite(connectivity.to_numpy()).all()
    np.testing.assert_array_equal(connectivity.to_numpy(), connectivity.to_numpy().swapaxes(1, 2))


def test_scales():
    assert load_dataset("VanEssen2013.structural").min() == 0
    functional = load_dataset("VanEssen2013.functional")
    assert -1 < functional.min() < functional.max() == 1
