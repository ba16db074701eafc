"""Where pairs are computed: dask workers of this process, or in SLURM jobs, as many as there is work for.

A :class:`Pool` has the workers of a resource class. It is told how many are wanted and which of them are busy, and sees to
the rest: on SLURM it submits jobs, replaces those that are lost, and gives back those without work.
"""

from __future__ import annotations

import logging
import math
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from brainscore_ops.errors import UnavailableError
from brainscore_ops.scoring import slurm
from brainscore_ops.scoring.worker import work

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from brainscore_ops.errors import OpsError
    from brainscore_ops.settings import Deployment, ResourceClass

JOB_PREFIX = "bso"
_CLEAR_REFUSALS = 3
"""After so many jobs in a row that SLURM did not take, or that ended before their worker came, no more are submitted."""
_NOBODY = "127.0.0.1:0"
"""Where dask's own pages are: it has them without a dashboard, too, for anybody who can reach them and without certificates."""
_POLL_SECONDS = 2.0
# A worker waits for processes. Dask would look a hundred times a second at what it does meanwhile.
_QUIET = (
    "export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False",
    "export DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL=60s",
)
_ADAPT_SECONDS = 0.5
_NOTICE_SECONDS = 2.0
"""So long after a worker was lost SLURM knows that its job is ending, where it is."""
_END_SECONDS = 20.0
"""How long a job may take to end that is ending."""


class WorkersDoNotStartError(UnavailableError):
    """Jobs of a resource class end before their workers have come: something about the nodes is not as it should be."""

    code = "workers-do-not-start"


