"""An existing Brain-Score database is taken over in place, and its former users go on working with it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import text
from uv import find_uv_bin

from brainscore_ops.database import schema
from brainscore_ops.database.adoption import NotAdoptableError, adopt
from brainscore_ops.database.connection import Database
from brainscore_ops.database.structure import read_structure
from brainscore_ops.database.viewer import STAFF
from brainscore_ops.scores.score_table import score_table
from brainscore_ops.settings import DatabaseSecret

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def core_python(tmp_path_factory):
    """The interpreter of an environment with Brain-Score's own package, which cannot live beside ours."""
    folder = tmp_path_factory.mktemp("brainscore-core")
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", "3.11", folder], check=True, timeout=120)
    install = [uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python"]
    subprocess.run([*install, "brainscore_core==2.5.*", "boto3>=1.40", "psycopg2-binary"], check=True, timeout=240)
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def core(core_python):
    """Call one of the actions of ``brainscore_core_calls.py`` on a database."""

    def call(database, action):
        secret = database.secret
        credentials = {**secret.model_dump(), "password": secret.password.get_secret_value()}
        command = [core_python, "-W", "ignore", HERE / "brainscore_core_calls.py", action, json.dumps(credentials)]
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
        return json.loads(said) if said else None

    return call


@pytest.fixture(scope="session")
def core_template(postgres, core):
    """The name of a database that brainscore_core made, to be copied."""
    server = Database(DatabaseSecret.model_validate(postgres.start()))
    with server.connection() as connection:
        connection.execute(text("CREATE DATABASE core_template"))
    made = server.beside("core_template")
    core(made, "make")
    made.close()
    server.close()
    return "core_template"


@pytest.fixture
def core_made(database, core_template):
    """A database of its own that brainscore_core made."""
    with database.beside("postgres").connection() as connection:
        connection.execute(text(f'DROP DATABASE "{database.secret.database}"'))
        connection.execute(text(f'CREATE DATABASE "{database.secret.database}" TEMPLATE {core_template}'))
    return database


@pytest.fixture
def website(database):
    """A database as the website's Django makes and fills it."""
    with database.session() as session:
        session.execute(text((HERE / "website.sql").read_text().replace(":", r"\:")))
    return database


def structure(database):
    with database.engine.connect() as connection:
        return read_structure(connection)


def rows(database, statement):
    with database.session() as session:
        return session.execute(text(statement)).all()


def test_a_database_of_brainscore_core_differs_in_nothing(core_made):
    adoption = adopt(core_made)
    assert (adoption.differences, adoption.others, adoption.stamped) == ((), (), True)
    assert adoption.rows["brainscore_user"] == 2
    assert schema.current_revision(core_made) == "0001"


def test_brainscore_core_goes_on_reading_and_writing_the_migrated_database(core, core_made):
    core(core_made, "write")
    before = core(core_made, "read")
    assert before["models"] == ["words"]
    assert before["parameters"] == [3_000_000_000]
    adopt(core_made)
    schema.upgrade(core_made)
    assert core(core_made, "read") == before, "reads what was there, to the last digit"
    core(core_made, "write")
    after = core(core_made, "read")
    assert after["scores"] == before["scores"], "writes, and finds its own rows again"
    assert after["counts"] == before["counts"]


def test_both_systems_see_each_others_scores(core, core_made):
    adopt(core_made)
    schema.upgrade(core_made)
    core(core_made, "write")
    (score,) = score_table(core_made, domain="language", viewer=STAFF).itertuples()
    assert (score.model, score.benchmark, score.version) == ("words", "lab.words-r", 3)
    assert (score.value, score.raw, score.error, score.ceiling) == pytest.approx((0.5, 0.4, 0.01, 0.8))


def test_adopting_touches_no_table_and_a_second_time_nothing_at_all(core_made):
    before = structure(core_made)
    adopt(core_made)
    assert structure(core_made) == before
    again = adopt(core_made)
    assert (again.stamped, again.revision) == (False, "0001")


def test_a_dry_run_records_nothing(core_made):
    assert not adopt(core_made, dry_run=True).stamped
    assert schema.current_revision(core_made) is None


def test_the_websites_form_is_recognised_and_what_differs_is_named_with_why_it_does_not_matter(website):
    adoption = adopt(website)
    differences = {difference.where: difference for difference in adoption.differences}
    assert differences["brainscore_model.group"].harmless == "revision 0004 adds it"
    assert differences["brainscore_user.is_quota_exempt"].harmless == "revision 0004 gives it a default"
    assert differences["brainscore_score.end_timestamp"].found == "TIMESTAMP WITH TIME ZONE"
    assert all(difference.harmless for difference in adoption.differences)
    assert adoption.others == ("brainscore_resourceusage", "django_migrations")
    assert "brainscore_resourceusage" in str(adoption.table())


def test_the_websites_form_is_migrated_with_its_views_and_its_duplicates_repaired(website):
    adopt(website)
    with website.engine.connect() as connection, connection.begin():
        applied = schema.apply(connection, "head", repair=True)
    assert [finding.condition.name for step in applied for finding in step.repaired] == [
        "one-row-a-model",
        "one-row-a-score",
    ]
    assert rows(website, "SELECT id, name FROM brainscore_model") == [(2, "words")]
    assert rows(website, "SELECT model_id, total_parameter_count FROM brainscore_modelmeta") == [(2, 2)]
    assert rows(website, "SELECT model_id FROM brainscore_resourceusage") == [(2,), (2,)], (
        "tables that we do not know, too"
    )
    assert rows(website, "REFRESH MATERIALIZED VIEW mv_model_scores; SELECT count(*) FROM mv_model_scores") == [(1,)]
    archived = rows(website, "SELECT table_name, row ->> 'id' FROM archived_row ORDER BY archived_row.id")
    assert archived == [("brainscore_modelmeta", None), ("brainscore_model", "1"), ("brainscore_score", "1")]
    with website.session() as session:
        session.execute(
            text(
                "INSERT INTO brainscore_user (is_active, is_staff, is_superuser, password) VALUES (true, false, false, '!')"
            )
        )


def test_time_stamps_with_a_zone_are_read_as_what_they_are(website):
    adopt(website)
    with website.engine.connect() as connection, connection.begin():
        schema.apply(connection, "head", repair=True)
    (score,) = score_table(website, domain="language").itertuples()
    assert score.computed_at.isoformat() == "2026-02-01T12:00:00+00:00"


def test_taking_the_migrations_back_leaves_the_websites_tables_as_they_were(website):
    before = structure(website)
    adopt(website)
    with website.engine.connect() as connection, connection.begin():
        connection.execute(text("DELETE FROM brainscore_score WHERE model_id = 1"))
        for table in ("brainscore_modelmeta", "brainscore_resourceusage"):
            connection.execute(text(f"DELETE FROM {table} WHERE model_id = 1"))
        connection.execute(text("DELETE FROM brainscore_model WHERE id = 1"))
    with website.engine.connect() as connection, connection.begin():
        schema.apply(connection, "head")
        schema.apply(connection, "0001")
    assert structure(website) == before


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("ALTER TABLE brainscore_score DROP COLUMN error", "brainscore_score.error"),
        ("ALTER TABLE brainscore_score ALTER score_raw TYPE text", "brainscore_score.score_raw"),
        ("ALTER TABLE brainscore_model ADD COLUMN weight integer NOT NULL", "brainscore_model.weight"),
        ("ALTER TABLE brainscore_score DROP CONSTRAINT brainscore_score_model_id_fkey", "brainscore_score"),
        ("ALTER TABLE brainscore_score ALTER id DROP DEFAULT", "brainscore_score.id"),
        ("DROP TABLE brainscore_modelmeta", "brainscore_modelmeta"),
    ],
)
def test_a_database_that_differs_where_it_matters_is_refused_with_the_difference(core_made, change, where):
    with core_made.session() as session:
        session.execute(text(change))
    with pytest.raises(NotAdoptableError) as refusal:
        adopt(core_made)
    assert [problem.where for problem in refusal.value.problems] == [where]
    assert schema.current_revision(core_made) is None


def test_all_differences_are_said_at_once(core_made):
    with core_made.session() as session:
        session.execute(text("ALTER TABLE brainscore_score DROP COLUMN error, DROP COLUMN comment"))
    with pytest.raises(NotAdoptableError, match="2 differences") as refusal:
        adopt(core_made)
    assert refusal.value.exit_code == 3


def test_an_empty_database_and_one_of_something_else_are_no_brain_score_databases(database):
    with pytest.raises(NotAdoptableError, match="without any table"):
        adopt(database)
    with database.session() as session:
        session.execute(text("CREATE TABLE recipe (id integer)"))
    with pytest.raises(NotAdoptableError, match="recipe"):
        adopt(database)
