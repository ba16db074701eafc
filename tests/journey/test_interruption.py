"""The demo is stopped at arbitrary moments, and started again: in the end everything is there, once."""

from __future__ import annotations

import os
import signal
import subprocess
import time

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
    for seconds in (4, 9, 15, 22):
        process = fresh.start(*ARGUMENTS)
        said = stop(process, signal.SIGINT, seconds)
        assert process.returncode in (0, 130), said
        assert "Traceback" not in said
    finished = fresh.command(*ARGUMENTS, "--keep")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    with fresh.database().session() as session:
        assert session.scalar(select(func.count()).select_from(ScoreProvenance)) == 6
        assert session.scalar(select(func.count()).select_from(SubmissionEvent)) == 6 + 4
        queued = session.scalar(select(func.count()).select_from(OutboxMessage))
    assert queued == 2 + 2
    assert len(read_mails(fresh.deployment.outputs / "mails")) == queued


def test_an_interrupted_demo_leaves_no_process_behind(fresh):
    process = fresh.start(*ARGUMENTS)
    stop(process, signal.SIGINT, 10)
    time.sleep(1)
    left = subprocess.run(["pgrep", "-f", str(fresh.deployment.state)], capture_output=True, text=True).stdout
    assert left == ""
