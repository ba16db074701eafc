"""Running a runbook from Python."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from brainscore_ops.errors import Fault, OpsError, Problem, RefusedError, StepFailedError, UnavailableError, UsageError
from brainscore_ops.runbooks.catalogue import find_runbook
from brainscore_ops.runbooks.parameters import check_parameters, load_parameters_model
from brainscore_ops.runbooks.quick_imports import without_unused_options
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.settings import RunSettings, Workspace, find_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brainscore_ops.runbooks.runs import RunResult, StepProgress


class RunFailedError(StepFailedError):
    """A run ended neither well, nor refused, nor for want of a service."""

    code = "run-failed"


class RunRefusedError(RefusedError):
    """A run ended because a rule says no."""


class RunUnavailableError(UnavailableError):
    """A run ended because an outside service did not answer."""


def run_runbook(
    name: str,
    parameters: Mapping[str, object],
    *,
    deployment: str | None = None,
    triggered_by: str,
    on_step: Callable[[StepProgress], None] | None = None,
    workspace: Workspace | None = None,
    bounds: RunSettings | None = None,
    continues: str | None = None,
    raise_on_failure: bool = False,
) -> RunResult:
    """Run a runbook to its end, through papermill.

    :param name: of the runbook
    :param parameters: its parameters, typed or as texts
    :param deployment: the parameter of that name, where it is not among them
    :param triggered_by: who or what asks for it: ``cli:ada``, ``demo``, ``ci``
    :param on_step: called when a step starts and when it ends
    :param bounds: what it may take, where that is not what its deployment says
    :param continues: the id of the run that this one goes on from
    :param raise_on_failure: whether a run that does not succeed raises; otherwise its result tells
    :raises UsageError: there is no such runbook, or these are not its parameters; there is no run then
    :raises UnavailableError: the ledger does not answer; there is no run then
    :raises RunInterrupted: a KeyboardInterrupt with the run's ``result``: SIGINT or SIGTERM came, the run is closed
    :raises RunFailedError, RunRefusedError, RunUnavailableError: with ``raise_on_failure``, what the run's error says
    """
    workspace = workspace or find_workspace()
    runbook = find_runbook(name, workspace)
    given = dict(parameters)
    if deployment is not None and given.setdefault("deployment", deployment) != deployment:
        raise UsageError(f"expected one deployment, found {deployment!r} and, as a parameter, {given['deployment']!r}")
    checked = check_parameters(load_parameters_model(runbook.parameters), given)

    with without_unused_options():
        from papermill import execute_notebook
        from papermill.exceptions import PapermillExecutionError
    logging.getLogger("papermill").setLevel(logging.ERROR)  # what it warns of has been checked
    results: list[RunResult] = []
    with suppress(PapermillExecutionError):  # the result says it, and more exactly
        execute_notebook(
            str(runbook.path).replace("{", "{{").replace("}", "}}"),  # papermill formats paths
            None,
            parameters=checked.model_dump(mode="json"),
            engine_name="brainscore-ops",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            triggered_by=triggered_by,
            workspace=workspace,
            bounds=bounds,
            continues=continues,
            on_step=on_step,
            on_result=results.append,
        )
    (result,) = results
    if raise_on_failure and result.state is not RunState.SUCCEEDED:
        raise failure_of(result)
    return result


def failure_of(result: RunResult) -> OpsError:
    """What to raise for a run that did not succeed: its own error, with the run and its step named."""
    kinds: dict[RunState, type[OpsError]] = {
        RunState.REFUSED: RunRefusedError,
        RunState.UNAVAILABLE: RunUnavailableError,
    }
    error = result.error or StepFailedError(f"the run {result.id} is {result.state}").as_dict()
    step = f" at {result.failing_step}" if result.failing_step else ""
    return kinds.get(result.state, RunFailedError)(
        f"{result.runbook}{step}: {error['message']} (run {result.id})",
        remedy=error["remedy"],
        code=error["code"],
        fault=Fault(error["fault"]),
        problems=[Problem(**problem) for problem in error["problems"]],
        log=error["log"],
    )
