"""The chain of revisions: it goes up and down, in one line, and says the same as the models."""

from __future__ import annotations

import pytest
from alembic.config import Config
from pytest_alembic.tests import (  # noqa: F401 - pytest-alembic's own checks, each a test here
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)
from sqlalchemy import text

from brainscore_ops.database import schema
from brainscore_ops.database.drift import find_drift
from brainscore_ops.database.migrating.errors import LintError
from brainscore_ops.database.migrating.lint import lint
from brainscore_ops.database.migrating.plan import MigrationPlan
from brainscore_ops.database.structure import read_structure

REVISIONS = schema.revision_ids()


@pytest.fixture
def alembic_config():
    return Config(config_args={"script_location": str(schema.MIGRATIONS)})


@pytest.fixture
def alembic_engine(database):
    """What pytest-alembic calls so; our migrations run on a connection that the caller holds."""
    with database.engine.connect() as connection:
        yield connection


@pytest.mark.parametrize("revision", REVISIONS)
def test_what_a_revision_does_it_takes_back(database, revision):
    """Upgrade then downgrade: the same schema, whatever revision it is."""
    before = REVISIONS[: REVISIONS.index(revision)][-1:] or ["base"]
    with database.engine.connect() as connection, connection.begin():
        schema.apply(connection, before[0])
        structure = read_structure(connection)
        schema.apply(connection, revision)
        assert read_structure(connection) != structure
        schema.apply(connection, before[0])
        assert read_structure(connection) == structure


@pytest.mark.parametrize("revision", REVISIONS)
def test_squawk_finds_nothing_in_it_that_it_does_not_account_for(revision):
    step = schema.find_revision(revision)
    plan = MigrationPlan(current=None, target=revision, steps=((step, schema.UPGRADE),))
    accepted = {finding.rule for finding in lint(plan, server_version=14).findings}
    assert accepted == set(step.accepted), "and nothing is accepted that is not there"


@pytest.mark.parametrize("revision", REVISIONS)
def test_its_sql_can_be_read_and_has_a_digest(revision):
    step = schema.find_revision(revision)
    assert step.title
    assert len(step.digest) == 64
    assert step.sql(schema.UPGRADE) != step.sql(schema.DOWNGRADE)
    assert "alembic_version" not in step.sql(schema.UPGRADE)


def test_every_foreign_key_is_found_by_an_index(database):
    schema.upgrade(database)
    with database.engine.connect() as connection:
        tables = read_structure(connection)
    lacking = [
        (name, columns)
        for name, table in tables.items()
        for columns, _, _ in table.foreign_keys
        if not any(table.is_indexed(column) for column in columns)
    ]
    assert lacking == []


def test_the_history_of_the_schema_says_what_was_applied_when_and_with_which_sql(database):
    schema.upgrade(database)
    with database.session() as session:
        history = session.execute(text("SELECT revision, direction, sql_digest FROM schema_change ORDER BY id")).all()
    assert history == [(name, "upgrade", schema.find_revision(name).digest) for name in REVISIONS]


def test_a_table_that_somebody_changed_by_hand_is_drift(database):
    schema.upgrade(database)
    with database.engine.connect() as connection, connection.begin():
        assert find_drift(connection) == []
        connection.execute(text("ALTER TABLE run DROP COLUMN error"))
        connection.execute(text("ALTER TABLE brainscore_model DROP CONSTRAINT brainscore_model_domain_name_key"))
        connection.execute(text("DROP INDEX score_model_id"))
        drift = {(difference.where, difference.expected) for difference in find_drift(connection)}
    assert drift == {
        ("run.error", "JSONB"),
        ("brainscore_model", "(domain, name) unique"),
    }, "the index of the unique rule begins with the model, too"


def test_a_revision_that_does_not_account_for_what_it_does_is_refused(monkeypatch):
    step = schema.find_revision("0006")
    plan = MigrationPlan("0005", "0006", ((schema.Revision(step.id, step.title, (), {}, None), schema.UPGRADE),))
    with pytest.raises(LintError) as refusal:
        lint(plan, server_version=16)
    assert {problem.code for problem in refusal.value.problems} == {
        "disallowed-unique-constraint",
        "constraint-missing-not-valid",
    }
