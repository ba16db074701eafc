"""Parameters are checked before anything runs, all at once, and are shown everywhere as their model has them."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Literal

import nbformat
import papermill
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import v4
from pydantic import Field

from brainscore_ops.parameters import RunbookParameters
from brainscore_ops.runbooks.catalogue import BadRunbookError
from brainscore_ops.runbooks.parameters import (
    ParametersRefusedError,
    check_parameters,
    describe,
    load_parameters_model,
    render_injected_cell,
    render_parameters_cell,
)
from brainscore_ops.submissions.parameters import IntakeParameters


class Color(StrEnum):
    RED = "red"


class Merge(RunbookParameters):
    pull_request: int = Field(description="the pull request's number")
    dry: bool = Field(False, description="whether to look only")
    labels: list[str] = Field([], description="labels to set")
    limits: dict[str, float] = Field({"a": 1.5}, description="bounds")
    base: str | None = Field(None, description="the base's SHA")
    archive: Path = Field(Path("x.zip"), description="an\n archive")
    color: Color = Field(Color.RED, description="a color")
    since: date = Field(date(2026, 1, 2), description="a day")
    mode: Literal["fast", "slow"] = Field("fast", description="a mode")


def refused(**parameters):
    with pytest.raises(ParametersRefusedError) as refusal:
        check_parameters(Merge, parameters)
    return {(problem.code, problem.where): problem for problem in refusal.value.problems}


def test_texts_of_a_command_line_become_what_they_say():
    checked = check_parameters(
        Merge,
        {
            "pull_request": "7",
            "dry": "true",
            "labels": "[a, b]",
            "limits": "{x: 2}",
            "base": "0123456",
            "since": "2026-03-04",
        },
    )
    assert (checked.pull_request, checked.dry, checked.labels, checked.limits) == (7, True, ["a", "b"], {"x": 2.0})
    assert checked.base == "0123456"
    assert checked.since == date(2026, 3, 4)


def test_a_rule_of_ours_is_told_in_its_own_words():
    with pytest.raises(ParametersRefusedError) as refusal:
        check_parameters(IntakeParameters, {"archive": "a.zip", "email": "nobody"})
    told = [problem.message for problem in refusal.value.problems]
    assert told == ["expected the path of a file.", "expected a mail address, found 'nobody'."]


def test_all_that_is_wrong_is_named_at_once():
    problems = refused(pull_reqest=7, dry="perhaps", mode="medium")
    assert set(problems) == {
        ("unknown-parameter", "pull_reqest"),
        ("missing-parameter", "pull_request"),
        ("mistyped-parameter", "dry"),
        ("mistyped-parameter", "mode"),
    }
    assert "pull_request" in problems["unknown-parameter", "pull_reqest"].remedy
    assert "'perhaps'" in problems["mistyped-parameter", "dry"].message


@pytest.mark.parametrize("nothing", [None, "None", "null"])
def test_nothing_is_no_value_for_what_is_required(nothing):
    assert set(refused(pull_request=nothing)) == {("missing-parameter", "pull_request")}


def test_the_cell_shows_name_type_default_and_meaning():
    assert render_parameters_cell(Merge).splitlines() == [
        "pull_request: int = None  # required: the pull request's number",
        'deployment: str = "local"  # the deployment to work on: a file params/<name>.yaml',
        "dry: bool = False  # whether to look only",
        "labels: list[str] = []  # labels to set",
        'limits: dict[str, float] = {"a": 1.5}  # bounds',
        "base: str = None  # the base's SHA",
        'archive: str = "x.zip"  # an archive',
        'color: str = "red"  # a color',
        'since: str = "2026-01-02"  # a day',
        'mode: str = "fast"  # a mode',
    ]


def test_papermill_finds_every_parameter_in_the_cell(tmp_path):
    notebook = v4.new_notebook(metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "P"}})
    notebook.cells = [v4.new_code_cell(render_parameters_cell(Merge), metadata={"tags": ["parameters"]})]
    nbformat.write(notebook, tmp_path / "merge.ipynb")
    found = papermill.inspect_notebook(str(tmp_path / "merge.ipynb"))
    assert list(found) == [parameter.name for parameter in describe(Merge)]
    assert found["pull_request"]["help"] == "required: the pull request's number"


def test_both_cells_are_python_that_gives_the_values_of_the_model():
    checked = check_parameters(Merge, {"pull_request": 7, "base": 'it\'s "quoted"\n'})
    cell: dict[str, object] = {}
    exec(render_parameters_cell(Merge), cell)  # noqa: S102 - as the kernel does
    exec(render_injected_cell(checked), cell)  # noqa: S102
    assert check_parameters(Merge, {name: cell[name] for name in Merge.model_fields}) == checked


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(Merge.model_fields)) | st.text(), json_values, max_size=4))
def test_whatever_is_given_is_taken_or_refused_in_words(parameters):
    try:
        checked = check_parameters(Merge, parameters)
    except ParametersRefusedError:
        return
    assert check_parameters(Merge, checked.model_dump(mode="json")) == checked


@pytest.mark.parametrize(
    "name", ["nowhere:Model", "brainscore_ops.parameters:Nothing", "pathlib:Path", "no-colon", "", ":x"]
)
def test_a_name_that_leads_to_no_model_is_told(name):
    with pytest.raises(BadRunbookError):
        load_parameters_model(name)
