"""The whole way of the example submissions, driven once for all tests of this folder by the command that people type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from brainscore_ops.database.connection import Database
from brainscore_ops.settings import Deployment, Workspace, load_deployment

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "brainscore-ops"


@dataclass(frozen=True)
class Installation:
    """A deployment of its own, with the environment that selects it."""

    deployment: Deployment
    environment: dict[str, str]

    def command(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(COMMAND), *arguments], capture_output=True, text=True, env=self.environment, cwd=ROOT, timeout=timeout
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The command in a process group of its own, as a terminal has it: a signal to the group is a Ctrl-C."""
        return subprocess.Popen(
            [str(COMMAND), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            cwd=ROOT,
            start_new_session=True,
        )

    def json(self, *arguments: str) -> Any:
        return json.loads(self.command(*arguments, "--json").stdout)

    def database(self) -> Database:
        return Database.of(self.deployment)


def installation(folder: Path) -> Installation:
    workspace = Workspace(ROOT, folder / "state", folder / "outputs")
    environment = {
        **os.environ,
        "BRAINSCORE_OPS_WORKSPACE": str(ROOT),
        "BRAINSCORE_OPS_STATE": str(workspace.state_root),
        "BRAINSCORE_OPS_OUTPUTS": str(workspace.outputs_root),
        "COLUMNS": "200",
    }
    return Installation(load_deployment("local", workspace), environment)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Installation]:
    """An installation on which nothing ever ran."""
    found = installation(tmp_path)
    yield found
    found.command("down", "--remove")


@dataclass(frozen=True)
class Demo:
    """What the demo left behind, with its services still running."""

    installation: Installation
    finished: subprocess.CompletedProcess[str]
    status: dict[str, dict[str, Any]]
    """The timeline of each submission, by the name of its archive."""

    @property
    def outputs(self) -> Path:
        return self.installation.deployment.outputs


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    found = installation(tmp_path_factory.mktemp("demo"))
    finished = found.command("demo", "--keep", timeout=900)
    try:
        lives = found.json("status")
        status = {Path(life["archive"]).stem: found.json("status", str(life["submission"])) for life in lives}
        yield Demo(found, finished, status)
    finally:
        found.command("down", "--remove")
