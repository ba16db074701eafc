"""``db``: how a deployment's database is, its snapshots, and the way into it."""

from __future__ import annotations

import signal
import subprocess

import click

from brainscore_ops.cli.main import print_json
from brainscore_ops.cli.services import deployment_option, json_option


@click.group()
def db() -> None:
    """Look after a deployment's database: adopt, status, snapshots, psql.

    The runbooks `migrate`, `snapshot` and `restore` do the rest: `brainscore-ops run migrate --help`.
    """


@db.command()
@deployment_option
@click.option("--dry-run", is_flag=True, help="Only compare; record nothing.")
@json_option
def adopt(deployment: str, *, dry_run: bool, as_json: bool) -> None:
    """Take over an existing Brain-Score database: compare it, and record that it is at the first revision.

    No table of Brain-Score's is touched. Exit code 3 where it differs in a way that matters, with every difference.
    """
    from brainscore_ops.database.adoption import adopt as adopt_database
    from brainscore_ops.database.connection import Database
    from brainscore_ops.settings import load_deployment

    found = adopt_database(Database.of(load_deployment(deployment)), dry_run=dry_run)
    if as_json:
        print_json(found.as_dict())
        return
    click.echo(str(found.table()))
    if found.revision == "0001":
        click.echo(f"next: brainscore-ops run migrate --deployment {deployment} -p dry_run true")


@db.command()
@deployment_option
@json_option
def status(deployment: str, *, as_json: bool) -> None:
    """Show server, schema, size, rows, connections, and how old the last snapshot is."""
    from brainscore_ops.database.status import read_status

    found = read_status(deployment)
    if as_json:
        print_json(found.as_dict())
    else:
        click.echo(str(found.table()))


@db.command()
@deployment_option
@click.option("--check", is_flag=True, help="Read every dump, and compare its checksum.")
@json_option
def snapshots(deployment: str, *, check: bool, as_json: bool) -> None:
    """List the snapshots, the newest first; damaged and half-made ones are named.

    With --check the exit code is 1 where one is damaged.
    """
    from brainscore_ops.database.snapshots.steps import snapshots_table
    from brainscore_ops.database.snapshots.store import SnapshotStore, list_snapshots
    from brainscore_ops.settings import load_deployment

    settings = load_deployment(deployment)
    found = list_snapshots(SnapshotStore.of(settings), check=check)
    if as_json:
        print_json([snapshot.as_dict() for snapshot in found])
    elif found:
        click.echo(str(snapshots_table(deployment, found)))
    else:
        click.echo(f"no snapshots: `brainscore-ops run snapshot --deployment {deployment}` takes one")
    if check and any(snapshot.is_finished and not snapshot.is_good for snapshot in found):
        raise click.exceptions.Exit(1)


@db.command(context_settings={"ignore_unknown_options": True})
@deployment_option
@click.option("--database", "name", default="", help="Another database of the server, such as a restored one.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(deployment: str, name: str, arguments: tuple[str, ...]) -> int:
    """Open psql on the deployment's database; ARGUMENTS are psql's own: `-- -c 'SELECT 1'`.

    The password is in no command line and no variable.
    """
    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.programs import client_environment, client_programs, server_version
    from brainscore_ops.settings import load_deployment

    database = Database.of(load_deployment(deployment))
    programs = client_programs(server_version(database))
    secret = database.beside(name).secret if name else database.secret
    database.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is psql's: it cancels a statement
    with client_environment(secret) as environment:
        return subprocess.run([programs / "psql", *arguments], env=environment, check=False).returncode
