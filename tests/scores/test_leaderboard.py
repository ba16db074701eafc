"""The leaderboard: its order, its average, and what it leaves out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from brainscore_ops.scores.leaderboard import leaderboard
from brainscore_ops.scores.score_history import score_history

if TYPE_CHECKING:
    from brainscore_ops.scores.leaderboard import Leaderboard, Row
    from conftest import World


@pytest.fixture
def board_of(world: World):
    def read() -> Leaderboard:
        return leaderboard(world.database, domain=world.domain)

    return read


@pytest.fixture
def b(world: World):
    """Benchmarks are named once in a whole database; domains are how the tests keep apart."""
    return lambda text: f"{world.domain}.{text}"


def row(board: Leaderboard, model: str) -> Row:
    return next(row for row in board.rows if row.model == model)


def test_a_domain_without_scores_has_an_empty_leaderboard(world: World, board_of, b) -> None:
    world.benchmark(b("one"))
    board = board_of()
    assert board.rows == ()
    assert board.as_of is None
    assert [benchmark.identifier for benchmark in board.benchmarks] == [b("one")]


def test_the_average_is_the_mean_over_parents_of_the_means_over_their_benchmarks(world: World, board_of, b) -> None:
    world.parent(b("behaviour"), order=1)
    world.parent(b("neural"), order=2)
    for place, benchmark in enumerate(("words", "pictures")):
        world.benchmark(b(benchmark), parent=b("behaviour"), order=place)
    world.benchmark(b("fmri"), parent=b("neural"))
    world.model("m")
    world.score("m", b("words"), 0.8)
    world.score("m", b("pictures"), 0.4)
    world.score("m", b("fmri"), 0.2)

    board = board_of()
    assert [group.path for group in board.groups] == [(b("behaviour"),), (b("neural"),)]
    assert row(board, "m").means == pytest.approx((0.6, 0.2))
    assert row(board, "m").average == pytest.approx(0.4)


def test_means_are_taken_level_by_level_however_deep_the_tree_is(world: World, board_of, b) -> None:
    world.parent(b("neural"))
    world.parent(b("V1"), parent=b("neural"), order=1)
    world.parent(b("IT"), parent=b("neural"), order=2)
    for benchmark, parent in (("a", "V1"), ("b", "V1"), ("c", "IT")):
        world.benchmark(b(benchmark), parent=b(parent))
    world.benchmark(b("alone"), order=5)
    world.model("m")
    for benchmark, value in (("a", 0.2), ("b", 0.4), ("c", 0.7), ("alone", 0.9)):
        world.score("m", b(benchmark), value)

    board = board_of()
    assert [group.path for group in board.groups] == [(), (b("neural"), b("V1")), (b("neural"), b("IT"))]
    assert row(board, "m").average == pytest.approx(((0.3 + 0.7) / 2 + 0.9) / 2)


def test_what_failed_or_is_missing_counts_as_nothing(world: World, board_of, b) -> None:
    for benchmark in ("one", "two", "three"):
        world.benchmark(b(benchmark))
    world.model("m")
    world.score("m", b("one"), 0.9)
    world.failure("m", b("two"), "it crashed")

    found = row(board_of(), "m")
    assert found.average == pytest.approx(0.3)
    states = {cell.state: cell.reason for cell in found.cells}
    assert states == {"scored": "", "failed": "it crashed", "missing": ""}


def test_a_model_that_failed_everywhere_comes_last_and_has_no_rank(world: World, board_of, b) -> None:
    world.benchmark(b("one"))
    for model, value in (("worst", -0.5), ("best", 0.5), ("failing", None), ("unscored", None)):
        world.model(model)
        if value is not None:
            world.score(model, b("one"), value)
    world.failure("failing", b("one"), "it crashed")

    assert [(row.rank, row.model, row.average) for row in board_of().rows] == [
        (1, "best", 0.5),
        (2, "worst", -0.5),
        (None, "failing", None),
    ]


def test_equal_averages_share_a_rank(world: World, board_of, b) -> None:
    world.benchmark(b("one"))
    for model, value in (("a", 0.5), ("b", 0.7), ("c", 0.5), ("d", 0.1)):
        world.model(model)
        world.score(model, b("one"), value)
    assert [(row.rank, row.model) for row in board_of().rows] == [(1, "b"), (2, "a"), (2, "c"), (4, "d")]


def test_only_the_newest_version_of_a_benchmark_counts(world: World, board_of, b) -> None:
    world.benchmark(b("one"), versions=(1, 2))
    world.model("old")
    world.model("new")
    world.score("old", b("one"), 0.9, version=1)
    world.score("new", b("one"), 0.4, version=2)

    board = board_of()
    assert [benchmark.version for benchmark in board.benchmarks] == [2]
    assert [row.model for row in board.rows] == ["new"]


def test_private_models_and_hidden_benchmarks_leave_no_trace(world: World, board_of, b) -> None:
    world.benchmark(b("open"))
    world.parent(b("secret-parent"), visible=False)
    world.benchmark(b("under-secret"), parent=b("secret-parent"))
    world.benchmark(b("secret"), visible=False)
    world.model("open")
    world.model("private", public=False)
    for model in ("open", "private"):
        for benchmark in ("open", "secret", "under-secret"):
            world.score(model, b(benchmark), 0.5)

    document = board_of().to_json()
    assert "secret" not in document
    assert "private" not in document
    assert row(board_of(), "open").average == 0.5


def test_a_ceiling_that_only_the_scores_know_is_shown(world: World, board_of, b) -> None:
    world.benchmark(b("one"))
    world.model("m")
    world.score("m", b("one"), 0.5, raw=0.4, ceiling=0.8, ceiling_error=0.01)
    (benchmark,) = board_of().benchmarks
    assert (benchmark.ceiling, benchmark.ceiling_error) == (0.8, 0.01)


def test_the_document_is_the_same_until_a_score_changes(world: World, board_of, b) -> None:
    world.benchmark(b("one"), ceiling=0.9, reference=("Ada", 1843, "https://example.org"))
    world.model("m", model_family="analytical", total_parameter_count=40)
    world.score("m", b("one"), 0.5, error=0.1)
    first, again = board_of(), board_of()
    assert first.to_json() == again.to_json()

    document = json.loads(first.to_json())
    assert document["revision"] == first.revision
    (model,) = document["models"]
    assert (model["model"], model["rank"], model["family"], model["parameters"]) == ("m", 1, "analytical", 40)
    assert model["scores"][b("one")]["value"] == 0.5
    assert document["groups"][0]["benchmarks"][0]["reference"] == "Ada, 1843"

    world.score("m", b("one"), 0.6)
    assert board_of().revision != first.revision


def test_a_failure_on_a_benchmark_that_nothing_was_scored_on_yet_is_told_all_the_same(
    world: World, board_of, b
) -> None:
    world.model("m")
    world.model("hidden", public=False)
    world.failure("m", b("new"), "it has no stimuli", version=None)
    world.failure("hidden", b("new"), "it has no stimuli", version=None)
    [failure] = board_of().failures
    assert (failure.model, failure.benchmark, failure.reason) == ("m", b("new"), "it has no stimuli")
    assert json.loads(board_of().to_json())["failures"][0]["reason"] == "it has no stimuli"


def test_a_score_of_changed_code_counts_and_the_former_one_stays_in_the_history(world: World, board_of, b) -> None:
    world.benchmark(b("one"))
    world.model("m")
    world.score("m", b("one"), 0.4)
    world.score("m", b("one"), 0.6)
    assert row(board_of(), "m").cells[0].value == 0.6
    with world.database.session() as session:
        history = score_history(session, domain=world.domain, model="m")
    assert [(entry["value"], entry["place"]) for entry in history] == [(0.6, "counts"), (0.4, "superseded")]
