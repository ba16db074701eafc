"""``scores``: the leaderboard and the scores behind it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from brainscore_ops.cli.main import print_json
from brainscore_ops.cli.services import deployment_option, json_option
from brainscore_ops.display import Table, number, printable, with_error

if TYPE_CHECKING:
    from brainscore_ops.database.connection import Database

COLUMNS_OF_STALE = ("model", "benchmark", "why")


@click.command()
@deployment_option
@click.option("--table", "as_table", is_flag=True, help="One line a score or failure, instead of the leaderboard.")
@click.option("--stale", is_flag=True, help="The scores that rest on older shared code or an older environment.")
@click.option("--history", metavar="MODEL", help="Every outcome that MODEL ever had, with those that were replaced.")
@json_option
def scores(deployment: str, *, as_table: bool, stale: bool, history: str | None, as_json: bool) -> None:
    """Print the leaderboard; or one line a score, the scores that are stale, or a model's history."""
    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.schema import explained_by_schema
    from brainscore_ops.settings import load_deployment

    if stale:
        _print_stale(deployment, as_json=as_json)
        return
    settings = load_deployment(deployment)
    database, domain = Database.of(settings), settings.library.domain
    with explained_by_schema(database):
        if history is not None:
            _print_history(database, domain, history, as_json=as_json)
        elif as_table:
            _print_table(database, domain, as_json=as_json)
        else:
            _print_leaderboard(database, domain, as_json=as_json)


def _print_leaderboard(database: Database, domain: str, *, as_json: bool) -> None:
    from brainscore_ops.scores.leaderboard import leaderboard
    from brainscore_ops.scores.terminal import print_leaderboard

    board = leaderboard(database, domain=domain)
    if as_json:
        click.echo(board.to_json(), nl=False)
    else:
        print_leaderboard(board)


def _print_table(database: Database, domain: str, *, as_json: bool) -> None:
    from brainscore_ops.scores.score_table import score_table

    table = score_table(database, domain=domain)
    records: list[dict[str, Any]] = json.loads(table.to_json(orient="records", date_format="iso"))
    if as_json:
        print_json(records)
        return
    rows = [
        [
            record["score_id"],
            record["model"],
            record["benchmark"],
            record["version"],
            with_error(record["value"], record["error"]),
            number(record["ceiling"]),
            record["state"],
            " ".join((record["reason"] or "").split()),
        ]
        for record in records
    ]
    columns = ["id", "model", "benchmark", "version", "score", "ceiling", "state", "why there is none"]
    click.echo(str(Table(f"{len(rows)} scores and failures", rows, columns)))


def _print_stale(deployment: str, *, as_json: bool) -> None:
    from brainscore_ops.submissions import rescoring, scoring_request
    from brainscore_ops.submissions.context import open_deployment

    context = open_deployment(deployment)
    target = scoring_request.find_target(context, None, "")
    found = rescoring.plan_rescoring(context, target, rescoring.asked_for(stale=True)).pairs
    if as_json:
        print_json([{"model": pair.model, "benchmark": pair.benchmark, "why": pair.reason} for pair in found])
        return
    rows = [[pair.model, pair.benchmark, pair.reason] for pair in found]
    click.echo(
        str(Table(f"{len(rows)} scores are stale at {target.commit[:10]}", rows, COLUMNS_OF_STALE if rows else ()))
    )
    if rows:
        click.echo("\nThey count as they are. `brainscore-ops run rescore -p stale true` scores them again.")


def _print_history(database: Database, domain: str, model: str, *, as_json: bool) -> None:
    from brainscore_ops.scores.errors import insist_on_names
    from brainscore_ops.scores.score_history import score_history
    from brainscore_ops.scores.score_table import score_table

    with database.session() as session:
        entries = score_history(session, domain=domain, model=model)
    if not entries:
        insist_on_names("model", [model], set(score_table(database, domain=domain)["model"]))
    if as_json:
        print_json(entries)
        return
    rows = [
        [
            (entry["at"] or "")[:19],
            entry["benchmark"],
            entry["version"],
            with_error(entry["value"], entry["error"]) if entry["value"] is not None else entry["state"],
            entry["place"],
            (entry["library_commit"] or "")[:10],
            entry["run"],
            entry["reason"],
        ]
        for entry in entries
    ]
    columns = ["when (UTC)", "benchmark", "version", "score", "", "commit", "run", "why"]
    click.echo(printable(str(Table(f"History of {model}", rows, columns))))
