"""The form and the console: what they show, and that their buttons do what the commands do."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.postgres_servers import MortalPostgres
from tests.runbooks.test_stepping import page

from brainscore_ops.database.schema import upgrade
from brainscore_ops.runbooks.history import list_runs
from brainscore_ops.runbooks.runs import RunKind
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.runbooks.stepping.lab import KernelProgram, Lab
from brainscore_ops.settings.secrets import write_secret
from brainscore_ops.widgets import console, runbook_form
from brainscore_ops.widgets.rows import Action, LiveRows, Row

__all__ = ["page"]

ROOT = Path(__file__).parents[2]
GLUE = "from brainscore_ops.runbooks.scraps import glue\nglue('answer', number)"


def eventually(condition, seconds=40):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not so within {seconds} s")


@pytest.fixture
def watched(bench):
    made = []

    def watch():
        found = console("test", every=0.3)
        made.append(found)
        eventually(lambda: "live" in found.standing.value)
        return found

    yield watch
    for found in made:
        found.close()


def rows(found, table):
    return [row for row in found.tables[table].children[1:] if hasattr(row, "children")]


def texts(row):
    return [child.value for child in row.children if hasattr(child, "value")]


def buttons(row):
    return {button.description: button for button in row.children[1].children}


def runs(bench):
    database = bench.database()
    try:
        return list_runs(database)
    finally:
        database.close()


def test_a_form_says_what_is_wrong_beside_the_parameter_and_starts_nothing_then(bench):
    bench.write("toy", GLUE)
    form = runbook_form("toy")
    assert list(form.fields) == ["deployment", "number", "note", "submission"]
    assert not form.run_button.disabled
    form.fields["number"].widget.value = "many"
    assert "expected int, found" in form.fields["number"]._said.value
    assert form.run_button.disabled
    form.run_button.click()
    assert form.command is None
    form.fields["number"].widget.value = "8"
    assert form.fields["number"]._said.value == ""
    assert form.arguments == ["run", "toy", "-p", "number", "8"]
    assert "brainscore-ops run toy -p number 8" in form.shown_command.value


def test_a_form_runs_its_runbook_and_shows_the_record(bench):
    bench.write("toy", GLUE)
    form = runbook_form("toy", number=9, deployment="test")
    form.run_button.click()
    eventually(lambda: "done" in form.output.value)
    [entry] = runs(bench)
    assert (entry.state, entry.summary) == (RunState.SUCCEEDED, {"answer": 9})
    assert entry.record_path in form.output.value
    assert not form.run_button.disabled


def test_a_form_plans_where_the_runbook_can_be_planned(bench):
    bench.write("toy", GLUE)
    assert runbook_form("toy").plan_button.disabled
    bench.write("toy", GLUE, plan=True)
    form = runbook_form("toy", deployment="test")
    form.plan_button.click()
    eventually(lambda: "nothing was done" in form.output.value)
    assert [entry.kind for entry in runs(bench)] == [RunKind.PLAN]


def test_the_console_resumes_a_failed_run(bench, watched, tmp_path):
    bench.write("toy", f"open({str(tmp_path / 'wanted')!r}).read()")
    failed = bench.run()
    found = watched()
    [row] = eventually(lambda: rows(found, "runs"))
    assert "failed" in texts(row)[0]
    assert set(buttons(row)) == {"open", "resume"}
    (tmp_path / "wanted").write_text("")
    buttons(row)["resume"].click()
    newest = eventually(lambda: (late := runs(bench)) and late[0].state is RunState.SUCCEEDED and late[0])
    assert newest.continues == failed.id
    eventually(lambda: len(rows(found, "runs")) == 2)
    assert rows(found, "runs")[1] is row, "what did not change stays what it was"
    assert f"brainscore-ops resume {failed.id}" in found.acts.children[0].children[0].children[0].value


def test_the_console_asks_before_it_cancels_a_run(bench, watched):
    bench.write("toy", "import time\ntime.sleep(60)")
    form = runbook_form("toy", deployment="test")
    form.run_button.click()
    found = watched()
    cancel = eventually(lambda: [buttons(row)["cancel"] for row in rows(found, "runs") if "cancel" in buttons(row)])
    cancel[0].click()
    assert found.asking.layout.display == "flex"
    found.no.click()
    assert found.asking.layout.display == "none"
    assert found.acts.children == ()
    cancel[0].click()
    found.yes.click()
    eventually(lambda: runs(bench)[0].state is RunState.INTERRUPTED)
    form.command and form.command.wait(20)


def test_the_console_filters(bench, watched):
    bench.write("good", "1")
    bench.write("bad", "1 / 0")
    bench.run("good")
    bench.run("bad")
    found = watched()
    eventually(lambda: len(rows(found, "runs")) == 2)
    found.words.value = "BAD one"
    assert ["bad" in texts(row)[1] for row in rows(found, "runs")] == [True]
    found.words.value = ""
    found.state.value = "succeeded"
    assert ["good" in texts(row)[1] for row in rows(found, "runs")] == [True]


def test_the_console_says_that_the_database_is_away_and_comes_back(bench, watched, tmp_path):
    server = MortalPostgres(tmp_path / "mortal")
    try:
        write_secret(bench.deployment.secrets_file, "test/database", server.start())
        database = bench.database()
        upgrade(database)
        found = watched()
        database.close()
        server.kill()
        eventually(lambda: "away since" in found.standing.value)
        server.start()
        eventually(lambda: "live" in found.standing.value)
    finally:
        server.destroy()


def test_rows_change_in_place_and_only_where_they_changed():
    table = LiveRows([("name", "9em")], lambda _action: None)
    action = Action("stop", ("cancel", "1"))
    table.show([Row("1", "running", ("a",), (action,)), Row("2", "failed", ("<b>b</b>",))])
    first, second = table.children[1:]
    button, changes = first.children[1].children[0], []
    for row in (first, second):
        for cell in (row.children[0], *row.children[2:]):
            cell.observe(lambda change: changes.append(change.new), names="value")
    table.show([Row("1", "running", ("c",), (action,)), Row("2", "failed", ("<b>b</b>",))])
    assert len(changes) == 1
    assert table.children[1:] == (first, second)
    assert first.children[1].children[0] is button
    assert "&lt;b&gt;" in second.children[2].value
    table.show([Row("2", "failed", ("<b>b</b>",))])
    assert table.children[1:] == (second,)


def test_console_and_form_in_a_browser(bench, page, tmp_path):
    bench.write("toy", f"open({str(tmp_path / 'wanted')!r}).read()", GLUE)
    bench.run()
    folder = tmp_path / "lab"
    folder.mkdir()
    notebook = (ROOT / "notebooks" / "console.ipynb").read_text()
    notebook = notebook.replace('\\"local\\"', '\\"test\\"').replace('\\"merge\\"', '\\"toy\\"')
    (folder / "console.ipynb").write_text(notebook)
    variables = {"BRAINSCORE_OPS_JOURNAL": str(tmp_path / "journal"), "BRAINSCORE_OPS_FOLDER": str(folder)}
    with Lab(folder, os.environ, KernelProgram(Path(sys.executable), variables)) as lab:
        lab.start_kernel("console.ipynb")
        page.goto(lab.url("console.ipynb"))
        page.locator(".jp-Notebook .jp-CodeCell").first.click()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        row = page.locator(".widget-hbox", has_text="toy").filter(has=page.get_by_role("button", name="resume")).last
        row.wait_for()
        (tmp_path / "wanted").write_text("")
        row.get_by_role("button", name="resume").click()
        page.get_by_text("toy: succeeded").first.wait_for()
        assert [entry.state for entry in runs(bench)] == [RunState.SUCCEEDED, RunState.FAILED]

        number, run = page.get_by_placeholder("int", exact=True), page.locator("button.jupyter-button", has_text="Run")
        number.fill("x")
        expect(run).to_be_disabled()
        number.fill("12")
        run.click()
        page.get_by_text("answer: 12").wait_for()
    assert runs(bench)[0].summary == {"answer": 12}
