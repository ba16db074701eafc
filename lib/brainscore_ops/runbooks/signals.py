"""SIGINT and SIGTERM while a run goes on: it is stopped in order, closed, and then the caller is stopped."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brainscore_ops.runbooks.runs import RunResult

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class RunInterrupted(KeyboardInterrupt):
    """The process was told to stop while a run went on; the run is closed and recorded.

    :param result: how it ended
    """

    def __init__(self, result: RunResult) -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        return f"the run {self.result.id} was told to stop"


def stop_runs_of_threads() -> None:
    """Ask every run that a thread of this process drives to stop, as a signal asks the main thread's; a second time without
    grace. To be called from signal handlers.
    """
    for ask in _of_threads:
        ask()


_of_threads: list[Callable[[], None]] = []


@contextmanager
def stop_signals(ask: Callable[[], None]) -> Iterator[None]:
    """Within the block the signals call ``ask`` and do nothing else.

    Only a process's main thread can have signals; in any other one :func:`stop_runs_of_threads` calls it.
    """
    if threading.current_thread() is not threading.main_thread():
        _of_threads.append(ask)
        try:
            yield
        finally:
            _of_threads.remove(ask)
        return
    former = {number: signal.signal(number, lambda *_: ask()) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
