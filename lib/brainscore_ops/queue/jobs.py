"""Jobs: a runbook with parameters that waits for a worker. Asked for, listed, cancelled and asked for again.

The queue is procrastinate's: its tables stand in the deployment's database, so that a job can be asked for in the very
transaction that makes it necessary. What is kept of each attempt is ours (``job_attempt``).

A job has a *key*: while one waits, another of the same key is the same job. One that already runs may have looked at the world
before the thing happened that asks for it again, so that behind a running job one more may wait.

A job has a *subject*: two jobs about one submission, or about one pull request, never run at the same time.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from brainscore_ops.database.connection import Database
from brainscore_ops.database.ops_tables import PRIVATE, SubmissionLife
from brainscore_ops.errors import RefusedError, UnavailableError, UsageError
from brainscore_ops.planning import is_planning, planned
from brainscore_ops.runbooks.catalogue import find_runbook
from brainscore_ops.runbooks.parameters import check_parameters, load_parameters_model
from brainscore_ops.submissions.life import life_of_pull_request

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from procrastinate.manager import JobManager
    from sqlalchemy.engine import RowMapping
    from sqlalchemy.orm import Session

    from brainscore_ops.settings import Deployment

TASK = "run-runbook"
"""What procrastinate calls the one kind of job that there is."""

LATER = -10
"""The priority of what nobody waits for."""


class JobState(StrEnum):
    """How a job stands."""

    WAITING = "waiting"
    RETRYING = "retrying"
    """It was tried, a service was away, and it waits for its next time."""
    RUNNING = "running"
    CANCELLING = "cancelling"
    """It runs, and its run has been told to stop."""
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    """A rule said no."""
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more becomes of it."""
        return self not in (JobState.WAITING, JobState.RETRYING, JobState.RUNNING, JobState.CANCELLING)


class UnknownJobError(UsageError):
    """The queue has no job of that number."""

    code = "unknown-job"


class JobOverError(RefusedError):
    """The job has ended, or has not: what was asked for cannot be done to it."""

    code = "job-over"


class QueueBusyError(UnavailableError):
    """A job's place in the queue changed hands again and again while one was asked for."""

    code = "queue-busy"


@dataclass(frozen=True)
class JobView:
    """A job, as somebody sees it who asks."""

    id: int
    runbook: str
    parameters: Mapping[str, Any]
    key: str
    subject: str
    """What no two jobs run about at the same time: ``submission 7``."""
    by: str
    """Who asked for it: ``web:ada@example.org``, ``webhook:pull_request``, ``schedule``."""
    state: JobState
    attempts: int
    """How many have ended."""
    asked_at: datetime
    due_at: datetime | None
    """Before this it is not begun; None where it may be at once."""
    started_at: datetime | None
    """Of the last attempt."""
    ended_at: datetime | None
    run_id: str | None
    """The run of the last attempt."""
    host: str | None
    """Where the last attempt is, or was, carried out."""
    exit_code: int | None
    reason_code: str | None
    reason: str | None
    """Why the last attempt did not succeed, or who ended it."""

    def as_dict(self) -> dict[str, Any]:
        """The job as a JSON document."""
        moments = {name: value and value.isoformat() for name, value in vars(self).items() if name.endswith("_at")}
        return {**vars(self), "parameters": dict(self.parameters), "state": str(self.state), **moments}


def enqueue(
    deployment: Deployment,
    runbook: str,
    parameters: Mapping[str, Any],
    *,
    by: str,
    key: str = "",
    session: Session | None = None,
    priority: int = 0,
    due_at: datetime | None = None,
) -> int:
    """Ask for a run of a runbook. Where one of the same key waits already, that is the one.

    :param parameters: its parameters but the deployment; they are checked now, so that no job waits in vain
    :param by: who or what asks for it
    :param key: what makes it the same job; by default the runbook and its parameters
    :param session: the transaction that it is a part of: it is asked for when that is committed, or not at all
    :param priority: the greater, the sooner; :data:`LATER` for what nobody waits for
    :param due_at: when it may be begun; by default at once
    :returns: the job's number
    :raises UsageError: there is no such runbook, or these are not its parameters
    """
    found = find_runbook(runbook, deployment.workspace)
    given = {**parameters, "deployment": deployment.name}
    checked = check_parameters(load_parameters_model(found.parameters), given).model_dump(mode="json")
    # What was given, as JSON has it; what was left out has the default of the day on which it runs.
    named = {name: checked[name] for name in parameters if name != "deployment"}
    if is_planning():
        planned("job", f"{runbook} {json.dumps(named, sort_keys=True)}", runbook=runbook, parameters=named)
        return 0
    with _session_of(deployment, session) as transaction:
        subject = subject_of(transaction, deployment, runbook, named)
        place = f"{deployment.name}:{key or default_key(runbook, named)}"
        job = {"runbook": runbook, "parameters": named, "by": by[:100]}
        return _defer(transaction, deployment, job, place, f"{deployment.name}:{subject}", priority, due_at)


