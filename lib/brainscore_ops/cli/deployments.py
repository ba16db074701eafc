"""``deployments``: which there are, where their secrets are looked for, and whether their services answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from brainscore_ops.cli.main import print_json
from brainscore_ops.cli.services import json_option
from brainscore_ops.display import printable
from brainscore_ops.errors import UnavailableError

if TYPE_CHECKING:
    from brainscore_ops.deployments import DeploymentOverview


@click.command()
@click.argument("name", required=False)
@click.option("--mark", "wants_mark", is_flag=True, help="First let the database of NAME say that it is of its tier.")
@json_option
def deployments(name: str | None, *, wants_mark: bool, as_json: bool) -> None:
    """List the deployments, or show NAME and knock at its services. No value of a secret is shown.

    Exit code 4 where a service of NAME does not answer, or has no secret.
    """
    from brainscore_ops.deployments import describe_deployment, list_deployments, mark_database
    from brainscore_ops.settings import find_workspace, load_deployment

    if name is None:
        if wants_mark:
            raise click.UsageError("--mark needs the NAME of a deployment")
        found = list_deployments(find_workspace())
    else:
        settings = load_deployment(name)
        if wants_mark:
            mark_database(settings)
        found = [describe_deployment(settings, reach=True)]
    if as_json:
        documents = [overview.as_dict() for overview in found]
        print_json(documents if name is None else documents[0])
    else:
        for overview in found:
            _print(overview)
    if name is not None and not wants_mark and not all(service.reachable for service in found[0].services):
        raise SystemExit(UnavailableError.exit_code)


def _print(overview: DeploymentOverview) -> None:
    if overview.problem is not None:
        click.secho(overview.name, bold=True, nl=False)
        click.secho("  cannot be read", fg="red")
        click.echo(printable(f"  {overview.problem['message']}"))
        for problem in overview.problem["problems"]:
            click.echo(printable(f"  - {problem['where']}: {problem['message']}"))
        return
    click.secho(overview.name, bold=True, nl=False)
    embedded = f", embeds {', '.join(overview.embedded)}" if overview.embedded else ""
    click.echo(f"  tier {overview.tier}, {overview.library}{embedded}")
    for service in overview.services:
        if service.found_in is None:
            state, color = "no secret", "red"
        elif service.reachable is None:
            state, color = "secret found", "green"
        else:
            state, color = ("answers", "green") if service.reachable else ("fails", "red")
        click.echo(f"  {service.service:9} {service.secret:20} ", nl=False)
        click.secho(f"{state:13}", fg=color, nl=False)
        click.echo(printable(f" {service.says or service.found_in or ''}".rstrip()))
