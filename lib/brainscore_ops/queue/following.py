"""What a job asks for when its run has ended: the submission's next runbook, and the leaderboard after new scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brainscore_ops.database.ops_tables import SubmissionLife
from brainscore_ops.pipeline import goes_on
from brainscore_ops.queue.jobs import enqueue
from brainscore_ops.submissions.life import life_of_pull_request, next_step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.runbooks.runs import RunResult
    from brainscore_ops.settings import Deployment

BY = "queue"
PUBLISH = "publish"
BRINGS_SCORES = frozenset({"score_plugins", "rescore", "benchmark_version"})
"""The runbooks after which the leaderboard is published."""


def ask_for_what_follows(
    deployment: Deployment, database: Database, parameters: Mapping[str, Any], result: RunResult
) -> list[int]:
    """Ask for what is next after a run, as the database has it now; nothing where somebody has to look first.

    To ask twice, because the worker died before it could say that it had, gives the same jobs.

    :param parameters: what the run was given
    :returns: the numbers of the jobs
    """
    if not goes_on(result):
        return []
    asked = []
    with database.session() as session:
        life = _life(session, deployment, parameters, result)
        step = next_step(life) if life is not None else None
        # A run that succeeded and left everything as it was would be asked for again for ever.
        if step is not None and not (step.runbook == result.runbook and result.exit_code == 0):
            asked.append(enqueue(deployment, step.runbook, step.parameters, by=BY, session=session))
        if result.runbook in BRINGS_SCORES and result.exit_code == 0:
            asked.append(enqueue(deployment, PUBLISH, {}, by=BY, session=session))
    return asked


def _life(
    session: Session, deployment: Deployment, parameters: Mapping[str, Any], result: RunResult
) -> SubmissionLife | None:
    submission = parameters.get("submission") or result.scraps.get("submission")
    if isinstance(submission, int):
        return session.get(SubmissionLife, submission)
    pull_request = parameters.get("pull_request")
    return life_of_pull_request(session, deployment.library.package, pull_request) if pull_request is not None else None
