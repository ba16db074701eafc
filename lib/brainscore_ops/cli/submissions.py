"""``submit``, ``status``, ``publish-submission`` and ``gate``: what becomes of a submission."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from brainscore_ops.cli.main import print_json, user_name
from brainscore_ops.cli.services import deployment_option, json_option
from brainscore_ops.cli.shown_run import execute_shown, print_error
from brainscore_ops.display import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brainscore_ops.cli.shown_run import StepLines
    from brainscore_ops.database.connection import Database
    from brainscore_ops.runbooks.runs import RunResult
    from brainscore_ops.scoring.attempt_rows import Standing
    from brainscore_ops.submissions.gate import Verdict


@click.command()
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--email", required=True, help="The submitter's e-mail address.")
@click.option(
    "--submitter", default="", help="The submitter's name, as the commit is authored; by default from the address."
)
@click.option("--name", default="", help="What the submission is called; by default the archive's file name.")
@click.option(
    "--public/--private", default=True, show_default=True, help="Whether everybody may see its code and its scores."
)
@click.option("--intake-only", is_flag=True, help="Stop after intake; somebody else takes it on.")
@deployment_option
@json_option
def submit(
    archive: Path,
    email: str,
    submitter: str,
    name: str,
    deployment: str,
    *,
    public: bool,
    intake_only: bool,
    as_json: bool,
) -> None:
    """Send the zip ARCHIVE in, and take it as far as it gets: pull request, tests, merge, scores.

    The same archive from the same person is the same submission: sent again, it goes on where it was.
    """
    parameters = {
        "archive": str(archive.resolve()),
        "email": email,
        "submitter": submitter,
        "name": name,
        "public": public,
    }
    result = _run("intake", parameters, deployment, as_json=as_json)
    submission = result.scraps.get("submission")
    if submission is not None and result.exit_code == 0 and not intake_only:
        result = _take_on(result, int(submission), deployment, as_json=as_json)
    if submission is not None:
        _print_timeline(deployment, int(submission), as_json=as_json)
    elif as_json:
        print_json(result.as_dict())
    raise SystemExit(result.exit_code)


@click.command("publish-submission")
@click.argument("submission", type=int)
@deployment_option
@json_option
def publish_submission(submission: int, deployment: str, *, as_json: bool) -> None:
    """Have everybody see the private SUBMISSION: its owner asks for it, and it cannot be taken back.

    Its plugins go to the public library by a pull request like any other (tests, gate, merge); with the merge its scores are
    public, and its private copy is removed. Asked for again, it goes on where it was.
    """
    result = _run("publish_submission", {"submission": submission}, deployment, as_json=as_json)
    carrier = result.scraps.get("public_submission")
    if carrier is not None and result.exit_code == 0:
        result = _take_on(result, int(carrier), deployment, as_json=as_json)
        _print_timeline(deployment, int(carrier), as_json=as_json)
    elif as_json:
        print_json(result.as_dict())
    raise SystemExit(result.exit_code)


def _run(runbook: str, parameters: Mapping[str, object], deployment: str, *, as_json: bool) -> RunResult:
    from brainscore_ops.runbooks.execution import run_runbook

    if not as_json:
        click.secho(runbook, bold=True)
    triggered_by = f"cli:{user_name()}"

    def execute(lines: StepLines) -> RunResult:
        return run_runbook(runbook, parameters, deployment=deployment, triggered_by=triggered_by, on_step=lines)

    result = execute_shown(execute, to_stderr=as_json)
    if not as_json and result.exit_code:
        click.echo(f"{runbook} {result.state} ({result.id})")
        if result.error:
            print_error(result.error)
    return result


def _take_on(result: RunResult, submission: int, deployment: str, *, as_json: bool) -> RunResult:
    """Run what a submission needs next, until it has arrived or does not go on; the last run's result."""
    from brainscore_ops.pipeline import advance, goes_on

    for runbook, parameters in advance(deployment, submission):
        result = _run(runbook, parameters, deployment, as_json=as_json)
        if not goes_on(result):
            break
    return result


