"""What the console shows, read from a deployment's database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from brainscore_ops.database.ops_tables import ScoreAttempt, SubmissionLife
from brainscore_ops.queue import jobs
from brainscore_ops.runbooks.history import list_runs
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.scoring.approvals import plan_requests
from brainscore_ops.scoring.attempt_rows import standings
from brainscore_ops.submissions.life import State, submissions
from brainscore_ops.widgets.rows import Action, Row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.runbooks.runs import RunEntry
    from brainscore_ops.scoring.approvals import Waiting
    from brainscore_ops.settings import Deployment

NEWEST = 40
OVER = (jobs.JobState.SUCCEEDED, jobs.JobState.REFUSED, jobs.JobState.FAILED, jobs.JobState.CANCELLED)


@dataclass(frozen=True)
class Sight:
    """Everything that the console shows, at one moment."""

    runs: list[Row]
    submissions: list[Row]
    scoring: list[Row]
    queue: list[Row]
    approvals: list[Row]


def look(database: Database, deployment: Deployment) -> Sight:
    """Read everything that the console shows.

    :raises UnavailableError, SQLAlchemyError: the database is away
    """
    name = ("--deployment", deployment.name)
    found = submissions(database)[::-1][:NEWEST]
    with database.session() as session:
        far = standings(session, [entry["submission"] for entry in found])
        brought = {life.submission_id: life.identifiers for life in session.scalars(select(SubmissionLife))}
        waiting = _jobs(session, deployment, name)
        plans = [_plan(request, name) for request in plan_requests(session)]
        tried = session.execute(
            select(ScoreAttempt.driver, ScoreAttempt.state, func.count(), func.max(ScoreAttempt.queued_at))
            .where(
                ScoreAttempt.ended_at.is_(None) | (ScoreAttempt.ended_at > func.now() - func.make_interval(0, 0, 0, 1))
            )
            .group_by(ScoreAttempt.driver, ScoreAttempt.state)
            .order_by(func.max(ScoreAttempt.queued_at).desc())
            .limit(NEWEST)
        ).all()
    return Sight(
        runs=[_run(entry, name) for entry in list_runs(database, limit=NEWEST)],
        submissions=[
            _submission(entry, str(far.get(entry["submission"], "")), brought.get(entry["submission"], {}), name)
            for entry in found
        ],
        scoring=[
            Row(f"{driver}:{state}", state, (driver, str(count), _ago(last))) for driver, state, count, last in tried
        ],
        queue=waiting,
        approvals=plans,
    )


def _run(entry: RunEntry, name: tuple[str, ...]) -> Row:
    about = " ".join(f"{key} {entry.parameters[key]}" for key in ("pull_request", "model") if entry.parameters.get(key))
    about = about or (f"submission {entry.submission_id}" if entry.submission_id else "")
    seconds = f"{entry.seconds:.1f} s" if entry.seconds is not None else ""
    actions: tuple[Action, ...] = ()
    if entry.state is RunState.RUNNING:
        ask = f"Stop {entry.id}? Its step ends where it is, and the run is recorded as interrupted."
        actions = (Action("cancel", ("cancel", entry.id, *name), ask),)
    elif entry.state is not RunState.SUCCEEDED and entry.kind != "plan":
        actions = (
            Action("open", ("open", entry.id, "--no-browser", *name)),
            Action("resume", ("resume", entry.id, *name)),
        )
    kind = "" if entry.kind == "run" else str(entry.kind)
    cells = (entry.runbook, about, entry.failing_step or kind, seconds, _ago(entry.started_at))
    return Row(entry.id, str(entry.state), cells, actions)


def _brought(identifiers: Mapping[str, Any]) -> list[str]:
    """The parameters that ask for every pair of what a submission registered."""
    return [
        word
        for kind in ("models", "benchmarks")
        if identifiers.get(kind)
        for word in ("-p", kind, json.dumps(identifiers[kind]))
    ][:3]  # of models and benchmarks together it would be their pairs alone


def _submission(entry: dict[str, Any], pairs: str, identifiers: Mapping[str, Any], name: tuple[str, ...]) -> Row:
    actions: tuple[Action, ...] = ()
    if entry["state"] in (State.SCORED, State.PARTLY_SCORED, State.SCORING_FAILED) and (
        brought := _brought(identifiers)
    ):
        ask = f"Score what submission {entry['submission']} brought once more? It takes the cluster's time; old scores are kept."
        actions = (Action("rescore", ("run", "rescore", *brought, *name), ask),)
    pull = f"#{entry['pull_request']}" if entry["pull_request"] else ""
    cells = (str(entry["submission"]), entry["name"], pull, entry["reason_code"] or pairs, entry["updated_at"][:16])
    return Row(str(entry["submission"]), entry["state"], cells, actions)


def _plan(request: Waiting, name: tuple[str, ...]) -> Row:
    hours = request.summary.get("hours", "")
    if request.approved:
        return Row(
            request.digest, "approved", (request.digest[:16], request.subject, str(hours), request.approved_by or "")
        )
    ask = f"Approve the plan {request.digest[:16]} ({request.subject})? Whoever runs it may then carry it out."
    action = Action("approve", ("approve", request.digest, *name), ask)
    return Row(request.digest, "waits", (request.digest[:16], request.subject, str(hours), ""), (action,))


def _jobs(session: Session, deployment: Deployment, name: tuple[str, ...]) -> list[Row]:
    rows = []
    for job in jobs.jobs(deployment, limit=NEWEST, session=session):
        over = job.state in OVER
        ask = f"Cancel job {job.id} ({job.runbook}, {job.subject})? A run that goes on is told to stop."
        again = Action("retry", ("queue", "retry", str(job.id), *name))
        actions = (again,) if over and job.state is not jobs.JobState.SUCCEEDED else ()
        if not over:
            actions = (Action("cancel", ("queue", "cancel", str(job.id), *name), ask),)
        cells = (str(job.id), job.runbook, job.subject, job.by, job.reason_code or "", _ago(job.asked_at))
        rows.append(Row(str(job.id), str(job.state), cells, actions))
    return rows


def _ago(moment: datetime | None) -> str:
    if moment is None:
        return ""
    minutes = int((datetime.now(UTC) - moment).total_seconds() // 60)
    if minutes < 1:
        return "now"
    return f"{minutes} min ago" if minutes < 120 else f"{moment:%Y-%m-%d %H:%M}"
