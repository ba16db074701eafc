"""Warm kernels: processes forked from one that has imported what kernels import.

A kernel spends most of a short run on imports (about a second and a half of processor time). A process that drives several runs
keeps a parent for its kernels: every run still has a process of its own, and loads this library afresh.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from brainscore_ops.runbooks.kernel_parent import WITHOUT_DATABASE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCRIPT = Path(__file__).with_name("kernel_parent.py")
ANSWER_SECONDS = 5.0
WARM_SECONDS = 60.0
"""How long a kernel of a process that expects many waits for their parent; it takes a second or two."""


def expect_many(modules: Sequence[str] = (), *, database: bool = True) -> None:
    """Say that this process will ask for many kernels: their parent is started now, and already the first one is forked from it.

    :param modules: of this library, what the kernels will import: they have it as it was now, as this process has
    :param database: whether they will want what talks to it
    """
    global _expects_many, _arguments
    with _lock:
        if not _expects_many:
            _expects_many, _arguments = True, (*modules, *(() if database else (WITHOUT_DATABASE,)))
            _parent_for(os.environ)


def fork_kernel(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, *, log: Path, exit_file: Path
) -> ForkedProcess | None:
    """A process that runs a kernel, forked from the warm parent that this process keeps.

    :param arguments: of ``ipykernel_launcher``
    :param log: an existing file for what it says outside of cells
    :param exit_file: where its exit code is put; no such file yet
    :returns: None where there is no warm parent (yet): it is started for the second kernel that a process asks for
    """
    with _lock:
        parent = _parent_for(environment)
        if parent is None or not parent.is_warm(WARM_SECONDS if _expects_many else 0):
            return None
        number = parent.request(
            {
                "arguments": list(arguments),
                "environment": dict(environment),
                "folder": str(folder),
                "log": str(log),
                "exit_file": str(exit_file),
            }
        )
        return None if number is None else ForkedProcess(number, exit_file)


class ForkedProcess:
    """A process that is not our child, with what :class:`subprocess.Popen` would tell of it."""

    def __init__(self, number: int, exit_file: Path) -> None:
        self.pid = number
        self._exit_file = exit_file
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self._code is None:
            exists = psutil.pid_exists(self.pid)
            with suppress(FileNotFoundError):
                self._code = int(self._exit_file.read_text(encoding="ascii"))
            if self._code is None and not exists:
                self._code = -signal.SIGKILL  # its parent is gone too: nobody saw it end
        return self._code

    def wait(self, timeout: float = ANSWER_SECONDS) -> int | None:
        """Wait until it has ended, at most so many seconds."""
        deadline = time.monotonic() + timeout
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return self._code


class _WarmParent:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self.start_variables = _start_variables(environment)
        self.owner = os.getpid()
        self._is_warm = False
        self._process = subprocess.Popen(
            # -P: the script's folder is no place to import from.
            [sys.executable, "-P", "-Xfrozen_modules=off", str(SCRIPT), *_arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            cwd="/",
            start_new_session=True,  # Ctrl-C at a terminal is for the driver, which then ends its run in order
        )
        atexit.register(self.close)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def is_warm(self, seconds: float = 0) -> bool:
        if not self._is_warm:
            self._is_warm = self._answer(seconds) == "warm"
        return self._is_warm

    def request(self, document: dict[str, Any]) -> int | None:
        try:
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe
            self._process.stdin.write((json.dumps(document) + "\n").encode())
            self._process.stdin.flush()
        except OSError:
            return None
        number = self._answer(ANSWER_SECONDS)
        return number if isinstance(number, int) else None

    def close(self) -> None:
        atexit.unregister(self.close)
        self._process.kill()
        self._process.communicate()

    def _answer(self, seconds: float) -> object:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        readable, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline() if readable else b""
        return json.loads(line) if line else None


_lock = threading.Lock()
_parent: _WarmParent | None = None
_asked = 0
_expects_many = False
_arguments: tuple[str, ...] = ()


def _parent_for(environment: Mapping[str, str]) -> _WarmParent | None:
    global _parent, _asked
    _asked += 1
    if _asked == 1 and not _expects_many:
        return None
    if _parent is not None and _parent.owner != os.getpid():
        _parent = None  # the one of the process that this one was forked from
    if _parent is not None and (not _parent.is_alive() or _parent.start_variables != _start_variables(environment)):
        _parent.close()
        _parent = None
    if _parent is None:
        _parent = _WarmParent(environment)
    return _parent


def _start_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What takes effect when Python starts; of all other variables every kernel has its own values."""
    return {name: value for name, value in environment.items() if name.startswith(("PYTHON", "LD_"))}
