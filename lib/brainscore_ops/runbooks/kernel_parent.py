"""The process from which warm kernels are forked. A script of its own: nothing of this library is loaded before a fork, but what
its arguments name.

It speaks JSON lines on its standard streams: ``"warm"`` once it is; for each request ``{"arguments": […],
"environment": {…}, "folder": …, "log": …, "exit_file": …}`` the number of the kernel's process. When a kernel ends, its exit
code (negative: the signal) is put into its exit file. It ends with its standard input, and its kernels with it.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import select
import signal
import sys
from contextlib import suppress
from typing import Any

# What kernels import: only what does not change while this process lives, so that a run has the library as it is on disk.
WARM = (
    "ipykernel.debugger",  # with all of debugpy: three quarters of what a kernel does at its start
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "packaging.requirements",
    "packaging.tags",
    "psutil",
    # pydantic loads its parts when they are first used.
    "pydantic.dataclasses",
    "pydantic.json_schema",
    "pydantic.main",
    "pydantic.plugin._loader",
    "pydantic.plugin._schema_validator",
    "scrapbook",
    "tomllib",
    "uv",
    "yaml",
)
DATABASE = ("psycopg2", "sqlalchemy.dialects.postgresql", "sqlalchemy.orm")
WITHOUT_DATABASE = "--without-database"
OURS = "brainscore_ops"
UNUSED = ("rfc3987_syntax", "papermill.s3", "github", "pyarrow.fs")  # by papermill: see quick_imports


def main() -> None:
    """Serve requests until standard input ends."""
    warm_up()
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    exit_files: dict[int, str] = {}
    answer("warm")
    while True:
        readable, _, _ = select.select([0, awake], [], [])
        if awake in readable:
            os.read(awake, 4096)
            reap(exit_files)
        if 0 in readable:
            request = read_request()
            if request is None:
                return
            number = os.fork()
            if number == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(awake)
                os.close(wake)
                become_kernel(request)
            exit_files[number] = request["exit_file"]
            answer(number)


def warm_up() -> None:
    """Import what kernels import."""
    for name in UNUSED:
        sys.modules[name] = None  # type: ignore[assignment]
    ours = [name for name in sys.argv[1:] if name != WITHOUT_DATABASE]
    for name in (*WARM, *(() if WITHOUT_DATABASE in sys.argv else DATABASE)):
        with suppress(ImportError):
            importlib.import_module(name)
    for name in UNUSED:
        del sys.modules[name]
    for name in [name for name in sys.modules if name.partition(".")[0] == OURS]:
        del sys.modules[name]  # papermill loads its engines, which are ours
    for name in ours:  # of ours, what whoever started us has loaded, too
        importlib.import_module(name)
    gc.freeze()  # collections in kernels pass over all this, and its memory stays shared


def read_request() -> dict[str, Any] | None:
    """The next request; None at the end of standard input."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 65536)  # unbuffered: select sees what is left
        if not part:
            return None
        line += part
    request: dict[str, Any] = json.loads(line)
    return request


def answer(document: object) -> None:
    """Write one line on standard output."""
    os.write(1, (json.dumps(document) + "\n").encode())


def reap(exit_files: dict[int, str]) -> None:
    """Collect the kernels that ended, and say how."""
    with suppress(ChildProcessError):
        while True:
            number, status = os.waitpid(-1, os.WNOHANG)
            if number == 0:
                return
            path = exit_files.pop(number)
            with suppress(OSError):  # nobody waits for it any more
                with open(f"{path}.partial", "w", encoding="ascii") as file:  # noqa: PTH123
                    file.write(str(os.waitstatus_to_exitcode(status)))
                os.replace(f"{path}.partial", path)  # noqa: PTH105


def become_kernel(request: dict[str, Any]) -> None:
    """Be a kernel from here on."""
    os.setsid()
    os.chdir(request["folder"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(request["environment"])
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # otherwise all kernels would draw the same numbers
    arguments = [*request["arguments"], f"--IPKernelApp.parent_handle={os.getppid()}"]  # it ends with this process
    sys.argv = ["ipykernel_launcher", *arguments]
    importlib.import_module("ipykernel.kernelapp").launch_new_instance(argv=arguments)
    # What a kernel wants to do at its end is done; taking all modules apart would take most of a second more.
    atexit._run_exitfuncs()
    os._exit(0)


if __name__ == "__main__":
    main()
