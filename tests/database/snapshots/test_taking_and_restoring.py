"""Snapshots of a real database: what is in them, and that they come back as they were."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from brainscore_ops.database import embedded, programs
from brainscore_ops.database.connection import Database
from brainscore_ops.database.schema import upgrade
from brainscore_ops.database.snapshots import (
    DatabaseExistsError,
    NoSnapshotError,
    RestoreDiffersError,
    SnapshotDamagedError,
    SnapshotStore,
    find_snapshot,
    list_snapshots,
    newest_snapshot,
    prove_snapshot,
    restore_snapshot,
    take_snapshot,
)
from brainscore_ops.database.snapshots.restoring import verify_restored
from brainscore_ops.database.snapshots.store import write_manifest
from brainscore_ops.errors import OpsError
from brainscore_ops.settings import DatabaseSecret


def test_rows_that_were_lost_are_back_in_what_is_restored(scored, other):
    snapshot = scored.take()
    scored.run(
        "DELETE FROM brainscore_score WHERE model_id > 15", "UPDATE brainscore_model SET name = 'x' WHERE id = 1"
    )
    restored = restore_snapshot(snapshot, scored.database, into=other)
    assert (scored.scores(), scored.scores(other)) == (150, 200)
    assert scored.ask("SELECT name FROM brainscore_model WHERE id = 1", other) == "model-1"
    assert restored.contents.tables == snapshot.contents.tables


def test_the_manifest_says_what_is_in_it(scored):
    snapshot = scored.take(reason="before a change")
    [found] = list_snapshots(scored.store, check=True)
    assert found == snapshot
    assert found.contents.tables["public.brainscore_score"].rows == 200
    assert found.revision == scored.ask("SELECT version_num FROM alembic_version")
    assert (found.reason, found.deployment, found.database) == ("before a change", "test", scored.name)
    assert found.contents.objects["indexes"] > 20


def test_what_is_restored_goes_on_counting_where_it_was(scored, other):
    insert = "INSERT INTO brainscore_reference (author, bibtex, url, year) VALUES ('a', 'b', 'c', 2026) RETURNING id"
    number = scored.ask(insert)
    restore_snapshot(scored.take(), scored.database, into=other)
    assert scored.ask(insert, other) == number + 1


def test_it_is_for_its_owner_alone(scored):
    snapshot = scored.take()
    prove_snapshot(snapshot, scored.database)
    assert stat.S_IMODE(scored.store.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(snapshot.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in snapshot.folder.iterdir()} == {0o600}


def test_what_others_write_meanwhile_is_in_dump_and_counts_or_in_neither(scored):
    """Writers move scores between two tables the whole time: their sum is the same at every moment."""
    scored.run("CREATE TABLE attic AS SELECT * FROM brainscore_score WHERE false")
    stop = threading.Event()

    def move(number):
        there, back = ("brainscore_score", "attic") if number % 2 else ("attic", "brainscore_score")
        statement = (
            f"WITH moved AS (DELETE FROM {there} WHERE id IN (SELECT id FROM {there} ORDER BY random() LIMIT 20 "
            f"FOR UPDATE SKIP LOCKED) RETURNING *) INSERT INTO {back} SELECT * FROM moved"
        )
        while not stop.is_set():
            scored.run(statement)

    writers = [threading.Thread(target=move, args=[number]) for number in range(2)]
    for writer in writers:
        writer.start()
    try:
        snapshots = [prove_snapshot(scored.take(), scored.database) for _ in range(3)]
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    counts = [
        [snapshot.contents.tables[f"public.{name}"].rows for name in ("brainscore_score", "attic")]
        for snapshot in snapshots
    ]
    assert [sum(count) for count in counts] == [200, 200, 200]
    assert all(snapshot.is_proven for snapshot in snapshots)


def test_values_of_every_kind_come_back_the_same(scored, other):
    scored.run(
        "CREATE SCHEMA attic",
        'CREATE TABLE attic."odd: na""me %" (t double precision, "a b" jsonb, at timestamptz, b bytea, "n:m" numeric, '
        "u uuid, i interval, m money, f real, x text[])",
        "INSERT INTO attic.\"odd: na\"\"me %\" VALUES ('NaN', '{\"a\": [1.50, null]}', '2026-03-29 01:30+00', '\\x00ff', "
        "0.1000, gen_random_uuid(), '1 mon 2 days', 12.5, 0.1, '{a,NULL,\"b c\"}'), (0.1 + 0.2, NULL, NULL, NULL, NULL, NULL, "
        "NULL, NULL, NULL, NULL)",
        "CREATE TABLE empty ()",
        "CREATE TABLE parted (i integer) PARTITION BY RANGE (i)",
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10)",
        "INSERT INTO parted VALUES (1), (1), (2)",
        "CREATE MATERIALIZED VIEW totals AS SELECT model_id, sum(score_raw) FROM brainscore_score GROUP BY 1",
    )
    snapshot = scored.take()
    scored.run(f"ALTER DATABASE \"{scored.name}\" SET timezone TO 'Asia/Tokyo'")
    restored = restore_snapshot(snapshot, scored.database, into=other)
    assert restored.contents.tables['attic."odd: na""me %"'].rows == 2
    assert restored.contents.tables["public.parted_1"].rows == 3


def test_a_database_without_any_table_has_a_snapshot_too(database, tmp_path):
    snapshot = take_snapshot(database, SnapshotStore(tmp_path / "s"), deployment="test", reason="empty")
    assert prove_snapshot(snapshot, database).is_proven
    assert (snapshot.revision, snapshot.contents.tables) == (None, {})


def test_a_value_that_differs_is_found_though_the_count_is_the_same(scored, other):
    restored = restore_snapshot(snapshot := scored.take(), scored.database, into=other)
    with restored.database.session() as session:
        session.execute(text("UPDATE brainscore_score SET score_raw = score_raw + 1e-15 WHERE id = 7"))
        session.execute(text("DROP INDEX score_model_id"))
    with pytest.raises(RestoreDiffersError) as error:
        verify_restored(snapshot, restored.database)
    assert {problem.where for problem in error.value.problems} == {
        "content of public.brainscore_score",
        "number of indexes",
    }
    assert "in the snapshot" in error.value.log


def test_a_proof_that_fails_makes_the_snapshot_a_damaged_one(scored):
    snapshot = scored.take()
    tables = dict(snapshot.contents.tables)
    tables["public.brainscore_score"] = replace(tables["public.brainscore_score"], rows=201)
    wrong = replace(snapshot, contents=replace(snapshot.contents, tables=tables))
    write_manifest(wrong)
    with pytest.raises(RestoreDiffersError, match="1 difference"):
        prove_snapshot(wrong, scored.database)
    [found] = list_snapshots(scored.store)
    assert "not the same" in found.problem
    assert newest_snapshot(scored.store) is None
    assert not [name for name in scored.databases() if "_scratch_" in name]


def test_it_is_not_restored_over_a_database_that_is_there(scored, other):
    snapshot = scored.take()
    restore_snapshot(snapshot, scored.database, into=other)
    with pytest.raises(DatabaseExistsError):
        restore_snapshot(snapshot, scored.database, into=other)
    with pytest.raises(DatabaseExistsError, match="live"):
        restore_snapshot(snapshot, scored.database, into=scored.name, replace=True)
    restore_snapshot(snapshot, scored.database, into=other, replace=True)
    assert scored.scores(other) == 200


def test_a_database_that_no_restore_made_is_never_overwritten(scored, other):
    with scored.database.connection() as connection:
        connection.execute(text(f'CREATE DATABASE "{other}"'))
    with pytest.raises(DatabaseExistsError, match="no restore made"):
        restore_snapshot(scored.take(), scored.database, into=other, replace=True)
    assert other in scored.databases()


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "a flipped byte": (lambda folder: flip(folder / "database.dump"), "was changed"),
    "a truncated dump": (lambda folder: os.truncate(folder / "database.dump", 1000), "expected .* bytes, found 1000"),
    "no dump": (lambda folder: (folder / "database.dump").unlink(), "is missing"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "never finished"),
    "half a manifest": (lambda folder: os.truncate(folder / "manifest.json", 300), "cannot be read"),
    "another name": (lambda folder: folder.rename(folder.with_name("20990101T000000Z-000000")), "cannot be read"),
    "a manifest of nothing": (lambda folder: (folder / "manifest.json").write_text("[]"), "cannot be read"),
}


@pytest.fixture(scope="module")
def proven(postgres, tmp_path_factory):
    """A proven snapshot of a database that is empty but for its schema."""
    database = Database(DatabaseSecret.model_validate(postgres.start()))
    upgrade(database)
    store = SnapshotStore(tmp_path_factory.mktemp("proven"))
    yield database, prove_snapshot(take_snapshot(database, store, deployment="test", reason="to be damaged"), database)
    database.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_named_and_never_relied_on(proven, tmp_path, damage):
    database, good = proven
    store, later = SnapshotStore(tmp_path), "20980101T000000Z-000000"
    shutil.copytree(good.folder, tmp_path / good.id)
    shutil.copytree(good.folder, tmp_path / later)
    write_manifest(replace(good, id=later, folder=tmp_path / later))
    assert newest_snapshot(store, proven=True).id == later
    do, said = DAMAGES[damage]
    do(tmp_path / later)
    broken, kept = list_snapshots(store, check=True)
    assert (broken.is_good, kept.is_good, kept.id) == (False, True, good.id)
    with pytest.raises(SnapshotDamagedError, match=said):
        restore_snapshot(broken, database, into="not_made")
    assert newest_snapshot(store, proven=True).id == good.id


def test_a_snapshot_whose_connections_are_ended_in_the_middle_leaves_nothing(scored):
    errors = []

    def take():
        try:
            scored.take()
        except OpsError as error:
            errors.append(error)

    ended = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        f"WHERE datname = '{scored.name}' AND wait_event_type = 'Lock'"
    )
    with scored.database.engine.connect() as connection:
        connection.execute(text("LOCK TABLE brainscore_score"))  # dump and counts wait for it
        thread = threading.Thread(target=take)
        thread.start()
        while thread.is_alive():
            scored.ask(ended, "postgres")
            thread.join(0.2)
    assert [error.code for error in errors] == ["snapshot-failed"]
    assert list(scored.store.folder.iterdir()) == []


def test_one_is_found_by_the_start_of_its_id(scored):
    snapshot = scored.take()
    assert find_snapshot(scored.store, snapshot.id[:-2]) == snapshot
    with pytest.raises(NoSnapshotError, match="0 in"):
        find_snapshot(scored.store, "1999")
    with pytest.raises(NoSnapshotError, match="proven"):
        find_snapshot(scored.store)
    proven = prove_snapshot(snapshot, scored.database)
    assert find_snapshot(scored.store) == proven


def test_the_password_is_on_no_command_line_and_in_no_variable(scored):
    password = scored.database.secret.password.get_secret_value()
    with programs.client_environment(scored.database.secret) as environment:
        assert password not in str(environment)
        service, passwords = Path(environment["PGSERVICEFILE"]), Path(environment["PGPASSFILE"])
        assert stat.S_IMODE(passwords.stat().st_mode) == 0o600
        assert password not in service.read_text()
    assert not passwords.exists()


def test_a_password_with_any_letter_works(scored):
    secret = scored.database.secret
    odd = r"p:a\s%s'w o\:rd#"
    with scored.database.connection() as connection:
        connection.exec_driver_sql(f'CREATE ROLE "{scored.name}_odd" LOGIN PASSWORD %s', (odd,))
    stranger = secret.model_copy(update={"username": f"{scored.name}_odd", "password": SecretStr(odd)})
    with programs.client_environment(stranger) as environment:
        folder = programs.client_programs(programs.server_version(scored.database))
        said = subprocess.run(
            [folder / "psql", "-Atc", "SELECT current_user"], env=environment, capture_output=True, text=True
        )
    scored.run(f'DROP ROLE "{scored.name}_odd"')
    assert said.stdout.strip() == f"{scored.name}_odd"


def test_client_programs_suit_the_server():
    assert programs.client_programs(16) != programs.client_programs(18)
    assert programs.client_programs(13) == programs.client_programs(16)
    with pytest.raises(programs.ProgramsMissingError, match="99 or newer"):
        programs.client_programs(99)


def test_an_older_server_is_served_by_programs_of_its_own_version(tmp_path, monkeypatch):
    """A restore by newer ones would use settings that it does not know."""
    monkeypatch.setattr(embedded, "INSTALLATION", "pginstall")  # PostgreSQL 16
    server = embedded.EmbeddedPostgres(tmp_path / "server")
    try:
        database = Database(DatabaseSecret.model_validate(server.start()))
        upgrade(database)
        snapshot = take_snapshot(database, SnapshotStore(tmp_path / "kept"), deployment="test", reason="old server")
        proven = prove_snapshot(snapshot, database)
        database.close()
    finally:
        server.destroy()
    assert proven.is_proven
    assert (proven.server[:3], proven.client[:3]) == ("16.", "16.")
