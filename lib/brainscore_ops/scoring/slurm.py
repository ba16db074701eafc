"""SLURM's own commands: what they are asked, and what their answers mean."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brainscore_ops.errors import Fault, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_SECONDS = 60

# The variables that a job is given: where programs, packages and SLURM are. Never a credential.
_EXPORTED = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LC_.+|TZ|SLURM_CONF|UV_.+|PIP_.+|SSL_CERT_(FILE|DIR)"
    r"|(HTTPS?|ALL|NO)_PROXY|(https?|all|no)_proxy|BRAINSCORE_OPS_(WORKSPACE|STATE|OUTPUTS)"
)
_PENDING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
# Reasons to wait that nothing but a person changes: sbatch takes such a job, and it would wait for ever.
_HOPELESS = {
    "AccountNotAllowed",
    "BadConstraints",
    "InvalidAccount",
    "InvalidQOS",
    "PartitionConfig",
    "PartitionNodeLimit",
    "PartitionTimeLimit",
    "QOSNotAllowed",
}
_RUNNING = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}


class SlurmUnavailableError(UnavailableError):
    """SLURM's commands are not there, or its controller does not answer."""

    code = "slurm-unavailable"


class ClusterRefusedError(UnavailableError):
    """SLURM does not take jobs of a resource class: its partition, account or limits are not as the settings say."""

    code = "cluster-refused"
    fault = Fault.OPERATOR


@dataclass(frozen=True)
class Job:
    """What SLURM says of a job."""

    number: str
    state: str
    """As SLURM spells it: ``RUNNING``, ``NODE_FAIL`` …; ``UNKNOWN`` for one that it has forgotten."""
    reason: str = ""
    exit_code: str = ""
    """``code:signal``."""
    node: str = ""
    partition: str = ""

    @property
    def is_pending(self) -> bool:
        """Whether it has yet to start."""
        return self.state in _PENDING

    @property
    def is_hopeless(self) -> bool:
        """Whether it waits for what never comes: more walltime, nodes or rights than there are."""
        return self.is_pending and self.reason in _HOPELESS

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state not in _PENDING | _RUNNING


