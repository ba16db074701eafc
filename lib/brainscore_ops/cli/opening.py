"""``open`` and ``resume``: going on from a run that failed."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING

import click

from brainscore_ops.cli.main import print_json, user_name
from brainscore_ops.cli.services import deployment_option, json_option
from brainscore_ops.cli.shown_run import execute_shown, leave_with, print_result

if TYPE_CHECKING:
    from brainscore_ops.cli.shown_run import StepLines
    from brainscore_ops.runbooks.runs import RunResult
    from brainscore_ops.runbooks.stepping.session import Opened


@click.command("open")
@click.argument("run", metavar="RUN", default="last-failed")
@click.option(
    "--at-code-version", is_flag=True, help="With the code that the run had, checked out beside this checkout."
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser; print where to look.")
@click.option("--print-url", is_flag=True, help="Print nothing but the address on standard output; opens no browser.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Where JupyterLab listens on this machine; by default anywhere."
)
@deployment_option
def open_run(
    run: str, deployment: str, port: int | None, *, at_code_version: bool, no_browser: bool, print_url: bool
) -> None:
    """Open RUN, which failed, in JupyterLab: all steps before the failing one done, the cursor there.

    RUN is an id or the start of one, or `last-failed` (which it is if nothing is given). What you execute is recorded as a
    run of its own, linked to RUN; JupyterLab's shut-down, or Ctrl-C here, seals that record. RUN's own record stays as it is.
    """
    from brainscore_ops.workbench import opening

    def execute(lines: StepLines) -> RunResult:
        def announce(opened: Opened) -> None:
            lines.close()
            console = lines.console
            console.print(f"[bold yellow]■[/] stopped before [bold]{opened.step}[/]; this session is {opened.run_id}")
            click.echo(opened.url)
            console.print(
                "[dim]Step on there. File › Shut Down, or Ctrl-C here, ends the session and seals its record.[/]"
            )
            if not (no_browser or print_url):
                webbrowser.open(opened.url)

        return opening.open_run(
            run,
            deployment,
            triggered_by=f"open:{user_name()}",
            on_open=announce,
            on_step=lines,
            at_code_version=at_code_version,
            port=port,
            tell=lambda words: click.echo(words, err=True),
        )

    result = execute_shown(execute, to_stderr=print_url)
    print_result(result, to_stderr=print_url)
    raise SystemExit(result.exit_code)


@click.command()
@click.argument("run", metavar="RUN", default="last-failed")
@click.option(
    "-p",
    "--parameter",
    "given",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="A parameter that is to be another one; may be given several times.",
)
@deployment_option
@json_option
def resume(run: str, given: tuple[tuple[str, str], ...], deployment: str, *, as_json: bool) -> None:
    """Run the runbook of RUN again with the same parameters: what is done is not done again.

    RUN is an id or the start of one, `last` or `last-failed` (which it is if nothing is given). The new run is linked to it.
    """
    from brainscore_ops.workbench import opening

    def execute(lines: StepLines) -> RunResult:
        return opening.resume_run(
            run,
            deployment,
            dict(given),
            triggered_by=f"resume:{user_name()}",
            on_start=lambda entry: lines.console.print(f"[dim]going on from {entry.id}, {entry.state}[/]"),
            on_step=lines,
        )

    leave_with(execute_shown(execute, to_stderr=as_json), as_json=as_json)


@click.command()
@click.argument("run", metavar="RUN")
@deployment_option
@json_option
def cancel(run: str, deployment: str, *, as_json: bool) -> None:
    """Tell RUN, which goes on, to stop: it ends its step, and is closed and recorded as interrupted."""
    from brainscore_ops.workbench.cancelling import cancel_run

    entry = cancel_run(run, deployment)
    if as_json:
        print_json({"id": entry.id, "process": entry.process})
    else:
        click.echo(f"{entry.id} was told to stop")
