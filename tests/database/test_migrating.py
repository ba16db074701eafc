"""A migration: rehearsed on a copy, refused where a rule says so, applied whole or not at all."""

from __future__ import annotations

import shutil
import threading

import pytest
from sqlalchemy import text

from brainscore_ops.database import schema
from brainscore_ops.database.conditions import ConditionBrokenError
from brainscore_ops.database.connection import LockHeldError
from brainscore_ops.database.migrating import applying
from brainscore_ops.database.migrating.applying import migrate, verify
from brainscore_ops.database.migrating.errors import MigrationFailedError, MigrationRefusedError, RehearsalError
from brainscore_ops.database.migrating.lint import Lint, lint
from brainscore_ops.database.migrating.plan import MigrationPlan, make_plan
from brainscore_ops.database.migrating.rehearsal import rehearse
from brainscore_ops.database.migrating.rules import insist, judge
from brainscore_ops.database.structure import read_structure
from brainscore_ops.scores.publication import published_bytes

FILLED = """
    INSERT INTO brainscore_user (is_active, is_staff, is_superuser, password) VALUES (true, false, false, '!');
    INSERT INTO brainscore_submission (jenkins_id, submitter_id, model_type, status) VALUES (0, 1, 'BaseModel', 'successful');
    INSERT INTO brainscore_benchmarktype (identifier, "order", visible, domain, owner_id) VALUES ('b', 1, true, 'd', 1);
    INSERT INTO brainscore_benchmarkinstance (benchmark_type_id, version, ceiling) VALUES ('b', 1, 0.9);
    INSERT INTO brainscore_model (name, owner_id, submission_id, domain, public) VALUES ('m', 1, 1, 'd', true);
    INSERT INTO brainscore_score (model_id, benchmark_id, score_raw, score_ceiled, error) VALUES (1, 1, 0.1, 0.6, 0.07);
"""
BASE = schema.BRAINSCORE_REVISION


@pytest.fixture
def old(database):
    """A database of Brain-Score's first revision with a score in it."""
    schema.upgrade(database, BASE)
    execute(database, FILLED)
    return database


def execute(database, statement):
    with database.session() as session:
        result = session.execute(text(statement))
        return result.all() if result.returns_rows else []


def structure(database):
    with database.engine.connect() as connection:
        return read_structure(connection)


def board(session):
    return published_bytes(session, domain="d")


def rehearsed(database, plan=None, *, published=board, repair=False):
    return rehearse(
        database,
        plan or make_plan(database, "head"),
        snapshot="s",
        restore_seconds=0.1,
        published=published,
        repair=repair,
    )


@pytest.fixture
def add_revision(monkeypatch, tmp_path):
    """Add a revision after the newest, in a copy of the folder of migrations."""
    folder = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, folder)
    monkeypatch.setattr(schema, "MIGRATIONS", folder)

    def clear():
        schema._scripts.cache_clear()
        schema._sql.cache_clear()

    def add(name, up, down="SELECT 1", *, contracts=None, accepted=None):
        newest = schema.newest_revision()
        (folder / "versions" / f"{name}_invented.py").write_text(
            f'"""A revision for a test."""\nfrom alembic import op\nrevision = {name!r}\ndown_revision = {newest!r}\n'
            f"branch_labels = depends_on = None\nCONTRACTS = {contracts!r}\nACCEPTED = {accepted or {}!r}\n"
            f"def upgrade():\n    op.execute({up!r})\ndef downgrade():\n    op.execute({down!r})\n"
        )
        clear()

    clear()
    yield add
    monkeypatch.undo()
    clear()


def test_a_rehearsal_shows_times_and_locks_and_leaves_the_leaderboard_as_it_was(old):
    found = rehearsed(old)
    locks = {lock for statement in found.statements for lock in statement.locks}
    assert "brainscore_score: AccessExclusiveLock" in locks
    assert "brainscore_submission: ShareRowExclusiveLock" in locks
    assert not any("schema_change" in lock for lock in locks), "tables that it makes itself are nobody's yet"
    assert found.leaderboard_changes == ()
    assert b"0.6" in published_of(old)
    assert "the same schema" in str(found.table())


def published_of(database):
    with database.session() as session:
        return board(session)


def test_single_precision_becomes_double_without_a_digit_more(old):
    before = structure(old)["brainscore_score"].columns["score_raw"].type
    migrate(old, make_plan(old, "head"))
    assert (before, structure(old)["brainscore_score"].columns["score_raw"].type) == ("REAL", "DOUBLE PRECISION")
    assert execute(old, "SELECT score_raw, score_ceiled, error FROM brainscore_score") == [(0.1, 0.6, 0.07)]


