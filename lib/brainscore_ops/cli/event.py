"""``event``: what a workflow runs when GitHub tells it that something happened."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from brainscore_ops.cli.main import print_json
from brainscore_ops.cli.services import json_option
from brainscore_ops.cli.shown_run import execute_shown, print_error
from brainscore_ops.display import printable

if TYPE_CHECKING:
    from brainscore_ops.cli.shown_run import StepLines
    from brainscore_ops.events import Task
    from brainscore_ops.runbooks.runs import RunResult


@click.command()
@click.argument("workflow")
@click.option(
    "--payload",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="GITHUB_EVENT_PATH",
    required=True,
    help="GitHub's document of the event; by default what GITHUB_EVENT_PATH names.",
)
@click.option(
    "--trigger",
    envvar="GITHUB_EVENT_NAME",
    required=True,
    help="What started the workflow: repository_dispatch, workflow_dispatch or schedule; by default GITHUB_EVENT_NAME.",
)
@click.option(
    "--deployment",
    envvar="BRAINSCORE_OPS_DEPLOYMENT",
    required=True,
    help="The deployment: a file params/<name>.yaml; by default BRAINSCORE_OPS_DEPLOYMENT. An event never chooses it.",
)
@click.option("--check", is_flag=True, help="Print what would be run, and run nothing.")
@json_option
def event(workflow: str, payload: Path, trigger: str, deployment: str, *, check: bool, as_json: bool) -> None:
    """Run the runbook that an event asks WORKFLOW for, after its payload was checked.

    Within GitHub Actions the record's path becomes the step's output ``record``, and how it ended a line of the job's summary.
    Exit codes as of `run`; 2 for an event that is none of this workflow's, 3 for one of another library; nothing is run then.
    """
    from brainscore_ops.events import open_heads, parse_event, read_event, tasks_of
    from brainscore_ops.runbooks.execution import run_runbook
    from brainscore_ops.runbooks.states import RunState
    from brainscore_ops.settings import load_deployment

    document = read_event(payload)
    asked = parse_event(workflow, trigger, document)
    # The database is not looked at here: to bring it up to date may be just what is asked for.
    tasks = tasks_of(
        load_deployment(deployment), asked, lambda sha, private: open_heads(deployment, sha, private=private)
    )
    if check:
        print_json([{"runbook": task.runbook, "parameters": dict(task.parameters)} for task in tasks])
        return
    triggered_by = f"ci:{trigger}:{_sender(document)}"[:100]
    results: list[RunResult] = []
    for task in tasks:

        def execute(lines: StepLines, task: Task = task) -> RunResult:
            return run_runbook(
                task.runbook, task.parameters, deployment=deployment, triggered_by=triggered_by, on_step=lines
            )

        result = execute_shown(execute, to_stderr=as_json)
        results.append(result)
        if not as_json:
            click.echo(f"{result.runbook} {result.state} ({result.id})")
            if result.error:
                print_error(result.error)
        if result.state is RunState.INTERRUPTED:
            break
    _tell_actions(results)
    if as_json:
        print_json([result.as_dict() for result in results])
    elif not tasks:
        click.echo("there is nothing to run: no open pull request has that head")
    sys.exit(next((result.exit_code for result in results if result.exit_code), 0))


def _sender(document: Any) -> str:
    """Who caused the event, as GitHub says; only what can be a login."""
    login = (document.get("sender") or {}).get("login", "") if isinstance(document.get("sender"), dict) else ""
    return login if isinstance(login, str) and re.fullmatch(r"[A-Za-z0-9-]{1,39}(\[bot\])?", login) else ""


def _tell_actions(results: list[RunResult]) -> None:
    """The record's path as an output, and a line for each run in the job's summary, where there is a job."""
    if (output := os.environ.get("GITHUB_OUTPUT")) and results:
        with Path(output).open("a", encoding="utf-8") as file:
            # Our own path, of characters that need no quoting: it has no line's end.
            file.write("record<<RECORD\n" + "".join(f"{result.record}\n" for result in results) + "RECORD\n")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            for result in results:
                file.write(f"- **{result.runbook}** {result.state}, run `{result.id}`\n")
                if result.error:
                    message = printable(str(result.error["message"])).replace("`", "'")
                    file.write(f"\n```text\n{message}\n```\n\n")