class Pool(Protocol):
    """Workers that pairs of a resource class are given to, one at a time each."""

    def look(self, wanted: int, busy: Collection[str]) -> dict[str, float]:
        """Say how many workers are wanted, and see which there are.

        :param busy: the addresses of the workers that have something to do
        :returns: address → since when it is there (seconds of the monotonic clock)
        :raises ClusterRefusedError, WorkersDoNotStartError: none can be had
        """

    def give(self, address: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have a worker do something.

        :returns: a future
        """

    def job_of(self, address: str) -> str | None:
        """The number of the job that a worker is, or was, in."""

    def retire(self, address: str) -> None:
        """Give a worker back that is not busy."""

    @property
    def pending(self) -> int:
        """How many jobs wait in a queue to start."""

    @property
    def silence(self) -> tuple[float, OpsError] | None:
        """For how many seconds whoever gives workers has not answered, and what was seen of it; None where it does."""


@contextmanager
def open_pools(deployment: Deployment, driver: str, most_local: int) -> Iterator[Callable[[ResourceClass], Pool]]:
    """A function that gives the pool of a resource class, opened when it is first asked for; all are closed with the block.

    :param driver: names the jobs, so that nothing of a driver that is dead is left
    :param most_local: on a local cluster: how many workers could be busy at once
    """
    import dask
    import distributed  # noqa: F401 - its settings have to be there before ours, which would else take them along at the end

    # Loss is noticed at once, and dealt with by whoever gave the work.
    options = {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.deploy.lost-worker-timeout": "1s",
        "distributed.scheduler.work-stealing": False,
        "distributed.scheduler.active-memory-manager.start": False,
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
    }
    with dask.config.set(options), ExitStack() as stack:
        if deployment.scoring.cluster == "local":
            workers = max(1, min(most_local, deployment.scoring.workers))
            pool: Pool = stack.enter_context(_local_pool(deployment, workers))
            yield lambda _: pool
            return
        stack.enter_context(slurm.cancelled_with_this_process(job_name(deployment, driver)))
        security = _Security(stack.enter_context(_closed_folder(deployment)))
        pools: dict[str, Pool] = {}

        def pool_of(offered: ResourceClass) -> Pool:
            if offered.name not in pools:
                pools[offered.name] = stack.enter_context(_slurm_pool(deployment, driver, offered, security))
            return pools[offered.name]

        yield pool_of


def job_name(deployment: Deployment, driver: str) -> str:
    """What the jobs of a driver are called."""
    return f"{JOB_PREFIX}.{deployment.name}.{driver}"


def jobs_of_dead_drivers(deployment: Deployment, is_alive: Callable[[str], bool]) -> list[str]:
    """The jobs of this deployment whose driver is gone."""
    start = f"{JOB_PREFIX}.{deployment.name}."
    try:
        text = slurm.command("squeue", "--noheader", "--me", "--format=%i|%j")
    except slurm.CommandFailedError:
        return []
    named = [line.split("|", 1) for line in text.splitlines()]
    return [number for number, name in named if name.startswith(start) and not is_alive(name.removeprefix(start))]


class _DaskPool:
    """What pools of either kind share. The dask client and scheduler are in this process."""

    def __init__(self, cluster: Any, client: Any) -> None:
        self._cluster = cluster
        self._client = client
        self._since: dict[str, float] = {}
        self._names: dict[str, str] = {}

    def give(self, address: str, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._client.submit(function, *arguments, workers=[address], pure=False, retries=0)

    def _seats(self) -> dict[str, float]:
        async def named() -> dict[str, str]:
            return {state.address: str(state.name) for state in self._cluster.scheduler.workers.values()}

        there = self._cluster.sync(named)
        self._names.update(there)
        self._since = {address: self._since.get(address, time.monotonic()) for address in there}
        return self._since


class _LocalPool(_DaskPool):
    pending = 0
    silence = None

    def look(self, wanted: int, busy: Collection[str]) -> dict[str, float]:  # noqa: ARG002 - there are those that there are
        return self._seats()

    def job_of(self, address: str) -> None:  # noqa: ARG002 - there are no jobs
        return None

    def retire(self, address: str) -> None:
        pass


@contextmanager
def _local_pool(deployment: Deployment, workers: int) -> Iterator[_LocalPool]:
    from distributed import Client, LocalCluster

    scratch = deployment.state / "dask"
    scratch.mkdir(parents=True, exist_ok=True)
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            # Threads are enough for workers that start a process for each pair and wait for it.
            processes=False,
            dashboard_address=_NOBODY,
            worker_dashboard_address=_NOBODY,
            # Memory is limited where plugin code runs, in its sandbox.
            memory_limit=0,
            local_directory=str(scratch),
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield _LocalPool(cluster, client)


class _SlurmPool(_DaskPool):
    def __init__(self, cluster: Any, client: Any, what: str, name: str, logs: Path) -> None:
        super().__init__(cluster, client)
        self._what = what
        self._name = name
        self._logs = logs
        self._looked = 0.0
        self._answered = time.monotonic()
        self._silent: OpsError | None = None
        self._jobs: dict[str, slurm.Job] = {}
        self._numbers: dict[str, str] = {}
        self._came: set[str] = set()
        self._stillborn = 0

    @property
    def pending(self) -> int:
        return sum(job.is_pending for job in self._jobs.values())

    @property
    def silence(self) -> tuple[float, OpsError] | None:
        return (time.monotonic() - self._answered, self._silent) if self._silent else None

    def look(self, wanted: int, busy: Collection[str]) -> dict[str, float]:
        seats = self._seats()
        names = {self._names[address] for address in seats}
        for name in names - self._came:
            self._came.add(name)
            self._stillborn = 0
        self._cluster.wanted = wanted
        # SLURM may have given up a job whose worker still answers: its node was set down.
        seats = {address: since for address, since in seats.items() if not self._job(self._names[address]).is_over}
        self._cluster.idle = [self._names[address] for address in seats if address not in busy]
        for name, job in list(self._cluster.workers.items()):
            if job.job_id:
                self._numbers[name] = str(job.job_id)
        if time.monotonic() - self._looked > _POLL_SECONDS:
            self._ask_slurm(names)
        return seats

    def _ask_slurm(self, there: Collection[str]) -> None:
        """See how the jobs stand. A controller that does not answer is waited for: workers and scheduler need none."""
        self._looked = time.monotonic()
        try:
            known = slurm.jobs(name_starts=self._name)
        except slurm.SlurmUnavailableError as error:
            self._silent = error
            return
        self._answered, self._silent = time.monotonic(), None
        self._jobs = {number: known[number] for number in set(self._numbers.values()) & known.keys()}
        self._let_go_of_the_dead(there)
        if hopeless := next((job for job in self._jobs.values() if job.is_hopeless), None):
            self._cluster.wanted = 0
            slurm.cancel([job.number for job in self._jobs.values() if job.is_hopeless])
            raise slurm.refusal(f"its jobs would wait for ever ({hopeless.reason})", what=self._what)

    def job_of(self, address: str) -> str | None:
        return self._numbers.get(self._names.get(address, ""))

    def retire(self, address: str) -> None:
        self._cluster.sync(self._cluster.scale_down, [self._names[address]])

    def _job(self, name: str) -> slurm.Job:
        number = self._numbers.get(name, "")
        return self._jobs.get(number, slurm.Job(number, "RUNNING"))

    def _let_go_of_the_dead(self, there: Collection[str]) -> None:
        """dask-jobqueue waits for ever for the worker of a job that ended before it came: see after them."""
        dead, said = [], ""
        for name, job in list(self._cluster.workers.items()):
            if name in there and not self._job(name).is_over:
                continue
            if job.refused:
                dead.append(name)
                self._stillborn += 1
                said = job.refused
            elif (
                job.job_id and (found := self._jobs.get(str(job.job_id), slurm.Job(str(job.job_id), "UNKNOWN"))).is_over
            ):
                dead.append(name)
                if name not in self._came and found.state not in ("CANCELLED", "NODE_FAIL", "PREEMPTED"):
                    self._stillborn += 1
                    said = ""
        if dead:
            self._cluster.sync(self._cluster.scale_down, dead)
        if self._stillborn >= _CLEAR_REFUSALS:
            if said:
                raise slurm.refusal(said, what=self._what)
            raise WorkersDoNotStartError(
                f"{self._stillborn} SLURM jobs of {self._what} in a row ended before their worker had started",
                remedy="Their output is below; job_script_prologue, the shared folder and the interface are the usual suspects.",
                log=self._last_words(),
            )

    def _last_words(self) -> str:
        written = sorted(self._logs.glob(f"{self._name}-*.err"), key=lambda path: path.stat().st_mtime)
        return written[-1].read_text(errors="replace")[-2000:].strip() if written else ""


class _Security:
    """Certificates for one run of the driver: without them nobody on the network can speak with its schedulers or workers."""

    def __init__(self, folder: Path) -> None:
        from distributed.security import Security

        self.folder = folder
        self.security = Security.temporary()
        # Workers read theirs from files. dask-jobqueue would write them too, and remove them when it is collected, long after
        # their folder is gone.
        for name in ("tls_ca_file", "tls_worker_key", "tls_worker_cert"):
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(getattr(self.security, name))
            setattr(self.security, name, str(path))


@contextmanager
def _closed_folder(deployment: Deployment) -> Iterator[Path]:
    parent = deployment.shared / "dask"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="certificates-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _slurm_pool(
    deployment: Deployment, driver: str, offered: ResourceClass, security: _Security
) -> Iterator[_SlurmPool]:
    from distributed import Client

    settings = deployment.scoring
    name = job_name(deployment, driver)
    logs = deployment.outputs / "workers"
    logs.mkdir(parents=True, exist_ok=True)
    what = f"the resource class {offered.name}" + (f" (partition {offered.partition})" if offered.partition else "")
    options = {
        "cores": 1,  # pairs at once
        "processes": 1,
        "nanny": False,
        "memory": f"{offered.memory + settings.worker_memory_bytes}B",
        # Exactly: dask-jobqueue would round 1.1 GiB up to 2.
        "job_mem": f"{math.ceil((offered.memory + settings.worker_memory_bytes) / 2**20)}M",
        "job_cpu": offered.cores,
        "queue": offered.partition or None,
        "account": settings.account,
        "walltime": slurm_time(offered.walltime),
        "job_name": name,
        "log_directory": str(logs),
        # Also what dask waits for its scheduler: a worker whose driver is gone ends after this.
        "death_timeout": str(int(settings.death_timeout_seconds)),
        "local_directory": "${TMPDIR:-/tmp}",
        "python": f"exec {shlex.quote(sys.executable)}",  # no shell between SLURM and the worker
        "worker_extra_args": [
            *("--no-dashboard", "--dashboard-address", _NOBODY, "--memory-limit", "0", "--preload", work.__module__)
        ],
        "job_script_prologue": [*workspace_variables(deployment), *_QUIET, *settings.job_script_prologue],
        "job_extra_directives": [
            "--no-requeue",  # we give the pair to another worker, and say so
            f"--export={','.join(_exported())}",
            *([f"--gres=gpu:{offered.gpus}"] if offered.gpus else []),
            *offered.sbatch,
        ],
        "interface": settings.interface,
        "scheduler_options": {"dashboard": False, "dashboard_address": _NOBODY},
        "security": security.security,
        "shared_temp_directory": str(security.folder),
        "silence_logs": logging.CRITICAL,
        "name": f"{driver}-{offered.name}",
    }
    with _cluster_class()(**options) as cluster:
        slurm.require_acceptance(cluster.job_script(), what=what)
        cluster.adapt(
            _adaptive_class(),
            minimum=0,
            maximum=offered.jobs,
            interval=_ADAPT_SECONDS,
            wait_count=max(1, round(settings.idle_seconds / _ADAPT_SECONDS)),
        )
        with Client(cluster, set_as_default=False) as client:
            yield _SlurmPool(cluster, client, what, name, logs)


def slurm_time(seconds: float) -> str:
    """A duration as SLURM writes it; it counts in minutes, and at least one."""
    minutes = max(1, round(seconds / 60))
    return f"{minutes // 1440}-{minutes // 60 % 24:02}:{minutes % 60:02}:00"


def workspace_variables(deployment: Deployment) -> list[str]:
    """Lines of shell that tell a job where notebooks, settings, state and records are."""
    workspace = deployment.workspace
    folders = {"WORKSPACE": workspace.root, "STATE": workspace.state_root, "OUTPUTS": workspace.outputs_root}
    return [f"export BRAINSCORE_OPS_{name}={shlex.quote(str(folder))}" for name, folder in folders.items()]


def _exported() -> list[str]:
    return slurm.exported_variables(os.environ)


def _cluster_class() -> Any:
    """dask-jobqueue's cluster, with jobs that say when they were refused. Imported here: dask is slow to load."""
    from dask_jobqueue.slurm import SLURMCluster, SLURMJob
    from distributed.core import Status
    from distributed.deploy.spec import ProcessInterface

    class Job(SLURMJob):  # type: ignore[misc]
        refused = ""

        async def close(self) -> None:
            await super().close()
            self.status = Status.closed  # dask insists on it when a cluster is closed, and its Job does not say it

        async def start(self) -> None:
            try:
                await super().start()
            except RuntimeError as error:
                found = re.search(r"stderr:\n(.*)", str(error), re.DOTALL)
                self.refused = (found[1] if found else str(error)).strip()
                await ProcessInterface.start(self)

    class Cluster(SLURMCluster):  # type: ignore[misc]
        job_cls = Job
        wanted = 0
        """How many workers there should be."""
        idle: Collection[str] = ()
        """The names of workers that can be given back."""

    return Cluster


def _adaptive_class() -> Any:
    from distributed.deploy.adaptive import Adaptive

    class AsManyAsWanted(Adaptive):  # type: ignore[misc]
        """Scales to what the driver says: it knows its pairs better than dask, which guesses how long tasks take."""

        async def target(self) -> int:
            return int(self.cluster.wanted)

        async def workers_to_close(self, target: int) -> list[str]:
            idle = [name for name in self.cluster.idle if name in self.cluster.plan]
            return idle[: max(0, len(self.cluster.plan) - target)]

    return AsManyAsWanted


def lost_because(number: str | None, *, certainly: bool) -> tuple[str, str] | None:
    """Why a job ended that a worker was in; what is left of it is ended first, and waited for.

    :param certainly: whether the worker is lost; otherwise it said itself that something killed the pair, and only where SLURM
        is ending its job this is why
    :returns: a reason code, and the reason in words; None where the job simply goes on
    """
    if number is None:
        return ("worker-lost", "the worker that computed it was lost") if certainly else None
    began = time.monotonic()
    found = slurm.Job(number, "UNKNOWN")
    with suppress(slurm.SlurmUnavailableError):
        found = slurm.job(number)
        while not found.is_over and time.monotonic() - began < _END_SECONDS:
            ending = found.state == "COMPLETING"
            if not ending and time.monotonic() - began > _NOTICE_SECONDS:
                if not certainly:
                    return None
                slurm.cancel([number])
            time.sleep(0.3)
            found = slurm.job(number)
    return slurm.failure_of(found)
