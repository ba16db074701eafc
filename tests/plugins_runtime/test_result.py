"""A result is believed only where it is one, and of the pair that was asked for."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainscore_ops.plugins.result import PairResult, ResultRefusedError, parse_result

if TYPE_CHECKING:
    from pathlib import Path

GOOD: dict[str, Any] = {
    "schema_version": 1,
    "model": "m",
    "benchmark": "b",
    "benchmark_version": "1",
    "benchmark_parent": "behavioral",
    "benchmark_bibtex": "@article{b}",
    "score": {"value": 0.5, "error": 0.1, "ceiled": True},
    "raw": 0.4,
    "ceiling": 0.8,
    "ceiling_error": 0.01,
    "comment": None,
    "raw_reference": {"file": "raw.npz", "bytes": 10, "sha256": "0" * 64},
    "failure": None,
    "timings": {"import_seconds": 0.1, "score_seconds": 1.0, "total_seconds": 1.1},
    "peak_memory_bytes": 1000,
    "python": "3.11.7",
    "packages": {"numpy": "1.26.4"},
}


@pytest.fixture
def written(tmp_path: Path):
    def write(document: Any) -> Path:
        path = tmp_path / "result.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return write


def parse(path: Path) -> PairResult:
    return parse_result(path, model="m", benchmark="b")


def test_a_good_result(written):
    result = parse(written(GOOD))
    assert result.score is not None
    assert (result.score.value, result.raw, result.ceiling, result.measured) == (0.5, 0.4, 0.8, None)


def test_a_result_without_a_ceiling(written):
    score = {"value": 0.4, "error": None, "ceiled": False}
    result = parse(written({**GOOD, "score": score, "ceiling": None, "ceiling_error": None}))
    assert result.raw == 0.4


def test_a_failure(written):
    failure = {"type": "ValueError", "message": "no", "traceback": "Traceback …"}
    assert parse(written({**GOOD, "score": None, "raw": None, "failure": failure})).failure is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "other"}, "'other'"),
        ({"benchmark": "other"}, "'other'"),
        ({"schema_version": 2}, "schema_version"),
        ({"score": {"value": "0.9", "error": None, "ceiled": True}}, "score.value"),
        ({"score": {"value": True, "error": None, "ceiled": True}}, "score.value"),
        ({"score": {"value": 1, "error": -1, "ceiled": True}}, "score.error"),
        ({"score": None}, "a score with its raw value, or a failure"),
        ({"ceiling": None}, "needs the ceiling"),
        ({"score": {"value": 0.9, "error": None, "ceiled": False}}, "its own raw value"),
        ({"surprise": 1}, "surprise"),
        ({"benchmark_bibtex": "x" * 20_001}, "benchmark_bibtex"),
        ({"raw_reference": {"file": "../../etc/shadow", "bytes": 1, "sha256": "0" * 64}}, "raw_reference.file"),
        ({"packages": {"a": 1}}, "packages.a"),
        ({"peak_memory_bytes": -1}, "peak_memory_bytes"),
    ],
)
def test_what_the_schema_refuses(written, change, said):
    with pytest.raises(ResultRefusedError, match=said) as caught:
        parse(written({**GOOD, **change}))
    assert caught.value.code == "invalid-result"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[]", "the document"),
        ("{", "no JSON"),
        ('{"raw": NaN}', "NaN is no number"),
        ('{"raw": -Infinity}', "-Infinity is no number"),
        (json.dumps(GOOD).replace('"raw": 0.4', '"raw": 1e999'), "raw"),
        ('{"model": "m", "model": "n"}', "a key stands twice"),
        ("[" * 100_000, "no JSON"),
        ("[" * 60 + "]" * 60, "nested more than"),
        ("9" * 5000, "no JSON"),
        (json.dumps({**GOOD, "comment": "x" * 1_100_000}), "at most 1048576"),
        ('{"model": "\\ud800"}', "result"),
    ],
)
def test_what_is_no_strict_json(written, text, said):
    with pytest.raises(ResultRefusedError, match=said):
        parse(written(text))


def test_a_missing_result(tmp_path):
    with pytest.raises(ResultRefusedError, match=r"There is no file result\.json"):
        parse(tmp_path / "result.json")


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_text(json.dumps(GOOD))
    (tmp_path / "result.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResultRefusedError, match="no ordinary file"):
        parse(tmp_path / "result.json")


def test_a_second_name_of_another_file_is_refused(tmp_path):
    (tmp_path / "elsewhere").write_text(json.dumps(GOOD))
    (tmp_path / "result.json").hardlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResultRefusedError, match="no ordinary file"):
        parse(tmp_path / "result.json")


def test_a_pipe_does_not_hold_us_up(tmp_path):
    os.mkfifo(tmp_path / "result.json")
    caught: list[Exception] = []

    def reading() -> None:
        try:
            parse(tmp_path / "result.json")
        except ResultRefusedError as error:
            caught.append(error)

    reader = threading.Thread(target=reading, daemon=True)
    reader.start()
    reader.join(timeout=5)
    assert len(caught) == 1


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "result.json").mkdir()
    with pytest.raises(ResultRefusedError, match="no ordinary file"):
        parse(tmp_path / "result.json")


def test_its_text_does_nothing_to_a_terminal(written):
    result = parse(written({**GOOD, "comment": "\x1b[2Jgone\x07", "packages": {"\x1b[2J": "\x07"}}))
    assert (result.comment, result.packages) == ("gone�", {"": "�"})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), VALUES, min_size=1, max_size=3))
def test_whatever_is_changed_it_is_refused_or_of_the_schema(tmp_path_factory, changes):
    path = tmp_path_factory.mktemp("result") / "result.json"
    path.write_text(json.dumps({**GOOD, **changes}))
    try:
        result = parse(path)
    except ResultRefusedError:
        return
    assert (result.model, result.benchmark) == ("m", "b")
    assert result.failure is not None or result.raw is not None
