"""A runbook's run as a SLURM job of its own, for scoring that takes days: whoever asked for it may log off."""

from __future__ import annotations

import os
import shlex
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brainscore_ops.errors import Fault, UsageError
from brainscore_ops.scoring import slurm
from brainscore_ops.scoring.cluster import slurm_time, workspace_variables
from brainscore_ops.settings.secrets import variable_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from brainscore_ops.settings import Deployment

_POLL_SECONDS = 1.0
_LAST_SECONDS_TO_CLOSE = 60
_COMMAND = "from brainscore_ops.cli import main; main()"


@dataclass(frozen=True)
class DriverJob:
    """A job that runs a runbook."""

    number: str
    output: Path
    """What it prints."""
    errors: Path


class SecretNotSharedError(UsageError):
    """A secret is only in this process's environment, which a job does not get."""

    code = "secret-not-shared"
    fault = Fault.OPERATOR


def submit_driver(deployment: Deployment, arguments: Sequence[str]) -> DriverJob:
    """Submit a job that runs ``brainscore-ops`` with some arguments.

    Its script holds no secret, and it gets none from this environment: it finds them where it runs, in the deployment's own
    sources.

    :raises SecretNotSharedError: where it would not find them
    :raises ClusterRefusedError: where SLURM does not take it
    :raises SlurmUnavailableError: where there is no SLURM
    """
    services = (deployment.database, deployment.forge, deployment.mail)
    named = [service.secret for service in services if variable_of(service.secret) in os.environ]
    if named:
        raise SecretNotSharedError(
            f"expected the secrets {', '.join(named)} where a job finds them, too; found them in this environment, "
            "which no job is given",
            remedy="Put them into the deployment's secrets file, or another source that is reached from the nodes.",
        )
    logs = deployment.outputs / "drivers"
    logs.mkdir(parents=True, exist_ok=True)
    script = driver_script(deployment, arguments, logs)
    slurm.require_acceptance(script, what="the driver")
    try:
        number = slurm.command("sbatch", "--parsable", give=script).strip().partition(";")[0]
    except slurm.CommandFailedError as error:
        raise slurm.refusal(error.message, what="the driver") from None
    return DriverJob(number, logs / f"{number}.out", logs / f"{number}.err")


def driver_script(deployment: Deployment, arguments: Sequence[str], logs: Path) -> str:
    """The job's script."""
    settings = deployment.scoring
    memory = (deployment.runs.memory_bytes + settings.worker_memory_bytes) // 2**20
    directives = [
        f"--job-name=bso-driver.{deployment.name}",
        f"--output={logs}/%j.out",
        f"--error={logs}/%j.err",
        f"--time={slurm_time(settings.driver_walltime)}",
        f"--mem={memory}M",
        "--cpus-per-task=1",
        "--no-requeue",
        # Before its walltime ends it is told to stop: it closes its run, and the next one goes on.
        f"--signal=B:TERM@{_LAST_SECONDS_TO_CLOSE}",
        f"--export={','.join(slurm.exported_variables(os.environ))}",
        *([f"--partition={settings.driver_partition}"] if settings.driver_partition else []),
        *([f"--account={settings.account}"] if settings.account else []),
    ]
    return "\n".join(
        [
            "#!/bin/sh",
            *(f"#SBATCH {directive}" for directive in directives),
            *workspace_variables(deployment),
            *settings.job_script_prologue,
            f"exec {shlex.join([sys.executable, '-c', _COMMAND, *arguments])}",
            "",
        ]
    )


def follow(job: DriverJob, tell: Callable[[str, bool], None]) -> int:
    """Hand on what a job prints until it has ended.

    :param tell: given a piece of text, and whether it is of the errors
    :returns: its exit code
    :raises ClusterRefusedError: where it would never start; it is cancelled then
    """
    read = {job.output: 0, job.errors: 0}
    last = ""
    while True:
        found = slurm.job(job.number)
        for path in read:
            if path.exists():
                with path.open("rb") as file:
                    file.seek(read[path])
                    news = file.read()
                read[path] += len(news)
                if news:
                    tell(news.decode(errors="replace"), path == job.errors)
        if found.state != last and not found.is_over:
            last = found.state
            where = f" on {found.node}" if found.node else ""
            why = f" ({found.reason})" if found.reason else ""
            tell(f"job {job.number}: {found.state.lower()}{where}{why}\n", True)
        if found.is_hopeless:
            slurm.cancel([job.number])
            raise slurm.refusal(f"it would wait for ever ({found.reason})", what="the driver")
        if found.is_over:
            return _exit_code(found)
        time.sleep(_POLL_SECONDS)


def _exit_code(found: slurm.Job) -> int:
    code, _, number = found.exit_code.partition(":")
    if number not in ("", "0"):
        return 128 + int(number)
    return int(code) if code.isdigit() else 0 if found.state == "COMPLETED" else 1
