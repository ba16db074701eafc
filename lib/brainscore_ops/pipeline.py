"""What a submission needs next, until it has arrived or waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brainscore_ops.database.connection import Database
from brainscore_ops.runbooks.execution import run_runbook
from brainscore_ops.settings import load_deployment
from brainscore_ops.submissions.life import find_life, next_step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def advance(deployment: str, submission: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The runbooks that take a submission on, each asked for after the one before has been run.

    It ends where nothing is next. A caller whose run failed stops asking: the same runbook would be next.

    :returns: runbook and parameters
    """
    settings = load_deployment(deployment)
    before = None
    while True:
        database = Database.of(settings)
        try:
            with database.session() as session:
                step = next_step(find_life(session, submission))
        finally:
            database.close()
        if step is None or step == before:
            return
        before = step
        yield step.runbook, dict(step.parameters)


def run_on_worker(runbook: str, triggered_by: str, parameters: Mapping[str, Any]) -> str:
    """Run a runbook on a worker of a cluster.

    :returns: what went wrong, or nothing
    """
    result = run_runbook(runbook, parameters, triggered_by=triggered_by)
    return "" if result.error is None else f"{result.error['message']} (run {result.id}, {result.state})"
