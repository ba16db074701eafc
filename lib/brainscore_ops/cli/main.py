"""The command ``brainscore-ops``: finds the subcommand, and turns errors into a message and an exit code."""

from __future__ import annotations

import difflib
import getpass
import importlib
import json
import os
import sys
from typing import Any, NoReturn

import click

from brainscore_ops import __version__
from brainscore_ops.display import printable
from brainscore_ops.errors import OpsError, UsageError

# Each command is imported when it is used, so that one that needs little starts at once.
COMMANDS = {
    "accounts": ("accounts", "accounts"),
    "approve": ("plans", "approve"),
    "audit": ("audit", "audit"),
    "cancel": ("opening", "cancel"),
    "catalog": ("library", "catalog"),
    "changes": ("library", "changes"),
    "db": ("db", "db"),
    "demo": ("demo", "demo"),
    "deployments": ("deployments", "deployments"),
    "diff": ("comparing", "diff"),
    "down": ("services", "down"),
    "environments": ("environments", "environments"),
    "event": ("event", "event"),
    "gate": ("submissions", "gate"),
    "new": ("runbooks", "new"),
    "open": ("opening", "open_run"),
    "plan": ("plans", "plan"),
    "queue": ("queue", "queue"),
    "reproduce": ("plans", "reproduce"),
    "resume": ("opening", "resume"),
    "run": ("run", "run"),
    "runbooks": ("runbooks", "runbooks"),
    "runs": ("runs", "runs"),
    "scores": ("scores", "scores"),
    "serve": ("serve", "serve"),
    "show": ("runs", "show"),
    "publish-submission": ("submissions", "publish_submission"),
    "status": ("submissions", "status"),
    "submit": ("submissions", "submit"),
    "up": ("services", "up"),
    "validate": ("library", "validate"),
    "worker": ("queue", "worker"),
}


TOPICS = {
    "Submissions": ("validate", "submit", "status", "publish-submission", "gate", "demo"),
    "Runs": ("runbooks", "run", "runs", "show", "diff", "open", "resume", "cancel", "audit", "new"),
    "Scores": ("scores", "plan", "approve", "reproduce"),
    "Library": ("catalog", "changes", "environments"),
    "Deployments": ("deployments", "up", "down", "db", "serve", "accounts", "worker", "queue", "event"),
}
"""In which order the help tells of the commands; what stands under no topic comes last."""


BY_WEBSITE = {"scores", "status", "submit"}
"""What can be done from a machine that has nothing but the address of a website."""


class Commands(click.Group):
    """The subcommands, imported when used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """By topic, each with the whole of its first sentence."""
        told = {name for names in TOPICS.values() for name in names}
        topics = TOPICS | {"Others": tuple(name for name in sorted(COMMANDS) if name not in told)}
        for topic, names in topics.items():
            found = [(name, self.get_command(ctx, name)) for name in names if name in COMMANDS]
            rows = [(name, command.get_short_help_str(limit=200)) for name, command in found if command is not None]
            if rows:
                with formatter.section(topic):
                    formatter.write_dl(rows, col_max=20)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=3)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {' or '.join(close)}?" if close else ""))
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        if ctx.params.get("server"):
            if cmd_name not in BY_WEBSITE:
                ctx.fail(
                    f"--server goes with {', '.join(sorted(BY_WEBSITE))}; {cmd_name} works on this machine's deployments."
                )
            module = "remote"
        command: click.Command = getattr(importlib.import_module(f"brainscore_ops.cli.{module}"), name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="brainscore-ops")
@click.option(
    "--server",
    metavar="URL",
    help="Do it by way of this website: submit, status, scores; with the token in BRAINSCORE_OPS_TOKEN.",
)
def commands(server: str | None) -> None:
    """Brain-Score's submission system: validate, submit, run runbooks, follow submissions, look at scores.

    Exit codes: 0 done; 1 a step failed; 2 usage; 3 refused by a rule; 4 an outside service was unavailable.
    """


def main() -> NoReturn:
    """Run the command line; an error that was foreseen is told in words, without a traceback."""
    try:
        code = commands.main(standalone_mode=False, prog_name="brainscore-ops")
    except click.ClickException as error:
        if "--json" in sys.argv:
            _report(UsageError(error.format_message(), remedy="`brainscore-ops --help` lists the commands."))
        else:
            error.show()
        sys.exit(2)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OpsError as error:
        _report(error)
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def user_name() -> str:
    """Who calls; the number alone for a user that the system does not know by name, as in containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user-{os.getuid()}"


def print_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    click.echo(json.dumps(document, indent=2, default=str))


def _report(error: OpsError) -> None:
    if "--json" in sys.argv:
        print_json({"error": error.as_dict()})
        return
    click.secho(f"{error.code}: ", fg="red", bold=True, nl=False, err=True)
    click.echo(printable(str(error)), err=True)
    if error.log:
        click.echo("\n" + printable(error.log[-2000:].rstrip()), err=True)
