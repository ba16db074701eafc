"""A run that a person steps through: JupyterLab, a live kernel at the failing cell, and a record of what was executed."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from brainscore_ops.errors import Fault, StepFailedError, UsageError
from brainscore_ops.runbooks.catalogue import find_runbook
from brainscore_ops.runbooks.driver import DrivenRun, run_to_end, step_name
from brainscore_ops.runbooks.error_cards import describe_error
from brainscore_ops.runbooks.kernels import kernel_environment
from brainscore_ops.runbooks.parameters import check_parameters, load_parameters_model
from brainscore_ops.runbooks.quick_imports import without_unused_options
from brainscore_ops.runbooks.records import METADATA
from brainscore_ops.runbooks.runs import RunKind, StepState
from brainscore_ops.runbooks.session import Bounds, Ending, StopRequest, execute_cells, failure_of_cell
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.runbooks.stepping.executions import Executions, compose
from brainscore_ops.runbooks.stepping.lab import KERNEL_NAME, KernelProgram, Lab
from brainscore_ops.runbooks.stepping.working_copy import FAILED_COPY, Link, card_cell, write_working_copy
from brainscore_ops.settings import Workspace, load_deployment
from brainscore_ops.settings.workspace import RUN_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from brainscore_ops.runbooks.catalogue import Runbook
    from brainscore_ops.runbooks.history import ShownRun
    from brainscore_ops.runbooks.runs import RunEntry, RunResult, Step, StepProgress
    from brainscore_ops.runbooks.stepping.executions import Execution

SESSIONS = "sessions"
"""The folder among a deployment's outputs that holds the working copies of sessions that go on."""
_WAIT_SECONDS = 0.3


class NothingToStepThroughError(UsageError):
    """The run did not fail, or has not ended."""

    code = "nothing-to-step-through"


@dataclass(frozen=True)
class CodeVersion:
    """The code that a session works with."""

    root: Path
    """The checkout whose notebooks and parameters these are."""
    program: KernelProgram
    version: str
    """:func:`~brainscore_ops.runbooks.code_version.code_version` of it."""
    notes: list[str] = field(default_factory=list)
    """What the person should know of it, in sentences of markdown."""


@dataclass(frozen=True)
class Opened:
    """A session that waits for its person."""

    run_id: str
    step: str
    url: str
    """It holds the token of JupyterLab."""
    working_copy: Path


def step_through(
    failed: ShownRun,
    code: CodeVersion,
    workspace: Workspace,
    *,
    triggered_by: str,
    links: list[Link],
    on_open: Callable[[Opened], None],
    on_step: Callable[[StepProgress], None] | None = None,
    port: int | None = None,
) -> RunResult:
    """Open a failed run in JupyterLab, and record what its person executes until JupyterLab is shut down or this process told
    to stop (SIGINT, SIGTERM).

    :param failed: the run that failed, with its steps
    :param triggered_by: who steps through
    :param links: what the card at the failing cell points to
    :param on_open: called once JupyterLab serves the working copy
    :raises NothingToStepThroughError: it succeeded, or still runs
    :raises ParametersRefusedError: its parameters are not those of the runbook any more
    """
    entry = failed.entry
    if entry.state in (RunState.SUCCEEDED, RunState.RUNNING):
        raise NothingToStepThroughError(
            f"expected a run that failed, found {entry.id}, which {'succeeded' if entry.ended_at else 'still runs'}",
            remedy=f"`brainscore-ops show {entry.id}` says where its record is.",
        )
    with without_unused_options():
        import nbformat
    runbook = _runbook(code, entry)
    parameters = check_parameters(load_parameters_model(runbook.parameters), entry.parameters)
    deployment = load_deployment(parameters.deployment, workspace)
    notebook = nbformat.read(runbook.path, as_version=4)
    session = SteppedRun(notebook, runbook, parameters, deployment, triggered_by, on_step, continues=entry.id)
    session.prepare(failed, code, links, on_open, port)
    return session.execute()[0]


