import pytest
from brainscore_example import load_benchmark, score


def test_ceiling():
    ceiling = load_benchmark("Freeman2010.naming-ridge").ceiling
    assert ceiling.item() == pytest.approx(0.858, abs=0.01)
    assert 0 < ceiling.attrs["error"] < 0.02


@pytest.mark.parametrize(("model", "expected"), [("random-features", 0), ("word-length", 0.05)])
def test_score(model, expected):
    assert score(model, "Freeman2010.naming-ridge").item() == pytest.approx(expected, abs=0.15)