def jobs(
    deployment: Deployment,
    *,
    states: Collection[JobState] = (),
    subject: str = "",
    limit: int | None = None,
    session: Session | None = None,
) -> list[JobView]:
    """The jobs of a deployment, the newest first.

    :param states: only jobs in these; by default in any
    :param subject: only jobs about this: ``submission 7``
    :param limit: at most so many
    """
    with _session_of(deployment, session) as transaction:
        rows = transaction.execute(
            text(
                f"{_JOBS} WHERE j.queue_name = :queue AND (:subject = '' OR j.lock = :lock) "
                "AND j.status::text = ANY (:statuses) ORDER BY j.id DESC LIMIT :most"
            ),
            {
                "queue": deployment.name,
                "subject": subject,
                "lock": f"{deployment.name}:{subject}",
                "statuses": sorted({status for state in states or JobState for status in _STATUSES[state]}),
                "most": None if states else limit,  # several states are one status
            },
        )
        found = (_view(row, deployment) for row in rows.mappings())
        kept = (view for view in found if not states or view.state in states)
        return [view for _, view in zip(range(limit), kept, strict=False)] if limit is not None else list(kept)


def find_job(deployment: Deployment, job_id: int, *, session: Session | None = None) -> JobView:
    """One job.

    :raises UnknownJobError: the deployment has none of that number
    """
    with _session_of(deployment, session) as transaction:
        rows = transaction.execute(
            text(f"{_JOBS} WHERE j.queue_name = :queue AND j.id = :id"), {"queue": deployment.name, "id": job_id}
        )
        row = rows.mappings().one_or_none()
    if row is None:
        raise UnknownJobError(
            f"expected the number of a job, found {job_id}, which is none of {deployment.name}'s",
            remedy="`brainscore-ops queue` lists them.",
        )
    return _view(row, deployment)


def cancel(deployment: Deployment, job_id: int, by: str, *, session: Session | None = None) -> JobView:
    """Take a job that waits out of the queue; a run that goes on is told to stop, and records itself as interrupted.

    :param by: who wants it
    :raises UnknownJobError: there is no such job
    :raises JobOverError: it has ended
    """
    with _session_of(deployment, session) as transaction:
        view = find_job(deployment, job_id, session=transaction)
        connection = transaction.connection()
        if view.state.is_final or not _manager().cancel_job_by_id(job_id, abort=True, connection=connection):
            raise JobOverError(f"expected a job that waits or runs, found job {job_id} {view.state}")
        transaction.execute(
            text(
                "INSERT INTO job_attempt (job_id, number, host, process, started_at, ended_at, exit_code, reason_code, reason) "
                "VALUES (:id, :number, '', 0, now(), CASE WHEN :waits THEN now() END, CASE WHEN :waits THEN 130 END, "
                "'cancelled', :reason) "
                "ON CONFLICT (job_id, number) DO UPDATE SET reason_code = 'cancelled', reason = excluded.reason"
            ),
            {
                "id": job_id,
                "number": view.attempts + 1,
                "waits": view.state in (JobState.WAITING, JobState.RETRYING),
                "reason": f"Cancelled by {by}.",
            },
        )
        return find_job(deployment, job_id, session=transaction)


def retry(deployment: Deployment, job_id: int, by: str, *, session: Session | None = None) -> int:
    """Ask again for what a job was asked for.

    :returns: the number of the new job
    :raises UnknownJobError: there is no such job
    :raises JobOverError: it has not ended
    """
    with _session_of(deployment, session) as transaction:
        view = find_job(deployment, job_id, session=transaction)
        if not view.state.is_final:
            raise JobOverError(
                f"expected a job that has ended, found job {job_id} {view.state}", remedy="Cancel it, or wait for it."
            )
        return enqueue(deployment, view.runbook, view.parameters, by=by, key=view.key, session=transaction)


def default_key(runbook: str, parameters: Mapping[str, Any]) -> str:
    """What makes two jobs the same: the runbook, and its parameters."""
    said = json.dumps(parameters, sort_keys=True, ensure_ascii=False)
    short = ",".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    return f"{runbook}:{short if len(short) <= 80 else hashlib.sha256(said.encode()).hexdigest()}"


def subject_of(session: Session, deployment: Deployment, runbook: str, parameters: Mapping[str, Any]) -> str:
    """What a run of a runbook is about: a submission, a pull request that is nobody's submission yet, or the runbook alone."""
    life = life_of(session, deployment, parameters)
    submission = parameters.get("submission") if life is None else life.submission_id
    return f"submission {submission}" if submission is not None else _pull_request(parameters) or runbook


def life_of(session: Session, deployment: Deployment, parameters: Mapping[str, Any]) -> SubmissionLife | None:
    """The submission that a run with these parameters is about; None where it is about none, or nobody has met it yet."""
    submission, pull_request = parameters.get("submission"), parameters.get("pull_request")
    if submission is not None:
        return session.get(SubmissionLife, submission)
    if pull_request is None:
        return None
    # Each repository numbers its pull requests from 1.
    home = deployment.library.package + (PRIVATE if parameters.get("private") else "")
    return life_of_pull_request(session, home, pull_request)


