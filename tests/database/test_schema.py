import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from brainscore_ops.database import schema
from brainscore_ops.database.ops_tables import Base


def test_migrating_an_empty_database_makes_exactly_the_tables_of_the_models(database):
    assert schema.upgrade(database) == schema.newest_revision()
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=schema.COMPARISON), Base.metadata) == []


def test_migrating_twice_changes_nothing(database):
    schema.upgrade(database)
    assert schema.upgrade(database) == schema.newest_revision()


def test_two_processes_that_migrate_at_once_take_turns(database):
    threads = [threading.Thread(target=schema.upgrade, args=[database]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    schema.require_newest(database)


def test_the_first_revision_is_brain_scores_own_schema(database):
    schema.upgrade(database, "0001")
    tables = set(inspect(database.engine).get_table_names())
    assert {"brainscore_score", "brainscore_model", "brainscore_benchmarkinstance"} <= tables
    assert "run" not in tables


def test_a_database_with_an_older_schema_is_not_worked_on(database):
    schema.upgrade(database, "0001")
    with pytest.raises(schema.SchemaOutdatedError, match="0001"):
        schema.require_newest(database)


def test_tables_of_unknown_origin_are_left_alone(database):
    with database.connection() as connection:
        connection.execute(text("CREATE TABLE brainscore_score (id integer)"))
    with pytest.raises(schema.SchemaUnknownError):
        schema.upgrade(database)
    assert inspect(database.engine).get_table_names() == ["brainscore_score"]
