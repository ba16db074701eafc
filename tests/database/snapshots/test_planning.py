"""What `snapshot` and `restore` would do, told without doing it, and done only as it was told."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from tests.database.snapshots.test_runbooks import LOSS, succeeded
from tests.planned import effects_of

from brainscore_ops.database.snapshots import DatabaseExistsError, list_snapshots, steps
from brainscore_ops.database.snapshots.contents import one_moment, read_contents
from brainscore_ops.runbooks.planning import PlanChangedError, run_as_planned


@pytest.fixture(autouse=True)
def deployed(deploy):
    return deploy("test")


@contextmanager
def opened():
    vault = steps.open_vault("test")
    try:
        yield vault
    finally:
        vault.database.close()


def take_proven(scored):
    with opened() as vault:
        return steps.prove(vault, scored.take())


def snapshot(**parameters):
    """The steps of the runbook."""
    with opened() as vault:
        taken = steps.prove(vault, steps.take(vault, reason="scheduled", **parameters))
        return steps.retain(vault, proven=taken)


def restore(*, swap=False, **parameters):
    with opened() as vault:
        restored = steps.restore(vault, steps.choose(vault), **parameters)
        try:
            return str(steps.compare_with_live(vault, restored)), steps.swap(vault, restored, wanted=swap)
        finally:
            restored.database.close()


def outside(scored):
    """The server's databases, what is in every table but that of the runs, and the files of the snapshots."""
    with one_moment(scored.database) as connection:
        tables = read_contents(connection).tables
    files = {path: path.read_bytes() for path in scored.store.folder.rglob("*") if path.is_file()}
    return scored.databases(), {name: held for name, held in tables.items() if name != "public.run"}, files


def kinds(effects):
    return [effect.kind for effect in effects.effects]


def act(runbook, digest, **parameters):
    return run_as_planned(runbook, {"deployment": "test", **parameters}, digest, triggered_by="test")


def test_a_snapshot_is_planned_with_what_would_go_for_it(scored):
    old = scored.take("old", now=datetime.now(UTC) - timedelta(days=800))
    before = outside(scored)
    plan = effects_of(snapshot)
    assert outside(scored) == before
    assert kinds(plan) == ["snapshot", "proof", "file"]
    assert f"dump the database {scored.name}" in plan.effects[0].what
    assert "rows in" in plan.effects[0].note
    assert f"remove the snapshot {old.id}" in plan.effects[2].what
    scored.run(LOSS)
    assert effects_of(snapshot).digest == plan.digest, "a snapshot is of whatever is there then"


def test_where_no_snapshot_is_due_none_is_planned(scored):
    take_proven(scored)
    assert effects_of(lambda: snapshot(if_older_than_days=7)).effects == ()


def test_a_snapshot_is_taken_only_as_it_was_planned(scored):
    old = scored.take("old", now=datetime.now(UTC) - timedelta(days=800))
    digest = effects_of(snapshot).digest
    older = scored.take("older", now=datetime.now(UTC) - timedelta(days=900))
    with pytest.raises(PlanChangedError, match="nothing was done") as refused:
        act("snapshot", digest)
    assert older.id in str(refused.value.problems)
    assert {found.id for found in list_snapshots(scored.store)} == {old.id, older.id}
    steps.remove_snapshot(older)
    scraps = succeeded(act("snapshot", digest))
    assert [found.id for found in list_snapshots(scored.store)] == [scraps["snapshot"]]


def test_a_restore_is_planned_with_the_snapshot_that_it_takes(scored, other):
    first = take_proven(scored)
    before = outside(scored)
    plan = effects_of(lambda: restore(into=other))
    assert outside(scored) == before
    assert kinds(plan) == ["database"]
    assert f"restore the snapshot {first.id} into the new database {other}" in plan.effects[0].what
    scored.run(LOSS)
    assert effects_of(lambda: restore(into=other)).digest == plan.digest, "the live database is not touched"
    take_proven(scored)
    assert effects_of(lambda: restore(into=other)).digest != plan.digest

    restore(into=other)
    assert effects_of(lambda: restore(into=other)).effects == (), "what was restored before is taken"
    assert f"drop {other}" in effects_of(lambda: restore(into=other, overwrite=True)).effects[0].what
    with pytest.raises(DatabaseExistsError):
        effects_of(lambda: restore(into=scored.name))


def test_a_swap_is_done_only_as_it_was_planned_with_what_it_puts_aside(scored):
    take_proven(scored)
    scored.run(LOSS)
    before = outside(scored)
    plan = effects_of(lambda: restore(swap=True))
    assert outside(scored) == before
    assert kinds(plan) == ["database", "snapshot", "proof", "rows", "database", "row"]
    assert "brainscore_score (150 now, 200 then)" in plan.effects[3].what
    assert f"rename {scored.name} to {scored.name}_before_(to be made)" in plan.effects[4].what

    scored.run("CREATE TABLE kept AS SELECT * FROM brainscore_score WHERE model_id = 15")
    scored.run("DELETE FROM brainscore_score WHERE model_id = 15")
    assert effects_of(lambda: restore(swap=True)).digest != plan.digest
    scored.run("INSERT INTO brainscore_score SELECT * FROM kept", "DROP TABLE kept")
    scraps = succeeded(act("restore", plan.digest, swap=True))
    assert (scraps["swapped"], scored.scores(), scored.scores(scraps["former"])) == (True, 200, 150)
