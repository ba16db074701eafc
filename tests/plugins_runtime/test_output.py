"""What a process prints is kept within bounds, and does nothing to a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from brainscore_ops.plugins.output import BoundedOutput, end_of, plain


def test_endless_lines_are_told_up_to_a_bound():
    output = BoundedOutput(1000, (lines := []).append)
    for _ in range(50_000):
        output.feed(b"x" * 99 + b"\n")
    output.close()
    assert lines == ["x" * 99] * 10 + ["… it prints more than is shown here; the end of it is in the log …"]
    output = BoundedOutput(1_000_000, (lines := []).append)
    output.feed(b"x\n" * 50_000)
    assert len(lines) == 10_001
    assert output.text().count("x") == 50_000


def fed(chunks: list[bytes], limit: int = 100) -> tuple[BoundedOutput, list[str]]:
    lines: list[str] = []
    output = BoundedOutput(limit, lines.append)
    for chunk in chunks:
        output.feed(chunk)
    output.close()
    return output, lines


def test_short_output_is_kept_whole():
    output, lines = fed([b"one\ntw", b"o\nthree"])
    assert output.text() == "one\ntwo\nthree"
    assert lines == ["one", "two", "three"]


def test_of_long_output_the_beginning_and_the_end_are_kept():
    output, _ = fed([b"begin" + b"." * 500, b"." * 500 + b"end"], limit=20)
    assert output.text() == "begin.....\n… 988 bytes left out …\n.......end"
    assert output.total_bytes == 1008


def test_a_progress_bar_is_lines():
    assert fed([b"10%\r20%\r30%\n"])[1] == ["10%", "20%", "30%"]


def test_a_line_without_an_end_is_cut():
    lines = fed([b"x" * 1500] * 4 + [b"\nnext\n"], limit=10_000)[1]
    assert [len(line) for line in lines] == [2000, 4]


def test_a_terminal_is_left_alone():
    assert plain(b"\x1b[31mred\x1b[0m \x1b]0;title\x07bell\x07 \xff \x9b") == "red bell� � �"


def test_the_end_of_a_text_begins_with_a_line():
    assert end_of("first\nsecond\nthird", 12) == "…\nthird"
    assert end_of("short", 12) == "short"
    assert end_of("x" * 20, 5) == "…xxxxx"


@given(st.lists(st.binary(max_size=300)), st.integers(min_value=2, max_value=100))
def test_whatever_is_printed_stays_within_bounds(chunks: list[bytes], limit: int):
    output, lines = fed(chunks, limit)
    text = output.text()
    assert len(text) <= limit + 60
    assert all(character.isprintable() or character in "\n\t" for character in text + "".join(lines))
    if output.total_bytes <= limit:
        assert text == plain(b"".join(chunks))
