"""A deployment with its own settings, on which the example library has been scored: what rescoring starts from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select
from tests.shown import check_record

from brainscore_ops.database.connection import Database
from brainscore_ops.database.ops_tables import ScoreProvenance
from brainscore_ops.demo.journey import seed_library
from brainscore_ops.forge.client import ForgeClient, Person
from brainscore_ops.settings import Deployment, ForgeSecret, Workspace, load_deployment, resolve_secret

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "brainscore-ops"
CONCRETENESS = "Scott2019.concreteness-ridge"
SIMILARITY = "VanEssen2013.functional-similarity"
LIBRARY = "brainscore_example"


@dataclass(frozen=True)
class Laboratory:
    """The deployment, its commands, and a maintainer's hands on library and settings."""

    deployment: Deployment
    environment: dict[str, str]

    def command(self, *arguments: str, timeout: float = 280) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(COMMAND), *arguments], capture_output=True, text=True, env=self.environment, cwd=ROOT, timeout=timeout
        )

    def json(self, *arguments: str, code: int = 0) -> Any:
        ran = self.command(*arguments, "--json")
        assert ran.returncode == code, ran.stdout + ran.stderr
        return json.loads(ran.stdout)

    def run(self, runbook: str, *parameters: str, code: int = 0) -> dict[str, Any]:
        given = [word for parameter in parameters for word in ("-p", *parameter.split("=", 1))]
        result = self.json("run", runbook, *given, code=code)
        check_record(Path(result["record"]))
        return result

    def settings(self, **changes: Any) -> None:
        """Change the deployment's file, as a maintainer does."""
        path = self.deployment.workspace.params / "local.yaml"
        document = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({**document, **changes}))

    def edit(self, path: str, old: str, new: str) -> str:
        """Change a file of the library on its main branch.

        :returns: the commit
        """
        secret = resolve_secret(self.deployment, self.deployment.forge.secret, ForgeSecret)
        forge = ForgeClient(
            api_url=secret.api_url,
            repository=self.deployment.library.repository,
            token=secret.token.get_secret_value(),
        )
        head = forge.default_branch()[1]
        repository = self.deployment.state / "forge" / "repositories" / f"{self.deployment.library.repository}.git"
        content = subprocess.run(
            ["git", "-C", repository, "show", f"{head}:{path}"], capture_output=True, text=True, check=True
        ).stdout
        assert old in content
        branch = f"edit-{head[:10]}"
        tip = forge.propose(
            branch=branch,
            base_sha=head,
            files={path: content.replace(old, new).encode()},
            message=f"Change {path}",
            author=Person("Maintainer", "maintainer@example.org"),
            when=datetime(2026, 2, 1, tzinfo=UTC),
        )
        pull = forge.open_pull_request(branch=branch, title=branch, body="")
        return forge.squash_merge(pull.number, head_sha=tip, title=branch, message="")

    def rows(self, table: Any, **conditions: Any) -> list[Any]:
        database = Database.of(self.deployment)
        try:
            with database.session() as session:
                return list(session.scalars(select(table).filter_by(**conditions)))
        finally:
            database.close()

    def newest(self, benchmark: str) -> dict[str, ScoreProvenance]:
        """The scores of a benchmark's newest version, by model; the newest of each."""
        rows = self.rows(ScoreProvenance, benchmark=benchmark, state="scored")
        version = max(row.benchmark_version for row in rows)
        rows.sort(key=lambda row: row.recorded_at)
        return {row.model: row for row in rows if row.benchmark_version == version}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """Session-wide and changed by each test: they say what they begin from, and need no order."""
    folder = tmp_path_factory.mktemp("laboratory")
    root = folder / "workspace"
    (root / "params").mkdir(parents=True)
    for name in ("notebooks", "examples"):
        (root / name).symlink_to(ROOT / name)
    settings = yaml.safe_load((ROOT / "params" / "local.yaml").read_text())
    (root / "params" / "local.yaml").write_text(yaml.safe_dump({**settings, "canaries": []}))
    workspace = Workspace(root, folder / "state", folder / "outputs")
    found = Laboratory(
        load_deployment("local", workspace),
        {
            **os.environ,
            "BRAINSCORE_OPS_WORKSPACE": str(root),
            "BRAINSCORE_OPS_STATE": str(workspace.state_root),
            "BRAINSCORE_OPS_OUTPUTS": str(workspace.outputs_root),
            "COLUMNS": "200",
        },
    )
    try:
        assert found.command("up").returncode == 0
        seed_library(found.deployment)
        found.run("score_plugins")
        yield found
    finally:
        found.command("down", "--remove")
