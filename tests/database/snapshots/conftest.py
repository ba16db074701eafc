"""A database with scores and a folder for its snapshots, and a deployment that has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from sqlalchemy import text
from tests.shown import check_record

from brainscore_ops.database.connection import Database
from brainscore_ops.database.embedded import EmbeddedPostgres
from brainscore_ops.database.schema import upgrade
from brainscore_ops.database.snapshots import Snapshot, SnapshotStore, take_snapshot
from brainscore_ops.database.snapshots.scratch import drop_database
from brainscore_ops.runbooks.execution import run_runbook
from brainscore_ops.settings import DatabaseSecret, load_deployment
from brainscore_ops.settings.secrets import write_secret

ROOT = Path(__file__).parents[3]
ROWS = """
INSERT INTO brainscore_user (id, email, is_active, is_staff, is_superuser, password)
VALUES (1, 'ada@example.org', true, false, false, '');
INSERT INTO brainscore_submission (id, jenkins_id, submitter_id, model_type, status) VALUES (1, 1, 1, 'm', 'done');
INSERT INTO brainscore_model (id, name, owner_id, submission_id, domain, public)
SELECT i, 'model-' || i, 1, 1, 'vision', true FROM generate_series(1, 20) i;
INSERT INTO brainscore_benchmarktype (identifier, domain, visible, "order", owner_id)
SELECT 'benchmark-' || i, 'vision', true, i, 1 FROM generate_series(1, 10) i;
INSERT INTO brainscore_benchmarkinstance (id, benchmark_type_id, version, ceiling)
SELECT i, 'benchmark-' || i, 1, 1.0 / i FROM generate_series(1, 10) i;
INSERT INTO brainscore_score (id, benchmark_id, model_id, score_raw, end_timestamp)
SELECT (m - 1) * 10 + b, b, m, sqrt(m) / b, now() FROM generate_series(1, 20) m, generate_series(1, 10) b
"""


@dataclass
class Scored:
    """A database with 200 scores, and the folder of its snapshots."""

    database: Database
    store: SnapshotStore

    @property
    def name(self) -> str:
        return self.database.secret.database

    def run(self, *statements: str) -> None:
        with self.database.session() as session:
            for statement in statements:
                session.execute(text(statement))

    def ask(self, statement: str, name: str = "") -> object:
        database = self.database.beside(name) if name else self.database
        try:
            with database.session() as session:
                return session.scalar(text(statement))
        finally:
            if name:
                database.close()

    def scores(self, name: str = "") -> object:
        return self.ask("SELECT count(*) FROM brainscore_score", name)

    def databases(self) -> set[str]:
        server = self.database.beside("postgres")
        with server.session() as session:
            names = set(session.scalars(text("SELECT datname FROM pg_database")))
        server.close()
        return names

    def take(self, reason: str = "test", **values) -> Snapshot:
        return take_snapshot(self.database, self.store, deployment="test", reason=reason, **values)


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """The name of a database with the newest schema and 200 scores, to be copied."""
    server = Database(DatabaseSecret.model_validate(postgres.start()))
    name = "scored_template"
    with server.connection() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    server.close()
    database = server.beside(name)
    upgrade(database)
    with database.session() as session:
        session.execute(text(ROWS))
    database.close()
    return name


@pytest.fixture
def scored(postgres: EmbeddedPostgres, template: str, tmp_path: Path) -> Iterator[Scored]:
    server = Database(DatabaseSecret.model_validate(postgres.start()))
    name = f"scored_{uuid4().hex[:12]}"
    with server.connection() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    database = server.beside(name)
    made = Scored(database, SnapshotStore(tmp_path / "snapshots"))
    yield made
    database.close()
    for left in made.databases():
        if left.startswith(name):
            drop_database(server, left)
    server.close()


@pytest.fixture
def other(scored: Scored) -> str:
    """The name of a database that is not there."""
    return f"{scored.name}_other"


@dataclass
class Deployed:
    """The scored database as that of a deployment, with the runbooks of the repository."""

    scored: Scored
    name: str

    @property
    def settings(self):
        return load_deployment(self.name)

    def run(self, runbook: str, **parameters):
        result = run_runbook(runbook, {"deployment": self.name, **parameters}, triggered_by="test")
        check_record(result.record)
        return result


@pytest.fixture
def deploy(scored: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make a deployment of that name, with these settings of its snapshots."""
    (tmp_path / "params").mkdir()
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.setenv("BRAINSCORE_OPS_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("BRAINSCORE_OPS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("BRAINSCORE_OPS_OUTPUTS", str(tmp_path / "outputs"))

    def make(name: str, **rules: object) -> Deployed:
        settings = {
            "tier": "test",
            "library": {"package": "toy", "repository": "brain-score/toy", "domain": "vision"},
            "database": {"secret": "test/database"},
            "forge": {"secret": "test/forge"},
            "mail": {"secret": "test/mail", "sender": "toy@example.org"},
            "snapshots": {"folder": str(scored.store.folder.parent / "kept"), **rules},
        }
        (tmp_path / "params" / f"{name}.yaml").write_text(yaml.safe_dump(settings))
        deployed = Deployed(scored, name)
        scored.store = SnapshotStore.of(deployed.settings)
        secret = scored.database.secret
        document = {**secret.model_dump(), "password": secret.password.get_secret_value()}
        write_secret(deployed.settings.secrets_file, "test/database", document)
        return deployed

    return make
