"""Where to look when a run failed: its pull request, its submission, its SLURM jobs and their logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from brainscore_ops.database.ops_tables import ScoreAttempt, SubmissionLife
from brainscore_ops.runbooks.stepping.working_copy import Link

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.runbooks.runs import RunEntry
    from brainscore_ops.settings import Deployment

MOST_JOBS = 5


def links_of(database: Database, deployment: Deployment, entry: RunEntry) -> list[Link]:
    """What is worth a look, the nearest first."""
    with database.session() as session:
        links = []
        if (life := _life(session, deployment, entry)) is not None:
            if life.pull_request_url:
                links.append(Link(f"pull request {life.pull_request}", life.pull_request_url))
            links.append(
                Link(
                    f"submission {life.submission_id} ({life.name}), {life.state}",
                    f"`brainscore-ops status {life.submission_id}`",
                )
            )
        return [*links, *_jobs(session, deployment, entry)]


def _life(session: Session, deployment: Deployment, entry: RunEntry) -> SubmissionLife | None:
    if entry.submission_id is not None:
        return session.get(SubmissionLife, entry.submission_id)
    number = entry.parameters.get("pull_request")
    if not isinstance(number, int):
        return None
    return session.scalar(
        select(SubmissionLife).where(
            SubmissionLife.library == deployment.library.package, SubmissionLife.pull_request == number
        )
    )


def _jobs(session: Session, deployment: Deployment, entry: RunEntry) -> list[Link]:
    """The jobs in which its pairs were tried and not scored, the last first."""
    tried = session.scalars(
        select(ScoreAttempt)
        .where(
            or_(ScoreAttempt.driver == entry.id, ScoreAttempt.run_id == entry.id),
            ScoreAttempt.job_id.is_not(None),
            ScoreAttempt.state != "scored",
        )
        .order_by(ScoreAttempt.queued_at.desc())
        .limit(MOST_JOBS)
    )
    links = []
    for attempt in tried:
        logs = sorted((deployment.outputs / "workers").glob(f"*-{attempt.job_id}.err"))
        links.append(
            Link(
                f"SLURM job {attempt.job_id} on {attempt.node or 'no node'}: {attempt.model} on {attempt.benchmark}, "
                f"{attempt.kind or attempt.state}",
                str(logs[-1]) if logs else f"`sacct -j {attempt.job_id}`",
            )
        )
    return links
