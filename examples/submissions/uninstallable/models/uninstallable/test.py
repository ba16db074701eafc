from brainscore_example import load_model


def test_loads():
    assert load_model("future-frequency").identifier == "future-frequency"
