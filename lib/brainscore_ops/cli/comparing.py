"""``diff``: two runs beside each other."""

from __future__ import annotations

import sys

import click

from brainscore_ops.cli.main import print_json
from brainscore_ops.cli.services import deployment_option, json_option
from brainscore_ops.display import printable


@click.command()
@click.argument("first", metavar="RUN")
@click.argument("second", metavar="RUN")
@deployment_option
@json_option
def diff(first: str, second: str, deployment: str, *, as_json: bool) -> None:
    """Show what differs between two runs: parameters, code, ending, scraps, the time of each step, sources and outputs.

    RUN is an id or the start of one, `last` or `last-failed`.
    """
    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.schema import explained_by_schema
    from brainscore_ops.runbooks.history import find_run, show_run
    from brainscore_ops.settings import load_deployment
    from brainscore_ops.workbench.comparison import compare_runs

    settings = load_deployment(deployment)
    database = Database.of(settings)
    with explained_by_schema(database):
        shown = [show_run(find_run(database, reference), settings.outputs) for reference in (first, second)]
    colors = sys.stdout.isatty() and not as_json
    comparison = compare_runs(*shown, colors=colors)
    if as_json:
        print_json(comparison.as_dict())
        return
    click.echo(str(comparison.table()))
    if comparison.notebooks:
        click.secho("\nsources and outputs", bold=True)
        # nbdime's own colors are kept; what cells showed has none of its own.
        click.echo(comparison.notebooks if colors else printable(comparison.notebooks))
    elif comparison.same:
        click.echo("\nnothing but times differs")
