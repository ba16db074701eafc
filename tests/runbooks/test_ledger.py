"""A run is entered before it starts and closed when it ends, whatever happens to the ledger meanwhile."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from tests.postgres_servers import MortalPostgres

from brainscore_ops.database.brainscore_tables import Submission, User
from brainscore_ops.database.connection import DatabaseUnavailableError
from brainscore_ops.database.embedded import EmbeddedPostgres
from brainscore_ops.database.schema import upgrade
from brainscore_ops.runbooks.execution import run_runbook
from brainscore_ops.runbooks.history import find_run, list_runs
from brainscore_ops.runbooks.ledger import BadRunFileError, DatabaseLedger, harvest_run, mark_lost
from brainscore_ops.runbooks.runs import RunEntry
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.settings.secrets import write_secret


def an_entry(**values):
    facts = {
        "id": "20261123T153501-toy-3f9a1c",
        "deployment": "test",
        "runbook": "toy",
        "runbook_digest": "0" * 64,
        "code_version": "0.1.0",
        "parameters": {"number": 3},
        "triggered_by": "test",
        "host": socket.gethostname(),
        "process": os.getpid(),
        "started_at": datetime.now(UTC),
        "record_path": "toy/2026-11-23/20261123T153501-toy-3f9a1c.ipynb",
    }
    return RunEntry(**{**facts, **values})


@pytest.fixture
def database(bench):
    database = bench.database()
    yield database
    database.close()


def write_file(bench, entry):
    path = bench.root / f"{entry.id}.run.json"
    path.write_text(json.dumps(entry.as_dict()))
    return path


def test_a_run_has_its_row_while_it_goes_on(bench, database):
    seen = []
    bench.write("toy", "1")
    result = run_runbook("toy", {}, triggered_by="test", on_step=lambda _: seen.extend(list_runs(database)))
    assert [(entry.id, entry.state) for entry in seen] == [(result.id, RunState.RUNNING)] * 2


def test_the_row_holds_what_the_run_was(bench, database):
    bench.write("toy", "from brainscore_ops.runbooks.scraps import glue\nglue('answer', number + 1)")
    result = bench.run(number=41)
    entry = find_run(database, result.id)
    assert entry.parameters == {"deployment": "test", "number": 41, "note": None, "submission": None}
    assert (entry.summary, entry.triggered_by, entry.state) == ({"answer": 42}, "test", RunState.SUCCEEDED)
    assert entry.record_path == str(result.record.relative_to(bench.deployment.outputs))
    assert (entry.host, entry.process) == (socket.gethostname(), os.getpid())
    assert entry.seconds == pytest.approx(result.seconds)


@pytest.mark.parametrize("how", ["parameter", "scrap"])
def test_a_run_for_a_submission_knows_it(bench, database, how):
    with database.session() as session:
        user = User(is_active=True, is_staff=False, is_superuser=False, password="")
        row = Submission(submitter=user, jenkins_id=0, model_type="x", status="y")
        session.add_all([user, row])
        session.flush()
        submission = row.id
    if how == "scrap":
        bench.write("toy", f"from brainscore_ops.runbooks.scraps import glue\nglue('submission', {submission})")
        result = bench.run()
    else:
        bench.write("toy", "1")
        result = bench.run(submission=submission)
    assert [entry.id for entry in list_runs(database, submission=submission)] == [result.id]


def test_a_submission_that_does_not_exist_costs_no_record(bench, database):
    bench.write("toy", "1")
    result = bench.run(submission=123456)
    assert find_run(database, result.id).submission_id is None


def test_without_a_database_nothing_runs(bench, tmp_path):
    write_secret(
        bench.deployment.secrets_file,
        "test/database",
        {"host": str(tmp_path), "database": "x", "username": "x", "password": "xxxx"},
    )
    bench.write("toy", f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(DatabaseUnavailableError):
        bench.run()
    assert not (tmp_path / "ran").exists()
    assert not bench.deployment.outputs.exists()


def test_a_run_outlives_its_database_and_is_entered_by_the_next(bench, tmp_path, monkeypatch):
    monkeypatch.setattr("brainscore_ops.database.connection.PATIENCE_SECONDS", 0.5)
    server = EmbeddedPostgres(tmp_path / "mortal")
    try:
        write_secret(bench.deployment.secrets_file, "test/database", server.start())
        database = bench.database()
        upgrade(database)
        database.close()
        bench.write("toy", "1")
        result = run_runbook(
            "toy", {}, triggered_by="test", on_step=lambda step: server.stop() if step.seconds else None
        )
        assert result.state is RunState.SUCCEEDED
        assert result.record.exists()
        assert "The database could not be told" in result.notes[0]
        server.start()
        following = bench.run()
        assert [(entry.id, entry.state) for entry in list_runs(database)] == [
            (following.id, RunState.SUCCEEDED),
            (result.id, RunState.SUCCEEDED),
        ]
        assert list(bench.deployment.outputs.rglob("*.run.json")) == []
    finally:
        database.close()
        server.destroy()


def test_a_run_whose_database_is_killed_and_started_again_in_the_middle_goes_on(bench, tmp_path):
    server = MortalPostgres(tmp_path / "mortal")
    try:
        write_secret(bench.deployment.secrets_file, "test/database", server.start())
        database = bench.database()
        upgrade(database)
        count = "with database.session() as session:\n    print(session.scalar(text('SELECT count(*) FROM run')))"
        bench.write(
            "toy",
            "from sqlalchemy import text\n"
            "from brainscore_ops.database.connection import Database\n"
            "from brainscore_ops.settings import load_deployment\n"
            f"database = Database.of(load_deployment('test'))\n{count}",
            count,
        )

        def kill_after_the_first(step):
            if step.step == "one" and step.seconds is not None:
                server.kill()
                server.start_later(1)

        result = run_runbook("toy", {}, triggered_by="test", on_step=kill_after_the_first)
        assert (result.state, result.notes) == (RunState.SUCCEEDED, ())
        assert [(entry.id, entry.state) for entry in list_runs(database)] == [(result.id, RunState.SUCCEEDED)]
    finally:
        database.close()
        server.destroy()


def test_a_run_that_goes_on_is_not_lost_when_a_restart_took_its_lock(bench, database):
    """The driver of a long step asks the database for nothing, and does not notice."""
    ledger = DatabaseLedger(bench.deployment)
    ledger.open(an_entry(process=os.getpid(), started_at=datetime.now(UTC)))
    with database.session() as session:
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
        )
    assert mark_lost(database) == []
    assert ledger.close(an_entry(state=RunState.SUCCEEDED, ended_at=datetime.now(UTC))) == ""
    assert [entry.state for entry in list_runs(database)] == [RunState.SUCCEEDED]


def test_a_run_on_an_older_schema_is_kept_in_a_file_until_there_is_a_place_for_it(bench, tmp_path):
    server = EmbeddedPostgres(tmp_path / "older")
    try:
        write_secret(bench.deployment.secrets_file, "test/database", server.start())
        database = bench.database()
        upgrade(database, "0001")
        bench.write("toy", "1")
        result = bench.run()
        assert result.state is RunState.SUCCEEDED
        assert "the next run enters it" in result.notes[0]
        upgrade(database)
        following = bench.run()
        assert {entry.id for entry in list_runs(database)} == {result.id, following.id}
    finally:
        database.close()
        server.destroy()


def test_a_runbook_may_be_recorded_in_a_file_where_no_database_is(bench, database):
    bench.write("score_pair", "number", folder="scoring", ledger="file")
    bench.deployment.secrets_file.unlink()  # as on a compute node: no way to a database
    result = bench.run("score_pair")
    assert (result.state, list_runs(database)) == (RunState.SUCCEEDED, [])
    path = result.record.with_suffix("").with_suffix(".run.json")
    assert harvest_run(database, path) is True
    assert harvest_run(database, path) is False
    (entry,) = list_runs(database)
    assert (entry.id, entry.state, entry.record_digest is not None) == (result.id, RunState.SUCCEEDED, True)


def test_a_file_says_exactly_what_the_row_would(bench, database):
    ended = an_entry(
        state=RunState.FAILED,
        ended_at=datetime.now(UTC),
        failing_step="one",
        error={"message": "ü"},
        summary={"a": [1]},
    )
    assert harvest_run(database, write_file(bench, ended))
    assert find_run(database, ended.id) == ended


def test_a_file_of_a_run_that_goes_on_is_left_alone(bench, database):
    path = write_file(bench, an_entry())
    assert harvest_run(database, path) is False
    assert path.exists()


@pytest.mark.parametrize("gone", [{"process": 2**22 - 1}, {"started_at": datetime.now(UTC) - timedelta(days=9)}])
def test_a_file_whose_driver_is_gone_is_entered_as_lost(bench, database, gone):
    # The second one's process number belongs to a younger process by now: this test's.
    assert harvest_run(database, write_file(bench, an_entry(**gone))) is True
    assert list_runs(database)[0].state is RunState.LOST


def test_a_file_of_another_machine_is_left_alone_while_it_says_running(bench, database):
    assert harvest_run(database, write_file(bench, an_entry(host="node17", process=2**22 - 1))) is False


def test_a_file_of_another_machine_says_running_no_longer_than_any_run_takes(bench, database):
    ancient = an_entry(host="node17", started_at=datetime.now(UTC) - timedelta(days=9))
    assert harvest_run(database, write_file(bench, ancient)) is True
    assert find_run(database, ancient.id).state is RunState.LOST


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"id": 3}'])
def test_a_file_that_is_no_entry_is_told(bench, database, content):
    path = bench.root / "x.run.json"
    path.write_text(content)
    with pytest.raises(BadRunFileError):
        harvest_run(database, path)


def test_the_last_word_of_a_driver_that_was_taken_for_lost_counts(bench, database):
    ledger = DatabaseLedger(bench.deployment)
    entry = an_entry(host="another-machine")  # of which nobody here can tell whether its processes live
    ledger.open(entry)
    # The connection that holds its lock is cut, as a restart of the server does.
    with database.session() as session:
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
        )
    assert mark_lost(database) == [entry.id]
    assert ledger.close(replace(entry, state=RunState.SUCCEEDED, ended_at=datetime.now(UTC))) == ""
    assert find_run(database, entry.id).state is RunState.SUCCEEDED


def test_a_driven_run_is_not_taken_for_lost(bench, database):
    ledger = DatabaseLedger(bench.deployment)
    entry = an_entry()
    ledger.open(entry)
    assert mark_lost(database) == []
    ledger.close(replace(entry, state=RunState.SUCCEEDED, ended_at=datetime.now(UTC)))
