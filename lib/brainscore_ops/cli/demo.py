"""``demo``: the main job on one machine."""

from __future__ import annotations

import signal
import sys

import click

from brainscore_ops.cli.services import deployment_option

INTERRUPTED = 130


@click.command()
@deployment_option
@click.option("--keep", is_flag=True, help="Leave the embedded services running, to look around.")
@click.option("--only", multiple=True, metavar="NAME", help="Send only this submission; may be given several times.")
def demo(deployment: str, only: tuple[str, ...], *, keep: bool) -> None:
    """Send the example submissions through the whole system, from zip to leaderboard, on this machine.

    Starts an embedded PostgreSQL, a GitHub-compatible forge and a mailbox, and stops them at the end. A second time it finds
    everything done; interrupted and started again, it goes on where it was. Exit code 1 where a submission does not end as it
    should.
    """
    from brainscore_ops.demo.show import show_demo
    from brainscore_ops.settings import load_deployment

    # Told to end by whatever started it, it ends as by Ctrl-C: in order, and so that it can go on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        surprises = show_demo(load_deployment(deployment), only=only, keep=keep)
    except KeyboardInterrupt:
        click.echo("\ninterrupted; `make demo` goes on from here", err=True)
        sys.exit(INTERRUPTED)
    sys.exit(1 if surprises else 0)
