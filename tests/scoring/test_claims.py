"""Who computes a pair, when several want to, and when one of them dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from brainscore_ops.errors import UsageError
from brainscore_ops.scoring.claims import Drivers

HOLD = """
import sys
from pathlib import Path
from brainscore_ops.scoring.claims import Drivers
drivers = Drivers(Path(sys.argv[1]))
with drivers.being("other"):
    print(drivers.claim(Path(sys.argv[2]), "other"), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path):
    """Another process that is a driver and has claimed a pair."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "drivers"), str(tmp_path / "pair")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip() == "True"
        yield process
        process.kill()


def test_a_pair_that_a_living_driver_has_is_not_had_by_another(tmp_path, other):
    drivers = Drivers(tmp_path / "drivers")
    assert drivers.are_alive("other")
    with drivers.being("mine"):
        assert not drivers.claim(tmp_path / "pair", "mine")
        assert drivers.claim(tmp_path / "another-pair", "mine")


def test_a_pair_of_a_driver_that_was_killed_is_taken_over(tmp_path, other):
    os.kill(other.pid, 9)
    other.wait()
    drivers = Drivers(tmp_path / "drivers")
    assert not drivers.are_alive("other")
    with drivers.being("mine"):
        assert drivers.claim(tmp_path / "pair", "mine")


def test_a_pair_that_was_let_go_of_is_free(tmp_path):
    drivers = Drivers(tmp_path / "drivers")
    with drivers.being("first"), drivers.being("second"):
        assert drivers.claim(tmp_path / "pair", "first")
        assert not drivers.claim(tmp_path / "pair", "second")
        drivers.release(tmp_path / "pair", "second")  # not its own
        assert not drivers.claim(tmp_path / "pair", "second")
        drivers.release(tmp_path / "pair", "first")
        assert drivers.claim(tmp_path / "pair", "second")


def test_a_driver_is_no_path(tmp_path):
    with pytest.raises(UsageError), Drivers(tmp_path).being("../elsewhere"):
        pass
