"""One job's run, in a process of its own: what a worker starts for each job.

It reads its order as one line of JSON from standard input, which then stays open: when it ends, the worker is gone, and this
process stops its run as if it had been told to. Its exit code is the run's, as ``brainscore-ops run`` has it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from brainscore_ops.database.connection import Database
from brainscore_ops.errors import OpsError
from brainscore_ops.queue.following import ask_for_what_follows
from brainscore_ops.queue.jobs import subject_of
from brainscore_ops.runbooks.execution import run_runbook
from brainscore_ops.runbooks.signals import RunInterrupted
from brainscore_ops.settings import load_deployment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from brainscore_ops.runbooks.runs import RunResult, StepProgress
    from brainscore_ops.settings import Deployment

LOCK_SECONDS = 20.0
"""How long it waits for another run about the same submission; that there is one means that a worker was thought dead."""
ORPHAN_SECONDS = 60.0
"""How long a run has to stop in order when its worker is gone."""
INTERRUPTED = 130


@dataclass(frozen=True)
class Order:
    """What a worker tells the process that it starts."""

    job_id: int
    attempt: int
    """From 1."""
    deployment: str
    runbook: str
    parameters: Mapping[str, Any]
    by: str

    def as_line(self) -> bytes:
        """The order as the process reads it."""
        return (json.dumps({**vars(self), "parameters": dict(self.parameters)}) + "\n").encode()


def execute(order: Order) -> int:
    """Run what a job asks for, write down how the attempt went, and ask for what follows.

    :returns: the run's exit code
    """
    deployment = load_deployment(order.deployment)
    database = Database.of(deployment)
    attempt = _Attempt(database, order)
    try:
        with ExitStack() as alone:
            for name in _locks(deployment, database, order):
                alone.enter_context(database.lock(name, wait=LOCK_SECONDS))
            attempt.begin()
            result = _run(order, attempt)
            ask_for_what_follows(deployment, database, order.parameters, result)
        attempt.end(result.exit_code, result.error)
        return result.exit_code
    except OpsError as error:
        _say(order, str(error))
        attempt.end(error.exit_code, error.as_dict())
        return error.exit_code
    except Exception:
        traceback.print_exc()
        attempt.end(1, {"code": "crashed", "message": traceback.format_exc(limit=-1).strip().splitlines()[-1]})
        return 1
    finally:
        database.close()


def main() -> None:
    """Carry out the order on standard input."""
    pipe = os.fdopen(os.dup(0), "rb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # what this process starts must not read from the worker
    line = pipe.readline()
    if not line:
        return
    threading.Thread(target=_end_with, args=(pipe,), daemon=True).start()
    sys.exit(execute(Order(**json.loads(line))))


def _end_with(pipe: Any) -> None:
    while pipe.read(1024):
        pass
    print("the worker is gone: the run is stopped", file=sys.stderr, flush=True)  # noqa: T201
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_SECONDS)
    os._exit(1)


def _locks(deployment: Deployment, database: Database, order: Order) -> list[str]:
    """What is locked while it runs, always in the same order: a submission, then its pull request."""
    with database.session() as session:
        about = [subject_of(session, deployment, order.runbook, order.parameters)]
    if (pull_request := order.parameters.get("pull_request")) is not None:
        about.append(f"pull request {pull_request}")
    return [f"job:{subject}" for subject in dict.fromkeys(about)]


def _run(order: Order, attempt: _Attempt) -> RunResult:
    try:
        return run_runbook(
            order.runbook,
            order.parameters,
            deployment=order.deployment,
            triggered_by=f"queue:{order.job_id} {order.by}"[:100],
            on_step=attempt.step,
        )
    except RunInterrupted as interruption:
        return interruption.result


class _Attempt:
    """The row of ``job_attempt``. Whoever cancels a job writes his name there first; that stays."""

    def __init__(self, database: Database, order: Order) -> None:
        self._database = database
        self._order = order
        self._run_id = ""

    def begin(self) -> None:
        self._write(
            "INSERT INTO job_attempt (job_id, number, host, process, started_at) "
            "VALUES (:job, :number, :host, :process, now()) ON CONFLICT (job_id, number) DO UPDATE "
            "SET host = excluded.host, process = excluded.process, started_at = excluded.started_at",
            host=socket.gethostname()[:100],
            process=os.getpid(),
        )

    def step(self, progress: StepProgress) -> None:
        if not self._run_id:
            self._run_id = progress.run_id
            self._write(
                "UPDATE job_attempt SET run_id = :run WHERE job_id = :job AND number = :number", run=self._run_id
            )
        if progress.seconds is not None:
            where = f"{progress.position}/{progress.count} {progress.step}"
            _say(self._order, f"{where} {progress.state}, {progress.seconds:.1f} s")

    def end(self, exit_code: int, error: Mapping[str, Any] | None) -> None:
        try:
            self._write(
                "INSERT INTO job_attempt (job_id, number, host, process, started_at, ended_at, exit_code, reason_code, reason) "
                "VALUES (:job, :number, :host, :process, now(), now(), :exit, :code, :reason) "
                "ON CONFLICT (job_id, number) DO UPDATE SET ended_at = excluded.ended_at, exit_code = excluded.exit_code, "
                "reason_code = coalesce(job_attempt.reason_code, excluded.reason_code), "
                "reason = coalesce(job_attempt.reason, excluded.reason)",
                host=socket.gethostname()[:100],
                process=os.getpid(),
                exit=exit_code,
                code=error and str(error["code"])[:100],
                reason=error and error["message"],
            )
        except OpsError as unavailable:
            # The exit code tells the worker what to do; that this is not written costs nothing but the reason in a list.
            _say(self._order, f"how it ended could not be written down: {unavailable.message}")

    def _write(self, statement: str, **values: Any) -> None:
        known = {"job": self._order.job_id, "number": self._order.attempt, **values}

        def write(session: Session) -> None:
            session.execute(text(statement), known)

        self._database.transact(write)


def _say(order: Order, words: str) -> None:
    print(f"job {order.job_id} {order.runbook}: {words}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
