"""What `migrate` would do, told without doing it, and done only as it was told."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from tests.database.test_migrate_runbook import deployment
from tests.planned import effects_of

from brainscore_ops.database import schema
from brainscore_ops.database.conditions import ConditionBrokenError
from brainscore_ops.database.migrating import applying, lint, plan, rehearsal
from brainscore_ops.database.snapshots.steps import open_vault
from brainscore_ops.database.snapshots.store import SnapshotStore, list_snapshots
from brainscore_ops.database.structure import read_structure
from brainscore_ops.runbooks.planning import run_as_planned
from brainscore_ops.runbooks.states import RunState

__all__ = ["deployment"]


@pytest.fixture
def adopted(deployment, database):
    """A deployment with a database of the website's that records its revision."""
    with database.engine.begin() as connection:
        schema.stamp(connection, schema.BRAINSCORE_REVISION)
    return deployment


def migrate(*, target="head", repair=False):
    """The steps of the runbook, without its rules."""
    vault = open_vault("test")
    try:
        migration = plan.make_plan(vault.database, target)
        found = lint.lint(migration, server_version=18)
        rehearsal.rehearse_on_copy(vault, migration, published=lambda _: b"", repair=repair)
        applying.take_snapshot_before(vault, migration, dry_run=False)
        outcome = applying.migrate(vault.database, migration, found=found, repair=repair)
        applying.verify(vault.database, outcome)
        applying.mark_as_own(vault, outcome)
    finally:
        vault.database.close()


def outside(deployment, database):
    with database.engine.connect() as connection:
        names = sorted(connection.scalars(text("SELECT datname FROM pg_database")))
        return names, read_structure(connection), list_snapshots(SnapshotStore.of(deployment))


def test_a_migration_is_planned_with_its_sql_and_leaves_no_copy(adopted, database):
    before = outside(adopted, database)
    first = effects_of(lambda: migrate(repair=True))
    assert outside(adopted, database) == before
    kinds = [effect.kind for effect in first.effects]
    revisions = schema.revision_ids()[1:]
    assert kinds == [
        *("snapshot", "scratch database", "rows", "snapshot", "proof"),
        *("SQL" for _ in revisions),
        "row",
    ]
    sql = [effect for effect in first.effects if effect.kind == "SQL"]
    assert [effect.details["revision"] for effect in sql] == revisions
    assert all(effect.details["sql"] == schema.find_revision(effect.details["revision"]).sql() for effect in sql)
    assert any("accepted with a reason" in effect.note for effect in sql)
    assert all("takes nothing away that running code uses" in effect.note for effect in sql)
    assert effects_of(lambda: migrate(repair=True)).digest == first.digest
    assert effects_of(lambda: migrate(repair=True, target=revisions[-2])).digest != first.digest


def test_rows_in_the_way_end_a_plan_as_they_would_end_the_migration(adopted):
    with pytest.raises(ConditionBrokenError, match="rows are in its way"):
        effects_of(migrate)


def test_a_migration_is_applied_only_as_it_was_planned(adopted, database):
    first = effects_of(lambda: migrate(repair=True)).digest
    schema.upgrade(database, "0004")
    second = effects_of(lambda: migrate(repair=True)).digest
    assert second != first
    asked = {"deployment": "test", "repair": True}
    assert run_as_planned("migrate", asked, second, triggered_by="test").state is RunState.SUCCEEDED
    assert schema.current_revision(database) == schema.newest_revision()
    assert effects_of(migrate).effects == ()
