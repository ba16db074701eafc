"""A JupyterLab of its own for one session: on loopback, with a token, on the session's folder alone."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil
import requests

from brainscore_ops.errors import StepFailedError
from brainscore_ops.runbooks.kernels import KernelChannels

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

KERNEL_NAME = "brainscore-ops-session"
START_SECONDS = 60.0
STOP_SECONDS = 10.0
SAVE_SECONDS = 5
"""How often JupyterLab saves what was changed."""
_HERE = Path(__file__).parent
_OVERRIDES = {
    "@jupyterlab/docmanager-extension:plugin": {"autosaveInterval": SAVE_SECONDS},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}


class LabError(StepFailedError):
    """JupyterLab did not start, or did not do what it was asked to."""

    code = "jupyterlab"


@dataclass(frozen=True)
class KernelProgram:
    """What the kernel of a session is: its Python and the environment variables that it has beside those of JupyterLab."""

    python: Path
    variables: Mapping[str, str]


class Lab:
    """A running JupyterLab; it ends with this process, and with the block.

    :param folder: what it shows
    :param environment: the whole environment of its process
    :param program: of its kernels for the session's notebook
    :param port: where it listens; by default on any that is free
    :raises LabError: with the end of what it said
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], program: KernelProgram, *, port: int | None = None
    ) -> None:
        self._folder = folder
        self._token = secrets.token_urlsafe(24)
        self._home = Path(tempfile.mkdtemp(prefix="brainscore-ops-lab-"))
        self._log = self._home / "log"
        self._write_settings(program)
        self._process = self._start(environment, port or 0)
        try:
            self._url = self._wait_until_it_serves()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def url(self, notebook: str) -> str:
        """Where a browser sees a notebook. It holds the token: it is for the person who asked."""
        return f"{self._url}lab/tree/{quote(notebook)}?token={self._token}"

    def start_kernel(self, notebook: str) -> LabKernel:
        """Start a kernel for a notebook of the folder; JupyterLab takes it when the notebook is opened."""
        session = self._ask(
            "POST",
            "sessions",
            {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": KERNEL_NAME}},
        )
        return LabKernel(self._home / "runtime" / f"kernel-{session['kernel']['id']}.json", self._process.pid)

    def is_running(self) -> bool:
        """Whether it still runs: it can be shut down in the browser."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it and its kernels."""
        processes = []
        with suppress(psutil.Error):
            processes = psutil.Process(self._process.pid).children(recursive=True)
        if self.is_running():
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        for process in processes:
            with suppress(psutil.Error):
                process.kill()
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def _write_settings(self, program: KernelProgram) -> None:
        kernel = self._home / "data" / "kernels" / KERNEL_NAME
        settings = self._home / "settings"
        for folder in (kernel, settings, self._home / "runtime", self._home / "workspaces"):
            folder.mkdir(parents=True)
        specification = {
            "argv": [
                str(program.python),
                *("-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"),
                "--HistoryManager.enabled=False",
                "--IPKernelApp.extra_extensions=brainscore_ops.runbooks.error_cards",
                f"--IPKernelApp.exec_files={_HERE / 'kernel_journal.py'}",
            ],
            "display_name": "Brain-Score ops (session)",
            "language": "python",
            "env": dict(program.variables),
        }
        (kernel / "kernel.json").write_text(json.dumps(specification), encoding="utf-8")
        (settings / "overrides.json").write_text(json.dumps(_OVERRIDES), encoding="utf-8")
        disabled = {"@jupyterlab/apputils-extension:announcements": True}  # it would ask the network for news
        (settings / "page_config.json").write_text(json.dumps({"disabledExtensions": disabled}), encoding="utf-8")

    def _start(self, environment: Mapping[str, str], port: int) -> subprocess.Popen[bytes]:
        command = [
            *("setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "jupyterlab", "--no-browser"),
            *(
                ["--allow-root"] if os.getuid() == 0 else []
            ),  # in a container; Jupyter wants to be told that this is meant
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={self._folder}",
            f"--LabApp.app_settings_dir={self._home / 'settings'}",
            f"--LabApp.workspaces_dir={self._home / 'workspaces'}",
            f"--LabApp.extra_labextensions_path={self._home / 'extensions'}",
        ]
        extension = self._home / "extensions" / "brainscore-ops-stepping"
        shutil.copytree(_HERE / "labextension", extension)
        paths = [str(self._home / "data"), *filter(None, [environment.get("JUPYTER_PATH")])]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command,
                env={
                    **environment,
                    "JUPYTER_TOKEN": self._token,  # not on the command line, which everybody on the machine sees
                    "JUPYTER_RUNTIME_DIR": str(self._home / "runtime"),
                    "JUPYTER_PATH": os.pathsep.join(paths),
                },
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a terminal's Ctrl-C comes to us alone
            )

    def _wait_until_it_serves(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.is_running():
            for path in (self._home / "runtime").glob("jpserver-*.json"):
                with suppress(OSError, ValueError, KeyError, requests.RequestException):
                    url = str(json.loads(path.read_text(encoding="utf-8"))["url"])
                    requests.get(f"{url}api", timeout=5).raise_for_status()
                    return url
            time.sleep(0.05)
        said = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise LabError(
            f"expected JupyterLab to start within {START_SECONDS:g} s, it did not",
            remedy="What it said stands below; a port that is taken is the usual reason.",
            log=said.replace(self._token, "***"),
        )

    def _ask(self, method: str, path: str, document: dict[str, Any]) -> dict[str, Any]:
        answer = requests.request(
            method,
            f"{self._url}api/{path}",
            json=document,
            headers={"Authorization": f"token {self._token}"},
            timeout=START_SECONDS,
        )
        if not answer.ok:
            raise LabError(
                f"expected JupyterLab to answer {method} {path}, found {answer.status_code}: {answer.text[:300]}"
            )
        found: dict[str, Any] = answer.json()
        return found


class LabKernel(KernelChannels):
    """A kernel that JupyterLab started and will end."""

    def __init__(self, connection_file: Path, server: int) -> None:
        super().__init__(str(connection_file))
        self._server = server
        self._process: psutil.Process | None = None

    @property
    def process_id(self) -> int | None:
        """See :class:`KernelChannels`. Restarted in the browser, it is another process."""
        if self._process is None or not self._process.is_running():
            self._process = self._find()
        return None if self._process is None else self._process.pid

    def is_alive(self) -> bool:
        """See :class:`KernelChannels`."""
        return self.process_id is not None

    async def shut_down(self) -> None:
        """Leave it running: the person who steps through goes on with it."""
        self.disconnect()

    def _find(self) -> psutil.Process | None:
        children = []
        with suppress(psutil.Error):
            children = psutil.Process(self._server).children(recursive=True)
        for child in children:
            with suppress(psutil.Error):  # others come and go
                if self._connection_file in child.cmdline():
                    return child
        return None
