"""Values that notebooks hand on arrive as JSON has them, or are refused where they are glued."""

from __future__ import annotations

import pytest
import scrapbook

from brainscore_ops.runbooks.scraps import read_scraps

GLUE = "from brainscore_ops.runbooks.scraps import glue\n"


def test_what_json_has_a_form_of_arrives(bench):
    bench.write(
        "toy",
        GLUE + "import datetime, enum, numpy, pathlib\n"
        "Color = enum.StrEnum('Color', ['red'])\n"
        "values = dict(\n"
        "    number=3, ratio=numpy.float64(0.5), count=numpy.int64(7), flag=numpy.bool_(True),\n"
        "    text='123', empty='', nothing=None,\n"
        "    pair=(1, 'a'), names={'b', 'a'}, array=numpy.arange(3), path=pathlib.Path('a/b'), color=Color.red,\n"
        "    when=datetime.datetime(2026, 1, 2, 3, 4, 5), nested={'a': {1: (None, numpy.float32(0.25))}}, words='null',\n"
        ")\n"
        "for name, value in values.items(): glue(name, value)",
    )
    result = bench.run()
    assert result.error is None
    assert result.scraps == {
        "number": 3,
        "ratio": 0.5,
        "count": 7,
        "flag": True,
        "text": "123",
        "empty": "",
        "nothing": None,
        "pair": [1, "a"],
        "names": ["a", "b"],
        "array": [0, 1, 2],
        "path": "a/b",
        "color": "red",
        "when": "2026-01-02T03:04:05",
        "nested": {"a": {"1": [None, 0.25]}},
        "words": "null",
    }
    assert bench.entry(result.id).summary == result.scraps
    # scrapbook itself reads the record.
    assert scrapbook.read_notebook(str(result.record)).scraps["nested"].data == result.scraps["nested"]


@pytest.mark.parametrize(
    "value", ["float('nan')", "{'a': [float('inf')]}", "object()", "numpy.array([1.0, numpy.nan])"]
)
def test_what_json_has_no_form_of_is_refused(bench, value):
    bench.write("toy", f"{GLUE}import numpy\nglue('x', {value})")
    result = bench.run()
    assert (result.error["code"], result.scraps) == ("bad-scrap", {})
    assert "the scrap x" in result.error["message"]


def test_of_two_scraps_with_one_name_the_last_counts():
    def cell(value):
        payload = {"name": "x", "data": value, "encoder": "json", "version": 1}
        return {"outputs": [{"data": {"application/scrapbook.scrap.json+json": payload}}]}

    assert read_scraps({"cells": [cell(1), {"source": "# text"}, cell(2)]}) == {"x": 2}
