"""Old environments are removed by age and size, and never one that is used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from brainscore_ops.cli.environments import environments as command
from brainscore_ops.plugins import collection, holding
from brainscore_ops.plugins.collection import collect, look
from brainscore_ops.plugins.environment import EnvironmentStore, Requirements
from brainscore_ops.plugins.holding import EnvironmentCollectedError, held, is_leased, leased

DAY = 86400


TEXTS = ("", "six==1.16.0\n", "six==1.17.0\n")


@pytest.fixture(scope="session")
def full_store(tmp_path_factory, environment_store) -> EnvironmentStore:
    for text in TEXTS:
        environment_store.ensure(Requirements(text, ()))
    return environment_store


@pytest.fixture
def store(full_store, sandbox, tmp_path, monkeypatch) -> EnvironmentStore:
    """A store of a test's own, with what was resolved in the one that the tests share."""
    monkeypatch.setenv("UV_CACHE_DIR", str(full_store.root / "uv-cache"))
    shutil.copytree(full_store.root / "resolved", tmp_path / "store" / "resolved")
    return EnvironmentStore(tmp_path / "store", sandbox=sandbox)


@pytest.fixture
def three(full_store, store):
    """Environments that were used 1, 10 and 100 days ago: copies of those in the shared store, their files linked."""
    made = []
    for text, days in zip(TEXTS, (1, 10, 100), strict=True):
        original = full_store.ensure(Requirements(text, ()))
        folder = store.root / "environments" / original.lock_digest
        shutil.copytree(original.path.parent, folder, symlinks=True, copy_function=os.link)
        (folder / "used").unlink()
        (folder / "used").touch()
        made.append(store.ensure(Requirements(text, ())))
        last_used(made[-1], days)
    return made


def last_used(environment, days: float) -> None:
    at = time.time() - days * DAY
    os.utime(environment.path.parent / "used", (at, at))


def test_what_there_is(store, three):
    found = look(store.root)
    assert [one.digest for one in found.left] == [one.lock_digest for one in three]
    assert [one.packages for one in found.left] == [5, 6, 6]
    # Their files are the same ones: together they take less than one by one.
    assert found.bytes_after < sum(one.size_bytes for one in found.left)


def test_by_age(store, three):
    found = collect(store, most_bytes=None, most_days=60)
    assert [one.digest for one in found.removed] == [three[2].lock_digest]
    assert [one.path.exists() for one in three] == [True, True, False]
    assert found.bytes_after < found.bytes_before


def test_by_size_those_that_were_used_longest_ago_go_first(store, three):
    enough_for_two = look(store.root).bytes_after - 1
    found = collect(store, most_bytes=enough_for_two, most_days=None)
    assert [one.digest for one in found.removed] == [three[2].lock_digest]
    assert len(collect(store, most_bytes=1, most_days=None).removed) == 2


def test_what_was_removed_is_made_again_from_its_lock(store, three):
    collect(store, most_bytes=1, most_days=None)
    text = store.lock_text(three[1].lock_digest)
    assert text == three[1].lock
    assert store.environment_from_lock(text).lock_digest == three[1].lock_digest


def test_never_one_that_was_asked_for_just_now(store, three):
    store.ensure(Requirements("six==1.17.0\n", ()))
    assert three[2].lock_digest not in {one.digest for one in collect(store, most_bytes=1, most_days=0.5).removed}


def test_never_one_that_another_process_uses(store, three):
    program = f"""
import sys
from pathlib import Path
from brainscore_ops.plugins.holding import leased
with leased(Path({str(three[2].path)!r})):
    print("using", flush=True)
    sys.stdin.read()
"""
    user = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert user.stdout.readline() == b"using\n"
        found = collect(store, most_bytes=1, most_days=60)
        assert three[2].lock_digest not in {one.digest for one in found.removed}
        assert [one.in_use for one in found.left] == [True]
    finally:
        user.communicate()
    assert [one.digest for one in collect(store, most_bytes=1, most_days=60).removed] == [three[2].lock_digest]


def test_a_lease_of_a_process_that_died_runs_out(store, three):
    leases = three[2].path.parent / "leases"
    leases.mkdir()
    (leases / "elsewhere-4711-dead").touch()
    assert is_leased(leases.parent)
    long_ago = time.time() - holding.LEASE_SECONDS - 1
    os.utime(leases / "elsewhere-4711-dead", (long_ago, long_ago))
    assert not is_leased(leases.parent)