@click.command()
@click.argument("submission", type=int, required=False)
@deployment_option
@json_option
def status(submission: int | None, deployment: str, *, as_json: bool) -> None:
    """Print where every submission stands; or what happened to SUBMISSION, when, in which run, and why."""
    if submission is not None:
        _print_timeline(deployment, submission, as_json=as_json)
        return
    from brainscore_ops.submissions.context import open_deployment
    from brainscore_ops.submissions.life import submissions

    database = open_deployment(deployment).database
    found = submissions(database)
    scoring = _scoring(database, [entry["submission"] for entry in found])
    if as_json:
        print_json([{**entry, "scoring": _as_dict(scoring.get(entry["submission"]))} for entry in found])
        return
    for entry in found:
        pull = f"#{entry['pull_request']}" if entry["pull_request"] else ""
        click.echo(
            f"{entry['submission']:5}  {entry['state']:16} {pull:6} {entry['name']}  {entry['reason_code'] or ''}".rstrip()
        )
        if (standing := scoring.get(entry["submission"])) and not standing.is_over:
            click.secho(f"{'':24}pairs: {standing}", dim=True)
    if not found:
        click.echo("nothing has been submitted yet")


@click.command()
@click.argument("pull_request", type=int)
@click.option("--private", is_flag=True, help="A pull request of the private repository.")
@deployment_option
@json_option
def gate(pull_request: int, deployment: str, *, private: bool, as_json: bool) -> None:
    """Ask the gate's rules about PULL_REQUEST, without acting. Exit code 3 where one is not met."""
    from brainscore_ops.submissions.context import open_deployment
    from brainscore_ops.submissions.gate import examine

    verdict = examine(open_deployment(deployment, private=private), pull_request)
    if as_json:
        print_json(verdict.as_dict())
    else:
        _print_verdict(verdict)
    raise SystemExit(0 if verdict.passed else 3)


def _print_verdict(verdict: Verdict) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(verdict.title, style="bold"))
    if verdict.merged:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "rule", "expected", "found"):
        table.add_column(column, overflow="fold")
    for ruling in verdict.rulings:
        sign = Text("✓", style="green") if ruling.passed else Text("✗", style="bold red")
        found = Text(printable(ruling.found), style="" if ruling.passed else "red")
        table.add_row(sign, Text(ruling.rule, no_wrap=True), Text(ruling.expected, style="dim"), found)
    console.print(table)
    if verdict.waits_for_tests:
        console.print("It waits for its tests: run test_plugins, and ask again.")


def _scoring(database: Database, submissions: list[int]) -> dict[int, Standing]:
    from brainscore_ops.scoring.attempt_rows import standings

    with database.session() as session:
        return standings(session, submissions)


def _as_dict(standing: Standing | None) -> dict[str, object] | None:
    return None if standing is None else standing.as_dict()


def _print_timeline(deployment: str, submission: int, *, as_json: bool) -> None:
    from brainscore_ops.submissions.context import open_deployment
    from brainscore_ops.submissions.life import timeline

    database = open_deployment(deployment).database
    found = timeline(database, submission)
    standing = _scoring(database, [submission]).get(submission)
    if as_json:
        print_json({**found.as_dict(), "scoring": _as_dict(standing)})
        return
    click.secho(f"\nSubmission {found.submission}: {found.name} — {found.state}", bold=True)
    if found.pull_request_url:
        click.echo(f"pull request: {found.pull_request_url}")
    for event in found.events:
        click.echo(f"  {event.at:%Y-%m-%d %H:%M:%S}  {event.state:16} {printable(event.message)}")
        if event.run_id:
            click.secho(f"{'':39}{event.run_id}", dim=True)
    if standing is not None:
        click.echo(f"  pairs: {standing}")
    late = next((run for run in reversed(found.runs) if run["state"] != "running"), None)
    if late and late["state"] != "succeeded" and not found.reason:
        said = (late["error"] or {}).get("message", "")
        click.secho(f"\nThe last run did not succeed: {late['runbook']}, {late['state']} ({late['id']})", bold=True)
        click.echo(printable(said))
    if found.reason:
        click.secho(f"\nWhy ({found.reason_code}, at fault: {found.fault}):", bold=True)
        click.echo(printable(found.reason))
        log = next((event.log for event in reversed(found.events) if event.log), None)
        if log:
            click.secho("\nThe end of its log:", bold=True)
            click.echo("\n".join(f"  {printable(line)}" for line in log.splitlines()[-15:]))
