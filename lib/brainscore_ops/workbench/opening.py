"""``open`` and ``resume``: going on from a run that failed, by hand or headlessly."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from brainscore_ops.database.connection import Database
from brainscore_ops.database.schema import explained_by_schema
from brainscore_ops.errors import UsageError
from brainscore_ops.runbooks.execution import run_runbook
from brainscore_ops.runbooks.history import find_run, show_run
from brainscore_ops.runbooks.runs import RunKind
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.runbooks.stepping.session import step_through
from brainscore_ops.settings import find_workspace, load_deployment
from brainscore_ops.workbench.code import code_of_run, current_code
from brainscore_ops.workbench.links import links_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brainscore_ops.runbooks.runs import RunEntry, RunResult, StepProgress
    from brainscore_ops.runbooks.stepping.session import Opened


class NothingToResumeError(UsageError):
    """The run still goes on, or was only a plan."""

    code = "nothing-to-resume"


def open_run(
    reference: str,
    deployment: str,
    *,
    triggered_by: str,
    on_open: Callable[[Opened], None],
    on_step: Callable[[StepProgress], None] | None = None,
    at_code_version: bool = False,
    port: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> RunResult:
    """Open a failed run in JupyterLab, and wait until its person is done; what was executed is a run of its own.

    :param reference: an id, the start of one, or ``last-failed``
    :param triggered_by: who steps through
    :param on_open: called once JupyterLab serves it
    :param at_code_version: with the code that the run had
    :raises UnknownRunError: no run, or more than one, is meant
    :raises NothingToStepThroughError: it succeeded, or still runs
    """
    workspace = find_workspace()
    settings = load_deployment(deployment, workspace)
    database = Database.of(settings)
    with ExitStack() as open_things:
        with explained_by_schema(database):
            entry = find_run(database, reference)
            links = links_of(database, settings, entry)
        database.close()
        code = (
            open_things.enter_context(code_of_run(settings, entry, tell))
            if at_code_version
            else current_code(settings, entry)
        )
        return step_through(
            show_run(entry, settings.outputs),
            code,
            workspace,
            triggered_by=triggered_by,
            links=links,
            on_open=on_open,
            on_step=on_step,
            port=port,
        )


def resume_run(
    reference: str,
    deployment: str,
    changes: Mapping[str, object],
    *,
    triggered_by: str,
    on_start: Callable[[RunEntry], None] = lambda _: None,
    on_step: Callable[[StepProgress], None] | None = None,
) -> RunResult:
    """Run the runbook of a run again with its parameters, as a new run that is linked to it: what is done is not done again.

    :param reference: an id, the start of one, ``last`` or ``last-failed``
    :param changes: parameters that are to be others
    :param on_start: told which run is meant
    :raises UnknownRunError: no run, or more than one, is meant
    :raises NothingToResumeError: it still goes on, or was only a plan
    """
    settings = load_deployment(deployment)
    database = Database.of(settings)
    with explained_by_schema(database):
        entry = find_run(database, reference)
    database.close()
    if entry.state is RunState.RUNNING or entry.kind is RunKind.PLAN:
        found = "still runs" if entry.state is RunState.RUNNING else "was a plan"
        raise NothingToResumeError(
            f"expected a run that has ended, found {entry.id}, which {found}",
            remedy="Wait until it has ended." if entry.state is RunState.RUNNING else f"Run {entry.runbook} itself.",
        )
    on_start(entry)
    parameters: dict[str, Any] = {**entry.parameters, **changes}
    return run_runbook(entry.runbook, parameters, triggered_by=triggered_by, continues=entry.id, on_step=on_step)
