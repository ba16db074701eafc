"""The demo is stopped at arbitrary moments, and started again: in the end everything is there, once."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress

import psutil
import pytest
from sqlalchemy import func, select

from brainscore_ops.database.ops_tables import OutboxMessage, ScoreProvenance, SubmissionEvent
from brainscore_ops.notify.mailbox import read_mails

ARGUMENTS = ["demo", "--only", "structural-profile", "--only", "failing-test"]


def stop(process, number, after):
    deadline = time.monotonic() + after
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    if process.poll() is None:
        os.killpg(process.pid, number)
    return process.communicate(timeout=120)[0]


@pytest.mark.timeout(600)
def test_it_completes_after_interruptions_with_everything_once(fresh):
    for number, seconds in (
        (signal.SIGINT, 4),
        (signal.SIGKILL, 8),
        (signal.SIGTERM, 10),
        (signal.SIGKILL, 14),
        (signal.SIGINT, 18),
    ):
        process = fresh.start(*ARGUMENTS)
        said = stop(process, number, seconds)
        assert process.returncode in (0, 130, -signal.SIGKILL), said
        assert "Traceback" not in said
    finished = fresh.command(*ARGUMENTS, "--keep")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    with fresh.database().session() as session:
        assert session.scalar(select(func.count()).select_from(ScoreProvenance)) == 6
        events = session.scalars(select(SubmissionEvent.key)).all()
        letters = session.scalars(select(OutboxMessage.template)).all()
    # A plugin that was killed with its run is told as a delay, which is no step of the way.
    assert len([key for key in events if ":delayed:" not in key]) == 6 + 4
    assert sorted(letter for letter in letters if letter != "delayed") == [
        "received",
        "received",
        "scored",
        "tests-failed",
    ]
    assert len(read_mails(fresh.deployment.outputs / "mails")) == len(letters)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process_behind(fresh, number):
    """All submissions are waiting, and the signal reaches the main process alone: the others are told by it."""
    process = fresh.start("demo")
    time.sleep(10)
    os.kill(process.pid, number)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert left_of(fresh) == []


def test_a_killed_demo_leaves_nothing_but_its_services(fresh):
    process = fresh.start(*ARGUMENTS)
    time.sleep(10)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while (left := [line for line in left_of(fresh) if not re.search(SERVICES, line)]) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left == []


SERVICES = r"postgres|forge\.embedded|notify\.mailbox"


def left_of(installation):
    """The processes that were started for an installation, by its folders in their environment or on their command line."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = [*process.cmdline(), *process.environ().values()]
            if process.pid != os.getpid() and any(str(installation.deployment.state.parent) in word for word in words):
                found.append(" ".join(process.cmdline()))
    return found
