"""The leaderboard as a static site and in a terminal."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from brainscore_ops.scores.leaderboard import Benchmark, Cell, Group, Leaderboard, Row, leaderboard
from brainscore_ops.scores.page import page_files, write_page
from brainscore_ops.scores.terminal import print_leaderboard

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import World

WORDS = Benchmark("Words2014-pearson", 1, 0.928, 0.004, "Brysbaert et al., 2014", "https://example.org/words")
PICTURES = Benchmark("Pictures2019-spearman", 2, 0.87, None)
FMRI = Benchmark("Connectivity-pearson", 1, None, None)


@pytest.fixture
def board() -> Leaderboard:
    def scored(value: float, error: float | None = None) -> Cell:
        return Cell("scored", value, value, error, computed_at="2026-11-04T09:30:00+00:00")

    return Leaderboard(
        domain="example",
        groups=(Group(("behaviour",), (WORDS, PICTURES)), Group(("neural",), (FMRI,))),
        rows=(
            Row(
                "minilm",
                1,
                0.4,
                (0.8, None),
                (scored(0.9, 0.03), scored(0.7), Cell("failed", reason="KeyError: <'regions'> & more")),
                family="transformer",
                parameters=22_700_000,
            ),
            Row("random", 2, -0.012, (-0.012, None), (scored(-0.012, 0.5), Cell("missing"), Cell("missing"))),
        ),
        as_of="2026-11-04T09:30:00+00:00",
    )


class Table(HTMLParser):
    """The page's table as a reader of the markup sees it: each row's cells as (tag, attributes, text)."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[tuple[str, dict[str, str | None], str]]] = []
        self.open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append((tag, dict(attrs), ""))
            self.open = True

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self.open = False

    def handle_data(self, data: str) -> None:
        if self.open:
            tag, attributes, text = self.rows[-1][-1]
            self.rows[-1][-1] = (tag, attributes, text + data)


def page_of(board: Leaderboard) -> str:
    return page_files(board)["index.html"].decode()


def test_the_table_says_what_its_rows_and_columns_are(board: Leaderboard) -> None:
    groups, names, ceilings, first, second = Table(page_of(board)).rows
    assert [(a["scope"], a["colspan"], text) for tag, a, text in groups if tag == "th"] == [
        ("colgroup", "3", "behaviour"),
        ("colgroup", "1", "neural"),
    ]
    assert [" ".join(text.split()) for _, _, text in names] == [
        "#Rank",
        "Model",
        "Average",
        "Mean",
        "Words2014-pearson v1",
        "Pictures2019-spearman v2",
        "Connectivity-pearson v1",
    ]
    assert all(a["scope"] == "col" for _, a, _ in names)
    assert [text for _, _, text in ceilings][4:] == ["0.928 ± 0.004", "0.870", "none"]
    assert first[1][0] == "th"
    assert first[1][1]["scope"] == "row"
    assert [text for _, _, text in first][2:6] == ["0.400", "0.800", "0.900 ± 0.030", "0.700"]
    assert [text for _, _, text in second][2:] == [
        "−0.012",
        "−0.012",
        "−0.012 ± 0.500",
        "–not scored yet",
        "–not scored yet",
    ]
    assert len({len(row) for row in (names, ceilings, first, second)}) == 1


def test_a_score_and_its_error_are_drawn_within_the_cell(board: Leaderboard) -> None:
    rows = Table(page_of(board)).rows
    assert rows[3][4][1]["style"] == "--v:90.0%;--a:87.0%;--b:93.0%"
    assert rows[4][4][1]["style"] == "--v:0.0%;--a:0.0%;--b:48.8%", "clamped to the line from 0 to 1"


def test_a_failed_cell_leads_to_its_reason(board: Leaderboard) -> None:
    page = page_of(board)
    assert '<a href="#failure-1-3" aria-describedby="failure-1-3">failed</a>' in page
    assert (
        '<li id="failure-1-3"><b>minilm</b> on <b>Connectivity-pearson</b>: KeyError: &lt;&#39;regions&#39;&gt;' in page
    )


def test_names_and_reasons_of_strangers_are_no_markup() -> None:
    hostile = '"><script>alert(1)</script>'
    row = Row(hostile, 1, 0.5, (None,), (Cell("failed", reason=hostile),), family=hostile, reference=hostile)
    board = Leaderboard(hostile, (Group((hostile,), (Benchmark(hostile, 1, None, None, hostile),)),), (row,))
    assert "alert(1)</script>" not in page_of(board)


