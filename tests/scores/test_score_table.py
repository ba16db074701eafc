"""The table of scores: which outcome of a pair counts, and what each column holds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from brainscore_ops.database.viewer import STAFF, Viewer
from brainscore_ops.scores.leaderboard import leaderboard
from brainscore_ops.scores.score_table import COLUMNS, score_table

if TYPE_CHECKING:
    from conftest import World


def one_row(world: World, **options: bool) -> pd.Series:
    table = score_table(world.database, domain=world.domain, **options)
    assert len(table) == 1
    return table.iloc[0]


def name(world: World, text: str) -> str:
    """Benchmarks are named once in a whole database; domains are how the tests keep apart."""
    return f"{world.domain}.{text}"


def test_columns_and_dtypes_are_the_documented_ones_even_without_scores(world: World) -> None:
    empty = score_table(world.database, domain=world.domain)
    assert {column: str(dtype) for column, dtype in empty.dtypes.items()} == COLUMNS

    world.benchmark(name(world, "b"))
    world.model("m")
    world.score("m", name(world, "b"), 0.5)
    world.failure("m", name(world, "b"), "crashed", version=None, fault="infrastructure")
    filled = score_table(world.database, domain=world.domain)
    assert {column: str(dtype) for column, dtype in filled.dtypes.items()} == COLUMNS


def test_a_ceiled_score_has_its_exact_numbers_and_its_origin(world: World) -> None:
    world.parent(name(world, "parent"))
    world.benchmark(name(world, "b"), parent=name(world, "parent"), versions=(3,), ceiling=0.9)
    world.model("m")
    world.score("m", name(world, "b"), 0.1 + 0.2, version=3, raw=0.25, error=0.01, ceiling=0.8, ceiling_error=0.02)

    row = one_row(world)
    assert (row.model, row.benchmark, row.version, row.parent) == ("m", name(world, "b"), 3, name(world, "parent"))
    assert (row.value, row.raw, row.ceiled, row.error) == (0.1 + 0.2, 0.25, 0.1 + 0.2, 0.01)
    assert (row.ceiling, row.ceiling_error) == (0.8, 0.02), "what it was computed with, not what the benchmark has now"
    assert row.state == "scored"
    assert row.computed_at.tz is not None
    assert row.run.startswith("score_pair-")
    assert len(row.identity) == 64
    assert pd.isna(row.reason)


def test_scores_of_the_older_system_count_too(world: World) -> None:
    world.benchmark(name(world, "ceiled"), ceiling=0.9, ceiling_error=0.05)
    world.benchmark(name(world, "raw"))
    world.benchmark(name(world, "failed"))
    world.model("m")
    world.old_score("m", name(world, "ceiled"), score_raw=0.45, score_ceiled=0.5, error=0.02)
    world.old_score("m", name(world, "raw"), score_raw=0.3)
    world.old_score("m", name(world, "failed"), comment="RuntimeError: out of memory")

    table = score_table(world.database, domain=world.domain).set_index("benchmark")
    ceiled, raw, failed = (table.loc[name(world, kind)] for kind in ("ceiled", "raw", "failed"))
    assert (ceiled.value, ceiled.raw, ceiled.ceiling, ceiled.ceiling_error) == (0.5, 0.45, 0.9, 0.05)
    assert raw.value == raw.raw == 0.3
    assert math.isnan(raw.ceiled)
    assert math.isnan(raw.ceiling)
    assert (failed.state, failed.reason) == ("failed", "RuntimeError: out of memory")
    assert math.isnan(failed.value)
    assert pd.isna(failed.identity)


def test_of_several_outcomes_the_newest_counts(world: World) -> None:
    world.benchmark(name(world, "b"))
    world.model("m")
    world.score("m", name(world, "b"), 0.9)
    world.old_score("m", name(world, "b"), score_raw=0.2)
    assert one_row(world).value == 0.2
    world.score("m", name(world, "b"), 0.4)
    assert one_row(world).value == 0.4
    world.failure("m", name(world, "b"), "the new version of the model crashes")
    assert one_row(world).state == "failed"


def test_a_failure_of_the_infrastructure_does_not_take_a_score_away(world: World) -> None:
    world.benchmark(name(world, "b"))
    world.model("m")
    world.failure("m", name(world, "b"), "the node went away", fault="infrastructure")
    assert one_row(world).reason == "the node went away"
    world.score("m", name(world, "b"), 0.4)
    world.failure("m", name(world, "b"), "the node went away again", fault="infrastructure")
    assert one_row(world).value == 0.4


def test_a_failure_before_the_version_was_known_counts_for_the_newest(world: World) -> None:
    world.benchmark(name(world, "b"), versions=(1, 2))
    world.model("m")
    world.failure("m", name(world, "b"), "could not be imported", version=None)
    row = one_row(world)
    assert (row.version, row.state, row.reason_code, row.fault) == (2, "failed", "crash", "submission")


def test_each_version_of_a_benchmark_has_its_row(world: World) -> None:
    world.benchmark(name(world, "b"), versions=(1, 2))
    world.model("m")
    world.score("m", name(world, "b"), 0.1, version=1)
    world.score("m", name(world, "b"), 0.2, version=2)
    table = score_table(world.database, domain=world.domain)
    assert list(zip(table["version"], table["value"], strict=True)) == [(1, 0.1), (2, 0.2)]


def test_the_public_sees_neither_private_models_nor_hidden_benchmarks(world: World) -> None:
    world.benchmark(name(world, "open"))
    world.benchmark(name(world, "hidden"), visible=False)
    world.model("open")
    world.model("private", public=False)
    for model in ("open", "private"):
        for benchmark in ("open", "hidden"):
            world.score(model, name(world, benchmark), 0.5)
    world.failure("private", name(world, "open"), "a secret")

    row = one_row(world)
    assert (row.model, row.benchmark, row.public) == ("open", name(world, "open"), True)
    everything = score_table(world.database, domain=world.domain, viewer=STAFF)
    assert len(everything) == 4
    assert everything["public"].sum() == 1


def test_owners_see_what_is_theirs_beside_what_is_public(world: World) -> None:
    world.benchmark(name(world, "open"))
    world.benchmark(name(world, "hidden"), visible=False)
    world.model("private", public=False)
    world.score("private", name(world, "open"), 0.5)
    world.score("private", name(world, "hidden"), 0.5)
    world.failure("private", name(world, "unheard-of"), "a secret", version=None)

    owner, stranger = Viewer(user_id=world.owner), Viewer(user_id=world.owner + 10**6)
    assert len(score_table(world.database, domain=world.domain, viewer=owner)) == 2
    assert score_table(world.database, domain=world.domain, viewer=stranger).empty
    theirs = leaderboard(world.database, domain=world.domain, viewer=owner)
    assert [row.model for row in theirs.rows] == ["private"]
    assert len(theirs.benchmarks) == 2
    assert [failure.reason for failure in theirs.failures] == ["a secret"]
    others = leaderboard(world.database, domain=world.domain, viewer=stranger)
    assert (others.rows, others.failures) == ((), ())


def test_a_number_that_is_not_finite_is_no_score(world: World) -> None:
    world.benchmark(name(world, "nan"))
    world.benchmark(name(world, "infinite"))
    world.model("m")
    world.old_score("m", name(world, "nan"), score_raw=math.nan)
    world.old_score("m", name(world, "infinite"), score_raw=math.inf)
    table = score_table(world.database, domain=world.domain)
    assert list(table["state"]) == ["failed", "failed"]
    assert table["raw"].isna().all()


def test_it_reads_in_the_callers_transaction_too(world: World) -> None:
    world.benchmark(name(world, "b"))
    world.model("m")
    world.score("m", name(world, "b"), 0.5)
    with world.database.session() as session:
        assert len(score_table(session, domain=world.domain)) == 1
