"""The demo as people see it: progress, outcomes, the leaderboard, and where to look further."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from brainscore_ops import services
from brainscore_ops.demo import journey
from brainscore_ops.demo.display import Display, print_outcomes
from brainscore_ops.errors import UsageError
from brainscore_ops.scores.terminal import PLAIN_WIDTH, print_leaderboard
from brainscore_ops.settings.tiers import CONFINED_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from brainscore_ops.settings import Deployment


def show_demo(deployment: Deployment, *, only: Collection[str] = (), keep: bool = False) -> int:
    """Run the demo, and show it.

    :param only: the names of the submissions to send; all, where there are none
    :param keep: leave the embedded services running
    :returns: how many submissions did not end as they should
    :raises UsageError: the deployment is not one that demos may work on
    """
    if not deployment.rules.in_tests:
        raise UsageError(
            f"expected a deployment of the tier local or test for a demo, found {deployment.name}, of {deployment.tier}",
            remedy="Leave --deployment out.",
        )
    os.environ[CONFINED_VARIABLE] = "the demo"  # and what it starts
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, PLAIN_WIDTH)
    began = time.monotonic()
    with console.status("building the archives …"):  # first: a name that there is not starts and stops nothing
        jobs = journey.build_submissions(deployment, only)
    with nullcontext() if keep else services.stopped_at_the_end(deployment):
        with console.status("starting PostgreSQL, the forge and the mailbox …"):
            services.up(deployment)
        with console.status("putting the example library into the forge …"):
            commit = journey.seed_library(deployment)
        names = [journey.LIBRARY_JOB, *(job.name for job in jobs), journey.PUBLISH_JOB]
        with Display(names, console) as display:
            outcomes = journey.drive(deployment, jobs, commit, display.tell)
            board, page = journey.publish(deployment, display.tell)
    expected = {journey.LIBRARY_JOB: "scored"} | {job.name: job.expected for job in jobs}
    console.print()
    print_outcomes(outcomes, expected, console)
    console.print()
    print_leaderboard(board, console)
    _print_ways_on(deployment, page, console)
    runs = sum(outcome.runs for outcome in outcomes)
    took = time.monotonic() - began
    console.print(
        f"\n{runs} runs in {took:.0f} s." if runs else f"\nEverything was done before; nothing changed ({took:.0f} s)."
    )
    return sum(expected.get(outcome.job, outcome.state) != outcome.state for outcome in outcomes)


def _print_ways_on(deployment: Deployment, page: Path, console: Console) -> None:
    mails = len(list(services.mail_folder(deployment).glob("*.eml")))
    records = len(list(deployment.outputs.glob("*/*/*.ipynb")))
    for what, where in (
        ("leaderboard", page),
        (f"{records} records", f"{deployment.outputs}/<runbook>/<date>/<run>.ipynb  (make lab opens them)"),
        (f"{mails} mails", services.mail_folder(deployment)),
        ("look further", "brainscore-ops up, then: status, runs, show last-failed, scores"),
    ):
        console.print(Text(f"{what:14}", style="bold"), Text(str(where)), soft_wrap=True)
