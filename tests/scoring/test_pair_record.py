"""What the record of a pair shows."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from brainscore_ops.scoring.pair import PairOutcome, ScorePairParameters
from brainscore_ops.scoring.pair_record import figure, read_record

RESULT = {"value": 0.5, "error": 0.05, "raw": 0.4, "ceiling": 0.8, "ceiling_error": 0.01, "benchmark_version": 3}


def record(folder):
    job = ScorePairParameters(
        deployment="local", model="m", benchmark="b", model_plugin="mp", benchmark_plugin="bp", checkout="/c",
        results=str(folder), resource_class="small",
    )  # fmt: skip
    outcome = PairOutcome(
        model="m", benchmark="b", state="scored", result={**RESULT, "packages": {"python": "3.11", "numpy": "2"}},
        failure=None, environment_digest="e" * 64, sandboxed=True, node="n1", run_id=None,
        measured={"wall_seconds": 2.0, "cpu_seconds": 1.5, "peak_memory_bytes": 300 * 2**20},
    )  # fmt: skip
    return read_record(job, outcome)


def test_it_says_what_the_score_was_computed_from_and_with(tmp_path):
    np.savez_compressed(tmp_path / "raw.npz", raw=np.array(0.4), raw_raw=np.array([0.3, 0.4, 0.5]))
    shown = str(record(tmp_path).table())
    assert "m on b: 0.500 ± 0.050" in shown
    assert "3 values from 0.300 to 0.500, median 0.400" in shown
    assert all(words in shown for words in ("version 3", "n1", "small", "300 MiB", "2.0 s", "e" * 64, "3.11"))


def test_the_figure_is_drawn_without_anything_else_and_says_itself_in_words(tmp_path):
    drawn = ElementTree.fromstring(figure(RESULT, (0.3, 0.5)))  # noqa: S314 - it is our own
    assert drawn.attrib["aria-label"] == "score 0.500 ± 0.050, raw 0.400, ceiling 0.800 ± 0.010"
    assert len([part for part in drawn if part.tag.endswith("rect")]) == 3


def test_negative_scores_and_scores_without_a_ceiling_are_drawn_too():
    drawn = ElementTree.fromstring(figure({"value": -0.2, "raw": -0.2}, ()))  # noqa: S314 - it is our own
    assert all(float(part.attrib["width"]) > 0 for part in drawn if part.tag.endswith("rect"))
    assert figure({}, ()) == ""


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_raw_values_that_cannot_be_read_are_left_out(tmp_path, content):
    (tmp_path / "raw.npz").write_bytes(content)
    assert record(tmp_path).raw_values == ()
