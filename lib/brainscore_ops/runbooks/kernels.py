"""Kernels: one Python process for each run, of the environment that this process runs in."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

import psutil
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import write_connection_file
from jupyter_client.launcher import launch_kernel

from brainscore_ops.errors import StepFailedError
from brainscore_ops.runbooks.warm_kernels import ForkedProcess, fork_kernel
from brainscore_ops.settings.secrets import variable_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brainscore_ops.settings import Deployment

# What cells register with atexit runs before this; what ipykernel does after it can wait for ever for its own threads.
_PREPARE = """
import atexit, os
os.environ.update({variables!r})
atexit.register(os._exit, 0)
del atexit, os
"""

START_SECONDS = 60.0
SHUTDOWN_SECONDS = 5.0
_LOG_CHARACTERS = 2000


class KernelDiedError(StepFailedError):
    """A kernel did not start, or ended too early."""

    code = "kernel-died"


class KernelChannels:
    """The way to talk to a running kernel, whoever started it.

    :param connection_file: where it listens
    """

    def __init__(self, connection_file: str) -> None:
        self._connection_file = connection_file
        self._client: AsyncKernelClient | None = None

    @property
    def connection_file(self) -> Path:
        """Where it is said how to reach it."""
        return Path(self._connection_file)

    @property
    def process_id(self) -> int | None:
        """The number of its process; None where there is none."""
        raise NotImplementedError

    def is_alive(self) -> bool:
        """Whether its process runs."""
        raise NotImplementedError

    def was_killed_for_memory(self) -> bool:
        """Whether it was killed while the system was killing processes for want of memory."""
        return False

    def how_it_ended(self) -> str:
        """How its process ended, in words."""
        return "it still runs" if self.is_alive() else "it ended"

    def log_end(self) -> str:
        """The end of what its process said outside of cells."""
        return ""

    async def shut_down(self) -> None:
        """End it in order: what was registered with ``atexit`` runs."""
        raise NotImplementedError

    def kill(self) -> None:
        """End it and all that it started, now; nothing of it stays."""
        self._kill_tree()
        self.disconnect()

    def disconnect(self) -> None:
        """Close the way to it."""
        if self._client is not None:
            self._client.stop_channels()
            self._client = None

    @property
    def client(self) -> AsyncKernelClient:
        """The way to talk to it, once it is connected."""
        if self._client is None:
            raise KernelDiedError("expected a connected kernel, found one that is not")
        return self._client

    async def connect(self, variables: Mapping[str, str]) -> dict[str, Any]:
        """Wait until it answers, and set environment variables in it.

        :returns: its ``kernel_info``
        :raises KernelDiedError: with the end of what its process said
        """
        self._client = AsyncKernelClient()
        self._client.load_connection_file(self._connection_file)
        self._client.start_channels(stdin=False, hb=False)
        self._client.allow_stdin = False
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.is_alive():
            request = self._client.kernel_info()
            info = await self._reply(request, seconds=1)
            # Outputs are published to whoever listens by then: only what comes through proves that we do.
            if info is not None and await self._is_published(request, seconds=0.1):
                prepared = self._client.execute(_PREPARE.format(variables=dict(variables)), silent=True)
                if await self._reply(prepared, seconds=deadline - time.monotonic()) is not None:
                    return info
        raise KernelDiedError("expected the kernel to start, it did not", log=self.log_end())

    def memory_bytes(self) -> int:
        """The resident memory of its process and of all that it started."""
        total = 0
        for process in self._tree():
            with suppress(psutil.Error):
                total += process.memory_info().rss
        return total

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in its cell, and tell the processes that it started."""
        if (number := self.process_id) is not None:
            with suppress(OSError):
                os.killpg(number, signal.SIGINT)

    def _kill_tree(self) -> None:
        for process in self._tree():
            with suppress(psutil.Error):
                process.kill()

    def _tree(self) -> list[psutil.Process]:
        if (number := self.process_id) is None:
            return []
        try:
            process = psutil.Process(number)
            return [*process.children(recursive=True), process]
        except psutil.Error:
            return []

    async def _reply(self, request: str, seconds: float) -> dict[str, Any] | None:
        deadline = time.monotonic() + seconds
        with suppress(Empty):
            while (left := deadline - time.monotonic()) > 0:
                message = await self.client.get_shell_msg(timeout=left)
                if message["parent_header"].get("msg_id") == request:
                    return dict(message["content"])
        return None

    async def _is_published(self, request: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        with suppress(Empty):
            while (left := deadline - time.monotonic()) > 0:
                message = await self.client.get_iopub_msg(timeout=left)
                idle = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
                if idle and message["parent_header"].get("msg_id") == request:
                    return True
        return False


class Kernel(KernelChannels):
    """A kernel of our own.

    No kernel specification of the machine has a say in it. It listens on unix sockets in a folder of its own (no port is
    taken, no other user can connect) and ends by itself when this process is gone.

    :param environment: the whole environment of its process
    :param folder: the folder that it starts in
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = dict(environment)
        self._folder = folder
        self._home = Path(tempfile.mkdtemp(prefix="brainscore-ops-"))
        self._log = self._home / "log"
        self._log.touch()
        super().__init__(str(self._home / "kernel.json"))
        write_connection_file(
            self._connection_file,
            ip=str(self._home / "socket"),
            transport="ipc",
            key=secrets.token_hex(32).encode(),
        )
        self._process = self._fork() or self._start()
        self._oom_kills = _system_oom_kills()
        self._is_gone = False

    @property
    def process_id(self) -> int:
        """See :class:`KernelChannels`."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None

    def was_killed_for_memory(self) -> bool:
        """Whether it was killed while the system was killing processes for want of memory."""
        return self._process.poll() == -signal.SIGKILL and _system_oom_kills() > self._oom_kills

    def how_it_ended(self) -> str:
        """How its process ended, in words."""
        code = self._process.poll()
        if code is None:
            return "it still runs"
        return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}"

    async def shut_down(self) -> None:
        """End it in order: what was registered with ``atexit`` runs."""
        if self._client is not None and self.is_alive():
            self._client.shutdown()
            deadline = time.monotonic() + SHUTDOWN_SECONDS
            while self.is_alive() and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
        self.kill()

    def kill(self) -> None:
        """End it and all that it started, now; nothing of it stays."""
        if self._is_gone:
            return
        self._is_gone = True
        if self.is_alive():  # otherwise its number may already be somebody else's
            self._kill_tree()
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.disconnect()
        shutil.rmtree(self._home, ignore_errors=True)

    def log_end(self) -> str:
        """The end of what its process said outside of cells."""
        with suppress(FileNotFoundError):
            return self._log.read_bytes().decode(errors="replace")[-_LOG_CHARACTERS:].strip()
        return ""

    def _fork(self) -> ForkedProcess | None:
        return fork_kernel(
            self._arguments, self._environment, self._folder, log=self._log, exit_file=self._home / "exit-code"
        )

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process: subprocess.Popen[bytes] = launch_kernel(
                [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self._environment),
                cwd=str(self._folder),
            )
        return process

    @property
    def _arguments(self) -> list[str]:
        ipython = self._home / "ipython"  # the profile of whoever starts a run is none of its parts
        ipython.mkdir(exist_ok=True)
        return [
            *("-f", self._connection_file, "--HistoryManager.enabled=False", f"--ipython-dir={ipython}"),
            "--IPKernelApp.extra_extensions=brainscore_ops.runbooks.error_cards",
        ]


