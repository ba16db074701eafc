"""What a maintainer reads when something is wrong with a deployment: one sentence, what to do, and the exit code."""

from __future__ import annotations

import json
import socket
import time

import pytest
from sqlalchemy import text

from brainscore_ops.database.connection import Database
from brainscore_ops.database.schema import upgrade
from brainscore_ops.settings import DatabaseSecret


def failure(house, *arguments):
    """The error of a command."""
    done = house.command(*arguments, "--json")
    assert done.stderr == ""
    error = json.loads(done.stdout)["error"]
    assert done.returncode == error["exit_code"]
    assert "\n" not in error["message"]
    return error


STATUS = ("status", "--deployment", "trial")


def test_all_is_well(house):
    done = house.command(*STATUS)
    assert (done.returncode, done.stdout) == (0, "nothing has been submitted yet\n")


def test_people_read_what_happened_and_what_to_do_and_no_traceback(house, server):
    house.keep("test/database", {**server, "password": "wrong-password"})
    done = house.command(*STATUS)
    assert done.returncode == 2
    where, user = f"{server['database']} on {server['host']}", server["username"]
    assert done.stderr.splitlines() == [
        f'database-access: the database {where} does not let us in: password authentication failed for user "{user}"',
        "Correct user name and password in the secret test/database.",
    ]


def test_a_deployment_that_is_not_there(house):
    error = failure(house, "status", "--deployment", "trail")
    assert (error["code"], error["exit_code"]) == ("unknown-deployment", 2)
    assert "trial" in error["message"]


def test_a_secret_that_is_nowhere(house):
    (house.workspace.state("trial") / "secrets.json").unlink()
    error = failure(house, *STATUS)
    assert (error["code"], error["exit_code"]) == ("secret", 2)
    assert "BRAINSCORE_OPS_SECRET_TEST_DATABASE" in error["message"]


def test_a_secrets_file_that_others_may_read(house):
    (house.workspace.state("trial") / "secrets.json").chmod(0o640)
    error = failure(house, *STATUS)
    assert (error["code"], error["exit_code"]) == ("secret", 2)
    assert "chmod 600" in error["remedy"]


@pytest.mark.parametrize(
    ("command", "change", "code", "exit_code"),
    [
        ("status", {"password": "wrong-password"}, "database-access", 2),
        ("runs", {"username": "nobody-here"}, "database-access", 2),
        ("scores", {"database": "nowhere"}, "database-missing", 2),
        ("status", {"port": 1}, "database-unavailable", 4),
        ("status", {"host": "db.brain-score.invalid"}, "database-unavailable", 4),
    ],
)
def test_a_database_that_cannot_be_had(house, server, command, change, code, exit_code):
    house.keep("test/database", {**server, **change})
    error = failure(house, command, "--deployment", "trial")
    assert (error["code"], error["exit_code"]) == (code, exit_code)
    assert exit_code == 4 or "test/database" in error["remedy"]
    assert "wrong-password" not in str(error)


def test_a_server_that_takes_the_call_and_says_nothing(house, server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        house.keep("test/database", {**server, "host": "127.0.0.1", "port": silent.getsockname()[1]})
        began = time.monotonic()
        done = house.command(*STATUS)
    assert done.returncode == 4
    assert time.monotonic() - began < 30


@pytest.fixture
def other(house, server):
    """A second database of the server, without tables, which the secret leads to."""
    first = Database(DatabaseSecret.model_validate(server))
    with first.connection() as connection:
        connection.execute(text("CREATE DATABASE other"))
    house.keep("test/database", {**server, "database": "other"})
    other = first.beside("other")
    yield other
    other.close()
    with first.connection() as connection:
        connection.execute(text("DROP DATABASE other WITH (FORCE)"))
    first.close()


@pytest.mark.parametrize(
    ("command", "revision"), [("status", None), ("status", "0007"), ("runs", "0001"), ("scores", "0001")]
)
def test_a_schema_that_is_older_than_the_code(house, other, command, revision):
    if revision is not None:
        upgrade(other, revision)
    error = failure(house, command, "--deployment", "trial")
    assert (error["code"], error["exit_code"]) == ("schema-outdated", 1)
    assert f"found {revision or 'none'}" in error["message"]


def test_a_database_that_nobody_marked_is_marked_by_the_command_that_the_error_names(house, other):
    upgrade(other)
    error = failure(house, *STATUS)
    assert (error["code"], error["exit_code"]) == ("wrong-database", 2)
    assert "brainscore-ops deployments trial --mark" in error["remedy"]
    assert house.command("deployments", "trial", "--mark").returncode == 0
    assert house.command(*STATUS).returncode == 0


def test_a_secret_that_leads_to_another_tiers_database(house, server):
    house.describe(
        "mine",
        tier="local",
        database={"secret": "local/database"},
        forge={"secret": "local/forge"},
        mail={"secret": "local/mail", "sender": "a@example.org"},
    )
    house.keep("local/database", server, deployment="mine")
    for command in ("status", "runs", "up"):
        error = failure(house, command, "--deployment", "mine")
        assert (error["code"], error["exit_code"]) == ("wrong-database", 2)


def test_a_demo_works_on_no_shared_deployment(house):
    house.describe(
        "shared",
        tier="dev",
        database={"secret": "dev/database"},
        forge={"secret": "dev/forge"},
        mail={"secret": "dev/mail", "sender": "a@example.org"},
    )
    done = house.command("demo", "--deployment", "shared")
    assert done.returncode == 2
    assert "expected a deployment of the tier local or test for a demo, found shared, of dev" in done.stderr
