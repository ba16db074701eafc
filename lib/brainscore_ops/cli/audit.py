"""``audit``: whether the records are what their runs left, and the head of their chain."""

from __future__ import annotations

import sys
from datetime import UTC
from typing import TYPE_CHECKING

import click

from brainscore_ops.cli.main import print_json, user_name
from brainscore_ops.cli.services import deployment_option, json_option
from brainscore_ops.display import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from brainscore_ops.errors import Problem

SHOWN = 50
"""Problems in words."""


@click.group()
def audit() -> None:
    """Prove that no run and no record was changed, removed or reordered.

    Every run that ends becomes a link of a chain, sealed with the one before. `verify` walks it; a head that `head` printed, kept
    outside of the database, shows later whether the chain's end was cut off or the chain forged.
    """


@audit.command()
@deployment_option
@click.option("--chain-only", is_flag=True, help="Look at links and runs; do not read the executed notebooks.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Only links that were added then (UTC) or later: what ended before is not looked at.",
)
@click.option(
    "--head",
    "heads",
    metavar="N:DIGEST",
    multiple=True,
    help="A head that was kept elsewhere: it has to be a link of the chain still. May be given several times.",
)
@json_option
def verify(deployment: str, *, chain_only: bool, since: datetime | None, heads: tuple[str, ...], as_json: bool) -> None:
    """Walk the chain of records, and compare it with the runs and their executed notebooks.

    Everything that is wrong is told at once, with what to do. Exit code 0 where nothing is, 1 where something is.
    """
    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.record_chain import Head
    from brainscore_ops.database.schema import explained_by_schema
    from brainscore_ops.runbooks.audit import verify_chain
    from brainscore_ops.settings import load_deployment

    kept = [Head.parse(head) for head in heads]
    settings = load_deployment(deployment)
    database = Database.of(settings)
    with explained_by_schema(database):
        found = verify_chain(
            database,
            deployment,
            None if chain_only else settings.outputs,
            since=since and since.replace(tzinfo=UTC),
            heads=kept,
            on_progress=_progress(),
        )
    if as_json:
        print_json(found.as_dict())
    else:
        click.echo(str(found.table()))
        _print_problems(found.problems)
    if not found.is_intact:
        raise click.exceptions.Exit(1)


@audit.command()
@deployment_option
@json_option
def head(deployment: str, *, as_json: bool) -> None:
    """Print the newest link's number and digest.

    Keep it where the database's administrators cannot write: in a mail, a ticket, on paper.
    """
    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.schema import explained_by_schema
    from brainscore_ops.runbooks.audit import chain_head
    from brainscore_ops.settings import load_deployment

    database = Database.of(load_deployment(deployment))
    with explained_by_schema(database):
        found = chain_head(database)
    if as_json:
        print_json(vars(found))
    else:
        click.echo(str(found))


@audit.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why it is right: it stands in the chain for good.")
@deployment_option
def accept(runs: tuple[str, ...], reason: str, deployment: str) -> None:
    """Say in the chain that what is there of each RUN now, changed or gone, is right; with your name and a reason.

    For records that were removed to make room, or a run that older code closed. Nothing is taken out of the chain: it shows what
    was there before, too.
    """
    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.schema import explained_by_schema
    from brainscore_ops.runbooks.audit import accept_runs, chain_head
    from brainscore_ops.settings import load_deployment

    settings = load_deployment(deployment)
    database = Database.of(settings)
    with explained_by_schema(database):
        accepted = accept_runs(database, settings.outputs, runs, accepted_by=f"cli:{user_name()}", reason=reason)
        click.echo(f"accepted: {', '.join(accepted)}; the head is {chain_head(database)}")


def _print_problems(problems: Sequence[Problem]) -> None:
    for problem in problems[:SHOWN]:
        click.secho(f"\n{problem.code}: ", fg="red", bold=True, nl=False)
        click.echo(printable(f"{problem.where}\n  {problem.message}\n  what to do: {problem.remedy}"))
    if len(problems) > SHOWN:
        click.echo(f"\n… and {len(problems) - SHOWN:,} more: --json has all")


def _progress() -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{done:,} of {total:,} links", nl=done == total, err=True)

    return tell
