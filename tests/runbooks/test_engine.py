"""What a run does beside executing cells: the same record by every way, the right kernel, no secrets, nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import psutil
import pytest

from brainscore_ops.runbooks.error_cards import ERROR_MIME
from brainscore_ops.runbooks.execution import RunFailedError, RunRefusedError, RunUnavailableError, run_runbook
from brainscore_ops.runbooks.history import find_run, list_runs
from brainscore_ops.runbooks.parameters import ParametersRefusedError
from brainscore_ops.runbooks.records import RecordChangedError, read_record
from brainscore_ops.runbooks.states import RunState

from .conftest import FORGE_TOKEN

ENVIRONMENT = "import json, os\nprint(json.dumps(dict(os.environ)))"


def output_of(result, step=0):
    """What a step printed."""
    cells = [
        cell for cell in nbformat.read(result.record, as_version=4).cells if "step:" in str(cell.metadata.get("tags"))
    ]
    return "".join(output.text for output in cells[step].outputs if output.output_type == "stream")


def test_the_record_is_a_notebook_that_says_all_of_its_run(bench):
    bench.write("toy", "print(number, note)", "2")
    result = bench.run(number=7)
    assert re.fullmatch(r"\d{8}T\d{6}-toy-[0-9a-f]{6}", result.id)
    assert result.record == bench.deployment.outputs / "toy" / f"{datetime.now(UTC):%Y-%m-%d}" / f"{result.id}.ipynb"
    nbformat.validate(nbformat.read(result.record, as_version=4))
    run = read_record(result.record).run
    assert (
        run.items()
        >= {"id": result.id, "runbook": "toy", "deployment": "test", "state": "succeeded", "error": None}.items()
    )
    assert run["parameters"] == {"deployment": "test", "number": 7, "note": None, "submission": None}
    assert [(step["name"], step["state"]) for step in run["steps"]] == [("one", "succeeded"), ("two", "succeeded")]
    assert all(step["seconds"] >= 0 for step in run["steps"])
    assert output_of(result) == "7 None\n"


def test_a_changed_record_is_found(bench):
    bench.write("toy", "1")
    result = bench.run()
    digest = bench.entry(result.id).record_digest
    assert read_record(result.record, expected_digest=digest).digest == digest
    result.record.chmod(0o644)
    result.record.write_text(result.record.read_text().replace("succeeded", "failed"))
    with pytest.raises(RecordChangedError):
        read_record(result.record, expected_digest=digest)


@pytest.mark.parametrize(("step", "exit_code", "state"), [("number + 1", 0, "succeeded"), ("1 / 0", 1, "failed")])
def test_plain_papermill_leaves_the_same_record(bench, tmp_path, step, exit_code, state):
    path, copy = bench.write("toy", step), tmp_path / "copy.ipynb"
    command = [sys.executable, "-m", "papermill", "--engine", "brainscore-ops", "-k", "python3", "-l", "python"]
    outcome = subprocess.run([*command, path, copy, "-p", "number", "4"], capture_output=True, check=False)
    assert outcome.returncode == exit_code
    by_hand = bench.run(number="4")
    database = bench.database()
    ours, papermills = list_runs(database)
    assert papermills.triggered_by.startswith("papermill:")
    assert (papermills.state, papermills.parameters, papermills.failing_step) == (
        ours.state,
        ours.parameters,
        ours.failing_step,
    )
    assert (ours.id, str(ours.state)) == (by_hand.id, state)
    records = [read_record(bench.deployment.outputs / entry.record_path) for entry in (ours, papermills)]
    sources = [[cell["source"] for cell in record.notebook["cells"]] for record in records]
    assert sources[0] == sources[1]
    assert nbformat.read(copy, as_version=4).metadata.brainscore_ops.run.id == papermills.id
    database.close()


def test_plain_papermill_is_refused_wrong_parameters_too(bench, tmp_path):
    path = bench.write("toy", "1")
    command = [sys.executable, "-m", "papermill", "--engine", "brainscore-ops", "-k", "python3", "-l", "python"]
    outcome = subprocess.run(
        [*command, path, tmp_path / "x.ipynb", "-p", "nmber", "4"], capture_output=True, text=True, check=False
    )
    assert outcome.returncode != 0
    assert "Did you mean number?" in outcome.stderr
    assert not bench.deployment.outputs.exists()


def test_wrong_parameters_start_nothing(bench):
    bench.write("toy", "1")
    with pytest.raises(ParametersRefusedError):
        bench.run(number="many", nte="x")
    assert not bench.deployment.outputs.exists()


def test_a_secret_as_a_parameter_is_refused(bench):
    bench.write("toy", "1")
    with pytest.raises(ParametersRefusedError) as refusal:
        bench.run(note=f"https://x:{FORGE_TOKEN}@forge")
    assert [problem.where for problem in refusal.value.problems] == ["note"]
    assert FORGE_TOKEN not in str(refusal.value)


def test_the_kernel_is_this_python_whatever_the_machine_says(bench, tmp_path, monkeypatch):
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text('{"argv": ["/bin/false"], "display_name": "x", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    bench.write("toy", "import sys, os\nprint(sys.executable, os.getcwd())")
    assert output_of(bench.run()).split() == [sys.executable, str(bench.root / "notebooks" / "runbooks")]


def test_the_kernel_knows_its_run_and_its_deployments_secrets_and_no_others(bench, monkeypatch):
    given = {
        "BRAINSCORE_OPS_SECRET_TEST_MAIL": json.dumps({"host": "h", "port": 25, "password": "m41l-password"}),
        "BRAINSCORE_OPS_SECRET_PROD_DATABASE": "{}",
        "AWS_SECRET_ACCESS_KEY": "x",
        "GITHUB_TOKEN": "x",
        "PGPASSWORD": "x",
        "TOKENIZERS_PARALLELISM": "false",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    bench.write("toy", ENVIRONMENT)
    result = bench.run()
    seen = json.loads(output_of(result).replace("m41l-password", "***"))
    assert seen["BRAINSCORE_OPS_RUN"] == result.id
    assert seen["BRAINSCORE_OPS_WORKSPACE"] == str(bench.root)
    assert seen["BRAINSCORE_OPS_OUTPUTS"] == str(bench.root / "outputs")
    assert set(given) & set(seen) == {"BRAINSCORE_OPS_SECRET_TEST_MAIL", "TOKENIZERS_PARALLELISM"}
    assert "m41l-password" not in result.record.read_text()


def test_a_runbook_that_needs_no_database_gets_no_secret(bench, monkeypatch):
    monkeypatch.setenv("BRAINSCORE_OPS_SECRET_TEST_MAIL", "{}")
    bench.write("toy", ENVIRONMENT, ledger="file")
    assert "BRAINSCORE_OPS_SECRET_TEST_MAIL" not in json.loads(output_of(bench.run()))


def test_no_secret_is_in_any_output_error_or_scrap(bench, runs_postgres):
    first, second = FORGE_TOKEN[:5], FORGE_TOKEN[5:]
    bench.write(
        "toy",
        "from brainscore_ops.runbooks.scraps import glue\n"
        f"secret = {first!r} + {second!r}\n"
        "glue('scrap', {'url': 'x' + secret})",
        "import sys\nsys.stdout.write(secret[:7]); sys.stdout.flush(); sys.stdout.write(secret[7:])\n{secret: secret}",
        "raise ValueError(f'https://x:{secret}@forge')",
    )
    result = bench.run()
    assert result.error["message"] == "https://x:***@forge"
    assert result.scraps == {"scrap": {"url": "x***"}}
    assert FORGE_TOKEN not in result.record.read_text()
    assert FORGE_TOKEN not in repr(bench.entry(result.id))


def test_no_secret_is_in_the_output_of_a_cell_whose_kernel_died(bench):
    first, second = FORGE_TOKEN[:5], FORGE_TOKEN[5:]
    bench.write(
        "toy",
        "import os, sys, time\n"
        f"for part in ({first!r}, {second!r}):\n"
        "    sys.stdout.write(part); sys.stdout.flush(); time.sleep(0.3)\n"
        "os.kill(os.getpid(), 9)",
    )
    result = bench.run()
    assert (result.state, output_of(result)) == (RunState.KERNEL_DIED, "***")


def test_errors_are_short_cards_with_their_facts(bench):
    bench.write(
        "toy",
        "import json\n"
        "from brainscore_ops.runbooks.runs import RunEntry\n"
        "def read():\n"
        "    try:\n"
        "        json.loads('<b>')\n"
        "    except ValueError as error:\n"
        "        raise KeyError('x') from error\n"
        "read()",
    )
    result = bench.run()
    (cell,) = [
        cell for cell in read_record(result.record).notebook["cells"] if "step:one" in cell["metadata"].get("tags", [])
    ]
    card, error = cell["outputs"]
    assert card["data"][ERROR_MIME] == result.error
    assert (error["output_type"], error["traceback"]) == ("error", ["KeyError: 'x'"])
    text = "".join(card["data"]["text/plain"])
    assert "which led to" in text
    assert "json.loads('<b>')" in text
    assert "&lt;b&gt;" in "".join(card["data"]["text/html"])
    # Of the standard library's frames only the one that raised is shown.
    assert text.count("/json/") == 1
    assert len(text.splitlines()) < 20


def test_steps_are_told_as_they_go(bench):
    bench.write("toy", "1", "1 / 0", "3")
    told = []
    run_runbook("toy", {}, triggered_by="test", on_step=told.append)
    assert [(step.step, f"{step.position}/{step.count}", str(step.state), step.seconds is None) for step in told] == [
        ("one", "1/3", "running", True),
        ("one", "1/3", "succeeded", False),
        ("two", "2/3", "running", True),
        ("two", "2/3", "failed", False),
    ]


@pytest.mark.parametrize(
    ("error", "kind"),
    [("RefusedError", RunRefusedError), ("UnavailableError", RunUnavailableError), ("StepFailedError", RunFailedError)],
)
def test_a_failure_can_be_raised_as_what_it_is(bench, error, kind):
    bench.write(
        "toy", f"from brainscore_ops.errors import *\nraise {error}('why', remedy='what to do', code='the-code')"
    )
    with pytest.raises(kind) as raised:
        run_runbook("toy", {}, triggered_by="test", raise_on_failure=True)
    assert "toy at one: why" in raised.value.message
    assert (raised.value.remedy, raised.value.code) == ("what to do", "the-code")


def test_a_run_changes_nothing_in_the_process_that_drives_it(bench, capfd):
    bench.write("toy", "print('x')\n1 / 0")
    bench.run()
    bench.run()  # for the second one it starts a parent of warm kernels, which it keeps
    before = (Path.cwd(), dict(os.environ), psutil.Process().children())
    folders = set(Path("/tmp").glob("brainscore-ops-*"))
    bench.run()
    assert (Path.cwd(), dict(os.environ), psutil.Process().children()) == before
    assert set(Path("/tmp").glob("brainscore-ops-*")) <= folders
    assert capfd.readouterr() == ("", "")


def test_it_works_in_a_thread_and_within_a_running_loop(bench):
    bench.write("toy", "1")

    async def within():
        return bench.run().state, (await asyncio.to_thread(bench.run)).state

    assert asyncio.run(within()) == (RunState.SUCCEEDED, RunState.SUCCEEDED)


def test_a_folder_with_braces_is_a_folder(bench, tmp_path, monkeypatch):
    bench.write("toy", "1")
    moved = tmp_path / "{here}"
    moved.mkdir()
    for folder in ("notebooks", "params"):
        (tmp_path / folder).rename(moved / folder)
    monkeypatch.setenv("BRAINSCORE_OPS_WORKSPACE", str(moved))
    assert bench.run().state is RunState.SUCCEEDED


def test_two_deployments_in_one_call_are_refused(bench):
    bench.write("toy", "1")
    with pytest.raises(Exception, match="expected one deployment"):
        run_runbook("toy", {"deployment": "test"}, deployment="other", triggered_by="test")


def test_a_record_that_cannot_be_written_is_told_and_the_run_closed(bench):
    # The place of the records is taken by a file.
    bench.write("toy", "1")
    bench.root.joinpath("outputs").mkdir()
    bench.root.joinpath("outputs", "test").write_text("")
    result = bench.run()
    assert result.state is RunState.FAILED
    assert "could not be written" in result.notes[0]
    database = bench.database()
    assert find_run(database, result.id).record_digest is None
    database.close()


def test_what_a_long_step_shows_is_told_while_it_goes_on_and_stands_in_its_record(bench):
    bench.write(
        "toy",
        "import time\nfrom brainscore_ops.display import LiveTable, Shown, Table\n"
        "class Count(Shown):\n    def __init__(self, n): self.n = n\n    def table(self): return Table(f'{self.n} done', [])\n"
        "live = LiveTable()\nfor n in range(4):\n    live.show(Count(n))\n    time.sleep(0.8)",
    )
    told = []
    result = run_runbook("toy", {}, triggered_by="test", on_step=told.append)
    shown = [step.shown.partition("\n")[0] for step in told if step.shown]
    assert len(shown) >= 2
    assert shown == sorted(shown)
    [cell] = [
        cell for cell in read_record(result.record).notebook["cells"] if "step:one" in cell["metadata"].get("tags", [])
    ]
    assert [output["data"]["text/plain"][0].strip() for output in cell["outputs"]] == ["3 done"]
