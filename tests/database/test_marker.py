"""A database says whose it is, and a deployment of another tier does not get in, whatever its secret says."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from brainscore_ops.database import schema
from brainscore_ops.database.connection import Database
from brainscore_ops.database.errors import WrongDatabaseError
from brainscore_ops.database.marker import Marker, mark, read_marker, require_marked
from brainscore_ops.settings import Workspace, load_deployment
from brainscore_ops.settings.secrets import write_secret

ROOT = Path(__file__).parents[2]


@pytest.fixture
def deployment_of(database, tmp_path):
    """``deployment_of(name)`` is that deployment of the repository, whose secret leads to the test's database."""

    def make(name):
        deployment = load_deployment(name, Workspace(ROOT, tmp_path / "state", tmp_path / "outputs"))
        document = database.secret.model_dump() | {"password": database.secret.password.get_secret_value()}
        write_secret(deployment.secrets_file, deployment.database.secret, document)
        return deployment

    return make


def count(database):
    with database.session() as session:
        return session.scalar(text("SELECT count(*) FROM run"))


def test_a_marked_database_lets_its_own_tier_in(database, deployment_of):
    schema.upgrade(database)
    local = deployment_of("local")
    mark(database, local)
    mark(database, local)
    ours = Database.of(local)
    assert count(ours) == 0
    require_marked(ours, local)
    assert read_marker(ours) == Marker("local", "local")
    ours.close()


@pytest.mark.parametrize("use", [count, schema.upgrade, lambda d: d.lock("a").__enter__(), schema.current_revision])
def test_a_secret_that_leads_to_another_tiers_database_opens_nothing(database, deployment_of, use):
    schema.upgrade(database)
    mark(database, deployment_of("local"))
    wrong = Database.of(deployment_of("test"))
    with pytest.raises(WrongDatabaseError, match="of the tier test, found one that says it is of local") as error:
        use(wrong)
    assert error.value.exit_code == 2
    wrong.close()


def test_a_marker_is_not_taken_from_its_owner(database, deployment_of):
    schema.upgrade(database)
    mark(database, deployment_of("local"))
    with pytest.raises(WrongDatabaseError):
        mark(database, deployment_of("test"))
    assert read_marker(database) == Marker("local", "local")


def test_a_snapshot_of_another_tier_is_marked_anew_where_that_is_meant(database, deployment_of):
    schema.upgrade(database)
    mark(database, deployment_of("local"))
    mark(database, deployment_of("test"), replace=True)
    assert read_marker(database) == Marker("test", "test")


def test_a_database_that_says_nothing_is_not_worked_on_before_somebody_says_whose_it_is(database, deployment_of):
    schema.upgrade(database)
    local = deployment_of("local")
    with pytest.raises(WrongDatabaseError, match="does not say whose it is") as error:
        require_marked(database, local)
    assert "brainscore-ops deployments local --mark" in error.value.remedy


def test_a_database_of_an_older_schema_is_let_in_for_it_has_no_place_for_a_marker(database, deployment_of):
    schema.upgrade(database, "0007")
    assert read_marker(database) is None
    older = Database.of(deployment_of("test"))
    assert schema.current_revision(older) == "0007"
    older.close()


def test_there_is_one_marker_at_the_most(database, deployment_of):
    schema.upgrade(database)
    mark(database, deployment_of("local"))
    with pytest.raises(Exception, match="deployment_marker_one_row"), database.session() as session:
        session.execute(text("INSERT INTO deployment_marker VALUES (2, 'test', 'test', now())"))
