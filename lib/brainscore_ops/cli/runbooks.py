"""``runbooks`` and ``new``: which runbooks there are, and making another one."""

from __future__ import annotations

import click

from brainscore_ops.cli.main import print_json
from brainscore_ops.cli.services import json_option
from brainscore_ops.display import printable


@click.command()
@json_option
def runbooks(*, as_json: bool) -> None:
    """List every runbook: what it is for, and its parameters. `brainscore-ops run RUNBOOK --help` says more of one."""
    from dataclasses import asdict

    from brainscore_ops.runbooks.catalogue import list_runbooks
    from brainscore_ops.runbooks.parameters import describe, load_parameters_model

    found = [(runbook, describe(load_parameters_model(runbook.parameters))) for runbook in list_runbooks()]
    if as_json:
        print_json(
            [
                {
                    "name": runbook.name,
                    "purpose": runbook.purpose,
                    "notebook": str(runbook.path),
                    "steps": list(runbook.steps),
                    "parameters": [asdict(parameter) for parameter in parameters],
                }
                for runbook, parameters in found
            ]
        )
        return
    for runbook, parameters in found:
        click.secho(runbook.name, bold=True, nl=False)
        click.echo(f"  {runbook.purpose}")
        for parameter in parameters:
            default = "required" if parameter.required else f"default {parameter.default!r}"
            click.echo(printable(f"    {parameter.name}: {parameter.type}, {default}"), nl=False)
            click.secho(printable(f"  {parameter.description}"), dim=True)
    if not found:
        click.echo("there are none in notebooks/")


@click.group()
def new() -> None:
    """Make something new from a template."""


@new.command("runbook")
@click.argument("name")
@click.option("--purpose", required=True, help="What it is for: one sentence.")
def new_runbook(name: str, purpose: str) -> None:
    """Make the runbook NAME: its notebook, the module of its steps and parameters, and its test. All of them run as they are."""
    from brainscore_ops.settings import find_workspace
    from brainscore_ops.workbench import new_runbook as making

    workspace = find_workspace()
    for path in making.new_runbook(workspace, name, purpose):
        click.echo(f"wrote {path.relative_to(workspace.root)}")
    click.echo(
        f"Try it: brainscore-ops run {name}, and: .venv/bin/python -m pytest tests/{making.PACKAGE}/test_{name}.py"
    )
