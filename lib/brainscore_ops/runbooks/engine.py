"""papermill's engine ``brainscore-ops``: every run of a runbook goes through it, whoever starts it."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbformat import NotebookNode

    from brainscore_ops.runbooks.runs import RunResult, StepProgress
    from brainscore_ops.settings import RunSettings, Workspace


class RunbookEngine:
    """What papermill asks of an engine.

    It is no subclass of papermill's: papermill loads its engines while it is itself being imported, and its base class
    brings along the bookkeeping that says ``completed`` of cells which never ran.
    """

    @classmethod
    def execute_notebook(
        cls,
        nb: NotebookNode,
        kernel_name: str,  # noqa: ARG003
        output_path: str | None = None,
        *,
        input_path: str,
        triggered_by: str | None = None,
        workspace: Workspace | None = None,
        bounds: RunSettings | None = None,
        continues: str | None = None,
        on_step: Callable[[StepProgress], None] | None = None,
        on_result: Callable[[RunResult], None] | None = None,
        **_papermill_options: object,
    ) -> NotebookNode:
        """Run a runbook: check its parameters, enter the run, execute, write the record, close the run.

        :param nb: the notebook, with papermill's parameters in its metadata; it is executed in place
        :param input_path: its file
        :raises ParametersRefusedError: before anything else happens
        :raises UnavailableError: the ledger does not answer; nothing was executed
        :raises RunInterrupted: SIGINT or SIGTERM came; the run is closed
        """
        # papermill loads its engines wherever it is imported, in every kernel that glues a scrap too: nothing heavy above.
        from brainscore_ops.runbooks.driver import drive_run
        from brainscore_ops.runbooks.signals import RunInterrupted

        path = Path(input_path).resolve()
        result, was_stopped = drive_run(
            nb,
            path,
            nb.metadata.papermill.get("parameters") or {},
            triggered_by=triggered_by or f"papermill:{getpass.getuser()}",
            workspace=workspace,
            bounds=bounds,
            continues=continues,
            on_step=on_step,
        )
        if on_result is not None:
            on_result(result)
        if was_stopped:
            if output_path is not None:
                from papermill.iorw import write_ipynb

                write_ipynb(nb, output_path)
            raise RunInterrupted(result)
        return nb

    @classmethod
    def nb_kernel_name(cls, nb: NotebookNode, name: str | None = None) -> str:  # noqa: ARG003
        """The kernel is this environment's Python, whatever the notebook or the machine says."""
        return "python3"

    @classmethod
    def nb_language(cls, nb: NotebookNode, language: str | None = None) -> str:  # noqa: ARG003
        """See :meth:`nb_kernel_name`."""
        return "python"
