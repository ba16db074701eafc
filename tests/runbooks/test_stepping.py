"""Going on from a failed run: in JupyterLab, as its person sees it in a browser, and headlessly."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import sync_playwright

from brainscore_ops.cli.opening import open_run, resume
from brainscore_ops.cli.runs import show
from brainscore_ops.errors import StepFailedError
from brainscore_ops.runbooks.history import continued_by
from brainscore_ops.runbooks.kernels import Kernel
from brainscore_ops.runbooks.records import read_record
from brainscore_ops.runbooks.runs import RunKind, StepState
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.runbooks.stepping.executions import Executions, compose
from brainscore_ops.runbooks.stepping.session import NothingToStepThroughError
from brainscore_ops.runbooks.stepping.working_copy import CARD_ID, Link, card_cell, likely_cause
from brainscore_ops.workbench.code import UnknownCodeVersionError, commit_of
from brainscore_ops.workbench.opening import NothingToResumeError

COMMAND = Path(sys.executable).parent / "brainscore-ops"
CHROMIUM_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
NEEDS_FILE = (
    "from pathlib import Path\n"
    "from brainscore_ops.errors import UnavailableError\n"
    "if not Path(note).exists():\n"
    "    raise UnavailableError('expected the file, found none', remedy='Put it there.')\n"
    "Path(note).read_text()"
)
GLUE = "from brainscore_ops.runbooks.scraps import glue\nglue('answer', number)"


@pytest.fixture
def page():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(CHROMIUM_FLAGS))
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


@pytest.fixture
def opened(bench):
    """The command ``open``, running, with the address that it printed."""
    processes = []

    def start(run_id):
        process = subprocess.Popen(
            [COMMAND, "open", run_id, "--deployment", "test", "--print-url"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in processes:
        process.terminate()
        process.communicate(timeout=30)


def test_a_failed_run_is_opened_at_its_failing_cell_and_stepped_to_its_end(bench, opened, page, tmp_path):
    wanted = tmp_path / "wanted"
    bench.write("toy", "first = 41", NEEDS_FILE, GLUE)
    failed = bench.run(note=str(wanted), number=7)
    before = failed.record.read_bytes()

    process, url = opened(failed.id)
    page.goto(url)
    active = page.locator(".jp-Cell.jp-mod-active")
    active.filter(has_text="expected the file").wait_for()
    card = page.locator(".jp-MarkdownCell", has_text="Stopped before two")
    card.wait_for()
    for said in ("expected the file, found none", "Put it there.", failed.id, "did not answer"):
        assert said in card.inner_text()
    assert page.locator(".jp-CodeCell", has_text="first = 41").locator(".jp-InputPrompt").inner_text() == "[3]:"
    page.wait_for_timeout(2000)  # until it has scrolled
    assert page.evaluate(
        "document.querySelector('.jp-Cell.jp-mod-active').getBoundingClientRect().bottom < window.innerHeight"
    )

    wanted.write_text("here it is")
    page.keyboard.press("Shift+Enter")
    page.locator(".jp-OutputArea-output", has_text="here it is").wait_for()
    page.keyboard.press("Shift+Enter")
    page.locator(".jp-CodeCell", has_text="glue('answer'").locator(".jp-InputPrompt", has_text="[5]:").wait_for()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)

    assert process.returncode == 0, said
    database = bench.database()
    (session,) = continued_by(database, bench.entry(failed.id))
    database.close()
    entry = bench.entry(session)
    assert (entry.state, entry.kind, entry.continues) == (RunState.SUCCEEDED, RunKind.SESSION, failed.id)
    assert entry.triggered_by.startswith("open:")
    assert entry.summary == {"answer": 7}
    record = read_record(bench.deployment.outputs / entry.record_path, expected_digest=entry.record_digest)
    assert [step.state for step in record.steps] == [StepState.SUCCEEDED] * 3
    executed = record.notebook["metadata"]["brainscore_ops"]["session"]["executed"]
    assert [(each["step"], each["failed"]) for each in executed] == [("two", False), ("three", False)]
    assert record.notebook["metadata"]["kernelspec"]["name"] == "python3"
    text = "\n".join("".join(cell["source"]) for cell in record.notebook["cells"] if cell["cell_type"] == "markdown")
    [(run_id, link)] = re.findall(r"It ended the run \[([^]]+)\]\(([^)]+)\)", text)
    assert (record.path.parent / link).resolve() == failed.record.resolve(), run_id
    assert failed.record.read_bytes() == before
    assert not list((bench.deployment.outputs / "sessions").iterdir())
    shown = CliRunner().invoke(show, [failed.id, "--deployment", "test"]).output
    assert f"continued by {session}" in shown


def test_a_session_that_is_left_says_where(bench, opened):
    bench.write("toy", "first = 41", "1 / 0", GLUE)
    failed = bench.run()
    process, url = opened(failed.id)
    assert url.startswith("http://127.0.0.1:")
    process.send_signal(signal.SIGTERM)
    out, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "before two was done" in out + said
    database = bench.database()
    entry = bench.entry(continued_by(database, bench.entry(failed.id))[0])
    database.close()
    assert (entry.state, entry.failing_step, entry.error["code"]) == (RunState.INTERRUPTED, "two", "left-unfinished")


def test_a_run_that_succeeded_is_not_stepped_through(bench):
    bench.write("toy", "1")
    outcome = CliRunner().invoke(open_run, [bench.run().id, "--deployment", "test"])
    assert isinstance(outcome.exception, NothingToStepThroughError)


def test_the_code_version_of_a_run_has_to_name_a_commit(bench):
    bench.write("toy", "1 / 0")
    failed = bench.run()
    database = bench.database()
    with database.session() as session:
        from brainscore_ops.database.ops_tables import Run

        session.get(Run, failed.id).code_version = "0.1.0"
    database.close()
    outcome = CliRunner().invoke(open_run, [failed.id, "--deployment", "test", "--at-code-version"])
    assert isinstance(outcome.exception, UnknownCodeVersionError)
    assert commit_of("0.1.0+g1a2b3c4d5e6f.dirty") == "1a2b3c4d5e6f"
    assert commit_of("0.1.0+initial") is None


def test_resume_runs_it_again_with_its_parameters_and_links_the_two(bench, tmp_path):
    bench.write("toy", "1", NEEDS_FILE, GLUE)
    wanted = tmp_path / "wanted"
    failed = bench.run(note=str(wanted), number=7)
    wanted.write_text("")
    outcome = CliRunner().invoke(resume, ["last-failed", "-p", "number", "8", "--deployment", "test", "--json"])
    document = json.loads(outcome.stdout)
    assert (outcome.exit_code, document["state"], document["scraps"]) == (0, "succeeded", {"answer": 8})
    entry = bench.entry(document["id"])
    assert (entry.continues, entry.kind, entry.parameters["note"]) == (failed.id, RunKind.RUN, str(wanted))


def test_a_run_that_goes_on_is_not_resumed(bench):
    bench.write("toy", "1 / 0")
    failed = bench.run()
    database = bench.database()
    with database.session() as session:
        from brainscore_ops.database.ops_tables import Run

        row = session.get(Run, failed.id)
        row.state, row.process = "running", os.getpid()  # of a process that is there
    database.close()
    outcome = CliRunner().invoke(resume, [failed.id, "--deployment", "test"])
    assert isinstance(outcome.exception, NothingToResumeError)


def executed_by_a_kernel(tmp_path, saved, sources):
    """What a real kernel executed, as somebody sees it who only listens."""

    async def execute():
        kernel = Kernel(os.environ, tmp_path)
        await kernel.connect({})
        executions = Executions(kernel.connection_file, tmp_path / "no-journal", {c.source: c.id for c in saved.cells})
        executions.listen()
        await asyncio.sleep(0.5)
        for source in sources:
            kernel.client.execute(source, store_history=True)
            done = None
            while done is None or done.seconds is None:
                done = await executions.next(5)
        executions.close()
        await kernel.shut_down()
        return executions

    return asyncio.run(execute())


def test_what_the_kernel_executed_counts_whatever_the_front_end_saved(tmp_path):
    saved = new_notebook(cells=[new_code_cell("a = 1\na", id="a"), new_code_cell("print('x')\nprint('y')", id="b")])
    saved.cells[0].outputs = []
    done = executed_by_a_kernel(tmp_path, saved, ["a = 1\na", "a + 1", "print('x')\nprint('y')", "1 / 0"])
    composed = compose(saved, done)
    assert [cell.source.split("\n")[0] for cell in composed.cells] == ["a = 1", "a + 1", "print('x')", "1 / 0"]
    assert [cell.metadata.get("tags") for cell in composed.cells] == [None, ["not-saved"], None, ["not-saved"]]
    assert composed.cells[1].outputs[0].data["text/plain"] == "2"
    assert [(output.name, output.text) for output in composed.cells[2].outputs] == [("stdout", "x\ny\n")]
    assert [execution.failed for execution in done] == [False, False, False, True]


def test_nothing_that_a_stranger_wrote_comes_to_life_on_the_card(bench):
    bench.write("toy", "1 / 0")
    entry = bench.entry(bench.run().id)
    error = StepFailedError(
        "```\n<img src=x onerror=alert(1)>\n# big", remedy="Ask <b>[me](javascript:alert(1))</b>.", log="</pre><script>"
    ).as_dict()
    links = [Link("pull request 3", "https://forge.example/pull/3"), Link("a [job](x)", "javascript:alert(1)")]
    card = card_cell(entry, "one", state=RunState.FAILED, error=error, links=links, code=["Code."])
    assert card.id == CARD_ID
    assert "````text\n```\n<img src=x onerror=alert(1)>\n# big\n````" in card.source
    assert r"Ask \<b\>\[me\](javascript:alert(1))\</b\>." in card.source
    assert "&lt;/pre&gt;&lt;script&gt;" in card.source
    assert "- [pull request 3](https://forge.example/pull/3)" in card.source
    assert r"- a \[job\](x): javascript:alert(1)" in card.source


@pytest.mark.parametrize("state", [state for state in RunState if state not in (RunState.SUCCEEDED, RunState.RUNNING)])
def test_every_way_to_fail_has_a_likely_cause(state):
    assert likely_cause(state, None)
    assert "Nobody foresaw" in likely_cause(state, {"code": "unexpected", "fault": "infrastructure"})
