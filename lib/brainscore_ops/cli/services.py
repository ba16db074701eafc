"""``up`` and ``down``: the services that a deployment embeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from brainscore_ops.cli.main import print_json

if TYPE_CHECKING:
    from brainscore_ops.services import Service

deployment_option = click.option(
    "--deployment", default="local", show_default=True, help="The deployment: a file params/<name>.yaml."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.command()
@deployment_option
@json_option
def up(deployment: str, *, as_json: bool) -> None:
    """Start the services that a deployment embeds, and leave them running; make the tables in an empty database."""
    from brainscore_ops import services
    from brainscore_ops.settings import load_deployment

    _print(services.up(load_deployment(deployment)), as_json=as_json)


@click.command()
@deployment_option
@click.option("--remove", is_flag=True, help="Also remove the database's data. It cannot be had back.")
@json_option
def down(deployment: str, *, remove: bool, as_json: bool) -> None:
    """Stop the services that a deployment embeds; what they hold is kept."""
    from brainscore_ops import services
    from brainscore_ops.settings import load_deployment

    _print(services.down(load_deployment(deployment), remove=remove), as_json=as_json)


def _print(found: list[Service], *, as_json: bool) -> None:
    if as_json:
        print_json([vars(service) for service in found])
        return
    for service in found:
        click.echo(f"{service.name:10} {'running' if service.running else 'stopped':8} {service.where}")
    if not found:
        click.echo("this deployment embeds no services")
