"""What a kernel executed, in order, as it published it itself: no front end has to be asked, and none can leave anything out."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty
from typing import TYPE_CHECKING, Any

from jupyter_client.asynchronous.client import AsyncKernelClient

from brainscore_ops.runbooks.quick_imports import without_unused_options
from brainscore_ops.runbooks.session import join_streams

with without_unused_options():
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionComplete
    from nbformat.v4 import new_code_cell, new_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nbformat import NotebookNode


@dataclass
class Execution:
    """A cell that was executed once."""

    code: NotebookNode
    """A code cell: what was executed, and what came of it."""
    cell: str | None
    """The id of the cell in the front end's notebook; None where that is not known."""
    started_at: datetime
    started: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    """None while it goes on."""

    @property
    def failed(self) -> bool:
        """Whether it raised."""
        return any(output.output_type == "error" for output in self.code.outputs)


class Executions:
    """Everything that a kernel executes from now on, for whomever.

    :param connection_file: where the kernel listens
    :param journal: what :mod:`.kernel_journal` writes
    :param sources: the source of each cell → its id: a kernel without a journal is understood by that
    """

    def __init__(self, connection_file: Path, journal: Path, sources: dict[str, str]) -> None:
        self._journal = journal
        self._sources = sources
        self._done = new_notebook()
        # nbclient knows what each message does to a cell's outputs: rewritten ones, cleared ones, displays by id.
        self._outputs = NotebookClient(self._done, coalesce_streams=True, record_timing=False)
        self._outputs.reset_execution_trackers()
        self._outputs.clear_before_next_output = False
        self._by_request: dict[str, int] = {}
        self._all: list[Execution] = []
        self._client = AsyncKernelClient()
        self._client.load_connection_file(str(connection_file))

    def __iter__(self) -> Iterator[Execution]:
        return iter(self._all)

    def listen(self) -> None:
        """Begin to listen."""
        self._client.start_channels(shell=False, stdin=False, hb=False, control=False)

    def close(self) -> None:
        """Listen no more."""
        self._client.stop_channels()

    async def next(self, seconds: float) -> Execution | None:
        """Wait for something to happen, for so long; the execution that began or ended, if one did."""
        try:
            message = await self._client.get_iopub_msg(timeout=seconds)
        except Empty:
            return None
        request = message["parent_header"].get("msg_id")
        if message["msg_type"] == "execute_input":
            return self._begin(request, message["content"])
        if request not in self._by_request:
            return None
        index = self._by_request[request]
        execution = self._all[index]
        try:
            self._outputs.process_message(message, execution.code, index)
        except CellExecutionComplete:
            execution.seconds = round(time.monotonic() - execution.started, 3)
            execution.cell = execution.cell or self._cell_of(request)
            join_streams(execution.code)
            return execution
        return None

    def latest(self) -> dict[str, Execution]:
        """The last execution of each cell that is known, by its id."""
        return {execution.cell: execution for execution in self._all if execution.cell is not None}

    def _begin(self, request: str, content: dict[str, Any]) -> Execution:
        code = new_code_cell(content["code"], execution_count=content["execution_count"])
        execution = Execution(code, self._cell_of(request), datetime.now(UTC))
        if execution.cell is None:
            execution.cell = self._sources.get(content["code"])
        self._by_request[request] = len(self._all)
        self._all.append(execution)
        self._done.cells.append(code)
        return execution

    def _cell_of(self, request: str) -> str | None:
        if not self._journal.exists():
            return None
        for line in reversed(self._journal.read_text(encoding="utf-8").splitlines()):
            noted = json.loads(line)
            if noted["request"] == request:
                return noted["cell"] and str(noted["cell"])
        return None


def compose(saved: NotebookNode, executions: Executions) -> NotebookNode:
    """A notebook as a front end saved it, with what the kernel really executed: sources and outputs are those of each cell's last
    execution. Cells that were executed and are not in the saved notebook stand behind the one that was executed before them.
    """
    composed = copy.deepcopy(saved)
    latest = executions.latest()
    places = {cell.id: cell for cell in composed.cells}
    after = 0
    for execution in executions:
        known = places.get(execution.cell) if execution.cell is not None else None
        if known is None:
            known = copy.deepcopy(execution.code)
            known.metadata["tags"] = ["not-saved"]
            if execution.cell is not None:
                known["id"] = execution.cell
                places[execution.cell] = known
            composed.cells.insert(after, known)
        after = composed.cells.index(known) + 1
        if execution.cell is not None and latest[execution.cell] is execution:
            known.source = execution.code.source
            known.outputs = copy.deepcopy(execution.code.outputs)
            known.execution_count = execution.code.execution_count
    return composed