def locks_of(session: Session, deployment: Deployment, runbook: str, parameters: Mapping[str, Any]) -> list[str]:
    """What is locked while it runs, always in the same order: its subject, then its pull request, which others may only know."""
    names = [subject_of(session, deployment, runbook, parameters), _pull_request(parameters)]
    return [f"job:{name}" for name in dict.fromkeys(names) if name]


def _pull_request(parameters: Mapping[str, Any]) -> str:
    number = parameters.get("pull_request")
    kind = "private pull request" if parameters.get("private") else "pull request"
    return f"{kind} {number}" if number is not None else ""


_JOBS = """
SELECT j.id, j.args, j.lock, j.queueing_lock, j.status::text AS status, j.scheduled_at, j.attempts, j.abort_requested,
       e.asked_at, e.ended_at AS event_ended_at,
       a.run_id, a.host, a.started_at, a.ended_at, a.exit_code, a.reason_code, a.reason
FROM procrastinate_jobs j
LEFT JOIN LATERAL (
    SELECT min(at) FILTER (WHERE type = 'deferred') AS asked_at,
           max(at) FILTER (WHERE type IN ('succeeded', 'failed', 'cancelled', 'aborted')) AS ended_at
    FROM procrastinate_events WHERE job_id = j.id
) e ON true
LEFT JOIN LATERAL (SELECT * FROM job_attempt WHERE job_id = j.id ORDER BY number DESC LIMIT 1) a ON true
"""

_STATUSES = {
    JobState.WAITING: ("todo",),
    JobState.RETRYING: ("todo",),
    JobState.RUNNING: ("doing",),
    JobState.CANCELLING: ("doing",),
    JobState.SUCCEEDED: ("succeeded",),
    JobState.REFUSED: ("failed",),
    JobState.FAILED: ("failed",),
    JobState.CANCELLED: ("cancelled", "aborted", "failed"),
}
"""What the library calls a job that may be in a state."""

_TRIES = 5


def _defer(
    session: Session,
    deployment: Deployment,
    job: Mapping[str, Any],
    place: str,
    lock: str,
    priority: int,
    due_at: datetime | None,
) -> int:
    from procrastinate.exceptions import AlreadyEnqueued
    from procrastinate.jobs import Job

    wanted = Job(
        id=None,
        queue=deployment.name,
        task_name=TASK,
        priority=priority,
        lock=lock,
        queueing_lock=place,
        task_kwargs=dict(job),
        scheduled_at=due_at,
    )
    for _ in range(_TRIES):
        try:
            with session.begin_nested():
                deferred = _manager().defer_job(wanted, connection=session.connection())
        except AlreadyEnqueued:
            waiting = text("SELECT id FROM procrastinate_jobs WHERE queueing_lock = :place AND status = 'todo'")
            there = session.scalar(waiting, {"place": place})
            if there is not None:
                return int(there)
            continue  # a worker took it in between: this one goes behind it
        assert deferred.id is not None, "a job that was deferred has a number"  # noqa: S101
        return deferred.id
    raise QueueBusyError(f"expected a place in the queue for {place}, found it taken and given up {_TRIES} times")


def _manager() -> JobManager:
    """Procrastinate's statements, for connections of SQLAlchemy's."""
    from procrastinate.contrib.sqlalchemy import SQLAlchemyPsycopg2Connector
    from procrastinate.manager import JobManager

    return JobManager(SQLAlchemyPsycopg2Connector())


@contextmanager
def _session_of(deployment: Deployment, session: Session | None) -> Iterator[Session]:
    """The caller's transaction, or one of our own."""
    if session is not None:
        yield session
        return
    database = Database.of(deployment)
    try:
        with database.session() as own:
            yield own
    finally:
        database.close()


def _view(row: RowMapping, deployment: Deployment) -> JobView:
    given = row["args"]
    return JobView(
        id=row["id"],
        runbook=given["runbook"],
        parameters=given["parameters"],
        key=str(row["queueing_lock"]).removeprefix(f"{deployment.name}:"),
        subject=str(row["lock"]).removeprefix(f"{deployment.name}:"),
        by=given["by"],
        state=_state(row),
        attempts=row["attempts"],
        asked_at=row["asked_at"],
        due_at=row["scheduled_at"] if row["status"] == "todo" else None,
        started_at=row["started_at"],
        ended_at=row["ended_at"] or row["event_ended_at"] if row["status"] not in ("todo", "doing") else None,
        run_id=row["run_id"],
        host=row["host"] or None,
        exit_code=row["exit_code"],
        reason_code=row["reason_code"],
        reason=row["reason"],
    )


def _state(row: RowMapping) -> JobState:
    match row["status"]:
        case "todo":
            return JobState.RETRYING if row["attempts"] else JobState.WAITING
        case "doing":
            return JobState.CANCELLING if row["abort_requested"] else JobState.RUNNING
        case "succeeded":
            return JobState.SUCCEEDED
        case "failed" if row["reason_code"] != "cancelled":
            return JobState.REFUSED if row["exit_code"] == RefusedError.exit_code else JobState.FAILED
        case _:
            return JobState.CANCELLED