def test_rows_in_the_way_of_a_rule_are_found_on_the_copy(old):
    execute(old, "INSERT INTO brainscore_score (model_id, benchmark_id, score_raw) VALUES (1, 1, 0.2)")
    with pytest.raises(ConditionBrokenError, match="one-row-a-score"):
        rehearsed(old)


def test_what_a_repair_changes_on_the_leaderboard_is_shown(old):
    execute(
        old,
        "INSERT INTO brainscore_score (model_id, benchmark_id, score_raw, end_timestamp) VALUES (1, 1, 0.2, '2026-01-01')",
    )
    execute(
        old,
        "INSERT INTO brainscore_model (name, owner_id, submission_id, domain, public) VALUES ('m', 1, 1, 'd', true)",
    )
    execute(old, "INSERT INTO brainscore_score (model_id, benchmark_id, score_raw) VALUES (2, 1, 0.8)")
    found = rehearsed(old, repair=True)
    assert any(line.startswith("-") and "0.8" in line for line in found.leaderboard_changes)
    assert "changed by the repair" in str(found.table())


def test_a_migration_that_changes_what_the_public_sees_fails_its_rehearsal(old, add_revision):
    add_revision("9001", "UPDATE brainscore_score SET score_ceiled = 0.7")
    with pytest.raises(RehearsalError) as failure:
        rehearsed(old)
    assert [problem.code for problem in failure.value.problems] == ["leaderboard-changed"]


def test_a_migration_that_does_not_come_back_fails_its_rehearsal(old, add_revision):
    add_revision("9001", "ALTER TABLE brainscore_model ADD COLUMN IF NOT EXISTS colour text")
    with pytest.raises(RehearsalError) as failure:
        rehearsed(old)
    assert [problem.code for problem in failure.value.problems] == ["not-reversible"]


def test_orphans_fail_the_rehearsal(old, add_revision):
    add_revision(
        "9001",
        "ALTER TABLE brainscore_score DROP CONSTRAINT brainscore_score_model_id_fkey; UPDATE brainscore_score SET model_id = 77",
        "ALTER TABLE brainscore_score ADD CONSTRAINT brainscore_score_model_id_fkey "
        "FOREIGN KEY (model_id) REFERENCES brainscore_model (id) NOT VALID",
    )
    with pytest.raises(RehearsalError) as failure:
        rehearsed(old)
    assert ("orphans", "brainscore_score.model_id") in [
        (problem.code, problem.where) for problem in failure.value.problems
    ]


def test_a_migration_that_fails_half_way_leaves_nothing_of_itself(old, add_revision):
    add_revision("9001", "ALTER TABLE brainscore_model ADD COLUMN half text; SELECT 1 / 0")
    before = structure(old)
    with pytest.raises(MigrationFailedError, match="division by zero") as failure:
        migrate(old, make_plan(old, "head"))
    assert structure(old) == before
    assert schema.current_revision(old) == BASE
    assert "as it was" in failure.value.remedy


def test_an_applied_migration_is_verified_on_the_database_itself(old, monkeypatch):
    monkeypatch.setenv("BRAINSCORE_OPS_RUN", "migrate-1")
    outcome = migrate(old, make_plan(old, "head"))
    assert verify(old, outcome).revision == schema.newest_revision()
    assert outcome.summary[0] == {
        "revision": "0002",
        "direction": "upgrade",
        "sql_digest": schema.find_revision("0002").digest,
    }
    assert execute(old, "SELECT DISTINCT run_id FROM schema_change") == [("migrate-1",)]
    execute(old, "ALTER TABLE run DROP COLUMN host")
    with pytest.raises(MigrationFailedError) as failure:
        verify(old, outcome)
    assert [problem.where for problem in failure.value.problems] == ["run.host"]


def test_a_second_time_there_is_nothing_to_do(old):
    migrate(old, make_plan(old, "head"))
    plan = make_plan(old, "head")
    assert plan.steps == ()
    assert migrate(old, plan).applied == ()


def test_a_dry_run_changes_nothing(old):
    before = structure(old)
    assert migrate(old, make_plan(old, "head"), dry_run=True).revision == BASE
    assert structure(old) == before


def test_two_migrations_at_once_take_turns_and_the_second_finds_that_it_is_late(old):
    plan, found = make_plan(old, "head"), []

    def run():
        try:
            found.append(migrate(old, plan, wait_seconds=30).revision)
        except MigrationFailedError as error:
            found.append(error.code)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted([schema.newest_revision(), "migration-failed"])
    assert execute(old, "SELECT count(*) FROM schema_change") == [(len(plan.steps),)]


