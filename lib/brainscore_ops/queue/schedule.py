"""Runs that come again and again: ``params/scheduled/<runbook>.yaml`` says how often, and with which parameters.

A worker asks for each when its time has come since it was last asked for. What was missed while no worker was there is therefore
made up for once, and not as often as it was missed; several workers ask once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import text

from brainscore_ops.database.connection import lock_number
from brainscore_ops.errors import OpsError, Problem, UsageError
from brainscore_ops.queue.jobs import LATER, enqueue
from brainscore_ops.runbooks.catalogue import find_runbook
from brainscore_ops.runbooks.parameters import check_parameters, load_parameters_model
from brainscore_ops.settings.deployment import Duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sqlalchemy.orm import Session

    from brainscore_ops.settings import Deployment, Workspace

BY = "schedule"
FOLDER = "scheduled"


class BadScheduleError(UsageError):
    """What is said of scheduled runs is not what can be run."""

    code = "bad-schedule"


@dataclass(frozen=True)
class Scheduled:
    """A run that comes again and again."""

    runbook: str
    every: timedelta
    parameters: Mapping[str, Any]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Duration
    """From one to the next, as SLURM writes durations: ``5:00`` (minutes), ``1-00:00:00`` (days)."""
    parameters: dict[str, Any] = Field(default_factory=dict)


def read_schedule(workspace: Workspace) -> list[Scheduled]:
    """What is run again and again, by runbook.

    :raises BadScheduleError: every file that does not say how often, or names parameters that its runbook does not have
    """
    found, problems = [], []
    for path in sorted((workspace.params / FOLDER).glob("*.yaml")):
        try:
            found.append(_read(path, workspace))
        except OpsError as error:
            problems.append(Problem("bad-schedule", str(error), where=f"{FOLDER}/{path.name}"))
        except (yaml.YAMLError, ValidationError, TypeError) as error:
            problems.append(Problem("bad-schedule", str(error), where=f"{FOLDER}/{path.name}"))
    if problems:
        raise BadScheduleError("not every scheduled run can be run", problems=problems, remedy="Mend the files.")
    return found


def ask_for_due(deployment: Deployment, session: Session, schedule: Sequence[Scheduled]) -> list[int]:
    """Ask for every run whose time has come.

    :returns: the numbers of the jobs
    """
    session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": lock_number("schedule")})
    asked = []
    for each in schedule:
        since = session.scalar(
            text(
                "SELECT now() - max(e.at) FROM procrastinate_jobs j JOIN procrastinate_events e ON e.job_id = j.id "
                "WHERE j.queue_name = :queue AND j.args->>'by' = :by AND j.args->>'runbook' = :runbook AND e.type = 'deferred'"
            ),
            {"queue": deployment.name, "by": BY, "runbook": each.runbook},
        )
        if since is None or since >= each.every:
            asked.append(
                enqueue(deployment, each.runbook, each.parameters, by=BY, session=session, priority=LATER),
            )
    return asked


def remove_old(deployment: Deployment, session: Session) -> int:
    """Remove the jobs that ended long ago, but the last that the schedule asked for of each runbook.

    :returns: how many
    """
    removed = session.execute(
        text(
            "WITH gone AS (DELETE FROM procrastinate_jobs WHERE queue_name = :queue AND status NOT IN ('todo', 'doing') "
            "AND id NOT IN (SELECT max(id) FROM procrastinate_jobs WHERE args->>'by' = :by GROUP BY args->>'runbook') "
            "AND id IN (SELECT job_id FROM procrastinate_events GROUP BY job_id HAVING max(at) < now() - :keep) RETURNING id), "
            "attempts AS (DELETE FROM job_attempt WHERE job_id IN (SELECT id FROM gone)) SELECT count(*) FROM gone"
        ),
        {"queue": deployment.name, "by": BY, "keep": timedelta(days=deployment.queue.keep_days)},
    )
    return int(removed.scalar_one())


def _read(path: Path, workspace: Workspace) -> Scheduled:
    said = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    runbook = find_runbook(path.stem, workspace)
    check_parameters(load_parameters_model(runbook.parameters), said.parameters)
    return Scheduled(runbook.name, timedelta(seconds=said.every), said.parameters)
