"""One pair's computation, on whichever machine it runs: no database, no forge; what comes of it is a file."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from brainscore_ops.display import Shown, Table, with_error
from brainscore_ops.errors import OpsError
from brainscore_ops.parameters import RunbookParameters
from brainscore_ops.plugins.devices import gpu_devices
from brainscore_ops.plugins.environment import Environment, EnvironmentStore
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.library_run import HASH_SEED
from brainscore_ops.plugins.requirements import requirements_for
from brainscore_ops.plugins.sandbox import Limits, Sandbox
from brainscore_ops.plugins.scoring import PairFailedError, score_pair
from brainscore_ops.scoring.attempts import alone_in
from brainscore_ops.scoring.locks import keep_lock
from brainscore_ops.settings import Deployment, ResourceClass, load_deployment

if TYPE_CHECKING:
    from collections.abc import Callable

    from brainscore_ops.plugins.result import Measured, PairResult
    from brainscore_ops.scoring.plan import Pair

OUTCOME_FILE = "outcome.json"
GREATEST_VERSION = 2**31 - 1
LONGEST_IDENTIFIER = 255


class ScorePairParameters(RunbookParameters):
    """What ``score_pair`` is told."""

    model: str = Field(description="the model's identifier")
    benchmark: str = Field(description="the benchmark's identifier")
    model_plugin: str = Field(description="the folder of the model's plugin, in <library>/models")
    benchmark_plugin: str = Field(description="the folder of the benchmark's plugin, in <library>/benchmarks")
    checkout: str = Field(description="the folder with the library's files at the commit that is scored")
    results: str = Field(description="the folder that takes the outcome")
    submission: int | None = Field(
        None, description="the submission that it is scored for: its submitter sees the record", gt=0
    )
    resource_class: str = Field("", description="the resource class that says what it may use; by default the default")
    ends: float | None = Field(
        None, description="when it has to have ended (seconds since 1970); by default after the class's walltime"
    )


@dataclass(frozen=True)
class PairOutcome(Shown):
    """What became of a pair: numbers, or the reason why there are none. Kept as ``outcome.json`` until it is recorded."""

    model: str
    benchmark: str
    state: str
    """``scored`` or ``failed``."""
    result: dict[str, Any] | None
    """The numbers, and what they were computed with; None for a failure."""
    failure: dict[str, Any] | None
    """:meth:`OpsError.as_dict` of what went wrong."""
    environment_digest: str | None
    sandboxed: bool
    node: str
    run_id: str | None
    seed: int | None = None
    """Of Python's hashes, as the sandbox set it."""
    recomputed_from: str | None = None
    """The identity of the score whose raw value this one was computed from, where nothing was run."""
    measured: dict[str, Any] | None = None
    """``wall_seconds``, ``cpu_seconds`` and ``peak_memory_bytes``, also of a failure; None where nothing was run."""

    def table(self) -> Table:
        if self.failure is not None:
            reason = f"{self.failure['message']} [{self.failure['code']}]"
            return Table(f"{self.model} on {self.benchmark}: failed", [("reason", reason)])
        result = self.result or {}
        return Table(
            f"{self.model} on {self.benchmark}",
            [
                ("score", with_error(result.get("value"), result.get("error"))),
                ("raw", with_error(result.get("raw"), None)),
                ("ceiling", with_error(result.get("ceiling"), result.get("ceiling_error"))),
                ("benchmark version", result.get("benchmark_version")),
                ("environment", self.environment_digest),
                ("sandbox", "yes" if self.sandboxed else "NO: switched off by the deployment"),
            ],
        )


def job_of(pair: Pair, *, deployment: Deployment, checkout: Path, submission: int | None = None) -> ScorePairParameters:
    """What a worker is told of a pair: the parameters of ``score_pair``."""
    return ScorePairParameters(
        deployment=deployment.name,
        model=pair.model,
        benchmark=pair.benchmark,
        model_plugin=pair.model_plugin,
        benchmark_plugin=pair.benchmark_plugin,
        checkout=str(checkout),
        results=str(results_folder(deployment, pair.results_key)),
        submission=submission,
    )


def results_folder(deployment: Deployment, key: str) -> Path:
    """Where the outcome of a pair is kept, on the file system that workers and driver share.

    :param key: :attr:`Pair.results_key`
    """
    return deployment.shared / "results" / key


def build_environment(job: ScorePairParameters, run_id: str | None) -> Environment:
    """The environment that both plugins of a pair can run in, built where it is not there yet.

    :raises EnvironmentBuildError: where their requirements cannot be installed together, after that outcome was kept
    """
    settings = load_deployment(job.deployment)
    plugins = [PluginKey("models", job.model_plugin), PluginKey("benchmarks", job.benchmark_plugin)]
    try:
        requirements = requirements_for(Path(job.checkout), settings.library.package, plugins)
        environment = environments_of(settings).ensure(requirements)
        keep_lock(settings.shared, environment.lock, environment.lock_digest, requirements.digest)
        return environment
    except OpsError as failure:
        keep_outcome(job, settings, run_id=run_id, failure=failure)
        raise


def compute(
    job: ScorePairParameters, environment: Environment, run_id: str | None, say: Callable[[str], None] | None = None
) -> PairOutcome:
    """Score the pair in the sandbox, and keep the outcome.

    :param say: told each line that the plugin prints
    :raises PairFailedError: where there is no score, after that outcome was kept
    """
    settings = load_deployment(job.deployment)
    folder = Path(job.results)
    with alone_in(folder):
        known = kept_outcome(folder)
        if known is not None and known.state == "scored":
            return known  # another run computed it while this one waited
        return _compute(job, settings, folder, environment, run_id, say)


