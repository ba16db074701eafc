"""Executing a notebook's cells in a kernel, within bounds, and telling exactly how it ended."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from brainscore_ops.errors import Fault, StepFailedError
from brainscore_ops.runbooks.error_cards import ERROR_MIME
from brainscore_ops.runbooks.kernels import KernelChannels, KernelDiedError
from brainscore_ops.runbooks.quick_imports import without_unused_options
from brainscore_ops.runbooks.states import RunState

with without_unused_options():
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbformat import NotebookNode

POLL_SECONDS = 0.1
MEMORY_POLL_SECONDS = 0.5
SHOW_SECONDS = 1.0
"""How long a cell runs before it is told what it shows, and how often from then on."""
GRACE_SECONDS = 3.0
"""How long an interrupted cell has to clean up before its kernel is killed."""


@dataclass(frozen=True)
class Bounds:
    """What a run may take."""

    cell_seconds: float
    run_seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class Ending:
    """How a notebook's execution ended."""

    state: RunState
    cell: int | None = None
    """The index of the cell that it ended in; None where all cells are done."""
    error: dict[str, Any] | None = None
    """:meth:`brainscore_ops.errors.OpsError.as_dict`."""


class Observer(Protocol):
    """Who is told of every cell, in order."""

    def cell_starts(self, index: int) -> None:
        """A code cell is about to be executed."""

    def cell_runs(self, index: int) -> None:
        """A cell still runs: told several times a second."""

    def cell_shows(self, index: int, text: str) -> None:
        """What a cell that still runs shows has changed."""

    def cell_ended(self, index: int, *, failed: bool) -> None:
        """A cell is done; its outputs are in the notebook. Of cells without code only this is told."""


class StopRequest:
    """Somebody wants the run to stop; asked for twice it stops without grace. Set from signal handlers."""

    def __init__(self) -> None:
        self._once, self._twice = threading.Event(), threading.Event()

    def ask(self) -> None:
        """Ask for it."""
        (self._twice if self._once.is_set() else self._once).set()

    @property
    def asked(self) -> bool:
        """Whether the run has to stop."""
        return self._once.is_set()

    @property
    def insisted(self) -> bool:
        """Whether it has to stop at once."""
        return self._twice.is_set()


async def execute_cells(
    notebook: NotebookNode,
    kernel: KernelChannels,
    variables: Mapping[str, str],
    bounds: Bounds,
    stop: StopRequest,
    observer: Observer,
    *,
    before: int | None = None,
) -> Ending:
    """Execute all cells; the kernel is told to shut down when this returns.

    :param variables: environment variables to set in the kernel
    :param before: the index of a cell to stop before; by default none is
    """
    session = _Session(notebook, kernel, bounds, stop)
    try:
        return await session.execute(variables, observer, before)
    finally:
        await kernel.shut_down()


