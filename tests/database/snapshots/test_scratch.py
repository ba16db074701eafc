"""Scratch databases come and go, and nothing else goes with them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from brainscore_ops.database.snapshots import remove_leftovers, scratch_database
from brainscore_ops.errors import UsageError


def names(database):
    with database.session() as session:
        return set(session.scalars(text("SELECT datname FROM pg_database")))


def create(database, name):
    with database.connection() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))


def scratch_name(prefix, age):
    return f"{prefix}_scratch_{datetime.now(UTC) - age:%Y%m%dt%H%M%S}_0f0f0f"


def test_it_is_there_in_the_block_and_gone_after_it(database):
    before = names(database)
    with scratch_database(database, "trial") as scratch:
        with scratch.session() as session:
            session.execute(text("CREATE TABLE note (word text)"))
        assert names(database) - before == {scratch.secret.database}
    assert names(database) == before


def test_it_is_gone_after_an_error_with_a_connection_open(database):
    before = names(database)
    with contextlib.suppress(ZeroDivisionError), scratch_database(database, "trial") as scratch:
        scratch.engine.connect()
        raise ZeroDivisionError
    assert names(database) == before


def test_what_killed_runs_left_is_removed_by_the_next_and_nothing_else(database):
    prefix = database.secret.database[:17]
    old, young = scratch_name(prefix, timedelta(days=1)), scratch_name(prefix, timedelta(minutes=1))
    alike = {f"{old}_kept", f"{prefix}_scratch_notes", scratch_name(f"{prefix}x", timedelta(days=1))}
    for name in {old, young, *alike}:
        create(database, name)
    try:
        with scratch_database(database, prefix):
            found = names(database)
            assert old not in found
            assert {young, *alike} <= found
    finally:
        with database.connection() as connection:
            for name in {young, *alike}:
                connection.execute(text(f'DROP DATABASE "{name}"'))


def test_one_whose_maker_is_still_at_work_stays_however_old(database):
    name = scratch_name("trial", timedelta(days=1))
    create(database, name)
    with database.lock(f"scratch:{name}"):
        assert remove_leftovers(database.beside("postgres"), "trial") == []
    assert remove_leftovers(database, "trial") == [name]


@pytest.mark.parametrize("prefix", ["", "a b", "A", "1a", 'a"; DROP', "a" * 40])
def test_a_prefix_is_a_plain_word(database, prefix):
    with pytest.raises(UsageError), scratch_database(database, prefix):
        pass
