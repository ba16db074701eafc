"""The commands ``run``, ``runs`` and ``show``."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from brainscore_ops.cli.library import changes
from brainscore_ops.cli.main import COMMANDS, commands
from brainscore_ops.cli.run import run
from brainscore_ops.cli.runs import runs, show
from brainscore_ops.errors import UsageError
from brainscore_ops.runbooks.history import UnknownRunError
from brainscore_ops.runbooks.parameters import ParametersRefusedError

REFUSING = (
    "from brainscore_ops.errors import Problem, RefusedError\n"
    "raise RefusedError('the gate is closed', remedy='Fix the tests.', problems=[Problem('red', 'one is red', 'status')])"
)


def invoke(command, *arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_run_shows_the_steps_and_where_the_record_is(bench):
    bench.write("toy", "number", "from brainscore_ops.runbooks.scraps import glue\nglue('answer', number)")
    outcome = invoke(run, "toy", "-p", "number", 7)
    assert outcome.exit_code == 0
    lines = outcome.output.splitlines()
    assert lines[0].startswith("✓ 1/2 one")
    assert lines[1].startswith("✓ 2/2 two")
    assert lines[2].startswith("toy: succeeded")
    assert lines[3] == "  answer: 7"
    assert lines[4].startswith(f"record: {bench.root}/outputs/test/toy/")


def test_run_tells_what_ended_it_and_what_to_do(bench):
    bench.write("toy", "1", REFUSING)
    outcome = invoke(run, "toy")
    assert outcome.exit_code == 3
    for part in (
        "toy: refused at two",
        "the gate is closed",
        "status: one is red",
        "what to do: Fix the tests.",
        "record: ",
    ):
        assert part in outcome.output


def test_run_prints_one_json_document(bench):
    bench.write("toy", REFUSING)
    outcome = invoke(run, "toy", "--json")
    document = json.loads(outcome.stdout)
    assert (outcome.exit_code, document["state"], document["exit_code"]) == (3, "refused", 3)


def test_parameters_come_from_a_file_and_those_of_the_command_line_before_them(bench):
    bench.write("toy", "assert (number, note) == (5, 'from file')")
    file = bench.root / "values.yaml"
    file.write_text("number: 4\nnote: from file\n")
    assert invoke(run, "toy", "-f", file, "-p", "number", 5, "--deployment", "test").exit_code == 0


@pytest.mark.parametrize("content", ["[1]", "a: [", "3: 4"])
def test_a_file_of_something_else_is_told(bench, content):
    bench.write("toy", "1")
    file = bench.root / "values.yaml"
    file.write_text(content)
    assert isinstance(invoke(run, "toy", "-f", file).exception, UsageError)


def test_wrong_parameters_are_a_usage_error(bench):
    bench.write("toy", "1")
    error = invoke(run, "toy", "-p", "nmber", 3).exception
    assert isinstance(error, ParametersRefusedError)
    assert error.exit_code == 2


def test_help_of_a_runbook_shows_its_parameters(bench):
    bench.write("toy", "1")
    outcome = invoke(run, "toy", "--help")
    assert outcome.exit_code == 0
    assert "To be run in a test." in outcome.output
    assert "number: int  (default: 3)\n      a number" in outcome.output


def test_help_lists_the_runbooks(bench):
    bench.write("toy", "1")
    outcome = invoke(run, "--help")
    assert "toy" in outcome.output
    assert "To be run in a test." in outcome.output


def test_runs_lists_the_newest_first_and_filters(bench):
    bench.write("good", "1")
    bench.write("bad", "1 / 0")
    ids = [bench.run("good").id, bench.run("bad").id]
    listed = json.loads(invoke(runs, "--deployment", "test", "--json").output)
    assert [entry["id"] for entry in listed] == ids[::-1]
    for filters in (("--state", "failed"), ("--runbook", "bad"), ("--limit", 1)):
        (entry,) = json.loads(invoke(runs, "--deployment", "test", "--json", *filters).output)
        assert entry["id"] == ids[1]
    assert f"failed         {ids[1]}" in invoke(runs, "--deployment", "test").output
    assert invoke(runs, "--deployment", "test", "--state", "odd").exit_code == 2


def test_show_tells_the_failing_step_and_the_last_lines(bench):
    bench.write("toy", "1", "print(1)\n1 / 0", "3")
    result = bench.run()
    outcome = invoke(show, result.id, "--deployment", "test")
    assert outcome.exit_code == 0
    for part in (
        "failed at two",
        "division by zero",
        "Cell In[4], line 2",
        "number: 3",
        "pending    three",
        str(result.record),
    ):
        assert part in outcome.output


def test_show_understands_the_start_of_an_id_last_and_last_failed(bench):
    bench.write("good", "1")
    bench.write("bad", "1 / 0")
    bad, good = bench.run("bad").id, bench.run("good").id

    def shown(reference):
        return json.loads(invoke(show, reference, "--deployment", "test", "--json").output)["id"]

    assert (shown("last"), shown("last-failed"), shown(good[:-2]), shown(bad)) == (good, bad, good, bad)
    assert isinstance(invoke(show, "2", "--deployment", "test").exception, UnknownRunError)
    assert isinstance(invoke(show, "none", "--deployment", "test").exception, UnknownRunError)


def test_show_tells_that_a_record_is_not_what_its_run_left(bench):
    bench.write("toy", "1")
    result = bench.run()
    assert json.loads(invoke(show, result.id, "--deployment", "test", "--json").output)["record_problem"] == ""
    result.record.unlink()
    assert "expected a record" in invoke(show, result.id, "--deployment", "test").output


def test_help_tells_each_command_once_and_its_whole_sentence():
    lines = CliRunner().invoke(commands, ["--help"]).output.splitlines()
    told = [
        line.split()[0] for line in lines if line.startswith("  ") and line[2:3].islower() and "  " in line[2:].strip()
    ]
    assert sorted(told) == sorted(COMMANDS)
    assert "Others:" not in lines, "every command has a topic"
    assert not any(line.endswith("...") for line in lines[1:]), "the first line is the usage"


def test_a_command_that_there_is_not_is_answered_with_those_that_come_close():
    outcome = CliRunner().invoke(commands, ["scoers"])
    assert outcome.exit_code == 2
    assert "No such command 'scoers'. Did you mean scores?" in outcome.output
    assert "Did you mean" not in CliRunner().invoke(commands, ["xyzzy"]).output


def test_changes_tells_nothing_from_more_than_plugins(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True, capture_output=True)

    git("init", "-b", "main")
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        git("add", name)
        git("-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-m", name)
    said = [
        invoke(changes, tmp_path, base, "HEAD", "--library", "brainscore_toy").output.splitlines()[0]
        for base in ("HEAD", "HEAD~1")
    ]
    assert said == ["nothing is changed", "more than plugins is changed"]


@pytest.mark.parametrize("module", ["runbooks.planning", "runbooks.stepping.executions", "reconcile", "worker_runs"])
def test_what_begins_a_run_loads_no_grammar_that_takes_longer_than_the_run(module):
    """Nearly every command waits for these imports."""
    code = f"import sys, brainscore_ops.{module}; print([name for name in sys.modules if name.startswith('rfc3987_syntax')])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
