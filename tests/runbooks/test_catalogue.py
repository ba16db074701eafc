"""Runbooks are found by name and read without executing anything."""

from __future__ import annotations

import hashlib

import pytest
from nbformat import v4

from brainscore_ops.runbooks.catalogue import BadRunbookError, UnknownRunbookError, find_runbook, list_runbooks


def test_a_runbook_says_what_it_is_for_and_which_steps_it_has(bench):
    path = bench.write("merge", "1", "2")
    found = find_runbook("merge")
    assert (found.name, found.purpose, found.steps) == ("merge", "To be run in a test.", ("one", "two"))
    assert found.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_scoring_notebooks_are_runbooks_too(bench):
    bench.write("merge", "1")
    bench.write("score_pair", "1", folder="scoring", ledger="file")
    assert [(runbook.name, runbook.records_by_file) for runbook in list_runbooks()] == [
        ("merge", False),
        ("score_pair", True),
    ]


def test_a_mistyped_name_is_answered_with_one_that_comes_close(bench):
    bench.write("create_pr", "1")
    with pytest.raises(UnknownRunbookError) as unknown:
        find_runbook("create-pr")
    assert "create_pr" in unknown.value.remedy


def test_a_name_is_no_path(bench):
    bench.write("merge", "1")
    with pytest.raises(UnknownRunbookError):
        find_runbook("../runbooks/merge")


def test_everything_that_a_notebook_lacks_is_told_at_once(bench):
    path = bench.write("merge", "1")
    notebook = v4.new_notebook(metadata={"brainscore_ops": {"ledger": "paper"}})
    notebook.cells = [
        v4.new_code_cell("1", metadata={"tags": ["step:a"]}),
        v4.new_code_cell("2", metadata={"tags": ["step:a"]}),
    ]
    path.write_text(v4.writes(notebook))
    with pytest.raises(BadRunbookError) as bad:
        find_runbook("merge")
    assert len(bad.value.problems) == 5
    assert list_runbooks() == []


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"cells": 3}', '{"cells": [], "metadata": {"brainscore_ops": 3}}']
)
def test_a_file_that_is_no_notebook_is_told(bench, content):
    bench.write("merge", "1").write_text(content)
    with pytest.raises(BadRunbookError):
        find_runbook("merge")
