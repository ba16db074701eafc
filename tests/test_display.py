"""How shown objects look: the same content in HTML and in text, whatever strangers put into it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.shown import Elements

from brainscore_ops.display import Badge, Code, Link, Meter, Table
from brainscore_ops.runbooks.runs import Step, StepState
from brainscore_ops.runbooks.timings import StepTimings

HOSTILE = "<img src=x onerror=alert(1)>\x1b[2J\u202e\"'&"


def test_a_table_says_the_same_in_both_forms():
    rows = [["alexnet", 0.5, Badge("passed"), Code("0" * 64, 10)], ["resnet", None, Badge("failed"), Code("1" * 64)]]
    table = Table("Outcomes", rows, ["model", "score", "", "digest"])
    assert str(table).splitlines() == [
        "Outcomes",
        "  model    score          digest",
        f"  alexnet  0.5    passed  {'0' * 64}",
        f"  resnet          failed  {'1' * 64}",
    ]
    texts = Elements(table._repr_html_()).texts
    assert texts == [
        "Outcomes",
        "model",
        "score",
        "digest",
        "alexnet",
        "0.5",
        "passed",
        "0" * 10 + "…",
        "resnet",
        "failed",
        "1" * 64,
    ]


def test_columns_of_numbers_stand_to_the_right_and_others_to_the_left():
    html = Table("", [["a", "0.512 ± 0.010", "12 s"], ["b", "–", "1,024.5 s"]], ["name", "score", "took"])._repr_html_()
    assert html.count("text-align:right") == 6
    assert "text-align:right" not in Table("", [["a", "1.5"], ["b", "failed"]], ["", ""])._repr_html_()


def test_lines_of_a_cell_stand_under_their_column():
    assert str(Table("T", [("plugins", "models/a\nmodels/b"), ("state", "tested")])).splitlines() == [
        "T",
        "  plugins  models/a",
        "           models/b",
        "  state    tested",
    ]


def test_a_long_text_is_folded_in_html_alone():
    table = Table("T", [("files", "\n".join(f"file{number}" for number in range(40)))])
    assert "<details><summary>file0 … 39 more</summary>" in table._repr_html_()
    assert "file39" in str(table)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "/etc/passwd", " https://x"])
def test_only_addresses_of_the_web_are_links(url):
    assert "<a" not in Link(url).html
    assert 'href="https://example.org/?a=1&amp;b=2"' in Link("https://example.org/?a=1&b=2").html


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.lists(st.text() | st.just(HOSTILE), min_size=2, max_size=2), max_size=4), st.text() | st.just(HOSTILE)
)
def test_what_strangers_write_does_nothing(rows, title):
    kinds = (Badge, Code, lambda text: Link(f"https://example.org/{text}", text), lambda text: Meter(0.5, text), str)
    cells = [[kinds[(i + j) % len(kinds)](text) for j, text in enumerate(row)] for i, row in enumerate(rows)]
    for table in (Table(title, cells, [title, title]), Table(title, cells)):
        Elements(table._repr_html_())
        assert all(character.isprintable() or character == "\n" for character in str(table) + table._repr_html_())


def test_the_timings_of_steps_are_bars():
    steps = [Step("open", StepState.SUCCEEDED, 0.5), Step("score", StepState.FAILED, 2.0), Step("record")]
    timings = StepTimings(steps)
    assert str(timings.table()).splitlines() == [
        "3 steps, 2.5 s",
        "  step               took",
        "  open    succeeded  0.5 s",
        "  score   failed     2.0 s",
        "  record  pending",
    ]
    assert Elements(timings._repr_html_()).texts[-2:] == ["record", "pending"]
