"""The runbooks `snapshot` and `restore`, and `brainscore-ops db`, on a deployment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from brainscore_ops.cli.main import commands
from brainscore_ops.database.schema import upgrade
from brainscore_ops.database.snapshots import list_snapshots, steps
from brainscore_ops.database.snapshots.store import write_manifest
from brainscore_ops.runbooks.audit import chain_head, verify_chain
from brainscore_ops.settings import Workspace, load_deployment

ROOT = Path(__file__).parents[3]
LOSS = "DELETE FROM brainscore_score WHERE model_id > 15"


@pytest.fixture
def test_deployment(deploy):
    return deploy("test")


def succeeded(result):
    assert result.exit_code == 0, (result.failing_step, result.error)
    return result.scraps


def db(*arguments):
    return CliRunner().invoke(commands, ["db", *arguments])


def test_a_snapshot_is_taken_and_proven_and_the_next_run_finds_it_young_enough(test_deployment, scored):
    scraps = succeeded(test_deployment.run("snapshot"))
    [snapshot] = list_snapshots(scored.store)
    assert (scraps["snapshot"], snapshot.is_proven) == (snapshot.id, True)
    assert scraps["restore_seconds"] > 0
    assert succeeded(test_deployment.run("snapshot", if_older_than_days=7))["snapshot"] == snapshot.id
    assert succeeded(test_deployment.run("snapshot"))["snapshot"] != snapshot.id


def test_lost_rows_are_restored_beside_and_swapped_in_when_told(test_deployment, scored):
    """And the runs, the restoring one among them, are in the database that is live at the end."""
    taken = test_deployment.run("snapshot")
    scored.run(LOSS)
    beside = succeeded(test_deployment.run("restore", into=f"{scored.name}_beside"))
    # Its own run, and the link that seals the one that took the snapshot.
    assert (beside["rows_lost"], beside["swapped"], scored.scores()) == (2, False, 150)
    assert scored.scores(f"{scored.name}_beside") == 200
    head = chain_head(scored.database)
    result = test_deployment.run("restore", into=f"{scored.name}_beside", swap=True)
    scraps = succeeded(result)
    assert (scraps["swapped"], scored.scores(), scored.scores(scraps["former"])) == (True, 200, 150)
    assert scored.ask(f"SELECT state FROM run WHERE id = '{result.id}'") == "succeeded"
    assert scored.ask(f"SELECT state FROM run WHERE id = '{taken.id}'") == "succeeded"  # running, when it was taken
    assert scored.ask("SELECT count(*) FROM run") == 3
    before = list_snapshots(scored.store)[0]
    assert (before.is_proven, before.contents.tables["public.brainscore_score"].rows) == (True, 150)
    assert succeeded(test_deployment.run("snapshot", if_older_than_days=1))
    assert scored.ask("SELECT count(*) FROM run WHERE state = 'lost'") == 0
    audit = verify_chain(scored.database, "test", load_deployment("test").outputs, heads=[head])
    assert (audit.problems, audit.kinds) == ((), {"closed": 4}), "the chain went on where the former database's was"


def test_where_the_restored_schema_has_no_runs_the_run_is_kept_in_a_file_until_it_has(test_deployment, scored):
    old = scored.database.beside(f"{scored.name}_old")
    with scored.database.connection() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {scored.name}_old")
    upgrade(old, "0001")
    vault = steps.open_vault("test")
    snapshot = steps.prove(vault, steps.take(steps.Vault(vault.deployment, old, vault.store, "0001"), reason="old"))
    old.close()
    result = test_deployment.run("restore", snapshot=snapshot.id, swap=True)
    assert result.exit_code == 0, result.error
    assert result.notes
    assert steps.open_vault("test").revision == "0001"
    upgrade(scored.database)
    succeeded(test_deployment.run("snapshot"))
    assert scored.ask(f"SELECT state FROM run WHERE id = '{result.id}'") == "succeeded"


@pytest.mark.parametrize("asked", [{"swap": True}, {"swap": True, "confirm": "test"}, {"overwrite": True, "into": "x"}])
def test_a_guarded_deployment_is_swapped_only_with_its_name(deploy, scored, asked):
    guarded = deploy("guarded", restore_asks_name=True)
    result = guarded.run("restore", **asked)
    assert (result.exit_code, result.failing_step, result.error["code"]) == (3, "open", "confirmation-needed")


def test_whoever_types_another_deployments_name_meant_another_one(test_deployment):
    result = test_deployment.run("restore", swap=True, confirm="prod")
    assert (result.exit_code, result.failing_step, result.error["code"]) == (3, "open", "confirmation-needed")


@pytest.mark.parametrize(("name", "guarded"), [("local", False), ("test", False), ("dev", True), ("prod", True)])
def test_the_deployments_that_others_rely_on_are_guarded(name, guarded):
    assert steps.is_guarded(load_deployment(name, Workspace(ROOT, ROOT, ROOT))) is guarded


def test_with_its_name_a_guarded_deployment_is_swapped(deploy, scored):
    guarded = deploy("guarded", restore_asks_name=True)
    succeeded(guarded.run("snapshot"))
    scored.run(LOSS)
    succeeded(guarded.run("restore", swap=True, confirm="guarded"))
    assert scored.scores() == 200


def test_two_at_once_take_turns(test_deployment, scored):
    vaults = [steps.open_vault("test") for _ in range(2)]
    taken = []

    def work(vault):
        snapshot = steps.take(vault, reason="scheduled", if_older_than_days=7)
        taken.append(steps.prove(vault, snapshot).id)

    threads = [threading.Thread(target=work, args=[vault]) for vault in vaults]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 2
    assert {snapshot.id for snapshot in list_snapshots(scored.store)} == set(taken[:1])


def test_retention_removes_what_is_old_and_half_made_and_leaves_what_is_damaged(test_deployment, scored):
    vault, now = steps.open_vault("test"), datetime.now(UTC)
    ages = {
        name: scored.take(now=now - timedelta(days=days)) for name, days in {"old": 900, "older": 901, "new": 0}.items()
    }
    damaged = scored.take(now=now - timedelta(days=800))
    os.truncate(damaged.dump, 10)
    killed, going_on = (scored.take(now=now) for _ in range(2))
    for snapshot in (killed, going_on):
        (snapshot.folder / "manifest.json").unlink()
    os.utime(killed.folder, times=(0, 0))
    steps.prove(vault, ages["old"])
    retention = steps.retain(vault)
    assert {item.id for item in retention.removed} == {ages["older"].id, killed.id}
    assert {item.id for item in retention.damaged} == {damaged.id, going_on.id}
    assert {path.name for path in scored.store.folder.iterdir()} == {item.id for item in retention.kept}


def test_a_young_snapshot_that_is_not_proven_is_proven_and_a_damaged_one_replaced(test_deployment, scored):
    young = scored.take()
    assert succeeded(test_deployment.run("snapshot", if_older_than_days=7))["snapshot"] == young.id
    [proven] = list_snapshots(scored.store)
    assert proven.is_proven
    os.truncate(proven.dump, 10)
    scraps = succeeded(test_deployment.run("snapshot", if_older_than_days=7))
    assert scraps["snapshot"] != young.id
    assert scraps["damaged"] == [young.id]


def test_status_says_how_the_database_is(test_deployment, scored):
    answer = json.loads(db("status", "--deployment", "test", "--json").output)
    assert (answer["snapshot"], answer["snapshot_is_due"]) == (None, True)
    assert answer["revision"] == answer["newest_revision"]
    assert answer["tables"]["public.brainscore_score"] == 200
    steps.prove(steps.open_vault("test"), scored.take())
    write_manifest(scored.take(now=datetime(2020, 1, 1, tzinfo=UTC)))
    shown = db("status", "--deployment", "test").output
    assert "0.0 days old, proven" in shown
    assert json.loads(db("status", "--deployment", "test", "--json").output)["snapshot_is_due"] is False


def test_snapshots_lists_good_and_damaged_ones(test_deployment, scored):
    assert "takes one" in db("snapshots", "--deployment", "test").output
    snapshot = scored.take(reason="before a change")
    assert "before a change" in db("snapshots", "--deployment", "test", "--check").output
    content = snapshot.dump.read_bytes()
    snapshot.dump.write_bytes(content[:-1] + b"?")
    answer = db("snapshots", "--deployment", "test", "--check")
    assert (answer.exit_code, "DAMAGED" in answer.output) == (1, True)
    assert "problem" in json.loads(db("snapshots", "--deployment", "test", "--json").output)[0]


def psql(*arguments):
    """In a process of its own: it leaves Ctrl-C to psql."""
    command = [Path(sys.executable).with_name("brainscore-ops"), "db", "psql", "--deployment", "test", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_psql_asks_the_deployments_database_or_another_of_its_server(test_deployment, scored):
    answer = psql("--", "-Atc", "SELECT count(*) FROM brainscore_score")
    assert (answer.stdout, answer.returncode) == ("200\n", 0)
    assert psql("--database", "postgres", "--", "-Atc", "SELECT current_database()").stdout == "postgres\n"
    assert psql("--", "-c", "SELECT 1/0").returncode == 1