def test_a_migration_waits_for_runs_that_are_going_on_and_says_which(old):
    run = old.beside(old.secret.database)
    run.hold(schema.MIGRATION_LOCK, seconds=1)
    with pytest.raises(LockHeldError, match="brainscore_ops"):
        migrate(old, make_plan(old, "head"), wait_seconds=0.3)
    threading.Timer(0.5, run.close).start()
    assert migrate(old, make_plan(old, "head"), wait_seconds=10).applied


def test_no_run_starts_while_a_migration_goes_on(old):
    with old.lock(schema.MIGRATION_LOCK), pytest.raises(LockHeldError):
        old.beside(old.secret.database).hold(schema.MIGRATION_LOCK, seconds=0.3)


def test_a_lock_that_is_not_had_soon_is_given_up_and_tried_again(old, monkeypatch, capsys):
    monkeypatch.setattr(applying, "LOCK_SECONDS", 0.3)
    plan = make_plan(old, "head")
    with old.engine.connect() as reader:
        reader.execute(text("SELECT * FROM brainscore_score"))
        threading.Timer(0.8, reader.rollback).start()
        assert migrate(old, plan).revision == schema.newest_revision()
    assert "no lock within" in capsys.readouterr().err


def test_a_lock_that_is_never_had_ends_the_migration_with_nothing_changed(old, monkeypatch):
    monkeypatch.setattr(applying, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(applying, "ATTEMPTS", 2)
    before = structure(old)
    with old.engine.connect() as reader, reader.begin():
        reader.execute(text("SELECT * FROM brainscore_score"))
        with pytest.raises(MigrationFailedError, match="lock timeout"):
            migrate(old, make_plan(old, "head"))
    assert structure(old) == before


# --- Rules ------------------------------------------------------------------------------------------------------------


def unmet(plan, *, found=None, downgrade=False, **evidence):
    verdict = judge(plan, found or lint(plan, server_version=16), downgrade=downgrade, evidence=evidence)
    return [rule.name for rule in verdict.rules if not rule.passed]


def plan_between(current, target):
    return MigrationPlan(current, target, tuple(schema.steps(current, target)))


def test_going_forward_is_allowed_and_going_back_only_when_asked_for():
    assert unmet(plan_between("0001", "0007")) == []
    assert unmet(plan_between("0007", "0005")) == ["no-way-back-unasked"]
    assert unmet(plan_between("0007", "0005"), downgrade=True) == []


def test_brain_scores_own_tables_are_never_taken_away():
    assert unmet(plan_between("0002", "base"), downgrade=True) == ["brain-scores-own-tables-stay"]


def test_what_is_contracted_has_to_have_been_expanded_by_an_earlier_migration(add_revision):
    add_revision("9001", "ALTER TABLE run ADD COLUMN machine varchar(100)", "ALTER TABLE run DROP COLUMN machine")
    add_revision("9002", "ALTER TABLE run DROP COLUMN host", "SELECT 1", contracts="9001")
    assert unmet(plan_between("0007", "9002")) == ["expanded-before-contracted"], "both at once"
    assert unmet(plan_between("9001", "9002")) == []


def test_what_is_contracted_has_to_name_what_replaced_it(add_revision):
    add_revision("9001", "ALTER TABLE run RENAME COLUMN host TO machine")
    plan = plan_between("0007", "9001")
    assert unmet(plan) == ["expanded-before-contracted"]
    with pytest.raises(MigrationRefusedError, match="renames a column") as refusal:
        insist(judge(plan, lint(plan, server_version=16), downgrade=False, evidence={}))
    assert refusal.value.exit_code == 3


def test_production_runs_only_what_ran_on_test_and_dev_with_the_same_sql():
    plan = plan_between("0005", "0007")
    seen = {(name, schema.find_revision(name).digest) for name in ("0006", "0007")}
    nothing = Lint((), {})
    assert unmet(plan, found=nothing, test=seen, dev=seen) == []
    assert unmet(plan, found=nothing, test=seen, dev=set()) == ["ran-on-dev"]
    other = {("0006", schema.find_revision("0006").digest), ("0007", "0" * 64)}
    assert unmet(plan, found=nothing, test=seen, dev=other) == ["ran-on-dev"]


def test_a_database_without_a_record_is_told_how_to_get_one(database):
    with pytest.raises(MigrationRefusedError, match="found none") as refusal:
        make_plan(database, "head")
    assert "adopt" in refusal.value.remedy


def test_an_unknown_target_is_refused_with_the_revisions_that_there_are(old):
    with pytest.raises(schema.UnknownRevisionError, match="0001 to"):
        make_plan(old, "9999")
