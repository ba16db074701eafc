"""What every notebook of the repository keeps to, so that a maintainer finds the same thing at the same place in each."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

from brainscore_ops.runbooks.parameters import load_parameters_model, render_parameters_cell

ROOT = Path(__file__).parents[1]
RUNBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
MOST_LINES_OF_A_STEP = 20


@pytest.fixture(params=RUNBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def test_there_are_the_runbooks_of_a_submissions_way():
    names = {path.stem for path in RUNBOOKS}
    assert names >= {"intake", "create_pr", "test_plugins", "merge", "score_plugins", "publish", "score_pair"}


def test_it_says_what_it_is_for(notebook):
    purpose = notebook.metadata["brainscore_ops"]["purpose"]
    assert re.fullmatch(r"[A-Z].{20,}\.", purpose)


def test_its_parameters_cell_is_the_one_that_its_model_gives(notebook):
    model = load_parameters_model(notebook.metadata["brainscore_ops"]["parameters"])
    [cell] = [cell for cell in code_cells(notebook) if "parameters" in tags(cell)]
    assert cell.source.strip() == render_parameters_cell(model).strip()


def test_every_other_code_cell_is_one_named_step(notebook):
    steps = [tags(cell) for cell in code_cells(notebook) if "parameters" not in tags(cell)]
    assert all(len(step) == 1 and re.fullmatch(r"step:[a-z_]+", step[0]) for step in steps), steps
    assert len({step[0] for step in steps}) == len(steps)


def test_every_step_is_introduced_in_words(notebook):
    for before, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.cell_type == "code" and "parameters" not in tags(cell):
            assert before.cell_type == "markdown"
            assert before.source.startswith("## ")


def test_it_holds_no_logic(notebook):
    for cell in code_cells(notebook):
        nodes = list(ast.walk(ast.parse(cell.source)))
        assert not [
            node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.For | ast.While | ast.Try)
        ]
        assert len(cell.source.splitlines()) <= MOST_LINES_OF_A_STEP


def test_it_carries_no_outputs(notebook):
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))
