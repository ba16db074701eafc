"""``cancel``: a run that goes on is told to stop; it is closed, and recorded as interrupted."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import psutil

from brainscore_ops.database.connection import Database
from brainscore_ops.database.schema import explained_by_schema
from brainscore_ops.errors import UsageError
from brainscore_ops.runbooks.history import find_run
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.settings import load_deployment

if TYPE_CHECKING:
    from brainscore_ops.runbooks.runs import RunEntry

CLOCK_SECONDS = 1.0


class NothingToCancelError(UsageError):
    """The run has ended, or is driven elsewhere."""

    code = "nothing-to-cancel"


def cancel_run(reference: str, deployment: str) -> RunEntry:
    """Tell the process that drives a run to stop (SIGTERM).

    :param reference: an id, the start of one, or ``last``
    :raises UnknownRunError: no run, or more than one, is meant
    :raises NothingToCancelError: it has ended, or another machine drives it
    """
    database = Database.of(load_deployment(deployment))
    with explained_by_schema(database):
        entry = find_run(database, reference)
    database.close()
    if entry.state is not RunState.RUNNING:
        raise NothingToCancelError(f"expected a run that goes on, found {entry.id}, which is {entry.state}")
    if entry.host != socket.gethostname():
        raise NothingToCancelError(
            f"expected a run of this machine, found {entry.id}, which {entry.host} drives",
            remedy=f"Stop the process {entry.process} there, or cancel its job.",
        )
    try:
        # Process numbers are used again: one that began after the run is another process.
        ours = psutil.Process(entry.process).create_time() <= entry.started_at.timestamp() + CLOCK_SECONDS
    except psutil.Error:
        ours = False
    if not ours:
        raise NothingToCancelError(
            f"the process that drove {entry.id} is gone", remedy="`brainscore-ops runs` marks it as lost; resume it."
        )
    os.kill(entry.process, signal.SIGTERM)
    return entry
