"""A benchmark's new version, from its stale cells to the leaderboard, on the example library as it is scored."""

import pytest

from brainscore_ops.database.brainscore_tables import BenchmarkInstance, Score
from brainscore_ops.database.snapshots import SnapshotStore, list_snapshots

from .conftest import CONCRETENESS, LIBRARY, SIMILARITY

pytestmark = pytest.mark.timeout(900)  # each drives several runbooks, on machines that have other things to do

MODELS = {"word-length", "random-features"}


def raise_version(lab, plugin, benchmark, *, also=("", "")):
    version = next(iter(lab.newest(benchmark).values())).benchmark_version
    path = f"{LIBRARY}/benchmarks/{plugin}/benchmark.py"
    if also[0]:
        lab.edit(path, *also)
    lab.edit(path, f"version={version}", f"version={version + 1}")
    return version + 1


def test_a_new_ceiling_is_computed_from_stored_raw_scores_after_approval_and_a_snapshot(lab):
    before = lab.newest(CONCRETENESS)
    version = raise_version(
        lab, "scott2019", CONCRETENESS, also=('Score(agreement["pearsonr"])', 'Score(agreement["pearsonr"] * 0.9)')
    )
    ask = ("benchmark_version", f"benchmark={CONCRETENESS}", "raw_unchanged=true", "checks=1")

    waits = lab.run(*ask, code=3)
    assert (waits["failing_step"], waits["error"]["code"]) == ("approve", "approval-missing")
    digest = waits["scraps"]["plan"]
    summary = waits["scraps"]["plan_summary"]
    assert (summary["recomputed from stored raw scores"], summary["to be run"]) == (1, 1)
    assert summary["by the rule"] == "raw / ceiling"
    assert lab.newest(CONCRETENESS).keys() == before.keys()
    assert {row.benchmark_version for row in lab.newest(CONCRETENESS).values()} == {version - 1}
    [waiting] = [plan for plan in lab.json("approve") if plan["digest"] == digest]
    assert (waiting["approved"], waiting["subject"]) == (False, f"benchmark_version {CONCRETENESS}")

    assert lab.json("approve", "0" * 16, code=2)["error"]["code"] == "unknown-plan"
    approved = lab.json("approve", digest[:16], "--by", "grace", "--hours", "1")
    assert (approved["digest"], approved["approved_by"], approved["approved"]) == (digest, "grace", True)

    done = lab.run(*ask)
    assert (done["scraps"]["recomputed"], done["scraps"]["run"]) == (1, 1)
    after = lab.newest(CONCRETENESS)
    assert after.keys() == MODELS
    for model, row in after.items():
        assert row.benchmark_version == version
        assert row.raw == pytest.approx(before[model].raw)
        assert row.ceiling == pytest.approx(before[model].ceiling * 0.9)
        assert row.value == pytest.approx(before[model].value / 0.9)
        assert row.error == pytest.approx(before[model].error / 0.9)
    [recomputed] = [row for row in after.values() if row.recomputed_from]
    assert recomputed.recomputed_from == before[recomputed.model].identity
    [score] = lab.rows(Score, id=recomputed.score_id)
    assert (score.score_ceiled, score.score_raw) == (recomputed.value, recomputed.raw)
    [instance] = lab.rows(BenchmarkInstance, benchmark_type_id=CONCRETENESS, version=version)
    assert instance.ceiling == pytest.approx(recomputed.ceiling)
    changes = done["scraps"]["changes"]
    assert {(one["model"], one["benchmark"]) for one in changes["scores"]} == {
        (model, CONCRETENESS) for model in MODELS
    }
    reasons = [one.reason for one in list_snapshots(SnapshotStore.of(lab.deployment))]
    assert [reason for reason in reasons if digest[:16] in reason] == [
        f"before benchmark_version {CONCRETENESS}, plan {digest[:16]}"
    ]

    again = lab.run(*ask)
    assert (again["scraps"]["recomputed"], again["scraps"]["run"]) == (0, 0)
    assert lab.json("plan")["pairs"] == []
    # What was recomputed is what running the model gives.
    assert lab.json("reproduce", recomputed.identity)["reproduced"] is True


def test_what_measures_something_else_is_run_whoever_says_that_it_does_not(lab):
    before = lab.newest(SIMILARITY)
    raise_version(
        lab,
        "vanessen2013",
        SIMILARITY,
        also=("correlations.append(self._metric", "correlations.append(0.5 * self._metric"),
    )
    ask = ("benchmark_version", f"benchmark={SIMILARITY}", "raw_unchanged=true", "checks=1")
    waits = lab.run(*ask, code=3)
    summary = waits["scraps"]["plan_summary"]
    assert (summary["recomputed from stored raw scores"], summary["to be run"]) == (0, 2)
    assert "the sample does not confirm" in summary["because"]
    # A change of the library makes another plan of it, which nobody has approved.
    lab.json("approve", waits["scraps"]["plan"])
    lab.edit(f"{LIBRARY}/benchmarks/vanessen2013/benchmark.py", "0.5 * self", "0.25 * self")
    other = lab.run(*ask, code=3)
    assert other["error"]["code"] == "approval-of-another-plan"
    lab.json("approve", other["scraps"]["plan"])
    lab.run(*ask)
    for model, row in lab.newest(SIMILARITY).items():
        assert row.recomputed_from is None
        assert row.raw == pytest.approx(before[model].raw * 0.25)


def test_changed_code_under_the_same_version_is_refused(lab):
    lab.edit(f"{LIBRARY}/benchmarks/scott2019/benchmark.py", "    Ceiling: how well", "    The ceiling: how well")
    try:
        refused = lab.run("benchmark_version", f"benchmark={CONCRETENESS}", code=3)
        assert (refused["failing_step"], refused["error"]["code"]) == ("sample", "version-not-raised")
    finally:
        lab.edit(f"{LIBRARY}/benchmarks/scott2019/benchmark.py", "    The ceiling: how well", "    Ceiling: how well")
