"""A deployment of its own, whose submissions are stopped at every step of their way, and the command that continues them."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.shown import check_record

from brainscore_ops import services
from brainscore_ops.database.connection import Database
from brainscore_ops.forge.client import Person, PullRequest
from brainscore_ops.settings import Deployment, Workspace, load_deployment
from brainscore_ops.submissions import gate, intake, merging, plugin_tests, proposal
from brainscore_ops.submissions.context import Context
from brainscore_ops.submissions.life import Timeline, timeline

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "brainscore-ops"
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
LIBRARY = "brainscore_example"


def metric(name: str, test: str = "pass") -> dict[str, str]:
    """A plugin that brings no pair to score, so that its whole way takes seconds."""
    return {
        f"metrics/{name}/__init__.py": "from brainscore_example import metric_registry\n\n"
        f"metric_registry['{name}'] = lambda: None\n",
        f"metrics/{name}/test.py": f"def test_it():\n    {test}\n",
    }


def of_library(files: dict[str, str]) -> dict[str, str]:
    return {f"{LIBRARY}/{path}": text for path, text in files.items()}


@dataclass
class Place:
    """The deployment, and what people and events do with it."""

    deployment: Deployment
    folder: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @cached_property
    def environment(self) -> dict[str, str]:
        workspace = self.deployment.workspace
        return {
            **os.environ,
            "BRAINSCORE_OPS_WORKSPACE": str(ROOT),
            "BRAINSCORE_OPS_STATE": str(workspace.state_root),
            "BRAINSCORE_OPS_OUTPUTS": str(workspace.outputs_root),
        }

    @cached_property
    def context(self) -> Context:
        return Context(deployment=self.deployment, database=Database.of(self.deployment), run_id=None)

    def command(self, *arguments: str | Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
        return subprocess.run(
            [COMMAND, *arguments],
            capture_output=True,
            text=True,
            env=self.environment | (environment or {}),
            cwd=ROOT,
            timeout=280,
        )

    def run(self, runbook: str, **parameters: Any) -> dict[str, Any]:
        given = [word for name, value in parameters.items() for word in ("-p", name, str(value))]
        finished = self.command("run", runbook, *given, "--json")
        assert finished.stdout, finished.stderr
        result = json.loads(finished.stdout)
        check_record(Path(result["record"]))
        return result

    def archive(self, files: dict[str, str], name: str = "") -> Path:
        path = self.folder / f"{name or f'archive-{next(self.numbers)}'}.zip"
        with zipfile.ZipFile(path, "w") as file:
            for member, content in files.items():
                file.writestr(member, content)
        return path

    def accepted(self, files: dict[str, str], *, public: bool = True) -> int:
        """A submission after its intake, of which nobody was told."""
        received = intake.receive(
            self.context,
            self.archive(files),
            email="ada@example.org",
            submitter="Ada",
            name="a submission",
            public=public,
        )
        intake.accept(self.context, received, intake.validate(self.context, received))
        return received.submission

    def proposed(self, files: dict[str, str]) -> tuple[int, int]:
        """A submission and its pull request."""
        submission = self.accepted(files)
        prepared = proposal.prepare(self.context, submission)
        proposal.propose(self.context, prepared)
        return submission, proposal.open_pull_request(self.context, prepared).pull_request.number

    def test(self, pull_request: int) -> None:
        """The steps of ``test_plugins``."""
        candidate = plugin_tests.find_candidate(self.context, pull_request)
        environments = plugin_tests.build_environments(self.context, candidate)
        report = plugin_tests.run_tests(self.context, candidate, environments)
        plugin_tests.conclude(self.context, candidate, report)

    def merge(self, pull_request: int) -> None:
        """The steps of ``merge``."""
        verdict = gate.examine(self.context, pull_request)
        merging.insist(self.context, verdict)
        merging.merge(self.context, verdict)

    def by_hand(self, files: dict[str, str]) -> PullRequest:
        """A pull request that somebody opened on the forge."""
        branch = f"by-hand-{next(self.numbers)}"
        self.context.forge.propose(
            branch=branch,
            base_sha=self.context.forge.default_branch()[1],
            files={path: text.encode() for path, text in files.items()},
            message=branch,
            author=Person("Eve", "eve@example.org"),
            when=WHEN,
        )
        return self.context.forge.open_pull_request(branch=branch, title=branch, body="")

    @contextmanager
    def served(self) -> Iterator[str]:
        """Have its website served; where it is."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        url, log = f"http://127.0.0.1:{port}", self.folder / "portal.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [COMMAND, "serve", "--port", str(port)], env=self.environment, stdout=output, stderr=output
            )
        for _ in range(300):
            try:
                requests.get(f"{url}/nowhere", timeout=5)
                break
            except requests.ConnectionError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        try:
            yield url
        finally:
            process.terminate()
            process.wait()

    def timeline(self, submission: int) -> Timeline:
        return timeline(self.context.database, submission)

    def state(self, submission: int) -> str:
        return self.timeline(submission).state


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("reconcile")
    deployment = load_deployment("local", Workspace(ROOT, folder / "state", folder / "outputs"))
    services.up(deployment)
    store = services.forge_store(deployment)
    store.create_repository(deployment.library.repository, default_branch="main")
    store.import_folder(
        deployment.library.repository,
        ROOT / "examples" / "library",
        message="The library",
        author=Person("L", "library@example.org"),
        when=WHEN,
    )
    found = Place(deployment, folder)
    yield found
    found.context.database.close()
    services.down(deployment, remove=True)