def command(*arguments: str, give: str | None = None) -> str:
    """What a command of SLURM prints.

    :param give: its standard input
    :raises SlurmUnavailableError: it is not there, does not answer, or does not reach the controller
    :raises CommandFailedError: it says no
    """
    try:
        done = subprocess.run(arguments, input=give, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except FileNotFoundError:
        raise SlurmUnavailableError(
            f"expected SLURM's command {arguments[0]} on PATH, found none",
            remedy="Run this on a machine from which jobs can be submitted.",
            fault=Fault.OPERATOR,
        ) from None
    except subprocess.TimeoutExpired:
        raise SlurmUnavailableError(f"{arguments[0]} did not answer within {_SECONDS} s") from None
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.strip() or done.stdout.strip()
    if re.search(r"Unable to contact|Connection refused|Socket timed out|slurm_persist|Zero Bytes", said):
        raise SlurmUnavailableError(f"SLURM's controller does not answer: {said}", remedy="Run this again later.")
    raise CommandFailedError(said)


class CommandFailedError(UnavailableError):
    """A command of SLURM says no; the message is what it said."""

    code = "slurm-command"


def require_acceptance(script: str, *, what: str) -> None:
    """Ask SLURM whether it would take a job script, without submitting it.

    :param what: whose it is, in words
    :raises ClusterRefusedError: it would not, and why
    """
    try:
        command("sbatch", "--test-only", give=script)
    except CommandFailedError as error:
        raise refusal(error.message, what=what) from None


def refusal(said: str, *, what: str) -> ClusterRefusedError:
    """What to raise where sbatch said no."""
    lines = [re.sub(r"^(sbatch: )?(error: )?", "", line) for line in said.splitlines() if line.strip()]
    return ClusterRefusedError(
        f"SLURM takes no jobs of {what}: {'; '.join(dict.fromkeys(lines)) or 'it does not say why'}",
        remedy="Compare partition, account, memory and walltime in the deployment's settings with `sinfo` and "
        "`scontrol show partition`.",
    )


def jobs(*, name_starts: str = "", numbers: Collection[str] = ()) -> dict[str, Job]:
    """The jobs of this user that SLURM still knows, by number.

    :param name_starts: only those whose name begins so
    :param numbers: only these
    """
    try:
        text = command("squeue", "--noheader", "--me", "--states=all", "--format=%i|%T|%r|%N|%P|%j")
    except CommandFailedError:
        return {}
    found = {}
    for line in text.splitlines():
        number, state, reason, node, partition, name = line.split("|", 5)
        if name.startswith(name_starts) and (not numbers or number in numbers):
            found[number] = Job(number, state, reason, "", node, partition)
    return found


def job(number: str) -> Job:
    """What SLURM says of a job, also for a while after its end; for longer where there is accounting."""
    try:
        text = command("scontrol", "show", "job", "--oneliner", number)
    except CommandFailedError:
        return _from_accounting(number)
    facts = dict(part.partition("=")[::2] for part in text.split() if "=" in part)
    return Job(
        number,
        facts.get("JobState", "UNKNOWN"),
        facts.get("Reason", "").replace("None", ""),
        facts.get("ExitCode", ""),
        facts.get("NodeList", "").replace("(null)", ""),
        facts.get("Partition", ""),
    )


def cancel(numbers: Collection[str]) -> None:
    """Cancel jobs; those that have ended are left alone."""
    if numbers:
        try:
            command("scancel", "--quiet", *numbers)
        except CommandFailedError:
            return  # they are gone


def failure_of(found: Job) -> tuple[str, str]:
    """The reason code, and the words, for an attempt whose job is in a state in which it cannot go on."""
    where = f"SLURM job {found.number}" + (f" on {found.node}" if found.node else "")
    if found.state == "OUT_OF_MEMORY" or (found.state == "FAILED" and found.exit_code.endswith(":9")):
        return "out-of-memory", f"{where} was killed for using more memory than it had asked for"
    if found.state in ("TIMEOUT", "DEADLINE"):
        return "timeout", f"{where} reached its walltime"
    if found.state in ("NODE_FAIL", "BOOT_FAIL"):
        return "node-lost", f"the node of {where} failed"
    words = found.state.lower().replace("_", " ")
    why = f" ({found.reason})" if found.reason else ""
    return "worker-lost", f"the worker in {where} was lost; the job is {words}{why}"


def exported_variables(environment: Mapping[str, str]) -> list[str]:
    """The names of the variables that a job is given: none of them holds a credential."""
    return sorted(name for name in environment if _EXPORTED.fullmatch(name))


@contextmanager
def cancelled_with_this_process(job_name: str) -> Iterator[None]:
    """See to it that no job of that name outlives this process, however it ends.

    A shell of its own session waits for the end of a pipe that this process alone holds, and then cancels them: also those
    that SLURM has not started yet, which no worker could end. Where a whole machine is lost, workers notice by themselves,
    and the next driver cancels what waits.
    """
    script = 'cat; scancel --quiet --me --name="$1"; sleep 2; scancel --quiet --me --name="$1"'
    watch = subprocess.Popen(
        ["/bin/sh", "-c", script, "brainscore-ops-watch", job_name],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        watch.kill()
        watch.communicate()


def _from_accounting(number: str) -> Job:
    try:
        text = command(
            "sacct", "--noheader", "--parsable2", "--jobs", number, "--format=State,ExitCode,NodeList,Partition"
        )
    except UnavailableError:
        return Job(number, "UNKNOWN")
    for line in text.splitlines():
        state, exit_code, node, partition = line.split("|")[:4]
        return Job(number, state.split()[0], "", exit_code, node, partition)
    return Job(number, "UNKNOWN")


def own_job(environment: Mapping[str, str] = os.environ) -> tuple[str | None, str | None]:
    """The number and the partition of the job that this process runs in; None outside of SLURM."""
    return environment.get("SLURM_JOB_ID"), environment.get("SLURM_JOB_PARTITION")
