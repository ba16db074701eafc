"""The chain of records goes on where a restored database takes the place of the live one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from brainscore_ops.database import schema
from brainscore_ops.database.ops_tables import Run
from brainscore_ops.database.record_chain import append_links, read_head
from brainscore_ops.database.snapshots.runs import carry_runs
from brainscore_ops.runbooks.audit import verify_chain


def close(database, run_id, state="succeeded"):
    moment = datetime(2026, 11, 24, 12, tzinfo=UTC)
    row = Run(
        id=run_id, deployment="test", runbook="toy", runbook_digest="0" * 64, code_version="1", parameters={},
        triggered_by="test", host="here", process=1, started_at=moment, ended_at=moment, state=state,
    )  # fmt: skip
    with database.session() as session:
        session.merge(row)
        append_links(session, [run_id])


def head_of(database):
    with database.session() as session:
        return read_head(session)


@pytest.fixture
def former(database):
    """The live database until now."""
    schema.upgrade(database)
    close(database, "first")
    close(database, "taken-for-lost", "lost")
    return database


@pytest.fixture
def live(former):
    """A copy of it as it was then."""
    name = f"{former.secret.database}_restored"
    former.close()
    with former.beside("postgres").connection() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{former.secret.database}"'))
    restored = former.beside(name)
    yield restored
    restored.close()
    with former.beside("postgres").connection() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


def test_it_goes_on_link_by_link_and_every_head_stays_one(former, live):
    close(former, "taken-for-lost")
    close(former, "later")
    heads = [head_of(live), head_of(former)]
    assert carry_runs(former, live) == 1
    close(live, "after-the-swap")
    audit = verify_chain(live, "test", None, heads=heads)
    assert (audit.problems, audit.links, audit.kinds) == ((), 5, {"closed": 5})


def test_runs_that_come_to_a_chain_of_another_past_are_sealed_as_they_are_found(former, live):
    close(live, "in-between")
    close(former, "later")
    lost_head = head_of(former)
    assert carry_runs(former, live) == 1
    audit = verify_chain(live, "test", None)
    assert (audit.problems, audit.kinds) == ((), {"closed": 3, "found": 1})
    assert [problem.code for problem in verify_chain(live, "test", None, heads=[lost_head]).problems] == [
        "head-missing"
    ]


def test_a_former_database_that_had_no_chain_yet_leaves_the_beginning_to_the_next_run(former, live):
    for database in (former, live):
        with database.engine.begin() as connection:
            schema.apply(connection, "0016")
    schema.upgrade(live)
    assert carry_runs(former, live) == 0
    close(live, "next")
    audit = verify_chain(live, "test", None)
    assert (audit.problems, audit.kinds) == ((), {"found": 2, "closed": 1})