def _compute(
    job: ScorePairParameters,
    settings: Deployment,
    folder: Path,
    environment: Environment,
    run_id: str | None,
    say: Callable[[str], None] | None,
) -> PairOutcome:
    offered = settings.resource_class(job.resource_class)
    try:
        result = score_pair(
            environment,
            Path(job.checkout),
            settings.library.package,
            job.model,
            job.benchmark,
            sandbox=sandbox_of(settings, offered),
            limits=limits_of(settings, offered, job.ends),
            results=folder,
            threads=offered.cores,
            on_line=say,
        )
        _require_plausible(result)
    except OpsError as failure:
        keep_outcome(job, settings, run_id=run_id, environment=environment, failure=failure)
        raise
    return keep_outcome(job, settings, run_id=run_id, environment=environment, result=result)


def keep_outcome(
    job: ScorePairParameters,
    deployment: Deployment,
    *,
    run_id: str | None,
    environment: Environment | None = None,
    result: PairResult | None = None,
    failure: OpsError | None = None,
    measured: dict[str, Any] | None = None,
) -> PairOutcome:
    """Write what became of a pair into its results folder, whole or not at all.

    :param measured: what it used, where neither result nor failure says it
    """
    outcome = PairOutcome(
        model=job.model,
        benchmark=job.benchmark,
        state="failed" if failure else "scored",
        result=_facts(result) if result else None,
        failure=failure.as_dict() if failure else None,
        environment_digest=environment.lock_digest if environment else None,
        sandboxed=deployment.sandbox.kind != "none",
        node=node_name(),
        run_id=run_id,
        seed=HASH_SEED,
        measured=_used(result.measured if result else getattr(failure, "measured", None)) or measured,
    )
    folder = Path(job.results)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{OUTCOME_FILE}.partial"
    partial.write_text(json.dumps(asdict(outcome), indent=2, allow_nan=False), encoding="utf-8")
    partial.replace(folder / OUTCOME_FILE)
    return outcome


def kept_outcome(folder: Path) -> PairOutcome | None:
    """The outcome that a folder holds; None where its pair has not come to an end."""
    path = folder / OUTCOME_FILE
    return PairOutcome(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def forget_outcome(folder: Path) -> None:
    """Let go of an earlier try's outcome, where there is one."""
    (folder / OUTCOME_FILE).unlink(missing_ok=True)


def sandbox_of(deployment: Deployment, offered: ResourceClass | None = None) -> Sandbox:
    """The sandbox that a deployment's plugin code runs in.

    :param offered: the resource class that a pair is computed in: where it has graphics processors, the sandbox shows them
    """
    devices = gpu_devices() if offered and offered.gpus else ()
    return Sandbox(deployment.sandbox.kind, network=deployment.sandbox.network, devices=devices)


def node_name() -> str:
    """The machine that this runs on, as its cluster calls it."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def limits_of(deployment: Deployment, offered: ResourceClass | None = None, ends: float | None = None) -> Limits:
    """What plugin code of a deployment may use.

    :param offered: the resource class that a pair is computed in; without one, what the deployment says of its sandbox
    :param ends: when it has to have ended, in seconds since 1970
    """
    settings = deployment.sandbox
    left = math.inf if ends is None else max(1.0, ends - time.time())
    return Limits(
        wall_seconds=min(offered.walltime if offered else settings.wall_seconds, left),
        memory_bytes=offered.memory if offered else settings.memory_bytes,
        processes=settings.processes,
        output_bytes=settings.output_bytes,
        file_bytes=settings.file_bytes,
    )


def environments_of(deployment: Deployment) -> EnvironmentStore:
    """The plugin environments that a deployment has built."""
    settings = deployment.environments
    return EnvironmentStore(
        deployment.shared / "environments",
        python=settings.python,
        sandbox=sandbox_of(deployment),
        most_bytes=settings.most_bytes,
        most_days=settings.most_days,
        channels=settings.channels,
    )


def _require_plausible(result: PairResult) -> None:
    """Version and parent of the benchmark come from where plugin code runs, and go into tables that others read."""
    version, parent = result.benchmark_version or "", result.benchmark_parent or ""
    if not (version.isascii() and version.isdigit() and 0 <= int(version) <= GREATEST_VERSION):
        raise PairFailedError(
            f"expected a whole number as the version of {result.benchmark}, found {result.benchmark_version!r}",
            code="invalid-result",
            remedy="Give the benchmark an integer version.",
        )
    if len(parent) > LONGEST_IDENTIFIER or not parent.isprintable():
        raise PairFailedError(
            f"expected an identifier as the parent of {result.benchmark}, found {parent[:80]!r}",
            code="invalid-result",
            remedy="Name a parent such as 'behavioral'.",
        )


def _used(measured: Measured | None) -> dict[str, Any] | None:
    names = {"wall_seconds", "cpu_seconds", "peak_memory_bytes"}
    return measured.model_dump(include=names) if measured else None


def _facts(result: PairResult) -> dict[str, Any]:
    score, measured = result.score, result.measured
    return {
        "value": score.value if score else None,
        "error": score.error if score else None,
        "raw": result.raw,
        "ceiling": result.ceiling,
        "ceiling_error": result.ceiling_error,
        "benchmark_version": int(result.benchmark_version or 0),
        "benchmark_parent": result.benchmark_parent,
        "benchmark_bibtex": result.benchmark_bibtex,
        "packages": {"python": result.python, **result.packages},
        "wall_seconds": measured.wall_seconds if measured else None,
        "cpu_seconds": measured.cpu_seconds if measured else None,
        "peak_memory_bytes": measured.peak_memory_bytes if measured else None,
    }
