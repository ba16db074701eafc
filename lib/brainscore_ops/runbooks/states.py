"""How a run stands, and what a shell is told of it."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """The state of a run. Every state but ``running`` is final."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """A cell raised an exception."""
    REFUSED = "refused"
    """A cell raised a :class:`~brainscore_ops.errors.RefusedError`: a rule says no."""
    UNAVAILABLE = "unavailable"
    """A cell raised an :class:`~brainscore_ops.errors.UnavailableError`: a later run goes on from here."""
    CELL_TIMEOUT = "cell-timeout"
    """One cell took longer than ``runs.cell_seconds``."""
    RUN_TIMEOUT = "run-timeout"
    """The whole run took longer than ``runs.run_seconds``."""
    KERNEL_DIED = "kernel-died"
    """The kernel's process did not start, or ended before its cells had."""
    OUT_OF_MEMORY = "out-of-memory"
    """A cell raised MemoryError, the kernel's processes grew over ``runs.memory_bytes``, or the system killed one for memory."""
    INTERRUPTED = "interrupted"
    """The process that drove the run was told to stop (SIGINT or SIGTERM)."""
    LOST = "lost"
    """The process that drove the run is gone and said nothing."""

    @property
    def exit_code(self) -> int:
        """What a command ends with whose run ended so: 0, 3 and 4 as errors have it, 1 for all other failures."""
        return _EXIT_CODES.get(self, 1)


_EXIT_CODES = {
    RunState.SUCCEEDED: 0,
    RunState.REFUSED: 3,
    RunState.UNAVAILABLE: 4,
    RunState.INTERRUPTED: 130,  # what shells expect of a command that Ctrl-C ended
}
