from hypothesis import given
from hypothesis import strategies as st

from brainscore_ops.plugins.catalogue import Catalogue
from brainscore_ops.scoring.plan import ChangedPlugins, pair_identity, plan_pairs

COMMIT = "c" * 40
LIBRARY = Catalogue(
    library="lib",
    models={"small": "small", "large": "large", "twin": "large"},
    benchmarks={"reading": "reading", "naming": "naming"},
)
DIGESTS = {
    ("models", "small"): "s1",
    ("models", "large"): "l1",
    ("benchmarks", "reading"): "r1",
    ("benchmarks", "naming"): "n1",
}


def plan(changed, settled=(), digests=DIGESTS, private=()):
    return plan_pairs(
        LIBRARY,
        library_commit=COMMIT,
        digests=digests,
        changed=changed,
        settled=set(settled),
        private_models=set(private),
    )


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
    found = plan(ChangedPlugins(everything=True), settled=settled, digests={**DIGESTS, ("models", "large"): "l2"})
    assert {pair.model for pair in found.pairs} == {"large", "twin"}


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
