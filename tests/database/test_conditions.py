"""Rows that a new rule does not allow: all of them are named, and a repair loses none."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from brainscore_ops.database import schema
from brainscore_ops.database.conditions import MOST_SHOWN, ConditionBrokenError

LEAST = """
    INSERT INTO brainscore_user (is_active, is_staff, is_superuser, password) VALUES (true, false, false, '!');
    INSERT INTO brainscore_submission (jenkins_id, submitter_id, model_type, status) VALUES (0, 1, 'BaseModel', 'successful');
    INSERT INTO brainscore_benchmarktype (identifier, "order", visible, domain, owner_id) VALUES ('b', 1, true, 'd', 1);
"""


@pytest.fixture
def old(database):
    """A database of Brain-Score's first revision, with nothing in it yet but a user, a submission and a benchmark."""
    schema.upgrade(database, "0001")
    execute(database, LEAST)
    return database


def execute(database, statement):
    with database.session() as session:
        result = session.execute(text(statement))
        return result.all() if result.returns_rows else []


def add_models(database, *names, domain="d"):
    for name in names:
        execute(
            database,
            "INSERT INTO brainscore_model (name, owner_id, submission_id, domain, public) "
            f"VALUES ('{name}', 1, 1, '{domain}', true)",
        )


def add_instances(database, *versions):
    for version in versions:
        execute(
            database, f"INSERT INTO brainscore_benchmarkinstance (benchmark_type_id, version) VALUES ('b', {version})"
        )


def add_scores(database, *scores):
    for model, instance, value, end in scores:
        execute(
            database,
            "INSERT INTO brainscore_score (model_id, benchmark_id, score_raw, end_timestamp) "
            f"VALUES ({model}, {instance}, {value}, {end})",
        )


def migrate(database, *, repair=False):
    with database.engine.connect() as connection, connection.begin():
        return schema.apply(connection, "head", repair=repair)


def test_duplicate_scores_are_reported_with_every_row_and_the_migration_leaves_nothing(old):
    add_models(old, "m", "n")
    add_instances(old, 1)
    add_scores(old, (1, 1, 0.5, "'2026-01-02'"), (1, 1, 0.4, "'2026-01-01'"), (2, 1, 0.1, "NULL"), (2, 1, 0.2, "NULL"))
    with pytest.raises(ConditionBrokenError, match="one-row-a-score; 2 rows") as refusal:
        migrate(old)
    assert [str(problem.where) for problem in refusal.value.problems] == [
        "brainscore_score (1, 1, )",
        "brainscore_score (2, 1, )",
    ]
    assert "id 1, 2" in refusal.value.problems[0].message
    assert "repair=true" in refusal.value.remedy
    assert schema.current_revision(old) == "0001"
    assert execute(old, "SELECT count(*) FROM brainscore_score") == [(4,)]


def test_a_repair_keeps_the_newest_score_and_archives_the_rest(old):
    add_models(old, "m")
    add_instances(old, 1)
    add_scores(old, (1, 1, 0.5, "'2026-01-02'"), (1, 1, 0.4, "'2026-01-01'"), (1, 1, 0.3, "NULL"))
    migrate(old, repair=True)
    assert execute(old, "SELECT id, score_raw FROM brainscore_score") == [(1, 0.5)]
    archived = execute(
        old, "SELECT (row ->> 'id')::int, (row ->> 'score_raw')::float, kept, reason FROM archived_row ORDER BY 1"
    )
    assert archived == [
        (2, 0.4, "1", "one-row-a-score, revision 0007"),
        (3, 0.3, "1", "one-row-a-score, revision 0007"),
    ]


def test_scores_of_two_rows_of_a_model_or_a_version_come_together(old):
    add_models(old, "m", "m")
    add_instances(old, 1, 1, 2)
    add_scores(old, (1, 1, 0.5, "'2026-01-01'"), (2, 3, 0.6, "'2026-01-01'"), (2, 2, 0.7, "'2026-01-05'"))
    migrate(old, repair=True)
    assert execute(old, "SELECT model_id, benchmark_id, score_raw FROM brainscore_score ORDER BY 2") == [
        (2, 2, 0.7),
        (2, 3, 0.6),
    ]
    assert execute(old, "SELECT DISTINCT table_name FROM archived_row ORDER BY 1") == [
        ("brainscore_benchmarkinstance",),
        ("brainscore_model",),
        ("brainscore_score",),
    ]


def test_the_same_name_in_another_domain_is_another_model(old):
    add_models(old, "m")
    add_models(old, "m", domain="other")
    migrate(old)
    assert execute(old, "SELECT count(*) FROM brainscore_model") == [(2,)]


def test_versions_that_are_not_known_are_not_the_same(old):
    add_instances(old, "NULL", "NULL")
    migrate(old)
    assert execute(old, "SELECT count(*) FROM brainscore_benchmarkinstance") == [(2,)]


def test_many_broken_keys_are_counted_and_the_first_are_named(old):
    names = [f"m{number:03}" for number in range(MOST_SHOWN + 5)]
    add_models(old, *names, *names)
    with pytest.raises(ConditionBrokenError, match=f"{len(names)} rows") as refusal:
        migrate(old)
    assert len(refusal.value.problems) == MOST_SHOWN + 1
    assert refusal.value.problems[-1].message == "and 5 keys more"


def test_what_a_repair_archived_is_never_dropped(old):
    add_models(old, "m", "m")
    migrate(old, repair=True)
    with (
        pytest.raises(Exception, match="archived_row holds rows"),
        old.engine.connect() as connection,
        connection.begin(),
    ):
        schema.apply(connection, "0003")
    assert execute(old, "SELECT count(*) FROM archived_row") == [(1,)]


scores = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(1, 3),
        st.integers(0, 9),
        st.sampled_from(["NULL", "'2026-01-01'", "'2026-02-01'"]),
    ),
    max_size=12,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.sampled_from("abc"), min_size=3, max_size=3),
    versions=st.lists(st.integers(1, 2), min_size=3, max_size=3),
    rows=scores,
)
def test_whatever_there_is_a_repair_ends_in_the_rule_and_loses_no_row(old, names, versions, rows):
    with old.engine.connect() as connection, connection.begin() as transaction:
        for name, version in zip(names, versions, strict=True):
            connection.execute(
                text(
                    "INSERT INTO brainscore_model (name, owner_id, submission_id, domain, public) VALUES (:n, 1, 1, 'd', true)"
                ),
                {"n": name},
            )
            connection.execute(
                text("INSERT INTO brainscore_benchmarkinstance (benchmark_type_id, version) VALUES ('b', :v)"),
                {"v": version},
            )
        models, instances = (
            list(connection.scalars(text(f"SELECT id FROM {table} ORDER BY id")))
            for table in ("brainscore_model", "brainscore_benchmarkinstance")
        )
        for model, instance, value, end in rows:
            connection.execute(
                text(
                    "INSERT INTO brainscore_score (model_id, benchmark_id, score_raw, end_timestamp) "
                    f"VALUES ({models[model - 1]}, {instances[instance - 1]}, {value}, {end})"
                )
            )
        schema.apply(connection, "head", repair=True)
        for table, before in (("model", 3), ("benchmarkinstance", 3), ("score", len(rows))):
            kept = connection.scalar(text(f"SELECT count(*) FROM brainscore_{table}"))
            archived = connection.scalar(
                text(f"SELECT count(*) FROM archived_row WHERE table_name = 'brainscore_{table}'")
            )
            assert kept + archived == before
        assert connection.scalar(text("SELECT count(*) FROM brainscore_model")) == len(set(names))
        transaction.rollback()
