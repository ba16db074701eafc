"""What a submission needs next, until it has arrived or waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brainscore_ops.database.connection import Database
from brainscore_ops.settings import load_deployment
from brainscore_ops.submissions.life import find_life, next_step
from brainscore_ops.submissions.merging import TESTS_OUTDATED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brainscore_ops.runbooks.runs import RunResult

MOST_STEPS = 12
"""Where the library moves on faster than the tests run, somebody else takes the submission on."""


def advance(deployment: str, submission: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The runbooks that take a submission on, each asked for after the one before has been run.

    It ends where nothing is next. A caller stops asking after a run that does not go on: the same runbook would be next.

    :returns: runbook and parameters
    """
    settings = load_deployment(deployment)
    before = None
    for _ in range(MOST_STEPS):
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


def goes_on(result: RunResult) -> bool:
    """Whether there is something next after a run: it succeeded, or the library moved on and the tests run again."""
    return result.exit_code == 0 or (result.error or {}).get("code") == TESTS_OUTDATED