def kernel_environment(deployment: Deployment, *, with_secrets: bool) -> dict[str, str]:
    """The environment of a run's kernel: this process's, without credentials that are not this deployment's.

    :param with_secrets: whether the secrets that the deployment names go along: the variables that hold them, and AWS's own
        where the deployment's secrets come from there
    """
    ours = {variable_of(name) for name in deployment.secret_names.values()} if with_secrets else set()
    asks_aws = with_secrets and "aws" in deployment.secrets.sources

    def goes_along(name: str) -> bool:
        if name in ours or name in _OF_AWS_WITHOUT_CREDENTIALS:
            return True
        return asks_aws if name.startswith("AWS_") else not _CREDENTIAL.search(name.upper())

    kept = {name: value for name, value in os.environ.items() if goes_along(name)}
    workspace = deployment.workspace
    return {
        **kept,
        **({} if asks_aws else _NO_AWS),
        "BRAINSCORE_OPS_WORKSPACE": str(workspace.root),
        "BRAINSCORE_OPS_STATE": str(workspace.state_root),
        "BRAINSCORE_OPS_OUTPUTS": str(workspace.outputs_root),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


# Names under which machines and CI services keep credentials, or the way to some.
_CREDENTIAL = re.compile(
    r"(^|_)(SECRETS?|TOKENS?|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|AUTH|PAT)(_|$)"
    r"|(API|ACCESS|PRIVATE|SECRET)_?KEY|^PGPASS|_PWD$|^DATABASE_URL$"
)
_OF_AWS_WITHOUT_CREDENTIALS = {"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"}
# boto3 also looks into the home folder, and asks the machine that it runs on.
_NO_AWS = {
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def _system_oom_kills() -> int:
    """How many processes the system has killed for want of memory since it started; 0 where it does not say."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0
