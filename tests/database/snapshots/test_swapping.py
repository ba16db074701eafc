"""A restored database in the place of the live one, and what happens when that goes wrong."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from brainscore_ops.database.snapshots import SwapFailedError, restore_snapshot, swap_databases, swapping
from brainscore_ops.database.snapshots.differences import TableChange, compare_databases

LOSS = "DELETE FROM brainscore_score WHERE model_id > 15"


@pytest.fixture
def restored(scored, other):
    """A database restored from a snapshot that was taken before rows were lost."""
    snapshot = scored.take()
    scored.run(LOSS)
    database = restore_snapshot(snapshot, scored.database, into=other).database
    database.close()
    return database


def test_the_lost_rows_are_live_again_and_what_was_live_is_kept(scored, restored):
    swapped = swap_databases(scored.database, restored.secret.database)
    assert scored.scores() == 200
    assert scored.scores(swapped.former) == 150
    assert restored.secret.database not in scored.databases()


def test_open_connections_are_closed_and_find_the_restored_one(scored, restored, other):
    with scored.database.beside(scored.name).engine.connect() as one, restored.engine.connect() as two:
        one.execute(text("SELECT count(*) FROM brainscore_score"))
        two.execute(text("SELECT 1"))
        swapped = swap_databases(scored.database, other)
        assert swapped.closed_connections >= 2
        with pytest.raises(DBAPIError):
            one.execute(text("SELECT 1"))
        two.invalidate()
        one.invalidate()
    assert scored.scores() == 200


def test_somebody_who_connects_all_the_time_does_not_keep_it_from_being_done(scored, restored, other):
    stop = threading.Event()

    def connect():
        while not stop.is_set():
            database = scored.database.beside(scored.name)
            try:
                with database.engine.connect() as connection:
                    connection.execute(text("SELECT 1"))
            except DBAPIError:
                pass
            database.close()

    visitors = [threading.Thread(target=connect) for _ in range(2)]
    for visitor in visitors:
        visitor.start()
    try:
        swap_databases(scored.database, other)
    finally:
        stop.set()
        for visitor in visitors:
            visitor.join()
    assert scored.scores() == 200


def test_owner_rights_and_settings_of_the_live_one_go_over(scored, restored, other):
    role = f"{scored.name}_website"
    with scored.database.connection() as connection:
        for statement in (
            f"CREATE ROLE {role}",
            f"REVOKE ALL ON DATABASE {scored.name} FROM PUBLIC",
            f"GRANT CONNECT, TEMPORARY ON DATABASE {scored.name} TO {role}",
            f'ALTER DATABASE {scored.name} SET search_path TO attic, "odd: Name", public'.replace(": ", r"\: "),
            f"ALTER DATABASE {scored.name} SET application_name TO 'it''s: 100 %'".replace(": ", r"\: "),
            f"ALTER ROLE {role} IN DATABASE {scored.name} SET statement_timeout TO '5s'",
            f"ALTER DATABASE {scored.name} CONNECTION LIMIT 42",
            f"ALTER DATABASE {scored.name} OWNER TO {role}",
        ):
            connection.execute(text(statement))
    properties = (
        "SELECT array_to_string(datacl, ' ') || datconnlimit || pg_get_userbyid(datdba) || "
        "(SELECT string_agg(setrole::text || array_to_string(setconfig, ','), ';' ORDER BY setrole) "
        f"FROM pg_db_role_setting WHERE setdatabase = d.oid) FROM pg_database d WHERE datname = '{scored.name}'"
    )
    before = scored.ask(properties, "postgres")
    swapped = swap_databases(scored.database, other)
    assert scored.ask(properties, "postgres") == before
    assert scored.scores() == 200
    with scored.database.connection() as connection:
        for name in (scored.name, swapped.former):
            connection.execute(text(f"ALTER DATABASE {name} OWNER TO CURRENT_USER"))
            connection.execute(text(f"REVOKE ALL ON DATABASE {name} FROM {role}"))
        connection.execute(text(f"DROP ROLE {role}"))


def test_a_swap_that_fails_half_way_leaves_the_live_name_where_it_was(scored, restored, other):
    before = scored.databases()
    with pytest.raises(SwapFailedError, match="does not exist"):
        swap_databases(scored.database, f"{other}_mistyped")  # after the first of the two renames
    assert scored.databases() == before
    assert scored.scores() == 150


def test_a_swap_that_is_killed_between_the_renames_leaves_the_live_name_where_it_was(
    scored, restored, other, monkeypatch
):
    before = scored.databases()
    quoted, seen = swapping.quoted, []

    def kill_at_the_second_rename(name):
        seen.append(name)
        if seen.count(other) > 1 or (name == other and seen.count(scored.name)):
            raise KeyboardInterrupt
        return quoted(name)

    monkeypatch.setattr(swapping, "quoted", kill_at_the_second_rename)
    with pytest.raises(KeyboardInterrupt):
        swap_databases(scored.database, other)
    assert scored.databases() == before
    assert scored.scores() == 150


def test_what_a_swap_would_lose_is_counted_and_named(scored, restored):
    scored.run(
        "INSERT INTO brainscore_model (id, name, owner_id, submission_id, domain, public) VALUES (99, 'new', 1, 1, 'v', true)",
        "UPDATE brainscore_score SET score_raw = 0 WHERE model_id = 1",
        "CREATE TABLE website_note (word text)",
        "INSERT INTO website_note VALUES ('a'), ('a'), (NULL)",
        "ALTER TABLE brainscore_user ADD COLUMN title text",
    )
    comparison = compare_databases(scored.database, restored)
    assert set(comparison.changes) == {
        TableChange("public.brainscore_model", lost=1, changed=0, returning=0, lost_keys=("(99)",)),
        TableChange("public.brainscore_score", lost=0, changed=10, returning=50),
        TableChange("public.website_note", lost=3, changed=0, returning=0),
    }
    assert comparison.lost == 4
    assert "99" in str(comparison.table())


def test_the_same_databases_differ_in_nothing(scored, other):
    restored = restore_snapshot(scored.take(), scored.database, into=other)
    assert "the same rows" in str(compare_databases(scored.database, restored.database).table())
