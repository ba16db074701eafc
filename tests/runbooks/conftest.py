"""A PostgreSQL for all tests of this room, and for each test a workspace of its own in which it writes small runbooks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import yaml
from nbformat import v4
from sqlalchemy import text
from tests.postgres_servers import migrated_server

from brainscore_ops.database.connection import Database
from brainscore_ops.runbooks.execution import run_runbook
from brainscore_ops.runbooks.history import find_run
from brainscore_ops.settings import load_deployment
from brainscore_ops.settings.secrets import write_secret

if TYPE_CHECKING:
    from pathlib import Path

FORGE_TOKEN = "ghp_t0ken+of/the=forge"

PARAMETERS = """
from pydantic import Field
from brainscore_ops.parameters import RunbookParameters

class ToyParameters(RunbookParameters):
    deployment: str = Field("test", description="the deployment")
    number: int = Field(3, description="a number")
    note: str | None = Field(None, description="a note")
    submission: int | None = Field(None, description="a submission")
"""


@pytest.fixture(scope="session")
def runs_postgres(tmp_path_factory):
    with migrated_server(tmp_path_factory.mktemp("runs-postgres") / "server") as server:
        yield server.start()


@dataclass
class Bench:
    """A workspace with one deployment, ``test``."""

    root: Path

    @property
    def deployment(self):
        return load_deployment("test")

    def configure(self, queue=None, **runs):
        """Write the deployment's settings, with these bounds of runs, and these of the queue."""
        bounds = {"cell_seconds": 60, "run_seconds": 120, "memory_bytes": 2**30, **runs}
        settings = {
            "tier": "test",
            "library": {"package": "toy", "repository": "brain-score/toy", "domain": "toy"},
            "database": {"secret": "test/database"},
            "forge": {"secret": "test/forge"},
            "mail": {"secret": "test/mail", "sender": "toy@example.org"},
            "runs": bounds,
            "queue": queue or {},
        }
        (self.root / "params" / "test.yaml").write_text(yaml.safe_dump(settings))

    def database(self):
        return Database.of(self.deployment)

    def write(self, name, *steps, folder="runbooks", **metadata):
        """Write a runbook whose steps are called one, two, three …"""
        notebook = v4.new_notebook()
        notebook.metadata["brainscore_ops"] = {
            "purpose": "To be run in a test.",
            "parameters": "toy_parameters:ToyParameters",
            **metadata,
        }
        source = 'deployment: str = "test"\nnumber: int = 3\nnote: str = None\nsubmission: int = None'
        notebook.cells = [
            v4.new_markdown_cell("# A toy"),
            v4.new_code_cell(source, metadata={"tags": ["parameters"]}),
            *(
                v4.new_code_cell(step, metadata={"tags": [f"step:{ordinal}"]})
                for ordinal, step in zip(("one", "two", "three", "four"), steps, strict=False)
            ),
        ]
        path = self.root / "notebooks" / folder / f"{name}.ipynb"
        path.write_text(v4.writes(notebook))
        return path

    def run(self, name="toy", **parameters):
        return run_runbook(name, parameters, triggered_by="test")

    def entry(self, run_id):
        database = self.database()
        try:
            return find_run(database, run_id)
        finally:
            database.close()


@pytest.fixture(scope="session")
def toy_modules(tmp_path_factory):
    """A folder of modules that all tests may import. One for all, so that the parent of warm kernels serves them all."""
    folder = tmp_path_factory.mktemp("toy-modules")
    (folder / "toy_parameters.py").write_text(PARAMETERS)
    return folder


@pytest.fixture
def bench(tmp_path, monkeypatch, runs_postgres, toy_modules):
    for folder in ("notebooks/runbooks", "notebooks/scoring", "params"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.syspath_prepend(str(toy_modules))
    monkeypatch.setenv("PYTHONPATH", str(toy_modules))  # of the processes that a test starts
    monkeypatch.setenv("BRAINSCORE_OPS_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("BRAINSCORE_OPS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("BRAINSCORE_OPS_OUTPUTS", str(tmp_path / "outputs"))
    made = Bench(tmp_path)
    made.configure()
    secrets = made.deployment.secrets_file
    write_secret(secrets, "test/database", runs_postgres)
    write_secret(secrets, "test/forge", {"token": FORGE_TOKEN})
    database = made.database()
    with database.session() as session:
        session.execute(text("TRUNCATE run, record_link"))
    database.close()
    return made


@pytest.fixture
def marker(tmp_path):
    """A file that a cell touches to say that it runs, and its source."""
    path = tmp_path / "marker"
    return path, f"open({os.fspath(path)!r}, 'w').close()"
