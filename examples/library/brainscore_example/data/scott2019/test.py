from brainscore_example import load_dataset, load_stimulus_set


def test_words_and_ratings_belong_together():
    words, concreteness = load_stimulus_set("Scott2019.words"), load_dataset("Scott2019.concreteness")
    assert len(words) == len(concreteness) == 1500
    assert words["stimulus_id"].is_unique
    assert list(words["stimulus_id"]) == list(concreteness["stimulus_id"].to_numpy())


def test_ratings_are_on_the_scale():
    concreteness = load_dataset("Scott2019.concreteness")
    assert 1 <= concreteness.min() < concreteness.max() <= 7


def test_people_agree():
    assert 0.9 < load_dataset("Scott2019.concreteness").attrs["agreement"]["pearsonr"] < 1
