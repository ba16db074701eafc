import pytest

from brainscore_example import load_benchmark, score


def test_ceiling():
    benchmark = load_benchmark("Scott2019.concreteness-ridge")
    assert benchmark.parent == "behavioral"
    assert benchmark.version == 1
    assert benchmark.ceiling.item() == pytest.approx(0.926, abs=0.001)
    assert 0 < benchmark.ceiling.attrs["error"] < 0.01


@pytest.mark.parametrize(("model", "expected"), [("random-features", 0), ("word-length", 0.19)])
def test_score(model, expected):
    result = score(model, "Scott2019.concreteness-ridge")
    assert result.item() == pytest.approx(expected, abs=0.09)
    assert result.item() == pytest.approx(result.attrs["raw"].item() / result.attrs["ceiling"].item())
