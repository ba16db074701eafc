"""A workspace with a deployment ``trial`` whose database is real, and the command that people type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.postgres_servers import migrated_server

from brainscore_ops.database.connection import Database
from brainscore_ops.database.marker import mark
from brainscore_ops.settings import DatabaseSecret, Workspace, load_deployment
from brainscore_ops.settings.secrets import write_secret

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "brainscore-ops"


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A PostgreSQL, and the document of its secret; its one database has the newest schema and belongs to the tier test."""
    with migrated_server(tmp_path_factory.mktemp("deployments") / "postgres") as postgres:
        document = postgres.start()
        database = Database(DatabaseSecret.model_validate(document))
        mark(database, load_deployment("test", Workspace(ROOT, ROOT, ROOT)))
        database.close()
        yield document


@dataclass
class House:
    root: Path

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root, self.root / "state", self.root / "outputs")

    def describe(self, name: str = "trial", **settings: Any) -> None:
        document = {**yaml.safe_load((ROOT / "params" / "test.yaml").read_text()), "embedded": [], **settings}
        (self.root / "params" / f"{name}.yaml").write_text(yaml.safe_dump(document))

    def keep(self, name: str, document: dict[str, Any], deployment: str = "trial") -> None:
        write_secret(self.workspace.state(deployment) / "secrets.json", name, document)

    def command(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "BRAINSCORE_OPS_WORKSPACE": str(self.root),
            "BRAINSCORE_OPS_STATE": str(self.workspace.state_root),
            "BRAINSCORE_OPS_OUTPUTS": str(self.workspace.outputs_root),
            **variables,
        }
        return subprocess.run(
            [str(COMMAND), *arguments], capture_output=True, text=True, env=environment, cwd=self.root, timeout=120
        )

    def json(self, *arguments: str) -> Any:
        return json.loads(self.command(*arguments, "--json").stdout)


@pytest.fixture
def house(tmp_path, server):
    (tmp_path / "notebooks" / "runbooks").mkdir(parents=True)
    (tmp_path / "params").mkdir()
    made = House(tmp_path)
    made.describe(database={"secret": "test/database", "connect_seconds": 2})
    made.keep("test/database", server)
    return made
