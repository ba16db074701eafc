from brainscore_example import load_dataset, load_stimulus_set


def test_items_and_times_belong_together():
    items, naming = load_stimulus_set("Freeman2010.items"), load_dataset("Freeman2010.naming")
    assert naming.shape == (600, 20)
    assert list(items["stimulus_id"]) == list(naming["stimulus_id"].to_numpy())
    assert items["lexicality"].value_counts().to_dict() == {"word": 300, "nonword": 300}


def test_times_are_plausible():
    naming = load_dataset("Freeman2010.naming")
    assert naming.notnull().sum("subject").min() >= 1
    assert 0.1 < naming.min() < naming.max() < 5
