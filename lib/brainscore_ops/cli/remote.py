"""``brainscore-ops --server URL``: ``submit``, ``status`` and ``scores`` by way of a website alone."""

from __future__ import annotations

import csv
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from brainscore_ops.cli.main import print_json
from brainscore_ops.cli.services import json_option
from brainscore_ops.display import Table, number, printable, with_error
from brainscore_ops.errors import UsageError

if TYPE_CHECKING:
    from brainscore_ops.client import Client

TOKEN, TOKEN_FILE = "BRAINSCORE_OPS_TOKEN", "BRAINSCORE_OPS_TOKEN_FILE"


def client() -> Client:
    """The website that the command line names, with the token of the environment."""
    from brainscore_ops.client import Client

    return Client(click.get_current_context().find_root().params["server"], _token())


@click.command()
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="", help="What the submission is called; by default the archive's file name.")
@click.option("--public/--private", default=True, show_default=True, help="Whether everybody may see the scores.")
@click.option("--wait", is_flag=True, help="Follow it until its state is final. Exit code 1 where it did not succeed.")
@json_option
def submit(archive: Path, name: str, *, public: bool, wait: bool, as_json: bool) -> None:
    """Send the zip ARCHIVE to the website. It is checked meanwhile; what is wrong with it is told all at once.

    Needs a token with the scope `submit`, in the variable BRAINSCORE_OPS_TOKEN, or in the file that BRAINSCORE_OPS_TOKEN_FILE
    names.
    """
    with client() as site:
        arrived = site.submit(archive, name=name, public=public)
        if not as_json:
            already = "was accepted before" if arrived["known"] else "is accepted"
            click.echo(f"submission {arrived['submission']} {already}: {printable(arrived['page'])}")
        if wait:
            _follow(site, arrived["submission"], as_json=as_json)
        elif as_json:
            print_json(arrived)


@click.command()
@click.argument("submission", type=click.IntRange(1), required=False)
@click.option(
    "--wait", is_flag=True, help="Follow SUBMISSION until its state is final. Exit code 1 where it did not succeed."
)
@json_option
def status(submission: int | None, *, wait: bool, as_json: bool) -> None:
    """Print where your submissions stand; or what happened to SUBMISSION, when, and why."""
    if wait and submission is None:
        raise click.UsageError("--wait needs the number of a submission")
    with client() as site:
        if submission is None:
            found = list(site.submissions())
            if as_json:
                print_json(found)
                return
            for each in found:
                click.echo(printable(f"{each['submission']:5}  {each['state']:16} {each['name']}  {each['page']}"))
            if not found:
                click.echo("you have not submitted anything yet")
        elif wait:
            _follow(site, submission, as_json=as_json)
        else:
            _print(site.submission(submission), as_json=as_json)


@click.command()
@click.option("--model", default="", help="Only this model's.")
@click.option("--benchmark", default="", help="Only those on this benchmark.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV.")
@json_option
def scores(model: str, benchmark: str, *, as_csv: bool, as_json: bool) -> None:
    """Print the leaderboard; or one line a score, with --model, --benchmark, --csv or --json."""
    with client() as site:
        if not (model or benchmark or as_csv or as_json):
            rows = [
                [each["rank"], each["identifier"], number(each["average"]), each["family"]] for each in site.models()
            ]
            click.echo(printable(str(Table(f"{len(rows)} models", rows, ["", "model", "average", "family"]))))
            return
        found = list(site.scores(model=model, benchmark=benchmark))
        if not found:
            _insist_on_names(site, model, benchmark)
    if as_json:
        print_json(found)
    elif as_csv:
        from brainscore_ops.scores.columns import SCORES

        writer = csv.DictWriter(sys.stdout, found[0] if found else SCORES.dtypes, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _plain(value) for name, value in row.items()} for row in found)
    else:
        rows = [
            [row["model"], row["benchmark"], row["version"], with_error(row["value"], row["error"]), row["state"],
             " ".join((row["reason"] or "").split())]
            for row in found
        ]  # fmt: skip
        columns = ["model", "benchmark", "version", "score", "state", "why there is none"]
        click.echo(printable(str(Table(f"{len(rows)} scores and failures", rows, columns))))


def _insist_on_names(site: Client, model: str, benchmark: str) -> None:
    from brainscore_ops.scores.errors import insist_on_names

    if model:
        insist_on_names("model", [model], {each["identifier"] for each in site.models()})
    if benchmark:
        insist_on_names("benchmark", [benchmark], {each["identifier"] for each in site.benchmarks()})


def _follow(site: Client, number: int, *, as_json: bool) -> None:
    shown = 0
    found: dict[str, Any] = {}
    for found in site.follow(number):
        if not as_json:
            for event in found["events"][shown:]:
                click.echo(printable(f"{event['at'][:19]}  {event['state']:16} {event['message']}"))
            shown = len(found["events"])
    if as_json:
        print_json(found)
    elif found["reason"]:
        click.echo(printable(found["reason"]))
    raise SystemExit(0 if found["state"] == "scored" else 1)


def _print(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    rows = [[event["at"][:19], event["state"], event["message"]] for event in found["events"]]
    title = f"Submission {found['submission']}, {found['name']}: {found['state']}"
    click.echo(printable(str(Table(title, rows, ["when (UTC)", "state", "what happened"]))))
    for text in (found["reason"], found["next"]):
        if text:
            click.echo("\n" + printable(text))


def _plain(value: Any) -> Any:
    # A spreadsheet takes text that begins so for a formula.
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _token() -> str | None:
    """The token, which nothing prints.

    :raises UsageError: the file with it cannot be read, or others may read it
    """
    if token := os.environ.get(TOKEN, "").strip():
        return token
    if not (name := os.environ.get(TOKEN_FILE)):
        return None
    path = Path(name)
    try:
        mode, token = path.stat().st_mode, path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"expected a token in {path} ({TOKEN_FILE}): {error}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"expected {path} to be for you alone, others may read it", remedy=f"chmod 600 {path}")
    return token or None
