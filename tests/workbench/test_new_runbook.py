"""Runbooks that one can discover, and new ones from a template."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from brainscore_ops.cli.runbooks import runbooks
from brainscore_ops.settings import Workspace
from brainscore_ops.workbench.new_runbook import NewRunbookRefusedError, new_runbook

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PURPOSE = "counts the runs that a deployment has had"


@pytest.fixture
def checkout(tmp_path):
    """A copy of the checkout, as far as a runbook needs it; the library in it is this one, with room for a module."""
    for folder in ("notebooks", "params"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    library = tmp_path / "lib" / "brainscore_ops"
    library.mkdir(parents=True)
    for path in (ROOT / "lib" / "brainscore_ops").iterdir():
        (library / path.name).symlink_to(path)
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return Workspace(tmp_path, tmp_path / "state", tmp_path / "outputs")


def call(checkout, program, *arguments):
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout.root / "lib"),
        "BRAINSCORE_OPS_WORKSPACE": str(checkout.root),
        "RUFF_NO_CACHE": "true",
    }
    words = [BIN / program, *map(str, arguments)]
    done = subprocess.run(words, cwd=checkout.root, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_runbook_passes_lint_and_its_own_test_as_it_comes_out(checkout):
    files = new_runbook(checkout, "count_runs", PURPOSE)
    assert [path.name for path in files] == ["count_runs.ipynb", "count_runs.py", "test_count_runs.py", "__init__.py"]
    call(checkout, "ruff", "check", *files)
    call(checkout, "ruff", "format", "--check", *files)
    call(checkout, "nbstripout", "--verify", files[0])
    # Its own test, and what every notebook keeps to.
    shutil.copyfile(ROOT / "tests" / "test_notebooks.py", checkout.root / "tests" / "test_notebooks.py")
    call(checkout, "pytest", "-q", "-p", "no:cacheprovider", "-k", "count_runs", files[2], "tests/test_notebooks.py")
    listed = json.loads(call(checkout, "brainscore-ops", "runbooks", "--json"))
    [made] = [runbook for runbook in listed if runbook["name"] == "count_runs"]
    assert made["purpose"] == "Counts the runs that a deployment has had."
    assert [parameter["name"] for parameter in made["parameters"]] == ["deployment", "note"]


@pytest.mark.parametrize("name", ["Merge", "two words", "", "class", "9lives", "../merge", "merge"])
def test_a_name_that_will_not_do_is_refused_and_nothing_is_written(tmp_path, name):
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(NewRunbookRefusedError) as refused:
        new_runbook(Workspace(tmp_path, tmp_path, tmp_path), name, PURPOSE)
    assert refused.value.problems[0].where == "name"
    assert sorted(tmp_path.rglob("*")) == before


def test_the_runbooks_are_listed_with_purpose_and_parameters():
    said = CliRunner().invoke(runbooks).output
    assert "merge  Merge a pull request if the gate lets it through" in said
    assert "    pull_request: int, required  the number of the pull request to merge" in said
    listed = json.loads(CliRunner().invoke(runbooks, ["--json"]).output)
    [merge] = [runbook for runbook in listed if runbook["name"] == "merge"]
    assert merge["steps"][0] == "open"
    assert merge["parameters"][0] == {
        "name": "pull_request",
        "type": "int",
        "required": True,
        "default": None,
        "description": "the number of the pull request to merge, if the gate lets it through",
    }
