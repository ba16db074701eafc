"""The whole way of an existing database: adopted, rehearsed, migrated by the runbook, with its record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import yaml
from sqlalchemy import text
from tests.shown import check_record

from brainscore_ops.database import schema
from brainscore_ops.database.connection import Database
from brainscore_ops.database.marker import read_marker
from brainscore_ops.database.migrating.rules import collect_evidence
from brainscore_ops.database.snapshots.store import SnapshotStore, list_snapshots
from brainscore_ops.database.structure import read_structure
from brainscore_ops.runbooks.execution import run_runbook
from brainscore_ops.runbooks.history import list_runs, recorded_scraps
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.settings import RULES, Tier, load_deployment
from brainscore_ops.settings.secrets import write_secret

ROOT = Path(__file__).parents[2]
WEBSITE = Path(__file__).with_name("website.sql")


@pytest.fixture
def deployment(database, tmp_path, monkeypatch):
    """A deployment of the tier test whose database is one of the website's."""
    (tmp_path / "params").mkdir()
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    for name, folder in (("WORKSPACE", ""), ("STATE", "state"), ("OUTPUTS", "outputs")):
        monkeypatch.setenv(f"BRAINSCORE_OPS_{name}", str(tmp_path / folder))
    settings = {
        "tier": "test",
        "library": {"package": "toy", "repository": "brain-score/toy", "domain": "language"},
        "database": {"secret": "test/database"},
        "forge": {"secret": "test/forge"},
        "mail": {"secret": "test/mail", "sender": "toy@example.org"},
    }
    (tmp_path / "params" / "test.yaml").write_text(yaml.safe_dump(settings))
    made = load_deployment("test")
    secret = database.secret
    write_secret(
        made.secrets_file,
        "test/database",
        {**secret.model_dump(), "password": secret.password.get_secret_value()},
    )
    with database.session() as session:
        session.execute(text(WEBSITE.read_text().replace(":", r"\:")))
    return made


def command(*arguments):
    program = Path(sys.executable).with_name("brainscore-ops")
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, env=dict(os.environ), check=False, timeout=120
    )


def migrate(**parameters):
    result = run_runbook("migrate", {"deployment": "test", **parameters}, triggered_by="test")
    check_record(result.record)
    return result


def structure(database):
    with database.engine.connect() as connection:
        return read_structure(connection)


def test_a_database_of_the_websites_is_adopted_and_migrated_with_a_record_of_every_step(deployment, database):
    refused = migrate()
    assert (refused.state, refused.failing_step) == (RunState.REFUSED, "plan")
    assert "adopt" in refused.error["remedy"]

    adopted = json.loads(command("db", "adopt", "--deployment", "test", "--json").stdout)
    assert (adopted["stamped"], adopted["revision"]) == (True, "0001")
    assert all(difference["harmless"] for difference in adopted["differences"])

    before = structure(database)
    in_the_way = migrate(dry_run=True)
    assert (in_the_way.state, in_the_way.failing_step) == (RunState.REFUSED, "rehearse")
    assert [problem["code"] for problem in in_the_way.error["problems"]] == ["one-row-a-model"]
    assert structure(database) == before

    rehearsed = migrate(dry_run=True, repair=True)
    assert rehearsed.error is None, rehearsed.error["message"] + rehearsed.error["log"]
    assert (rehearsed.state, rehearsed.scraps["applied"], rehearsed.scraps["snapshot"]) == (
        RunState.SUCCEEDED,
        [],
        None,
    )
    assert structure(database) == before

    done = migrate(repair=True)
    assert done.state is RunState.SUCCEEDED
    assert done.scraps["revision"] == schema.newest_revision() == schema.current_revision(database)
    assert [step["revision"] for step in done.scraps["applied"]] == schema.revision_ids()[1:]
    snapshot = next(
        found for found in list_snapshots(SnapshotStore.of(deployment)) if found.id == done.scraps["snapshot"]
    )
    assert snapshot.is_proven
    assert snapshot.revision == "0001"
    assert read_marker(database).tier == "test"

    again = migrate()
    assert (again.state, again.scraps["applied"]) == (RunState.SUCCEEDED, [])

    # Runs from before there was a table for them are in it now, and the record shows what a maintainer looks for.
    known = {entry.id for entry in list_runs(database)}
    assert known == {result.id for result in (refused, in_the_way, rehearsed, done, again)}
    shown = "".join(
        output.get("data", {}).get("text/html", "")
        for cell in nbformat.read(done.record, as_version=4).cells
        for output in cell.get("outputs", [])
    )
    for words in (
        "AccessExclusiveLock",
        "down and up again",
        "one-row-a-score",
        "changed by the repair",
        "no drift, no orphans",
    ):
        assert words in shown

    # What the rules of production's migrations will see of it.
    assert {name for name, _ in _evidence(deployment)} == set(schema.revision_ids()[1:])


def _evidence(deployment):
    scraps = recorded_scraps(deployment.outputs, "migrate")
    return {(step["revision"], step["sql_digest"]) for found in scraps for step in found["applied"]}


def test_what_production_asks_for_is_read_from_the_records_of_the_deployments_of_test_and_dev(deployment, monkeypatch):
    """Production itself cannot be opened in a test: its rules are looked at on another deployment."""
    monkeypatch.setitem(RULES, Tier.TEST, RULES[Tier.PROD])
    told = {deployment.outputs: [{"applied": [{"revision": "0005", "direction": "upgrade", "sql_digest": "d"}]}]}
    found = collect_evidence(deployment, lambda outputs, runbook: told.get(outputs, []) if runbook == "migrate" else [])
    assert found == {"test": {("0005", "d")}, "dev": set()}


def test_a_migration_that_is_killed_leaves_the_database_as_it_was_and_goes_on_when_run_again(deployment, database):
    command("db", "adopt", "--deployment", "test")
    before = structure(database)
    program = Path(sys.executable).with_name("brainscore-ops")
    arguments = ["run", "migrate", "--deployment", "test", "-p", "repair", "true"]
    blocker = Database(database.secret)
    with blocker.engine.connect() as reader:
        reader.execute(
            text("SELECT * FROM brainscore_score")
        )  # the migration waits for it in the middle of its transaction
        process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True, start_new_session=True)
        for line in process.stdout:
            if "snapshot" in line:
                break
        _until(blocker, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")
        os.killpg(process.pid, 9)
        process.wait()
        # The kernel of a killed driver ends by itself, and its transaction with it.
        _until(blocker, "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE '%-migrate-%'")
    blocker.close()
    assert structure(database) == before
    done = migrate(repair=True)
    assert (done.state, done.scraps["revision"]) == (RunState.SUCCEEDED, schema.newest_revision())


def _until(database, condition, seconds=60):
    deadline = time.monotonic() + seconds
    with database.connection() as connection:
        while not connection.scalar(text(condition)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
