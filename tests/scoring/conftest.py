"""Deployments of their own whose pairs are computed on a real SLURM, and a library of strangers' plugins that behave as told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select
from tests.slurm_cluster import Slurm
from tests.stub_library import LIBRARY, LIBRARY_CODE, MODEL

from brainscore_ops import services
from brainscore_ops.database.connection import Database
from brainscore_ops.database.ops_tables import ScoreAttempt, ScoreProvenance
from brainscore_ops.forge.client import Person
from brainscore_ops.settings import Deployment, Workspace, load_deployment

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "brainscore-ops"
REPOSITORY = "brain-score/stub"

BENCHMARK = """
from brainscore_stub import Score, benchmark_registry


class Benchmark:
    identifier, version, parent, bibtex = "{name}", 1, "behavioral", None

    def __call__(self, model):
        raw = Score(model() * {factor}, error=0.02)
        return Score(raw / 0.8, raw=raw, error=0.025, ceiling=Score(0.8, error=0.01))


benchmark_registry["{name}"] = Benchmark
"""

SETTINGS: dict[str, Any] = {
    "tier": "local",
    "library": {"package": LIBRARY, "repository": REPOSITORY, "domain": "stub"},
    "database": {"secret": "local/database"},
    "forge": {"secret": "local/forge"},
    "mail": {"secret": "local/mail", "sender": "Brain-Score <submissions@brain-score.example.org>"},
    "embedded": ["database", "forge", "mail"],
}


def model(name: str, body: str = "return 0.4") -> dict[str, str]:
    """The files of a model whose prediction is what this function's body does."""
    code = MODEL.format(name=name, body=textwrap.indent(textwrap.dedent(body).strip(), "    "))
    return {f"{LIBRARY}/models/{name}/__init__.py": code}


def benchmark(name: str, factor: float = 1.0) -> dict[str, str]:
    """The files of a benchmark that multiplies what a model predicts."""
    return {f"{LIBRARY}/benchmarks/{name}/__init__.py": BENCHMARK.format(name=name, factor=factor)}


@dataclass
class Installation:
    """A deployment of its own, with services, a library and a way to run commands on it."""

    name: str
    folder: Path
    slurm: Slurm
    deployment: Deployment

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.slurm.environment,
            "BRAINSCORE_OPS_WORKSPACE": str(self.deployment.workspace.root),
            "BRAINSCORE_OPS_STATE": str(self.deployment.workspace.state_root),
            "BRAINSCORE_OPS_OUTPUTS": str(self.deployment.workspace.outputs_root),
            "COLUMNS": "200",
        }

    def command(self, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(COMMAND), *arguments],
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.folder,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(COMMAND), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            cwd=self.folder,
            start_new_session=True,
        )

    def commit(self, *files: dict[str, str]) -> str:
        """Put files into the library, beside what every library has.

        :returns: the commit
        """
        folder = self.folder / "library"
        whole: dict[str, str] = {f"{LIBRARY}/__init__.py": LIBRARY_CODE, "requirements.txt": ""}
        for kind in ("models", "benchmarks"):
            whole[f"{LIBRARY}/{kind}/__init__.py"] = ""
        for each in files:
            whole.update(each)
        for path, text in whole.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        repository = self.deployment.state / "forge" / "repositories" / f"{REPOSITORY}.git"
        if repository.exists():
            return self._push(repository, folder)
        store = services.forge_store(self.deployment)
        store.create_repository(REPOSITORY, default_branch="main")
        return store.import_folder(
            REPOSITORY,
            folder,
            message="The library",
            author=Person("L", "library@example.org"),
            when=datetime(2026, 1, 1, tzinfo=UTC),
        )

    def _push(self, repository: Path, folder: Path) -> str:
        def git(*arguments: str) -> str:
            identity = ["-c", "user.name=L", "-c", "user.email=library@example.org"]
            command = ["git", *identity, f"--work-tree={folder}", f"--git-dir={self.folder / 'clone'}", *arguments]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

        git("clone", "--quiet", "--bare", str(repository), str(self.folder / "clone"))
        git("add", "--all")
        git("commit", "--quiet", "--message", "More")
        git("push", "--quiet", str(repository), "HEAD:main")
        return git("rev-parse", "HEAD")

    def score(self, commit: str, *, timeout: float = 240) -> dict[str, Any]:
        """Run ``score_plugins``; how it ended, as it says itself."""
        done = self.command("run", "score_plugins", "-p", "commit", commit, "--deployment", self.name, "--json",
                            timeout=timeout)  # fmt: skip
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def rows(self, table: Any) -> list[Any]:
        database = Database.of(self.deployment)
        try:
            with database.session() as session:
                return list(session.scalars(select(table)))
        finally:
            database.close()

    def attempts(self, model: str = "") -> list[ScoreAttempt]:
        """The attempts at a model's pairs, in the order in which they were made."""
        found = [row for row in self.rows(ScoreAttempt) if model in ("", row.model)]
        return sorted(found, key=lambda row: (row.model, row.benchmark, row.number))

    def scores(self) -> dict[tuple[str, str], ScoreProvenance]:
        return {(row.model, row.benchmark): row for row in self.rows(ScoreProvenance)}

    def await_attempt(self, model: str, state: str = "running", seconds: float = 60) -> dict[str, Any]:
        """Wait until an attempt of a model is in a state; what its file says."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for path in sorted((self.deployment.shared / "results").glob("*/attempts/[0-9]*.json")):
                found = json.loads(path.read_text())
                if found["model"] == model and found["state"] == state:
                    return found
            time.sleep(0.1)
        raise AssertionError(f"no attempt of {model} is {state} after {seconds} s")


@pytest.fixture(scope="session")
def install(slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Installation]]:
    """Makes deployments; all of them are gone afterwards."""
    made: list[Installation] = []

    def make(name: str, scoring: dict[str, Any], **settings: Any) -> Installation:
        folder = tmp_path_factory.mktemp(name)
        root = folder / "workspace"
        (root / "params").mkdir(parents=True)
        (root / "notebooks").symlink_to(ROOT / "notebooks")
        (root / "params" / f"{name}.yaml").write_text(yaml.safe_dump({**SETTINGS, "scoring": scoring, **settings}))
        deployment = load_deployment(name, Workspace(root, folder / "state", folder / "outputs"))
        found = Installation(name, folder, slurm, deployment)
        made.append(found)
        services.up(deployment)
        return found

    os.environ["SLURM_CONF"] = str(slurm.configuration)
    yield make
    for each in made:
        services.down(each.deployment, remove=True)
