import socket
import threading
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError
from tests.postgres_servers import MortalPostgres

from brainscore_ops.database.connection import Database, LockHeldError
from brainscore_ops.database.errors import DatabaseAccessError, DatabaseMissingError, DatabaseUnavailableError
from brainscore_ops.settings import DatabaseSecret


def count(database):
    with database.session() as session:
        return session.scalar(text("SELECT count(*) FROM note"))


@pytest.fixture
def notes(database):
    with database.session() as session:
        session.execute(text("CREATE TABLE note (word text)"))
    return database


def test_a_session_is_committed_at_its_end(notes):
    with notes.session() as session:
        session.execute(text("INSERT INTO note VALUES ('a')"))
    assert count(notes) == 1


def test_a_session_that_ends_in_an_error_leaves_nothing(notes):
    def fail(session):
        session.execute(text("INSERT INTO note VALUES ('a')"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), notes.session() as session:
        fail(session)
    assert count(notes) == 0


def test_a_lock_has_one_holder_at_a_time(database):
    with database.lock("a") as first, database.lock("a", wait=False) as second, database.lock("b", wait=False) as third:
        assert (first, second, third) == (True, False, True)
    with database.lock("a", wait=False) as again:
        assert again


def test_who_waits_for_a_lock_gets_it_when_it_is_let_go(database):
    order = []

    def wait():
        with database.lock("a"):
            order.append("waiter")

    with database.lock("a"):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.3)
        order.append("holder")
    thread.join()
    assert order == ["holder", "waiter"]


def test_a_server_that_is_not_there_is_told_in_one_sentence_without_the_password(tmp_path):
    secret = DatabaseSecret.model_validate(
        {"host": str(tmp_path), "database": "d", "username": "u", "password": "hush-hush"}
    )
    with pytest.raises(DatabaseUnavailableError) as error, Database(secret).session() as session:
        session.execute(text("SELECT 1"))
    assert error.value.exit_code == 4
    assert "does not answer" in error.value.message
    assert "hush-hush" not in str(error.value)


def reach(document):
    database = Database(DatabaseSecret.model_validate(document), secret_name="dev/database", connect_seconds=2)
    try:
        with database.session() as session:
            session.execute(text("SELECT 1"))
    finally:
        database.close()


@pytest.mark.parametrize(
    ("change", "kind", "words", "exit_code"),
    [
        ({"password": "wrong"}, DatabaseAccessError, 'password authentication failed for user "brainscore_ops"', 2),
        ({"username": "nobody-here"}, DatabaseAccessError, "does not let us in", 2),
        ({"database": "nowhere"}, DatabaseMissingError, 'database "nowhere" does not exist', 2),
        ({"port": 1}, DatabaseUnavailableError, "does not answer", 4),
        ({"host": "no-such-host.invalid"}, DatabaseUnavailableError, "does not answer", 4),
    ],
)
def test_what_is_wrong_with_the_way_to_a_database_is_told_apart(postgres, change, kind, words, exit_code):
    with pytest.raises(kind) as error:
        reach({**postgres.start(), **change})
    assert words in error.value.message
    assert "\n" not in error.value.message
    assert error.value.exit_code == exit_code
    assert exit_code == 4 or "dev/database" in error.value.remedy


def test_a_server_that_takes_the_call_and_says_nothing_is_given_up(postgres):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailableError, match="timeout"):
            reach({**postgres.start(), "host": "127.0.0.1", "port": silent.getsockname()[1]})
        assert time.monotonic() - began < 10


# --- A server that goes away and comes back --------------------------------------------------------------------------------


@pytest.fixture
def mortal(tmp_path):
    """A server of its own, to be killed, with a table in its database."""
    server = MortalPostgres(tmp_path / "server")
    database = Database(DatabaseSecret.model_validate(server.start()), patience=90)
    with database.session() as session:
        session.execute(text("CREATE TABLE note (word text UNIQUE)"))
    yield server, database
    database.close()
    server.destroy()


