"""``run RUNBOOK --plan``: a run whose effects are written down and not done, and acting only on the plan that was seen."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainscore_ops.errors import Fault, Problem, RefusedError, UsageError
from brainscore_ops.planning import END_OF_PLAN, PLAN_VARIABLE, Effect, Effects, read_effects
from brainscore_ops.runbooks.catalogue import find_runbook
from brainscore_ops.runbooks.driver import DrivenRun, step_name
from brainscore_ops.runbooks.execution import failure_of, run_runbook
from brainscore_ops.runbooks.parameters import check_parameters, load_parameters_model
from brainscore_ops.runbooks.quick_imports import without_unused_options
from brainscore_ops.runbooks.records import METADATA
from brainscore_ops.runbooks.runs import RunKind, RunResult, StepState
from brainscore_ops.runbooks.session import Ending
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.settings import Workspace, find_workspace, load_deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brainscore_ops.runbooks.runs import StepProgress
    from brainscore_ops.runbooks.session import StopRequest

SHOWN_DIFFERENCES = 20


class NoPlanError(UsageError):
    """The runbook cannot be planned."""

    code = "no-plan"


class PlanChangedError(RefusedError):
    """What would be done is not what was seen."""

    code = "plan-changed"
    fault = Fault.OPERATOR


@dataclass(frozen=True)
class Planned:
    """A plan, and the run that made it."""

    result: RunResult
    effects: Effects

    def as_dict(self) -> dict[str, Any]:
        """The plan as a JSON document."""
        return {**self.result.as_dict(), "plan": self.effects.as_dict()}


def plan_runbook(
    name: str,
    parameters: Mapping[str, object],
    *,
    deployment: str | None = None,
    triggered_by: str,
    on_step: Callable[[StepProgress], None] | None = None,
    workspace: Workspace | None = None,
) -> Planned:
    """Run a runbook with every outside effect replaced by its description; the plan is a run of its own, with a record.

    :raises NoPlanError: not all that it does outside can be planned; its message says what to do instead
    :raises UsageError: there is no such runbook, or these are not its parameters
    """
    workspace = workspace or find_workspace()
    runbook = find_runbook(name, workspace)
    if runbook.no_plan:
        raise NoPlanError(f"{name} cannot be planned: {runbook.no_plan}")
    with without_unused_options():
        import nbformat
    given = dict(parameters)
    if deployment is not None:
        given.setdefault("deployment", deployment)
    checked = check_parameters(load_parameters_model(runbook.parameters), given)
    settings = load_deployment(checked.deployment, workspace)
    notebook = nbformat.read(runbook.path, as_version=4)
    run = PlanningRun(notebook, runbook, checked, settings, triggered_by, on_step)
    result, _ = run.execute()
    return Planned(result, run.effects)


def run_as_planned(
    name: str,
    parameters: Mapping[str, object],
    digest: str,
    *,
    deployment: str | None = None,
    triggered_by: str,
    on_step: Callable[[StepProgress], None] | None = None,
    workspace: Workspace | None = None,
) -> RunResult:
    """Plan a runbook once more, and run it only if the plan is still the one of this digest.

    :param digest: of the plan that was seen, or its first 12 characters or more
    :raises PlanChangedError: it is another one, with what it is now
    :raises RunFailedError, RunRefusedError, RunUnavailableError: it cannot be made any more; nothing was done
    """
    asked: dict[str, Any] = {"deployment": deployment, "triggered_by": triggered_by, "workspace": workspace}
    planned = plan_runbook(name, parameters, **asked)
    if planned.result.state is not RunState.SUCCEEDED:
        raise failure_of(planned.result)
    if len(digest) < 12 or not planned.effects.digest.startswith(digest):
        raise PlanChangedError(
            f"expected the plan {digest} of {name}, found {planned.effects.digest} (run {planned.result.id}); nothing was done",
            problems=[
                Problem(effect.kind.replace(" ", "-"), effect.what)
                for effect in planned.effects.effects[:SHOWN_DIFFERENCES]
            ],
            remedy="Look at what it is now, and give its digest.",
        )
    return run_runbook(name, parameters, on_step=on_step, continues=planned.result.id, **asked)


class PlanningRun(DrivenRun):
    """See :func:`plan_runbook`."""

    kind = RunKind.PLAN
    effects = Effects(())

    def _execute_cells(self, stop: StopRequest) -> Ending:
        with tempfile.TemporaryDirectory(prefix="brainscore-ops-plan-") as folder:
            file = Path(folder) / "effects"
            self._variables[PLAN_VARIABLE] = str(file)
            ending = super()._execute_cells(stop)
            ends_at = ""
            if (ending.error or {}).get("code") == END_OF_PLAN and ending.cell is not None:
                ends_at = str((ending.error or {})["message"])
                ending = self._made_as_far_as_it_goes(ending.cell)
            self.effects = read_effects(file, ends_at)
        self.effects = Effects(
            tuple(Effect(**self._redactor.clean(vars(effect))) for effect in self.effects.effects), ends_at
        )
        self._notebook.metadata.setdefault(METADATA, {})["plan"] = self.effects.as_dict()
        self._show_effects()
        return ending

    def _made_as_far_as_it_goes(self, index: int) -> Ending:
        """The step that cannot be foreseen has not failed."""
        cell = self._notebook.cells[index]
        cell.outputs = [output for output in cell.outputs if output.output_type != "error"]
        cell.metadata.papermill.update(status="completed", exception=False)
        if (name := step_name(cell)) is not None:
            self._step_named(name, StepState.SUCCEEDED, cell.metadata.papermill.duration)
        return Ending(RunState.SUCCEEDED)

    def _show_effects(self) -> None:
        """Put the plan below the notebook, for whoever opens the record."""
        from nbformat.v4 import new_code_cell, new_output

        table = self.effects.table()
        shown = new_output("display_data", {"text/html": table._repr_html_(), "text/plain": str(table)})
        cell = new_code_cell("# What would be done", outputs=[shown], metadata={"tags": ["plan"], "papermill": {}})
        self._notebook.cells.append(cell)

    def _finish(self, ending: Ending) -> str:
        said = super()._finish(ending)
        self._entry = replace(self._entry, summary={**self._entry.summary, "plan": self.effects.digest})
        return said
