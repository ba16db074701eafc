"""What a worker does with an attempt that it is given. It reaches no database and no forge: all that it says is files."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from brainscore_ops.errors import Fault, StepFailedError
from brainscore_ops.plugins.watchdog import end_tree
from brainscore_ops.scoring.attempts import Attempt, AttemptState, alone_in, read_attempt, write_attempt
from brainscore_ops.scoring.pair import (
    PairOutcome,
    ScorePairParameters,
    forget_outcome,
    keep_outcome,
    kept_outcome,
    node_name,
)
from brainscore_ops.scoring.slurm import own_job
from brainscore_ops.settings import Deployment, ResourceClass, RunSettings, load_deployment

Execute = Callable[[Mapping[str, Any], RunSettings], Mapping[str, Any] | None]
"""How a worker executes the ``score_pair`` notebook: parameters and bounds → what went wrong, or None."""

_CLOSING_SECONDS = 10.0
"""How long a worker that has to close may take to say how its pair ended."""
_LONGEST_GRACE_SECONDS = 30.0
_ENVIRONMENT_SECONDS = 3600.0
"""How much longer than the pair's own time its notebook may take: its environment may have to be built."""


_closing = threading.Event()


class AttemptTakenError(StepFailedError):
    """An attempt was given to a worker that another one had, or that is not its driver's any more."""

    code = "attempt-taken"


def work(execute: Execute, parameters: Mapping[str, Any], number: int) -> None:
    """Carry out an attempt: enter that it runs, execute the notebook, enter how it ended.

    :param parameters: of ``score_pair``
    :param number: of the attempt, whose file the driver wrote
    :raises AttemptTakenError: it is somebody else's; nothing was done
    """
    job = ScorePairParameters.model_validate(parameters)
    settings, folder = load_deployment(job.deployment), Path(job.results)
    offered = settings.resource_class(job.resource_class)
    with alone_in(folder, ".attempt.lock"):
        attempt = read_attempt(folder, number)
        if attempt.state is not AttemptState.QUEUED:
            raise AttemptTakenError(f"expected attempt {number} of {job.model} on {job.benchmark} to wait for a worker, "
                                    f"it is {attempt.state}")  # fmt: skip
        seconds = _seconds_left(settings, offered)
        number_of_job, partition = own_job()
        attempt = attempt.started(seconds=seconds, job_id=number_of_job, node=node_name(), partition=partition)
        write_attempt(folder, attempt)
        known = kept_outcome(folder)
        if known is None or known.state != "scored":
            forget_outcome(folder)
            known = _execute(execute, job, settings, offered, folder, time.time() + seconds)
        if read_attempt(folder, number) == attempt:  # the driver may have given it up: then that is how it ended
            write_attempt(folder, _ended(attempt, known))


def dask_teardown(worker: object) -> None:  # noqa: ARG001 - dask's signature; this module is preloaded by workers in jobs
    """End what a worker that has to close is computing: its job was cancelled, or its driver is gone.

    Dask would wait for it; nothing else would end it where SLURM knows only the job's first process. The attempt and its record
    are still closed by the thread that waits for it.
    """
    _closing.set()
    _exit_after(_CLOSING_SECONDS)
    for child in psutil.Process().children():
        end_tree(child)


def _exit_after(seconds: float) -> None:
    timer = threading.Timer(seconds, os._exit, [0])
    timer.daemon = True
    timer.start()


def _execute(
    execute: Execute, job: ScorePairParameters, settings: Deployment, offered: ResourceClass, folder: Path, ends: float
) -> PairOutcome:
    kills = _oom_kills()
    error = execute({**job.model_dump(), "ends": ends}, _bounds(settings, offered))
    outcome = kept_outcome(folder)
    if _closing.is_set() and (outcome is None or outcome.state == "failed"):
        lost = StepFailedError(
            "its worker had to end: its job was cancelled, or its driver is gone", code="worker-lost"
        )
        return keep_outcome(job, settings, run_id=(error or {}).get("run_id"), failure=lost)
    if outcome is None:
        error = error or StepFailedError("its run left no outcome", code="worker-lost").as_dict()
        lost = StepFailedError(
            f"its run came to no end: {error['message']}", code=str(error["code"]), fault=Fault.INFRASTRUCTURE
        )
        return keep_outcome(job, settings, run_id=error.get("run_id"), failure=lost)
    if outcome.failure and outcome.failure["code"] == "killed" and _oom_kills() > kills:
        # The kernel was quicker than our own limit: a job's memory ends with its cgroup.
        memory = StepFailedError(
            "Scoring was stopped: the system killed it for want of memory.",
            code="out-of-memory",
            fault=Fault.SUBMISSION,
            log=outcome.failure["log"],
        )
        return keep_outcome(job, settings, run_id=outcome.run_id, failure=memory, measured=outcome.measured)
    return outcome


def _ended(attempt: Attempt, outcome: PairOutcome) -> Attempt:
    used = outcome.measured or {}
    return attempt.ended(
        outcome.failure,
        cpu_seconds=used.get("cpu_seconds"),
        peak_memory_bytes=used.get("peak_memory_bytes"),
        wall_seconds=used.get("wall_seconds"),
        run_id=outcome.run_id,
    )


def _seconds_left(settings: Deployment, offered: ResourceClass) -> float:
    """What is left of the walltime of this worker's job, with time to end in order; on a local cluster, all of it."""
    if settings.scoring.cluster == "local":
        return offered.walltime
    grace = min(_LONGEST_GRACE_SECONDS, offered.walltime / 10)
    return max(1.0, offered.walltime - (time.time() - psutil.Process().create_time()) - grace)


def _bounds(settings: Deployment, offered: ResourceClass) -> RunSettings:
    """The notebook's own bounds lie beyond those of the pair: the sandbox says more exactly which one was crossed."""
    seconds = offered.walltime + _ENVIRONMENT_SECONDS
    memory = offered.memory + settings.runs.memory_bytes
    return RunSettings(cell_seconds=seconds, run_seconds=seconds, memory_bytes=memory)


def _oom_kills() -> int:
    """How many processes this machine has killed for want of memory; 0 where it does not say."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
