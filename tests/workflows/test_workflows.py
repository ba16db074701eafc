"""What every workflow keeps to: nothing of a stranger's is checked out or reaches a shell, and each runs an existing runbook."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from brainscore_ops.events import WORKFLOWS, parse_event
from brainscore_ops.runbooks.catalogue import list_runbooks
from brainscore_ops.runbooks.parameters import check_parameters, load_parameters_model
from brainscore_ops.settings import Workspace

ROOT = Path(__file__).parents[2]
OURS = sorted((ROOT / ".github/workflows").glob("*.yml"))
CALLERS = sorted((ROOT / "examples/caller-workflows").glob("*.yml"))

EXAMPLES = {
    "create_github_pr": {"submission": 3},
    "test_plugins": {"repository": "brain-score/vision", "pull_request": 3},
    "automerge_plugin-only_prs": {"pull_request": 3},
    "score_new_plugins": {"pull_request": 3},
    "migrate": {"dry_run": False, "repair": True},
}

VALUES = {"NUMBER": "7", "PULL_REQUEST": "7", "SHA": "0123456789" * 4}


def read(path: Path) -> dict[str, Any]:
    # YAML takes the key "on" for a truth value.
    return {"on" if key is True else key: value for key, value in yaml.safe_load(path.read_text()).items()}


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.fixture(params=[*OURS, *CALLERS], ids=lambda path: path.name)
def workflow(request: Any) -> dict[str, Any]:
    return read(request.param)


@pytest.fixture(params=OURS, ids=lambda path: path.stem)
def ours(request: Any) -> Path:
    return request.param


@pytest.fixture(params=CALLERS, ids=lambda path: path.stem)
def caller(request: Any) -> dict[str, Any]:
    return read(request.param)


def test_there_is_one_for_each_procedure() -> None:
    assert {path.stem for path in OURS} == set(WORKFLOWS)
    assert len(CALLERS) == 4


def test_it_has_no_permission_that_it_does_not_need(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {}
    assert not [job for job in workflow["jobs"].values() if "permissions" in job]


def test_it_checks_nothing_out_and_uses_only_pinned_actions(workflow: dict[str, Any]) -> None:
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert all(re.fullmatch(r"actions/upload-artifact@[0-9a-f]{40}", action) for action in used), used


def test_no_expression_reaches_a_shell(workflow: dict[str, Any]) -> None:
    assert not [step["run"] for step in steps(workflow) if "${{" in step.get("run", "")]


def test_no_text_of_an_event_is_used_at_all(workflow: dict[str, Any]) -> None:
    allowed = (
        r"github\.event\.(client_payload\.(pull_request|sha|submission)|sha|state|context"
        r"|pull_request\.(number|draft|merged))(?![\w.])"
    )
    text = yaml.safe_dump(workflow)
    assert len(re.findall(r"github\.event\b", text)) == len(re.findall(allowed, text))
    assert "head_ref" not in text


def test_runs_that_would_disturb_each_other_wait(workflow: dict[str, Any]) -> None:
    assert workflow["concurrency"]["group"]
    assert workflow["concurrency"]["cancel-in-progress"] is False
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())


def test_it_runs_on_our_own_runner_and_keeps_the_record(ours: Path) -> None:
    (job,) = read(ours)["jobs"].values()
    run, keep = job["steps"]
    assert job["runs-on"] == ["self-hosted", "brainscore-ops"]
    assert shlex.split(run["run"]) == ["brainscore-ops", "event", ours.stem]
    assert job["env"] == {"BRAINSCORE_OPS_DEPLOYMENT": "${{ vars.BRAINSCORE_OPS_DEPLOYMENT }}"}
    assert "always()" in keep["if"]
    assert keep["with"]["path"] == "${{ steps.runbook.outputs.record }}"
    assert not job.get("continue-on-error")
    assert "continue-on-error" not in run


def test_it_is_started_by_dispatches_of_its_own_name(ours: Path) -> None:
    started = read(ours)["on"]
    assert set(started) <= {"repository_dispatch", "workflow_dispatch", "schedule"}
    assert "workflow_dispatch" in started, "a person can start it"
    if "repository_dispatch" in started:
        assert started["repository_dispatch"]["types"] == [ours.stem]


def test_its_inputs_are_those_of_its_payload(ours: Path) -> None:
    inputs = (read(ours)["on"].get("workflow_dispatch") or {}).get("inputs") or {}
    assert set(inputs) == set(EXAMPLES.get(ours.stem, {})) - {"repository"}
    assert {found["type"] for found in inputs.values()} <= {"number", "boolean"}


def test_its_runbook_exists_and_takes_what_the_event_gives(ours: Path) -> None:
    payload = parse_event(
        ours.stem, "repository_dispatch", {"action": ours.stem, "client_payload": EXAMPLES.get(ours.stem, {})}
    )
    runbooks = {runbook.name: runbook for runbook in list_runbooks(Workspace(ROOT, ROOT, ROOT))}
    check_parameters(load_parameters_model(runbooks[payload.runbook].parameters), payload.parameters())


# What a domain library's repository runs


def test_a_caller_runs_no_code_of_the_pull_request(caller: dict[str, Any]) -> None:
    (step,) = steps(caller)
    assert "uses" not in step
    assert set(caller["on"]) <= {"pull_request_target", "status"}
    assert step["env"]["GH_TOKEN"] == "${{ secrets.BRAINSCORE_OPS_DISPATCH_TOKEN }}"


def test_what_a_caller_sends_is_what_a_workflow_is_started_by(caller: dict[str, Any], tmp_path: Path) -> None:
    """The step's own command, with a program in the place of ``gh`` that keeps what it is given."""
    (step,) = steps(caller)
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    fake = bin_folder / "gh"
    fake.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" > {tmp_path}/arguments\ncat > {tmp_path}/body\n')
    fake.chmod(0o755)
    values = {name: VALUES.get(name, "") for name in step["env"]}
    values |= {
        "OPS_REPOSITORY": "brain-score/ops",
        "LIBRARY": "brain-score/vision",
        "PATH": f"{bin_folder}:/usr/bin:/bin",
    }
    subprocess.run(["bash", "-euo", "pipefail", "-c", step["run"]], env=values, check=True, timeout=30)
    assert (tmp_path / "arguments").read_text() == "api --method POST repos/brain-score/ops/dispatches --input -\n"
    sent = yaml.safe_load((tmp_path / "body").read_text())
    payload = parse_event(
        sent["event_type"],
        "repository_dispatch",
        {"action": sent["event_type"], "client_payload": sent["client_payload"]},
    )
    assert payload.repository == "brain-score/vision"


def test_the_linters_find_nothing() -> None:
    files = [str(path) for path in (*OURS, *CALLERS)]
    programs = Path(sys.executable).parent
    for command in (
        ["actionlint", "-shellcheck", str(programs / "shellcheck")],
        ["zizmor", "--offline", "--no-progress", "--quiet"],
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"],
    ):
        found = subprocess.run(
            [str(programs / command[0]), *command[1:], *files], capture_output=True, text=True, cwd=ROOT, timeout=60
        )
        assert found.returncode == 0, found.stdout + found.stderr
