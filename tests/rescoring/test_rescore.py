"""Planning, pricing, approving and scoring again, on the example library as it is scored."""

import pytest

from brainscore_ops.database.ops_tables import EnvironmentLock, ScoreHistory, ScoreProvenance

from .conftest import CONCRETENESS, LIBRARY, SIMILARITY

pytestmark = pytest.mark.timeout(900)  # each drives several runbooks, on machines that have other things to do


def test_a_plan_tells_pairs_reasons_and_cost_and_runs_nothing(lab):
    before = len(lab.rows(ScoreProvenance))
    found = lab.json("plan", "--models", "word-length", "--before", "2100-01-01")
    assert {(pair["model"], pair["benchmark"], pair["reason"]) for pair in found["pairs"]} == {
        ("word-length", CONCRETENESS, "asked for"),
        ("word-length", SIMILARITY, "asked for"),
    }
    assert found["cost"]["rests_on"] == {"the pair's own past": 2}
    assert 0 < found["cost"]["hours"] < 0.1
    assert found["needs_approval"] is False
    assert len(lab.rows(ScoreProvenance)) == before


def test_what_is_known_is_not_planned_without_a_word(lab):
    assert lab.json("plan")["pairs"] == []
    refused = lab.json("plan", "--models", "wordlength", code=2)
    assert "Did you mean word-length?" in refused["error"]["problems"][0]["remedy"]


def test_a_score_has_its_lock_its_seed_and_its_shared_code_recorded(lab):
    locks = {lock.digest: lock.text for lock in lab.rows(EnvironmentLock)}
    for row in lab.rows(ScoreProvenance):
        assert "numpy==" in locks[row.environment_digest]
        assert (row.seed, len(row.shared_digest)) == (0, 64)


def test_rescoring_replaces_the_score_once_and_keeps_what_it_replaced(lab):
    row = lab.newest(SIMILARITY)["word-length"]
    pair = f"pairs=[[word-length, {SIMILARITY}]]"
    nothing = lab.run("rescore", pair, f"before={row.recorded_at.isoformat()}")
    assert nothing["scraps"]["pairs_scored"] == 0
    assert lab.run("rescore", pair, "before=2100-01-01")["scraps"]["pairs_scored"] == 1
    [again] = lab.rows(ScoreProvenance, identity=row.identity)
    assert (again.value, again.score_id) == (row.value, row.score_id)
    assert again.run_id != row.run_id
    [kept] = lab.rows(ScoreHistory, identity=row.identity, recorded_at=row.recorded_at)
    assert (kept.event, kept.document["run_id"], kept.document["value"]) == ("replaced", row.run_id, row.value)
    unknown = lab.json("scores", "--history", "word-lenght", code=2)["error"]
    assert (unknown["code"], unknown["problems"][0]["remedy"]) == ("unknown-names", "Did you mean word-length?")
    history = lab.json("scores", "--history", "word-length")
    assert [entry["run"] for entry in history if entry["run"] in (row.run_id, again.run_id)] == [
        again.run_id,
        row.run_id,
    ]


def test_a_change_of_shared_code_marks_scores_and_scores_nothing(lab):
    before = {row.identity for row in lab.rows(ScoreProvenance)}
    lab.edit(f"{LIBRARY}/scores.py", '"""Building blocks', '"""The building blocks')
    assert lab.json("plan")["pairs"] == []
    stale = {(pair["model"], pair["benchmark"]) for pair in lab.json("scores", "--stale")}
    assert stale >= {("word-length", CONCRETENESS), ("random-features", SIMILARITY)}
    assert lab.run("rescore", "stale=true")["scraps"]["pairs_scored"] == len(stale)
    assert lab.json("scores", "--stale") == []
    assert {row.identity for row in lab.rows(ScoreProvenance)} == before
