"""Commands that buttons start: the very command line, in a process of its own, told line by line."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class RunningCommand:
    """``brainscore-ops`` with some arguments, in a process of its own: the kernel stays free, and its restart ends nothing.

    :param tell: told every line that it prints, from another thread
    :param done: told its exit code, from another thread
    """

    def __init__(self, arguments: Sequence[str], tell: Callable[[str], None], done: Callable[[int], None]) -> None:
        self.arguments = list(arguments)
        self._tell, self._done = tell, done
        command = [sys.executable, "-c", "from brainscore_ops.cli import main; main()", *arguments]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_environment(),
            start_new_session=True,  # the kernel's interrupt is not meant for it
        )
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Have it stop in order: its run is closed and recorded."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit code once it has ended; None where that takes longer."""
        self._thread.join(seconds)
        return self._process.poll()

    def _follow(self) -> None:
        assert self._process.stdout is not None, "it is a pipe"  # noqa: S101
        with self._process.stdout as lines:
            for line in lines:
                self._tell(line.rstrip("\n"))
        self._done(self._process.wait())


def command_text(arguments: Sequence[str]) -> str:
    """The command as one would type it."""
    return shlex.join(["brainscore-ops", *arguments])


def _environment() -> Mapping[str, str]:
    """The environment that we have, without what says that we are the kernel of a run."""
    # A kernel asks for colors, as a terminal has them; what is read here is text.
    left_out = {
        "BRAINSCORE_OPS_RUN",
        "BRAINSCORE_OPS_JOURNAL",
        "BRAINSCORE_OPS_PLAN",
        "FORCE_COLOR",
        "CLICOLOR_FORCE",
        "CLICOLOR",
    }
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "COLUMNS": "140", "NO_COLOR": "1", "TERM": "dumb"}