def test_a_lease_is_renewed_while_it_lasts(three, monkeypatch):
    monkeypatch.setattr(holding, "_RENEW_SECONDS", 0.05)
    with leased(three[0].path):
        [lease] = (three[0].path.parent / "leases").iterdir()
        os.utime(lease, (0, 0))
        end = time.monotonic() + 5
        while lease.stat().st_mtime == 0 and time.monotonic() < end:
            time.sleep(0.02)
        assert lease.stat().st_mtime > 0
    assert list((three[0].path.parent / "leases").iterdir()) == []


def test_a_lease_that_is_taken_while_it_is_removed_wins(store, three, monkeypatch):
    """The moment between the two looks of whoever collects."""
    [*_, oldest] = look(store.root).left
    answers = iter([False, True])
    monkeypatch.setattr(collection, "_stored_environments", lambda root, files: [oldest])
    monkeypatch.setattr(collection, "is_leased", lambda folder: next(answers))
    monkeypatch.setattr(collection, "_remove_ruins", lambda root, now: None)
    assert collect(store, most_bytes=None, most_days=60).removed == ()
    assert three[2].path.exists()
    assert (three[2].path.parent / "current").exists()


def test_whoever_comes_too_late_is_told(store, three):
    collect(store, most_bytes=None, most_days=60)
    with pytest.raises(EnvironmentCollectedError, match="not there any more") as caught, leased(three[2].path):
        pass
    assert caught.value.exit_code == 4


def test_what_was_left_by_attempts_that_were_killed_goes_too(store, three):
    folder = three[0].path.parent
    for name, age in (("made-killed", 2 * DAY), ("made-running", 60)):
        (folder / name).mkdir()
        os.utime(folder / name, (time.time() - age,) * 2)
    collect(store, most_bytes=None, most_days=60)
    assert {path.name for path in folder.glob("made-*")} == {"made-running", three[0].path.name}


def test_once_a_day_by_itself(store, three):
    store._most_days = 60
    store.ensure(Requirements("six==1.15.0\n", ()))
    assert not three[2].path.exists()
    last_used(three[1], 100)
    store.ensure(Requirements("six==1.14.0\n", ()))
    assert three[1].path.exists()


def test_two_at_once_make_one_also_where_there_are_no_locks(store, sandbox, monkeypatch):
    """Locks are switched off: what a shared file system without them does to two machines."""
    monkeypatch.setattr(holding.fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(38, "no locks here")))
    program = (
        "import errno, sys; from pathlib import Path; from brainscore_ops.plugins import holding\n"
        "from brainscore_ops.plugins.environment import EnvironmentStore, Requirements\n"
        "from brainscore_ops.plugins.sandbox import Sandbox\n"
        "def none(*_): raise OSError(38, 'no locks here')\n"
        "holding.fcntl.flock = none\n"
        "made = EnvironmentStore(Path(sys.argv[1]), sandbox=Sandbox()).ensure(Requirements('six\\n', ()))\n"
        "print(made.path)"
    )
    others = [
        subprocess.Popen([sys.executable, "-c", program, str(store.root)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = {other.communicate(timeout=100)[0].strip() for other in others}
    assert len(said) == 1
    assert Path(said.pop()) == store.ensure(Requirements("six\n", ())).path
    assert len(list((store.root / "environments").glob("*/made-*"))) == 1


def test_a_lock_that_is_held_is_not_waited_for_by_whoever_collects(store, three):
    with (
        held(store.root / "locks", f"environments-{three[2].lock_digest}"),
        held(store.root / "locks", f"environments-{three[2].lock_digest}", wait=False) as had,
    ):
        assert not had
        assert collect(store, most_bytes=None, most_days=60).removed == ()


def test_two_that_wait_for_each_other_do_not_wait_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(holding, "_PATIENCE_SECONDS", 0.2)
    with held(tmp_path, "name"), held(tmp_path, "name") as let_in:
        assert let_in


def test_the_command(store, three, tmp_path, monkeypatch):
    params = tmp_path / "params"
    params.mkdir()
    local = (Path(__file__).parents[2] / "params" / "local.yaml").read_text()
    (params / "local.yaml").write_text(f"{local}\nenvironments:\n  most_days: 60\n")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("brainscore_ops.scoring.pair.environments_of", lambda deployment: store)

    def said(*arguments: str):
        return CliRunner().invoke(command, arguments, catch_exceptions=False).output

    assert "3 environments" in said()
    assert len(json.loads(said("--json"))["environments"]) == 3
    assert "1 removed" in said("--collect")
    assert [one["digest"] for one in json.loads(said("--json"))["environments"]] == [
        one.lock_digest for one in three[:2]
    ]