class _Session:
    def __init__(self, notebook: NotebookNode, kernel: KernelChannels, bounds: Bounds, stop: StopRequest) -> None:
        self._notebook = notebook
        self._kernel = kernel
        self._bounds = bounds
        self._stop = stop
        self._run_deadline = time.monotonic() + bounds.run_seconds
        # Streams in one piece each: a secret that is printed in two parts has to be found.
        self._client = NotebookClient(notebook, coalesce_streams=True, iopub_timeout=60)

    async def execute(self, variables: Mapping[str, str], observer: Observer, before: int | None) -> Ending:
        code_cells = [index for index, cell in enumerate(self._notebook.cells) if _is_code(cell)]
        first = code_cells[0] if code_cells else None
        connecting = asyncio.ensure_future(self._kernel.connect(variables))
        if state := await self._watch(connecting, cell_deadline=self._run_deadline):
            await _cancel(connecting)
            return Ending(state, first, self._explain(state))
        try:
            self._notebook.metadata["language_info"] = connecting.result()["language_info"]
        except KernelDiedError as died:
            return Ending(RunState.KERNEL_DIED, first, died.as_dict())
        self._client.kc = self._kernel.client
        for index, cell in enumerate(self._notebook.cells[:before]):
            if not _is_code(cell):
                observer.cell_ended(index, failed=False)
                continue
            observer.cell_starts(index)
            ending = await self._execute_cell(cell, index, observer)
            observer.cell_ended(index, failed=ending is not None)
            if ending is not None:
                return ending
        self._client.set_widgets_metadata()
        return Ending(RunState.SUCCEEDED)

    async def _execute_cell(self, cell: NotebookNode, index: int, observer: Observer) -> Ending | None:
        execution = asyncio.ensure_future(self._client.async_execute_cell(cell, index))
        shown, tell_next = "", time.monotonic() + SHOW_SECONDS

        def tell() -> None:
            nonlocal shown, tell_next
            observer.cell_runs(index)
            if time.monotonic() > tell_next and (now := _shown_by(cell)) != shown:
                shown, tell_next = now, time.monotonic() + SHOW_SECONDS
                observer.cell_shows(index, shown)

        state = await self._watch(execution, cell_deadline=time.monotonic() + self._bounds.cell_seconds, meanwhile=tell)
        if state is None:
            try:
                execution.result()
            except CellExecutionError:
                return failure_of_cell(cell, index)
            return None
        error = self._explain(state)
        if state in (RunState.CELL_TIMEOUT, RunState.RUN_TIMEOUT, RunState.INTERRUPTED):
            # What the cell was doing shows in the traceback of its interruption.
            self._kernel.interrupt()
            deadline = time.monotonic() + GRACE_SECONDS
            while not execution.done() and time.monotonic() < deadline and not self._stop.insisted:
                await asyncio.wait({execution}, timeout=POLL_SECONDS)
            if facts := error_of(cell):
                error = {**error, "log": facts["log"]}
        else:
            await asyncio.wait({execution}, timeout=2 * POLL_SECONDS)  # for outputs that are on their way
        await _cancel(execution)
        self._kernel.kill()
        join_streams(cell)
        return Ending(state, index, error)

    async def _watch(
        self, task: asyncio.Future[Any], cell_deadline: float, meanwhile: Callable[[], None] = lambda: None
    ) -> RunState | None:
        """Wait for a task; what went over a bound meanwhile, or None once it is done."""
        next_memory = time.monotonic()
        while True:
            done, _ = await asyncio.wait({task}, timeout=POLL_SECONDS)
            now = time.monotonic()
            if self._stop.asked:
                return RunState.INTERRUPTED
            if done:
                return None
            meanwhile()
            if now > self._run_deadline:
                return RunState.RUN_TIMEOUT
            if now > cell_deadline:
                return RunState.CELL_TIMEOUT
            if not self._kernel.is_alive():
                return RunState.OUT_OF_MEMORY if self._kernel.was_killed_for_memory() else RunState.KERNEL_DIED
            if now > next_memory:
                next_memory = now + MEMORY_POLL_SECONDS
                if self._kernel.memory_bytes() > self._bounds.memory_bytes:
                    return RunState.OUT_OF_MEMORY

    def _explain(self, state: RunState) -> dict[str, Any]:
        bounds, kernel = self._bounds, self._kernel
        again = "Run it again: it goes on from what is done."
        messages = {
            RunState.INTERRUPTED: ("the run was told to stop", again),
            RunState.CELL_TIMEOUT: (
                f"expected every step to end within {bounds.cell_seconds:g} s, this one did not",
                "Look what it waited for; runs.cell_seconds of the deployment is the bound.",
            ),
            RunState.RUN_TIMEOUT: (
                f"expected the run to end within {bounds.run_seconds:g} s, it did not",
                "Look which step took the time; runs.run_seconds of the deployment is the bound.",
            ),
            RunState.KERNEL_DIED: (
                f"expected the kernel to outlive its cells; {kernel.how_it_ended()}",
                "Something crashed or killed its process. " + again,
            ),
            RunState.OUT_OF_MEMORY: (
                "the system killed the kernel for want of memory"
                if not kernel.is_alive()
                else f"expected the kernel to stay under {bounds.memory_bytes / 2**20:,.0f} MiB, it grew over them",
                "Let the step work on less at once, or raise runs.memory_bytes of the deployment.",
            ),
        }
        message, remedy = messages[state]
        log = kernel.log_end() if state is RunState.KERNEL_DIED else ""
        fault = Fault.OPERATOR if state is RunState.INTERRUPTED else Fault.INFRASTRUCTURE
        return StepFailedError(message, remedy=remedy, code=str(state), fault=fault, log=log).as_dict()


def error_of(cell: NotebookNode) -> dict[str, Any] | None:
    """The facts that a failed cell's card carries."""
    for output in reversed(cell.get("outputs", [])):
        if ERROR_MIME in output.get("data", {}):
            return dict(output["data"][ERROR_MIME])
    return None


def _shown_by(cell: NotebookNode) -> str:
    """What a cell displays last, as text."""
    for output in reversed(cell.get("outputs", [])):
        if output.output_type == "display_data":
            text = output.data.get("text/plain", "")
            return text if isinstance(text, str) else ""
    return ""


def _is_code(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip())


def join_streams(cell: NotebookNode) -> None:
    """Put the pieces of each stream together, as nbclient does with those of a cell that it sees to its end."""
    streams: dict[str, NotebookNode] = {}
    for output in cell.outputs:
        if output.output_type == "stream" and streams.setdefault(output.name, output) is not output:
            streams[output.name].text += output.text
    cell.outputs = [
        output for output in cell.outputs if output.output_type != "stream" or streams[output.name] is output
    ]


def failure_of_cell(cell: NotebookNode, index: int) -> Ending:
    """How a run ended whose last cell raised, by that cell's outputs."""
    # A card is missing where Python could not even compile the cell.
    raised = next((output for output in reversed(cell.outputs) if output.output_type == "error"), None)
    name, said = (raised.ename, raised.evalue) if raised is not None else ("Error", "")
    error = error_of(cell) or {
        **StepFailedError(said or name, code="unexpected", log=_last_lines(cell)).as_dict(),
        "type": name,
    }
    states = {3: RunState.REFUSED, 4: RunState.UNAVAILABLE}
    state = (
        RunState.OUT_OF_MEMORY if error["code"] == "out-of-memory" else states.get(error["exit_code"], RunState.FAILED)
    )
    return Ending(state, index, error)


def _last_lines(cell: NotebookNode, count: int = 12) -> str:
    shown = [line for output in cell.outputs if output.output_type == "error" for line in output.traceback]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(shown))
    return "\n".join(plain.splitlines()[-count:])


async def _cancel(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
