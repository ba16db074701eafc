"""``scores``: the leaderboard and the scores behind it."""

from __future__ import annotations

import json

import click

from brainscore_ops.cli.main import print_json
from brainscore_ops.cli.services import deployment_option, json_option


@click.command()
@deployment_option
@click.option("--table", "as_table", is_flag=True, help="One line a score, instead of the leaderboard.")
@json_option
def scores(deployment: str, *, as_table: bool, as_json: bool) -> None:
    """Print the leaderboard, or one line a score."""
    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.schema import explained_by_schema
    from brainscore_ops.scores.leaderboard import leaderboard
    from brainscore_ops.scores.table import score_table
    from brainscore_ops.scores.terminal import print_leaderboard
    from brainscore_ops.settings import load_deployment

    settings = load_deployment(deployment)
    database, domain = Database.of(settings), settings.library.domain
    if as_table:
        with explained_by_schema(database), database.session() as session:
            table = score_table(session, domain=domain)
        if as_json:
            print_json(json.loads(table.to_json(orient="records", date_format="iso")))
        else:
            click.echo(
                table[["model", "benchmark", "version", "value", "error", "ceiling", "state"]].to_string(index=False)
            )
        return
    with explained_by_schema(database):
        board = leaderboard(database, domain=domain)
    if as_json:
        click.echo(board.to_json(), nl=False)
    else:
        print_leaderboard(board)