class SteppedRun(DrivenRun):
    """See :func:`step_through`."""

    kind = RunKind.SESSION

    def prepare(
        self,
        failed: ShownRun,
        code: CodeVersion,
        links: list[Link],
        on_open: Callable[[Opened], None],
        port: int | None,
    ) -> None:
        """Say what it is about."""
        self._failed, self._code, self._links, self._on_open, self._port = failed, code, links, on_open, port
        self._entry = replace(self._entry, code_version=code.version)
        self._folder = self._deployment.outputs / SESSIONS / self._entry.id
        self._working_copy = self._folder / f"{self._runbook.name}.ipynb"
        self._journal = self._folder / ".executed-cells"

    def _execute_cells(self, stop: StopRequest) -> Ending:
        try:
            self._write()
            self._lay_out_folder()
            environment = kernel_environment(self._deployment, with_secrets=not self._runbook.records_by_file)
            program = KernelProgram(
                self._code.program.python,
                {
                    **self._code.program.variables,
                    RUN_VARIABLE: self._entry.id,
                    "BRAINSCORE_OPS_JOURNAL": str(self._journal),
                    "BRAINSCORE_OPS_FOLDER": str(self._runbook.path.parent),
                },
            )
            with Lab(self._folder, environment, program, port=self._port) as lab:
                ending = run_to_end(self._step_through(lab, stop))
            shutil.rmtree(self._folder, ignore_errors=True)  # all of it is in the record
            return ending
        except Exception as error:
            # Whatever it is, the run that was entered has to be closed.
            return Ending(RunState.FAILED, None, describe_error(error))

    def _lay_out_folder(self) -> None:
        self._folder.mkdir(parents=True)
        (self._folder / "workspace").symlink_to(self._code.root)
        if self._failed.record is not None and self._failed.record.exists():
            shutil.copyfile(self._failed.record, self._folder / FAILED_COPY)

    async def _step_through(self, lab: Lab, stop: StopRequest) -> Ending:
        kernel = lab.start_kernel(self._working_copy.name)
        bounds = Bounds(**self._deployment.runs.model_dump())
        target = self._index_of(self._failing_step())
        ending = await execute_cells(self._notebook, kernel, {}, bounds, stop, self, before=target)
        if stop.asked or not kernel.is_alive():
            return ending
        went_on = ending.state is RunState.SUCCEEDED
        stopped = target if went_on or ending.cell is None else ending.cell
        stopped_step = self._name_of(stopped)
        entry = self._failed.entry
        card = card_cell(
            entry,
            stopped_step,
            state=entry.state if went_on else ending.state,
            error=entry.error if went_on else ending.error,
            links=self._links,
            code=self._code.notes,
        )
        self._notebook.cells.insert(stopped, card)
        stopped_at = self._notebook.cells[stopped + 1].id
        write_working_copy(self._working_copy, self._notebook, stopped_at=stopped_at, kernel=KERNEL_NAME)
        sources = {cell.source: cell.id for cell in self._notebook.cells if cell.cell_type == "code"}
        self._steps_of_cells = {cell.id: name for cell in self._notebook.cells if (name := step_name(cell)) is not None}
        executions = Executions(kernel.connection_file, self._journal, sources)
        executions.listen()
        try:
            self._on_open(Opened(self._entry.id, stopped_step, lab.url(self._working_copy.name), self._working_copy))
            while lab.is_running() and not stop.asked:
                if (execution := await executions.next(_WAIT_SECONDS)) is not None:
                    self._executed(execution, executions)
        finally:
            executions.close()
        self._take_over(executions)
        return self._ending()

    def _executed(self, execution: Execution, executions: Executions) -> None:
        """Show, and keep, what was just executed."""
        step = self._steps_of_cells.get(execution.cell or "")
        if step is not None:
            done = StepState.FAILED if execution.failed else StepState.SUCCEEDED
            self._step_named(step, StepState.RUNNING if execution.seconds is None else done, execution.seconds)
        if execution.seconds is not None:
            self._take_over(executions)
            self._write()

    def _take_over(self, executions: Executions) -> None:
        """Make this session's notebook of what JupyterLab saved and what the kernel executed."""
        from nbformat import NotebookNode, read

        saved = read(self._working_copy, as_version=4)
        self._notebook = compose(saved, executions)
        self._notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        for cell in self._notebook.cells:
            pending = NotebookNode(status="pending", start_time=None, end_time=None, duration=None, exception=None)
            cell.metadata.setdefault("papermill", pending)
        for execution in executions:
            for cell in self._notebook.cells:
                if cell.id == execution.cell and execution.seconds is not None:
                    status = "failed" if execution.failed else "completed"
                    cell.metadata.papermill.update(
                        status=status,
                        exception=execution.failed,
                        start_time=execution.started_at.isoformat(),
                        duration=execution.seconds,
                    )
        self._notebook.metadata[METADATA]["session"] = {
            "who": self._entry.triggered_by,
            "host": socket.gethostname(),
            "executed": [
                {
                    "at": execution.started_at.isoformat(),
                    "cell": execution.cell,
                    "step": self._steps_of_cells.get(execution.cell or ""),
                    "source": execution.code.source,
                    "seconds": execution.seconds,
                    "failed": execution.failed,
                }
                for execution in executions
            ],
        }

    def _write(self, *, final: bool = False) -> str:
        # Whatever a person types stands in the record, so it is cleaned too.
        for cell in self._notebook.cells:
            cell.source = self._redactor.text(cell.source)
            if final and cell.cell_type == "markdown" and self._failed.record is not None:
                # The copy beside the session goes with it.
                lasting = Path(os.path.relpath(self._failed.record, self._record.parent)).as_posix()
                cell.source = cell.source.replace(f"]({FAILED_COPY})", f"]({lasting})")
        return super()._write(final=final)

    def _ending(self) -> Ending:
        """How the session ended: well if every step's last execution did."""
        for step in self._steps:
            if step.state is StepState.SUCCEEDED:
                continue
            index = self._index_of(step.name)
            if step.state is StepState.FAILED:
                return failure_of_cell(self._notebook.cells[index], index)
            error = StepFailedError(
                f"the session was closed before {step.name} was done",
                remedy="Open it again, or resume it: it goes on from what is done.",
                code="left-unfinished",
                fault=Fault.OPERATOR,
            )
            return Ending(RunState.INTERRUPTED, index, error.as_dict())
        return Ending(RunState.SUCCEEDED)

    def _failing_step(self) -> str:
        """Where the failed run ended; where that is not known, the first step that did not succeed."""
        known = self._runbook.steps
        if (step := self._failed.entry.failing_step) in known:
            return str(step)
        undone = [step.name for step in self._failed.steps if not _is_done(step) and step.name in known]
        return undone[0] if undone else known[0]

    def _index_of(self, step: str) -> int:
        places = [index for index, cell in enumerate(self._notebook.cells) if step_name(cell) == step]
        # Somebody may have deleted its cell.
        return places[0] if places else len(self._notebook.cells) - 1


def _is_done(step: Step) -> bool:
    return step.state is StepState.SUCCEEDED


def _runbook(code: CodeVersion, entry: RunEntry) -> Runbook:
    return find_runbook(entry.runbook, Workspace(code.root, code.root, code.root))
