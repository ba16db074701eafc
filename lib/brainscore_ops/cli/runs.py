"""``runs`` and ``show``: what was run, and how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from brainscore_ops.cli.main import print_json
from brainscore_ops.cli.services import deployment_option, json_option

if TYPE_CHECKING:
    from brainscore_ops.runbooks.history import ShownRun
    from brainscore_ops.runbooks.runs import RunEntry


@click.command()
@deployment_option
@click.option("--runbook", help="Only runs of this runbook.")
@click.option("--state", help="Only runs in this state: succeeded, failed, refused …")
@click.option("--submission", type=int, help="Only runs for this submission.")
@click.option(
    "--limit", type=click.IntRange(min=1), help="At most so many, the newest; by default 20, and with --json all."
)
@json_option
def runs(
    deployment: str, runbook: str | None, state: str | None, submission: int | None, limit: int | None, *, as_json: bool
) -> None:
    """List the runs of a deployment, the newest first."""
    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.schema import explained_by_schema
    from brainscore_ops.runbooks.history import list_runs
    from brainscore_ops.runbooks.states import RunState
    from brainscore_ops.settings import load_deployment

    if state is not None and state not in list(RunState):
        raise click.BadParameter(f"expected one of {', '.join(RunState)}", param_hint="--state")
    database = Database.of(load_deployment(deployment))
    with explained_by_schema(database):
        found = list_runs(
            database,
            runbook=runbook,
            state=RunState(state) if state else None,
            submission=submission,
            limit=limit or (None if as_json else SHOWN),
        )
    if as_json:
        print_json([entry.as_dict() for entry in found])
        return
    if found:
        click.secho(f"{'state':14} {'run':45} {'took':>9}  {'about':38} failed at", dim=True)
    for entry in found:
        _print_line(entry)
    if not found:
        click.echo("no such run")


@click.command()
@click.argument("run", metavar="RUN")
@deployment_option
@json_option
def show(run: str, deployment: str, *, as_json: bool) -> None:
    """Show RUN: its parameters, its steps, and what ended it.

    RUN is an id or the start of one, `last` or `last-failed`.
    """
    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.schema import explained_by_schema
    from brainscore_ops.runbooks.history import continued_by, find_run, link_number, show_run
    from brainscore_ops.settings import load_deployment

    settings = load_deployment(deployment)
    database = Database.of(settings)
    with explained_by_schema(database):
        entry = find_run(database, run)
        shown = show_run(
            entry,
            settings.outputs,
            continued_by=continued_by(database, entry),
            link=link_number(database, entry),
        )
    if as_json:
        print_json(shown.as_dict())
    else:
        _print_run(shown)


SHOWN = 20
_COLORS = {"succeeded": "green", "running": "yellow", "pending": "bright_black"}


def _print_line(entry: RunEntry) -> None:
    seconds = "" if entry.seconds is None else f"{entry.seconds:.1f} s"
    about = " ".join(
        f"{name} {entry.parameters[name]}"
        for name in ("pull_request", "model", "benchmark")
        if entry.parameters.get(name)
    )
    if entry.kind != "run":
        about = f"{entry.kind}: {about}"
    about = about or ("" if entry.submission_id is None else f"submission {entry.submission_id}")
    click.secho(f"{entry.state:14}", fg=_COLORS.get(entry.state, "red"), nl=False)
    click.echo(f" {entry.id:45} {seconds:>9}  {about[:38]:38} {entry.failing_step or ''}".rstrip())


def _print_run(shown: ShownRun) -> None:
    from brainscore_ops.cli.shown_run import print_error

    entry = shown.entry
    click.secho(f"{entry.id}  ", bold=True, nl=False)
    click.secho(str(entry.state), fg=_COLORS.get(entry.state, "red"), bold=True)
    ended = "" if entry.ended_at is None else f", ended {entry.ended_at:%H:%M:%S} after {entry.seconds:.1f} s"
    click.echo(f"started {entry.started_at:%Y-%m-%d %H:%M:%S}{ended}, by {entry.triggered_by} on {entry.host}")
    if entry.continues:
        done = "a session that goes on" if entry.kind == "session" else "goes on"
        click.echo(f"{done} from {entry.continues}")
    for later in shown.continued_by:
        click.echo(f"continued by {later}")
    click.echo(f"code {entry.code_version}, runbook {entry.runbook} {entry.runbook_digest[:12]}")
    click.echo("\nparameters")
    for name, value in entry.parameters.items():
        click.echo(f"  {name}: {value!r}")
    if shown.steps:
        click.echo("\nsteps")
    for step in shown.steps:
        seconds = "" if step.seconds is None else f"{step.seconds:.1f} s"
        click.secho(f"  {step.state:10}", fg=_COLORS.get(step.state, "red"), nl=False)
        click.echo(f" {step.name:30} {seconds:>9}".rstrip())
    if entry.error:
        click.secho(
            f"\n{entry.state}" + (f" at {entry.failing_step}" if entry.failing_step else ""), fg="red", bold=True
        )
        print_error(entry.error)
    if entry.summary:
        click.echo("\nscraps")
    for name, value in entry.summary.items():
        click.echo(f"  {name}: {value!r}")
    click.echo(f"\nrecord: {shown.record}" + (f"  ({shown.record_problem})" if shown.record_problem else ""))
    if shown.link:
        click.echo(f"sealed by link {shown.link} of the chain of records")
