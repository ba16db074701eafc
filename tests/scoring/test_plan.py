from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainscore_ops.plugins.catalogue import Catalogue
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.library_code import LibraryCode
from brainscore_ops.scoring.plan import (
    ChangedPlugins,
    Existing,
    Outcome,
    UnknownIdentifiersError,
    Wanted,
    pair_identity,
    plan_again,
    plan_pairs,
)

COMMIT, OLDER = "c" * 40, "b" * 40
THEN = datetime(2026, 11, 1, tzinfo=UTC)
LIBRARY = Catalogue(
    library="lib",
    models={"small": "small", "large": "large", "twin": "large"},
    benchmarks={"reading": "reading", "naming": "naming"},
)
SMALL, LARGE = PluginKey("models", "small"), PluginKey("models", "large")
READING, NAMING = PluginKey("benchmarks", "reading"), PluginKey("benchmarks", "naming")
DIGESTS = {SMALL: "s1", LARGE: "l1", READING: "r1", NAMING: "n1"}


def library(digests=DIGESTS, **facts):
    return LibraryCode(COMMIT, LIBRARY, digests, **facts)


def plan(changed, settled=(), digests=DIGESTS, private=(), **existing):
    known = Existing(settled=set(settled), **existing)
    return plan_pairs(library(digests), changed=changed, existing=known, private_models=set(private))


def again(outcomes=(), code=None, private=(), **wanted):
    return plan_again(code or library(), wanted=Wanted(**wanted), outcomes=dict(outcomes), private_models=set(private))


def scored(**facts):
    return Outcome(**{"scored": True, "recorded_at": THEN, "library_commit": OLDER, **facts})


def all_identities():
    return {(pair.model, pair.benchmark): pair.identity for pair in plan(ChangedPlugins(everything=True)).pairs}


def names(pairs):
    return {(pair.model, pair.benchmark) for pair in pairs}


def test_a_new_model_meets_every_benchmark():
    found = plan(ChangedPlugins(models=frozenset({"small"})))
    assert names(found.pairs) == {("small", "reading"), ("small", "naming")}
    assert {pair.reason for pair in found.pairs} == {"model changed"}


def test_a_new_benchmark_meets_every_public_model():
    found = plan(ChangedPlugins(benchmarks=frozenset({"naming"})), private={"twin"})
    assert names(found.pairs) == {("small", "naming"), ("large", "naming")}


def test_a_private_model_is_scored_for_its_own_submission():
    found = plan(ChangedPlugins(models=frozenset({"twin"})), private={"twin"})
    assert names(found.pairs) == {("twin", "reading"), ("twin", "naming")}


def test_model_and_benchmark_in_one_merge_leave_no_gap_and_no_duplicate():
    found = plan(ChangedPlugins(models=frozenset({"small"}), benchmarks=frozenset({"naming"})))
    expected = {("small", "reading"), ("small", "naming"), ("large", "naming"), ("twin", "naming")}
    assert names(found.pairs) == expected
    assert len(found.pairs) == len(expected)


def test_what_has_a_score_is_not_scored_again_and_is_named_as_known():
    done = plan(ChangedPlugins(everything=True)).pairs
    again = plan(ChangedPlugins(everything=True), settled=[pair.identity for pair in done])
    assert again.pairs == ()
    assert names(again.known) == names(done)


def test_a_changed_plugin_makes_new_pairs_of_its_identifiers_alone():
    settled = [pair.identity for pair in plan(ChangedPlugins(everything=True)).pairs]
    found = plan(ChangedPlugins(everything=True), settled=settled, digests={**DIGESTS, LARGE: "l2"})
    assert {pair.model for pair in found.pairs} == {"large", "twin"}


def test_a_benchmarks_new_version_is_the_reason():
    code = library(versions={"reading": 2, "naming": 1})
    known = Existing(versions={"reading": 1, "naming": 1})
    found = plan_pairs(code, changed=ChangedPlugins(everything=True), existing=known)
    reasons = {pair.benchmark: pair.reason for pair in found.pairs}
    assert reasons == {"reading": "benchmark version 2", "naming": "no score yet"}


def test_a_failure_that_is_worth_another_try_is_the_reason():
    lost = all_identities()["small", "naming"]
    found = plan(ChangedPlugins(models=frozenset({"small"})), failures={lost: "out-of-memory"})
    reasons = {pair.benchmark: pair.reason for pair in found.pairs}
    assert reasons == {"naming": "failed before: out-of-memory", "reading": "model changed"}


