"""Two runs beside each other."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from brainscore_ops.cli.comparing import diff
from brainscore_ops.runbooks.records import RecordChangedError

STEP = "print('seen', number)\nfrom brainscore_ops.runbooks.scraps import glue\nglue('answer', number)"


def compared(*runs):
    return CliRunner().invoke(diff, [*(run.id for run in runs), "--deployment", "test", "--json"])


def test_runs_with_other_parameters_differ_in_them_and_in_what_follows(bench):
    bench.write("toy", "1", STEP)
    found = json.loads(compared(bench.run(number=3), bench.run(number=4)).stdout)
    assert found["parameters"] == {"number": {"first": 3, "second": 4}}
    assert found["scraps"] == {"answer": {"first": 3, "second": 4}}
    assert found["facts"] == {}
    assert not found["same"]
    assert [step["name"] for step in found["steps"]] == ["one", "two"]
    assert "-seen 3" in found["notebooks"]
    assert "+seen 4" in found["notebooks"]
    assert "scrapbook" not in found["notebooks"]


def test_runs_that_differ_in_nothing_but_time_are_the_same(bench):
    bench.write("toy", "1", STEP)
    found = compared(bench.run(), bench.run())
    assert json.loads(found.stdout)["same"]
    step = json.loads(found.stdout)["steps"][0]
    assert step["seconds"] == pytest.approx(step["second"]["seconds"] - step["first"]["seconds"], abs=1e-3)


def test_a_run_that_failed_beside_one_that_did_not(bench):
    bench.write("toy", "1", "assert number > 3, 'too few'")
    failed, succeeded = bench.run(number=3), bench.run(number=4)
    found = json.loads(compared(failed, succeeded).stdout)
    assert found["facts"]["state"] == {"first": "failed", "second": "succeeded"}
    assert found["facts"]["failing step"] == {"first": "two", "second": None}
    said = CliRunner().invoke(diff, [failed.id, succeeded.id, "--deployment", "test"]).output
    assert "too few" in said
    assert "step       two" in said


def test_a_record_that_is_gone_is_told(bench):
    bench.write("toy", "1")
    first, second = bench.run(), bench.run()
    second.record.unlink()
    assert isinstance(compared(first, second).exception, RecordChangedError)