def test_a_server_that_restarts_is_waited_for_with_a_message(mortal, capfd):
    server, database = mortal
    server.kill()
    server.start_later(0.5)
    with database.session() as session:
        session.execute(text("INSERT INTO note VALUES ('a')"))
    assert count(database) == 1
    assert "waiting for the database" in capfd.readouterr().err


def test_a_transaction_that_loses_its_server_is_done_again_from_its_start(mortal):
    server, database = mortal
    attempts = []

    def work(session):
        attempts.append(session.scalar(text("SELECT pg_backend_pid()")))
        session.execute(text("INSERT INTO note VALUES ('a')"))
        if len(attempts) == 1:
            server.stop()
            server.start_later(0.5)
        session.execute(text("INSERT INTO note VALUES ('b')"))
        return "done"

    assert database.transact(work) == "done"
    assert (len(attempts), count(database)) == (2, 2)


def test_a_session_that_loses_its_server_says_so_and_leaves_nothing(mortal):
    server, database = mortal
    with pytest.raises(DatabaseUnavailableError) as error, database.session() as session:  # noqa: PT012
        session.execute(text("INSERT INTO note VALUES ('a')"))
        server.stop()
        session.execute(text("INSERT INTO note VALUES ('b')"))
    assert error.value.exit_code == 4
    server.start()
    assert count(database) == 0


def test_patience_is_bounded(mortal):
    server, database = mortal
    impatient = Database(database.secret, patience=0.5)
    assert count(impatient) == 0
    server.stop()
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailableError):
        count(impatient)
    assert time.monotonic() - started < 10


def test_two_transactions_in_each_others_way_both_succeed(database):
    with database.session() as session:
        session.execute(text("CREATE TABLE account (id integer PRIMARY KEY, amount integer)"))
        session.execute(text("INSERT INTO account VALUES (1, 0), (2, 0)"))
    met = threading.Barrier(2, timeout=20)

    def work(first, second):
        attempts = []

        def move(session):
            session.execute(text(f"UPDATE account SET amount = amount + 1 WHERE id = {first}"))
            if not attempts:
                attempts.append(1)
                met.wait()
            session.execute(text(f"UPDATE account SET amount = amount + 1 WHERE id = {second}"))

        database.transact(move)

    threads = [threading.Thread(target=work, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.session() as session:
        assert session.execute(text("SELECT amount FROM account")).all() == [(2,), (2,)]


def test_a_fault_of_the_transaction_itself_is_not_tried_again(notes):
    attempts = []

    def work(session):
        attempts.append(1)
        session.execute(text("SELECT 1 / 0"))

    with pytest.raises(DataError):
        notes.transact(work)
    assert len(attempts) == 1


# --- Shared locks ----------------------------------------------------------------------------------------------------------


def test_a_shared_lock_has_several_holders_and_keeps_out_who_wants_it_alone(database):
    with database.lock("a", shared=True), database.lock("a", shared=True, wait=False) as second:
        assert second
        with database.lock("a", wait=False) as alone:
            assert not alone
    with database.lock("a", wait=False) as alone:
        assert alone


def test_who_waited_for_a_lock_in_vain_is_told_who_has_it(database, monkeypatch):
    monkeypatch.setenv("BRAINSCORE_OPS_RUN", "20260101T000000-publish-abc123")
    holder = database.beside(database.secret.database)
    with (
        holder.lock("a"),
        pytest.raises(LockHeldError, match="20260101T000000-publish-abc123"),
        database.lock("a", wait=0.2),
    ):
        pass
    holder.close()


def test_a_lock_that_is_held_on_is_taken_again_after_a_restart(mortal):
    server, database = mortal
    database.hold("a", seconds=1)
    server.kill()
    server.start()
    assert count(database) == 0
    other = database.beside(database.secret.database)
    with other.lock("a", wait=False) as alone:
        assert not alone
    database.close()
    with other.lock("a", wait=5) as alone:
        assert alone
    other.close()
