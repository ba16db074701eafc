import threading

import pytest
from sqlalchemy import text

from brainscore_ops.database.connection import Database, DatabaseUnavailableError
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


def test_a_wrong_password_is_told_as_such(postgres):
    secret = DatabaseSecret.model_validate({**postgres.start(), "password": "wrong"})
    with (
        pytest.raises(DatabaseUnavailableError, match="password authentication failed"),
        Database(secret).session() as session,
    ):
        session.execute(text("SELECT 1"))