def test_the_digest_of_a_plan_is_that_of_what_it_would_do():
    everything = plan(ChangedPlugins(everything=True))
    assert everything.digest == plan(ChangedPlugins(everything=True)).digest
    assert everything.digest != plan(ChangedPlugins(models=frozenset({"small"}))).digest


def test_exact_lists_on_request_cross_models_and_benchmarks_and_add_pairs():
    found = again(models=("small",), benchmarks=("naming",), pairs=(("twin", "reading"),))
    assert names(found.pairs) == {("small", "naming"), ("twin", "reading")}
    assert {pair.reason for pair in found.pairs} == {"asked for, no score yet"}


def test_what_is_asked_for_replaces_the_outcome_that_there_is():
    identity = all_identities()["small", "naming"]
    [pair] = again({identity: scored()}, pairs=(("small", "naming"),)).pairs
    assert (pair.identity, pair.replaces) == (identity, THEN.isoformat())
    assert pair.results_key != identity


def test_a_request_that_was_carried_out_leaves_nothing_to_do():
    identity = all_identities()["small", "naming"]
    ask = {"pairs": (("small", "naming"),)}
    assert names(again({identity: scored(library_commit=COMMIT)}, **ask).known) == {("small", "naming")}
    later = {identity: scored(library_commit=COMMIT, recorded_at=THEN + timedelta(hours=1))}
    assert again(later, **ask, before=THEN).pairs == ()
    assert len(again(later, **ask, before=THEN + timedelta(hours=2)).pairs) == 1


def test_what_failed_for_a_reason_is_found_by_its_code_or_its_words():
    found = all_identities()
    outcomes = {
        found["small", "naming"]: scored(scored=False, reason_code="timeout", reason="stopped after 600 s"),
        found["small", "reading"]: scored(scored=False, reason_code="out-of-memory", reason="needed 9 GB"),
        found["large", "reading"]: scored(),
    }
    assert names(again(outcomes, failed="timeout").pairs) == {("small", "naming")}
    assert names(again(outcomes, failed="needed 9").pairs) == {("small", "reading")}


def test_scores_of_older_shared_code_or_an_older_environment_are_stale_and_no_others():
    code = library(shared="new")
    found = all_identities()
    today = code.shared_by("small", "naming")
    outcomes = {
        found["small", "naming"]: scored(shared_digest=today),
        found["small", "reading"]: scored(shared_digest="older"),
        found["large", "naming"]: scored(shared_digest=today, superseded_lock=True),
        found["large", "reading"]: scored(shared_digest=None),
    }
    reasons = {(pair.model, pair.benchmark): pair.reason for pair in again(outcomes, code, stale=True).pairs}
    assert reasons == {
        ("small", "reading"): "computed with older shared code",
        ("large", "naming"): "computed in an older environment",
    }


def test_private_models_are_scored_again_only_where_they_are_named():
    assert "twin" not in {pair.model for pair in again(benchmarks=("naming",), private={"twin"}).pairs}
    assert names(again(models=("twin",), benchmarks=("naming",), private={"twin"}).pairs) == {("twin", "naming")}


def test_everything_that_the_library_does_not_hold_is_named_at_once():
    with pytest.raises(UnknownIdentifiersError) as caught:
        again(models=("smal",), pairs=(("large", "namin"),))
    assert [problem.remedy for problem in caught.value.problems] == ["Did you mean small?", "Did you mean naming?"]


words = st.text(max_size=8)


@given(first=st.tuples(words, words, words, words), second=st.tuples(words, words, words, words))
def test_different_inputs_have_different_identities(first, second):
    assert (pair_identity(*first) == pair_identity(*second)) == (first == second)


@given(
    models=st.sets(st.sampled_from(sorted(LIBRARY.models))),
    benchmarks=st.sets(st.sampled_from(sorted(LIBRARY.benchmarks))),
    private=st.sets(st.sampled_from(sorted(LIBRARY.models))),
)
def test_a_plan_holds_exactly_the_pairs_that_a_change_calls_for(models, benchmarks, private):
    found = plan(ChangedPlugins(frozenset(models), frozenset(benchmarks)), private=private)
    assert names(found.pairs) == {
        (model, benchmark)
        for model in LIBRARY.models
        for benchmark in LIBRARY.benchmarks
        if model in models or (benchmark in benchmarks and model not in private)
    }
