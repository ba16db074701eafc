"""``worker`` and ``queue``: the runs that wait, and what runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from brainscore_ops.cli.main import print_json, user_name
from brainscore_ops.cli.services import deployment_option, json_option
from brainscore_ops.display import printable

if TYPE_CHECKING:
    from datetime import datetime

    from brainscore_ops.queue.jobs import JobView

SHOWN = 20
STYLES = {"succeeded": "green", "failed": "red", "refused": "yellow", "running": "cyan", "cancelling": "cyan"}


@click.command()
@deployment_option
@click.option("--parallel", type=click.IntRange(min=1), help="How many runs at once; by default what the settings say.")
@click.option("--once", is_flag=True, help="End after one job; at once where none waits.")
@click.option("--drain", is_flag=True, help="End when no job waits any more that could be begun.")
def worker(deployment: str, parallel: int | None, *, once: bool, drain: bool) -> None:
    """Run the jobs of a deployment's queue, each in a process of its own, until told to end.

    SIGTERM or Ctrl-C: no new job is begun, runs get a grace period (settings: queue.grace_seconds), and what has not ended
    by then is stopped and handed back to the queue. A second time: at once. Any number of workers may run, on any machines;
    when one dies, another takes over what it had.
    """
    from brainscore_ops.queue.worker import work
    from brainscore_ops.settings import load_deployment

    if once and drain:
        raise click.UsageError("expected --once or --drain, found both")
    settings = load_deployment(deployment)
    click.echo(
        f"worker of {settings.name}: {parallel or settings.queue.parallel} runs at once; Ctrl-C ends it", err=True
    )
    count = work(settings, parallel=parallel, once=once, drain=drain, tell=lambda line: click.echo(line, err=True))
    click.echo(f"{count} {'job' if count == 1 else 'jobs'} ran", err=True)


@click.group(invoke_without_command=True)
@deployment_option
@click.option("--state", help="Only jobs in this state: waiting, retrying, running, failed …")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many; by default 20, and with --json all.")
@json_option
@click.pass_context
def queue(context: click.Context, deployment: str, state: str | None, limit: int | None, *, as_json: bool) -> None:
    """List the jobs of a deployment's queue, the newest first."""
    if context.invoked_subcommand is not None:
        context.obj = deployment
        return
    from brainscore_ops.queue.jobs import JobState, jobs
    from brainscore_ops.settings import load_deployment

    if state is not None and state not in list(JobState):
        raise click.BadParameter(f"expected one of {', '.join(JobState)}", param_hint="--state")
    found = jobs(
        load_deployment(deployment),
        states={JobState(state)} if state else (),
        limit=limit or (None if as_json else SHOWN),
    )
    if as_json:
        print_json([job.as_dict() for job in found])
        return
    if found:
        click.secho(f"{'job':>6} {'state':11} {'runbook':16} {'about':18} {'asked for (UTC)':16} by", dim=True)
    for job in found:
        _print(job)
    if not found:
        click.echo("no such job" if state else "the queue is empty")


@queue.command()
@click.argument("job", type=int)
@json_option
@click.pass_obj
def cancel(deployment: str, job: int, *, as_json: bool) -> None:
    """Take JOB out of the queue; where it runs, tell its run to stop."""
    from brainscore_ops.queue.jobs import cancel as cancel_job
    from brainscore_ops.settings import load_deployment

    found = cancel_job(load_deployment(deployment), job, f"cli:{user_name()}")
    if as_json:
        print_json(found.as_dict())
    else:
        _print(found)


@queue.command()
@click.argument("job", type=int)
@json_option
@click.pass_obj
def retry(deployment: str, job: int, *, as_json: bool) -> None:
    """Ask again for what JOB, which has ended, was asked for."""
    from brainscore_ops.queue.jobs import find_job
    from brainscore_ops.queue.jobs import retry as retry_job
    from brainscore_ops.settings import load_deployment

    settings = load_deployment(deployment)
    found = find_job(settings, retry_job(settings, job, f"cli:{user_name()}"))
    if as_json:
        print_json(found.as_dict())
    else:
        _print(found)


def _print(job: JobView) -> None:
    state = click.style(f"{job.state:11}", fg=STYLES.get(job.state))
    click.echo(f"{job.id:6} {state} {job.runbook:16} {job.subject:18} {_minute(job.asked_at):16} {job.by}".rstrip())
    notes = [
        f"not before {_minute(job.due_at)}" if job.due_at else "",
        f"attempt {job.attempts + 1}" if job.attempts and not job.state.is_final else "",
        job.run_id or "",
        printable(job.reason or "").splitlines()[0] if job.reason else "",
    ]
    if any(notes):
        click.secho(f"{'':7}{'; '.join(filter(None, notes))}", dim=True)


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
