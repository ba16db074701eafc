"""What is private is no matter of a run that others see: each submission has a run of its own, which is asked for here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Shown, Table
from brainscore_ops.planning import is_planning, planned
from brainscore_ops.queue.jobs import enqueue
from brainscore_ops.submissions.context import PrivateElsewhereError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from brainscore_ops.submissions.context import Context
    from brainscore_ops.submissions.scoring_request import Target


class LeftToOthers(Shown):
    """That what is private is left to other runs. How much there is of it, and whose, is said to nobody here."""

    def __init__(self, words: str) -> None:
        self.words = words

    def table(self) -> Table:
        return Table(self.words, [])


def ask_for_private_runs(
    context: Context, target: Target, runbook: str, parameters: Mapping[str, Any], find: Callable[[], Sequence[int]]
) -> LeftToOthers:
    """Ask for the same of every submission of which something private is in question, each in a run of its own.

    To ask twice gives the same jobs.

    :param target: what this run is about: one that is about a submission itself asks for nothing more
    :param parameters: of this run
    :param find: the submissions' numbers
    """
    if target.submission is not None:
        return LeftToOthers("This is the run of one submission: nothing more is asked for.")
    try:
        context.refuse_onlookers()
    except PrivateElsewhereError:
        return LeftToOthers("Nothing private is asked for within GitHub Actions: run this outside of it, too.")
    if is_planning():
        planned("job", "the same of each submission with something private, in runs of their own", runbook=runbook)
    else:
        for submission in find():
            given = {**parameters, "submission": submission}
            enqueue(context.deployment, runbook, given, by=f"run:{context.run_id or 'by hand'}")
    return LeftToOthers(
        "What is private has runs of its own, which its owners and the team see: `brainscore-ops queue`."
    )
