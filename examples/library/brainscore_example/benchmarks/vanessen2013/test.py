import pytest

from brainscore_example import load_benchmark, score


def test_ceiling():
    benchmark = load_benchmark("VanEssen2013.functional-similarity")
    assert benchmark.parent == "neural"
    assert benchmark.version == 1
    assert benchmark.ceiling.item() == pytest.approx(0.814, abs=0.001)
    assert benchmark.ceiling.attrs["raw"].shape == (7,)


@pytest.mark.parametrize(("model", "expected"), [("random-features", 0), ("word-length", 0.15)])
def test_score(model, expected):
    result = score(model, "VanEssen2013.functional-similarity")
    assert result.item() == pytest.approx(expected, abs=0.05)
    assert result.attrs["raw"].attrs["raw"].shape == (7,)