def test_the_page_loads_nothing_from_elsewhere(board: Leaderboard) -> None:
    page = page_of(board)
    assert "default-src 'none'" in page
    assert "src=" not in page.replace("default-src", "").replace("-src '", "")
    assert [part.split('"')[0] for part in page.split('href="http')[1:]] == ["s://example.org/words"]


def test_the_csv_opens_in_a_spreadsheet_and_holds_no_formula(board: Leaderboard) -> None:
    rows = list(csv.DictReader(io.StringIO(page_files(board)["leaderboard.csv"].decode())))
    assert rows[0]["Words2014-pearson v1"] == "0.9"
    assert rows[0]["Words2014-pearson v1 error"] == "0.03"
    assert rows[0]["Connectivity-pearson v1"] == ""
    formula = Leaderboard("d", (), (Row("=HYPERLINK(1)", 1, 0.5, (), ()),))
    assert "'=HYPERLINK(1)" in page_files(formula)["leaderboard.csv"].decode()


def test_the_json_is_a_document_without_nan(board: Leaderboard) -> None:
    document = json.loads(page_files(board)["leaderboard.json"], parse_constant=pytest.fail)
    assert document["models"][0]["scores"]["Connectivity-pearson"]["state"] == "failed"
    assert "Connectivity-pearson" not in document["models"][1]["scores"]


def test_an_empty_leaderboard_has_a_page_that_says_so() -> None:
    assert "There are no scores yet." in page_of(Leaderboard("example", (), ()))


def test_writing_twice_gives_the_same_bytes_and_touches_nothing(world: World, tmp_path: Path) -> None:
    benchmark = f"{world.domain}.words"
    world.benchmark(benchmark)
    world.model("m")
    world.score("m", benchmark, 0.5, error=0.1)

    page = write_page(leaderboard(world.database, domain=world.domain), tmp_path / "site")
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in page.parent.iterdir()}
    assert sorted(before) == ["index.html", "leaderboard.csv", "leaderboard.json"]
    write_page(leaderboard(world.database, domain=world.domain), tmp_path / "site")
    assert before == {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in page.parent.iterdir()}

    world.score("m", benchmark, 0.6)
    write_page(leaderboard(world.database, domain=world.domain), tmp_path / "site")
    assert b"0.600" in page.read_bytes()
    assert sorted(path.name for path in page.parent.iterdir()) == sorted(before), "no partial file is left"


def test_what_cannot_be_written_leaves_the_old_page(board: Leaderboard, tmp_path: Path) -> None:
    page = write_page(board, tmp_path)
    old = page.read_bytes()
    (tmp_path / "leaderboard.json").unlink()
    (tmp_path / "leaderboard.json").mkdir()
    with pytest.raises(OSError, match=r"leaderboard\.json"):
        write_page(Leaderboard("other", (), ()), tmp_path)
    assert page.read_bytes() == old
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


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
    assert "failed: minilm on Connectivity-pearson: KeyError" in text


def test_a_narrow_terminal_shows_the_means_of_the_groups(board: Leaderboard) -> None:
    text = printed(board, 60, terminal=True)
    assert "behaviour (2)" in text
    assert "Words2014" not in text
    assert max(map(len, text.splitlines())) <= 60


def test_a_pipe_gets_plain_text_of_full_width(board: Leaderboard) -> None:
    text = printed(board, 40)
    assert "\x1b" not in text
    assert "0.900 ±0.030" in text


def test_brackets_in_a_name_are_no_markup() -> None:
    row = Row("[red]m[/red]", 1, 0.5, (None,), (Cell("failed", reason="[bold]why"),))
    text = printed(Leaderboard("d", (Group((), (Benchmark("[b]", 1, None, None),)),), (row,)), 100)
    assert "[red]m[/red]" in text
    assert "[bold]why" in text


def test_a_terminal_without_scores_says_so() -> None:
    assert "no scores" in printed(Leaderboard("example", (), ()), 100)


def test_the_page_sorts_by_a_column_in_a_browser(board: Leaderboard, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    assert chromium, "the page is tested in Debian's chromium: apt-get install chromium"
    page = write_page(board, tmp_path / "site")
    # The same page, with the second click on "Average" done: the order is then from the worst.
    clicked = tmp_path / "clicked.html"
    script = "<script>document.querySelector('th.average button').click()</script></body>"
    clicked.write_text(page.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
    done = subprocess.run(
        [
            chromium,
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            clicked.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    rows = Table(done.stdout).rows
    assert rows[3][1][2].strip() == "random"
    assert 'aria-sort="ascending"' in done.stdout
