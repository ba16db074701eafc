"""The leaderboard in a terminal, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from brainscore_ops.scores.leaderboard import Leaderboard, leaderboard
from brainscore_ops.scores.terminal import print_leaderboard

if TYPE_CHECKING:
    from conftest import World


@pytest.fixture
def board(world: World) -> Leaderboard:
    """Two models on two groups of benchmarks; one has failed on one, the other was tried on one alone."""
    domain = world.domain
    for order, parent in enumerate(("behaviour", "neural")):
        world.parent(f"{domain}.{parent}", order=order)
    world.benchmark(f"{domain}.Words2014", parent=f"{domain}.behaviour", ceiling=0.928, ceiling_error=0.004, order=1)
    world.benchmark(f"{domain}.Pictures2019", parent=f"{domain}.behaviour", versions=(1, 2), ceiling=0.87, order=2)
    world.benchmark(f"{domain}.Connectivity", parent=f"{domain}.neural")
    world.model("minilm", model_family="transformer", total_parameter_count=22_700_000)
    world.model("=HYPERLINK(1)")
    world.score("minilm", f"{domain}.Words2014", 0.9, error=0.03, raw=0.84, ceiling=0.928)
    world.score("minilm", f"{domain}.Pictures2019", 0.7, version=2, raw=0.6, ceiling=0.87)
    world.failure("minilm", f"{domain}.Connectivity", "KeyError: <'regions'> & more")
    world.score("=HYPERLINK(1)", f"{domain}.Words2014", -0.012, error=0.5, raw=-0.011, ceiling=0.928)
    return leaderboard(world.database, domain=domain)


def test_the_csv_opens_in_a_spreadsheet_and_holds_no_formula(board: Leaderboard, world: World) -> None:
    rows = list(csv.DictReader(io.StringIO(board.to_csv())))
    assert rows[0][f"{world.domain}.Words2014 v1"] == "0.9"
    assert rows[0][f"{world.domain}.Words2014 v1 error"] == "0.03"
    assert rows[0][f"{world.domain}.Connectivity v1"] == ""
    assert rows[1]["model"] == "'=HYPERLINK(1)"


def test_the_json_is_a_document_without_nan(board: Leaderboard, world: World) -> None:
    document = json.loads(board.to_json(), parse_constant=pytest.fail)
    assert document["models"][0]["scores"][f"{world.domain}.Connectivity"]["state"] == "failed"
    assert f"{world.domain}.Connectivity" not in document["models"][1]["scores"]
    assert document["models"][0]["means"][f"{world.domain}.behaviour"] == pytest.approx(0.8)


def printed(board: Leaderboard, width: int, *, terminal: bool = False) -> str:
    file = io.StringIO()
    print_leaderboard(
        board, Console(file=file, width=width, force_terminal=terminal, color_system=None, legacy_windows=False)
    )
    return file.getvalue()


def test_the_terminal_shows_models_scores_errors_and_ceilings(board: Leaderboard) -> None:
    text = printed(board, 100, terminal=True)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert any("minilm" in line and "0.900 ±0.030" in line and "failed" in line for line in lines)
    assert any("ceiling" in line and "0.928 ±0.004" in line for line in lines)
    assert ".Connectivity: KeyError" in text


def test_a_narrow_terminal_shows_the_means_of_the_groups(board: Leaderboard) -> None:
    text = printed(board, 60, terminal=True)
    assert "(2)" in text
    assert "Words" not in text
    assert max(map(len, text.splitlines())) <= 60


def test_a_pipe_gets_plain_text_of_full_width(board: Leaderboard) -> None:
    text = printed(board, 40)
    assert "\x1b" not in text
    assert "0.900 ±0.030" in text


def test_brackets_in_a_name_are_no_markup(world: World) -> None:
    world.benchmark(f"[b]{world.domain}")
    world.model("[red]m[/red]")
    world.failure("[red]m[/red]", f"[b]{world.domain}", "[bold]why")
    text = printed(leaderboard(world.database, domain=world.domain), 100)
    assert "[red]m[/red]" in text
    assert "[bold]why" in text


def test_a_terminal_without_scores_says_so(world: World) -> None:
    assert "no scores" in printed(leaderboard(world.database, domain=world.domain), 100)
