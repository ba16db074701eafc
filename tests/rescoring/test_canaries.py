"""Canaries: scored when what they rest on changes, and what a drift does to publishing."""

import pytest

from brainscore_ops.database.ops_tables import CanaryScore, ScoreProvenance

from .conftest import LIBRARY, SIMILARITY

pytestmark = pytest.mark.timeout(900)  # each drives several runbooks, on machines that have other things to do


def canary(expected, tolerance=0.001):
    return {"model": "word-length", "benchmark": SIMILARITY, "expected": expected, "tolerance": tolerance}


def test_a_drift_stops_publishing_until_the_expectation_is_changed(lab):
    value = lab.newest(SIMILARITY)["word-length"].value
    lab.settings(canaries=[canary(value + 0.5)])
    scores = len(lab.rows(ScoreProvenance))
    judged = lab.run("canaries", code=3)
    assert (judged["failing_step"], judged["error"]["code"]) == ("judge", "canary-drifted")
    assert judged["scraps"]["canaries"]["canaries"][0]["state"] == "drifted"
    assert len(lab.rows(ScoreProvenance)) == scores  # it is on no leaderboard

    refused = lab.run("publish", code=3)
    assert refused["failing_step"] == "canaries"
    [problem] = refused["error"]["problems"]
    assert f"word-length on {SIMILARITY}: expected" in problem["message"]

    lab.settings(canaries=[canary(value)])
    lab.run("publish")
    known = len(lab.rows(CanaryScore))
    assert lab.run("canaries")["exit_code"] == 0
    assert len(lab.rows(CanaryScore)) == known  # nothing changed: nothing was scored


def test_a_change_of_shared_code_has_them_scored_and_taking_it_back_counts(lab):
    value = lab.newest(SIMILARITY)["word-length"].value
    lab.settings(canaries=[canary(value)])
    path = f"{LIBRARY}/metrics/similarity/metric.py"
    lab.run("canaries")
    lab.edit(path, "Score(pearsonr(-distances", "Score(0.5 * pearsonr(-distances")
    drifted = lab.run("canaries", code=3)
    assert drifted["scraps"]["canaries"]["canaries"][0]["state"] == "drifted"
    lab.edit(path, "Score(0.5 * pearsonr(-distances", "Score(pearsonr(-distances")
    assert lab.run("canaries")["scraps"]["canaries"]["canaries"][0]["state"] == "as expected"
    lab.run("publish")
