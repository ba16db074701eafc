"""Driving one run: from its parameters to its closed record."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from brainscore_ops.errors import Problem
from brainscore_ops.runbooks.catalogue import PARAMETERS_TAG, STEP_TAG, Runbook, read_runbook
from brainscore_ops.runbooks.code_version import code_version
from brainscore_ops.runbooks.error_cards import describe_error
from brainscore_ops.runbooks.kernels import Kernel, kernel_environment
from brainscore_ops.runbooks.ledger import DatabaseLedger, FileLedger, Ledger
from brainscore_ops.runbooks.parameters import (
    ParametersRefusedError,
    check_parameters,
    load_parameters_model,
    render_injected_cell,
)
from brainscore_ops.runbooks.records import METADATA, describe_run, write_record
from brainscore_ops.runbooks.redaction import Redactor
from brainscore_ops.runbooks.runs import (
    RunEntry,
    RunKind,
    RunResult,
    Step,
    StepProgress,
    StepState,
    new_run_id,
    record_path,
    submission_named_in,
)
from brainscore_ops.runbooks.scraps import read_scraps
from brainscore_ops.runbooks.session import Bounds, Ending, StopRequest, execute_cells
from brainscore_ops.runbooks.signals import stop_signals
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.settings import Deployment, RunSettings, Workspace, find_workspace, load_deployment
from brainscore_ops.settings.workspace import RUN_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

    from nbformat import NotebookNode

    from brainscore_ops.parameters import RunbookParameters

INJECTED_TAG = "injected-parameters"
_QUICK_SECONDS = 0.1
"""A cell that took no longer is written into the record with the one after it."""
_SHOWN_SECONDS = 5.0
"""So often the record of a run is written again while one of its cells shows how far it is."""


def drive_run(
    notebook: NotebookNode,
    path: Path,
    given: Mapping[str, object],
    *,
    triggered_by: str,
    workspace: Workspace | None,
    on_step: Callable[[StepProgress], None] | None,
    bounds: RunSettings | None = None,
    continues: str | None = None,
) -> tuple[RunResult, bool]:
    """Check the parameters, enter the run, execute the notebook in place, write the record, close the run.

    :param notebook: what papermill read from ``path``
    :param bounds: what it may take, where that is not what its deployment says
    :param continues: the id of the run that this one goes on from
    :returns: how it ended, and whether the process was told to stop meanwhile
    :raises ParametersRefusedError: before anything else happens
    :raises UnavailableError: the ledger does not answer; nothing was executed
    """
    runbook = read_runbook(path)
    parameters = check_parameters(load_parameters_model(runbook.parameters), given)
    deployment = load_deployment(parameters.deployment, workspace or find_workspace(path.parent))
    if bounds is not None:
        deployment = deployment.model_copy(update={"runs": bounds})
    return DrivenRun(notebook, runbook, parameters, deployment, triggered_by, on_step, continues=continues).execute()


class DrivenRun:
    """One run, from its checked parameters to its closed record. Told of every cell, it keeps notebook and record up to date."""

    kind = RunKind.RUN

    def __init__(
        self,
        notebook: NotebookNode,
        runbook: Runbook,
        parameters: RunbookParameters,
        deployment: Deployment,
        triggered_by: str,
        on_step: Callable[[StepProgress], None] | None,
        *,
        continues: str | None = None,
    ) -> None:
        self._notebook = notebook
        self._runbook = runbook
        self._deployment = deployment
        self._on_step = on_step
        self._redactor = Redactor.of(deployment, needs_all=not runbook.records_by_file)
        values = parameters.model_dump(mode="json")
        self._refuse_secrets(values)
        started = datetime.now(UTC)
        run_id = new_run_id(runbook.name, started)
        self._entry = RunEntry(
            id=run_id,
            deployment=deployment.name,
            runbook=runbook.name,
            runbook_digest=runbook.digest,
            code_version=code_version(),
            parameters=values,
            triggered_by=triggered_by,
            host=socket.gethostname(),
            process=os.getpid(),
            started_at=started,
            record_path=record_path(run_id, runbook.name, started),
            submission_id=submission_named_in(values),
            kind=self.kind,
            continues=continues,
        )
        self._variables = {RUN_VARIABLE: run_id}
        """Of the kernel's environment."""
        _inject(notebook, render_injected_cell(parameters))
        self._steps = [Step(name) for name in runbook.steps]
        self._cell_started = 0.0
        self._written, self._unwritten = 0.0, False
        self._prepare_metadata(values)

    @property
    def _record(self) -> Path:
        return self._deployment.outputs / str(self._entry.record_path)

    def execute(self) -> tuple[RunResult, bool]:
        """Do it. The second answer is whether the process was told to stop meanwhile."""
        ledger: Ledger = (FileLedger if self._runbook.records_by_file else DatabaseLedger)(self._deployment)
        stop = StopRequest()
        with stop_signals(stop.ask):
            ledger.open(self._entry)
            ending = self._execute_cells(stop)
            notes = [note for note in (self._finish(ending), ledger.close(self._entry)) if note]
        entry = self._entry
        result = RunResult(
            id=entry.id,
            runbook=entry.runbook,
            state=entry.state,
            failing_step=entry.failing_step,
            error=entry.error,
            scraps=entry.summary,
            record=self._record,
            seconds=entry.seconds or 0.0,
            notes=tuple(notes),
        )
        return result, stop.asked

    def cell_starts(self, index: int) -> None:
        """See :class:`brainscore_ops.runbooks.session.Observer`."""
        self._cell_started = time.monotonic()
        self._notebook.cells[index].metadata.papermill.update(start_time=_now(), status="running", exception=False)
        self._step(index, StepState.RUNNING)

    def cell_runs(self, index: int) -> None:  # noqa: ARG002 - the protocol's
        """See :class:`brainscore_ops.runbooks.session.Observer`. What quick cells before it left unwritten is written now."""
        if self._unwritten:
            self._write()

    def cell_shows(self, index: int, text: str) -> None:
        """See :class:`brainscore_ops.runbooks.session.Observer`. Whoever opens the record meanwhile sees it there, too."""
        self._step(index, StepState.RUNNING, shown=str(self._redactor.clean(text)))
        if time.monotonic() - self._written > _SHOWN_SECONDS:
            self._write()

    def cell_ended(self, index: int, *, failed: bool) -> None:
        """See :class:`brainscore_ops.runbooks.session.Observer`."""
        cell = self._notebook.cells[index]
        state = cell.metadata.papermill
        state.update(end_time=_now(), exception=failed, status="failed" if failed else "completed")
        if cell.cell_type != "code":
            return
        seconds = round(time.monotonic() - self._cell_started, 3)
        state["duration"] = seconds
        self._step(index, StepState.FAILED if failed else StepState.SUCCEEDED, seconds)
        if failed or seconds > _QUICK_SECONDS:
            self._write()
        else:
            self._unwritten = True

    def _refuse_secrets(self, values: dict[str, Any]) -> None:
        found = [name for name, value in values.items() if self._redactor.finds(value)]
        if found:
            problems = [
                Problem("secret-in-parameter", "a secret of the deployment stands in it.", where=name) for name in found
            ]
            raise ParametersRefusedError(
                "expected parameters without secrets: they stand in the record",
                problems=problems,
                remedy="Give the name of the secret to the deployment's settings instead.",
            )

    def _prepare_metadata(self, values: dict[str, Any]) -> None:
        from nbformat import NotebookNode

        # papermill's own words in a record, kept true: a cell that has not run is pending.
        self._notebook.metadata.setdefault("papermill", NotebookNode()).update(
            parameters=values,
            start_time=self._entry.started_at.isoformat(),
            end_time=None,
            duration=None,
            exception=None,
        )
        for cell in self._notebook.cells:
            cell.metadata["papermill"] = NotebookNode(
                status="pending", start_time=None, end_time=None, duration=None, exception=None
            )
            if cell.cell_type == "code":
                cell.execution_count, cell.outputs = None, []

    def _execute_cells(self, stop: StopRequest) -> Ending:
        bounds = Bounds(**self._deployment.runs.model_dump())
        try:
            self._write()
            environment = kernel_environment(self._deployment, with_secrets=not self._runbook.records_by_file)
            kernel = Kernel(environment, self._runbook.path.parent)
            return run_to_end(execute_cells(self._notebook, kernel, self._variables, bounds, stop, self))
        except Exception as error:
            # Whatever it is, the run that was entered has to be closed.
            return Ending(RunState.FAILED, None, describe_error(error))

    def _finish(self, ending: Ending) -> str:
        """Write the final record; what a person has to know of it, or nothing."""
        ended = datetime.now(UTC)
        scraps = self._redactor.clean(read_scraps(self._notebook))
        self._entry = replace(
            self._entry,
            state=ending.state,
            ended_at=ended,
            failing_step=None if ending.cell is None else self._name_of(ending.cell),
            error=ending.error and self._redactor.clean(ending.error),
            summary=scraps,
            submission_id=submission_named_in(scraps) or self._entry.submission_id,
        )
        if ending.cell is not None:
            self._notebook.cells[ending.cell].metadata.papermill.update(status="failed", exception=True)
        self._notebook.metadata.papermill.update(
            end_time=ended.isoformat(),
            duration=self._entry.seconds,
            exception=None if ending.state is RunState.SUCCEEDED else True,
        )
        try:
            self._entry = replace(self._entry, record_digest=self._write(final=True))
        except OSError as error:
            return f"The record {self._record} could not be written: {error}."
        return ""

    def _write(self, *, final: bool = False) -> str:
        self._notebook.metadata.setdefault(METADATA, {})["run"] = describe_run(self._entry, self._steps)
        outputs = [cell.outputs for cell in self._notebook.cells if cell.cell_type == "code"]
        self._redactor.clean([self._notebook.metadata, *outputs])
        self._written, self._unwritten = time.monotonic(), False
        return write_record(self._record, self._notebook, final=final)

    def _step(self, index: int, state: StepState, seconds: float | None = None, shown: str = "") -> None:
        name = step_name(self._notebook.cells[index])
        if name is None:
            return
        self._step_named(name, state, seconds, shown)

    def _step_named(self, name: str, state: StepState, seconds: float | None = None, shown: str = "") -> None:
        position = self._runbook.steps.index(name)
        self._steps[position] = Step(name, state, seconds)
        if self._on_step is not None:
            self._on_step(StepProgress(self._entry.id, name, position + 1, len(self._steps), state, seconds, shown))

    def _name_of(self, index: int) -> str:
        """What a reader calls a cell: its step, or what it is."""
        cell = self._notebook.cells[index]
        tags = cell.metadata.get("tags", [])
        if (step := step_name(cell)) is not None:
            return step
        return PARAMETERS_TAG if {PARAMETERS_TAG, INJECTED_TAG} & set(tags) else f"cell {index + 1}"


def _inject(notebook: NotebookNode, source: str) -> None:
    """Put the run's parameters behind the notebook's own, in the place of papermill's."""
    from nbformat.v4 import new_code_cell

    cells = [cell for cell in notebook.cells if INJECTED_TAG not in cell.metadata.get("tags", [])]
    place = next(index for index, cell in enumerate(cells) if PARAMETERS_TAG in cell.metadata.get("tags", []))
    cells.insert(place + 1, new_code_cell(source, metadata={"tags": [INJECTED_TAG]}))
    notebook.cells = cells


def step_name(cell: NotebookNode) -> str | None:
    """The step that a cell is; None for any other cell."""
    tags = cell.metadata.get("tags", [])
    return next((tag.removeprefix(STEP_TAG) for tag in tags if tag.startswith(STEP_TAG)), None)


def run_to_end(work: Coroutine[Any, Any, Ending]) -> Ending:
    """Do asynchronous work to its end, whether or not the caller has a loop of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as aside:  # this thread is busy with its caller's loop
        return aside.submit(asyncio.run, work).result()


def _now() -> str:
    return datetime.now(UTC).isoformat()
