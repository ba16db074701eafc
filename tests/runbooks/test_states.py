"""Every way in which a run can end is told apart, each really provoked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from brainscore_ops.runbooks import kernels, warm_kernels
from brainscore_ops.runbooks.history import list_runs
from brainscore_ops.runbooks.records import read_record
from brainscore_ops.runbooks.states import RunState


def test_all_cells_done_is_succeeded(bench):
    bench.write("toy", "assert number == 5", "print('done')")
    result = bench.run(number="5")
    assert (result.state, result.exit_code, result.failing_step, result.error) == (RunState.SUCCEEDED, 0, None, None)


def test_a_cell_that_raises_is_failed_and_the_later_ones_have_not_run(bench):
    bench.write("toy", "a = 1", "def divide():\n    return a / 0\ndivide()", "never")
    result = bench.run()
    assert (result.state, result.exit_code, result.failing_step) == (RunState.FAILED, 1, "two")
    assert (result.error["type"], result.error["message"]) == ("ZeroDivisionError", "division by zero")
    assert "in divide" in result.error["log"]
    record = read_record(result.record)
    assert [str(step.state) for step in record.steps] == ["succeeded", "failed", "pending"]
    # Where papermill alone says that everything was completed:
    status = [cell["metadata"]["papermill"]["status"] for cell in record.notebook["cells"]]
    assert status == ["completed", "completed", "completed", "completed", "failed", "pending"]
    assert record.notebook["metadata"]["papermill"]["exception"] is True


def test_a_cell_that_python_cannot_compile_is_failed(bench):
    bench.write("toy", "a = (")
    result = bench.run()
    assert (result.state, result.error["type"]) == (RunState.FAILED, "SyntaxError")


def test_a_rule_that_says_no_is_refused_with_all_its_problems(bench):
    bench.write(
        "toy",
        "from brainscore_ops.errors import Problem, RefusedError\n"
        "class GateClosedError(RefusedError):\n"
        "    code = 'gate-closed'\n"
        "raise GateClosedError('not green', remedy='fix the tests', problems=[Problem('red', 'one is red', 'status')])",
    )
    result = bench.run()
    assert (result.state, result.exit_code) == (RunState.REFUSED, 3)
    assert result.error == {
        "type": "GateClosedError",
        "code": "gate-closed",
        "fault": "submission",
        "exit_code": 3,
        "message": "not green",
        "remedy": "fix the tests",
        "problems": [{"code": "red", "message": "one is red", "where": "status", "remedy": ""}],
        "log": "",
    }


def test_a_service_that_does_not_answer_is_unavailable(bench):
    bench.write("toy", "from brainscore_ops.errors import UnavailableError\nraise UnavailableError('no answer')")
    result = bench.run()
    assert (result.state, result.exit_code) == (RunState.UNAVAILABLE, 4)


def test_a_cell_over_its_deadline_is_cell_timeout_and_shows_where_it_was(bench):
    bench.configure(cell_seconds=1)
    bench.write("toy", "import time\ndef wait():\n    time.sleep(60)\nwait()", "never")
    result = bench.run()
    assert (result.state, result.exit_code, result.failing_step) == (RunState.CELL_TIMEOUT, 1, "one")
    assert result.error["code"] == "cell-timeout"
    assert "in wait" in result.error["log"]
    assert [step["state"] for step in read_record(result.record).run["steps"]] == ["failed", "pending"]


def test_a_cell_that_does_not_let_itself_be_interrupted_is_ended_all_the_same(bench, monkeypatch):
    monkeypatch.setattr("brainscore_ops.runbooks.session.GRACE_SECONDS", 0.5)
    bench.configure(cell_seconds=1)
    bench.write("toy", "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\ntime.sleep(60)")
    result = bench.run()
    assert result.state is RunState.CELL_TIMEOUT
    assert result.seconds < 10


def test_a_run_over_its_deadline_is_run_timeout(bench):
    bench.configure(run_seconds=2.5)
    bench.write("toy", "import time; time.sleep(1)", "time.sleep(1)", "time.sleep(1)", "time.sleep(1)")
    result = bench.run()
    assert (result.state, result.error["code"]) == (RunState.RUN_TIMEOUT, "run-timeout")


def test_a_kernel_that_is_killed_is_kernel_died(bench):
    bench.write("toy", "print('before', flush=True)", "import os\nos.kill(os.getpid(), 9)", "never")
    result = bench.run()
    assert (result.state, result.exit_code, result.failing_step) == (RunState.KERNEL_DIED, 1, "two")
    assert "SIGKILL" in result.error["message"]


def test_a_kernel_that_cannot_start_is_kernel_died_with_what_it_said(bench, monkeypatch):
    broken = bench.root / "broken"
    broken.mkdir()
    (broken / "ipykernel_launcher.py").write_text("raise SystemExit('no kernel today')")
    monkeypatch.setenv("PYTHONPATH", f"{broken}:{os.environ['PYTHONPATH']}")
    monkeypatch.setattr(warm_kernels, "_asked", 0)  # the first kernel of a process is never a warm one
    bench.write("toy", "1")
    result = bench.run()
    assert (result.state, result.error["log"]) == (RunState.KERNEL_DIED, "no kernel today")


def test_a_kernel_that_the_system_kills_for_memory_is_out_of_memory(bench, monkeypatch):
    # A mock: the system's OOM killer cannot be provoked without harm to everything else on the machine.
    kills = iter([3])
    monkeypatch.setattr(kernels, "_system_oom_kills", lambda: next(kills, 4))
    bench.write("toy", "import os\nos.kill(os.getpid(), 9)")
    assert bench.run().state is RunState.OUT_OF_MEMORY


def test_a_memory_error_is_out_of_memory(bench):
    bench.write("toy", "import numpy\nnumpy.zeros(2**57)")
    result = bench.run()
    assert (result.state, result.exit_code) == (RunState.OUT_OF_MEMORY, 1)
    assert result.error["type"] == "MemoryError"


def test_processes_that_grow_over_the_bound_are_out_of_memory_and_gone(bench):
    bench.configure(memory_bytes=300 * 2**20)
    bench.write(
        "toy",
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'x = bytearray(400 * 2**20); input()'], stdin=subprocess.PIPE)\n"
        f"open({str(bench.root / 'child')!r}, 'w').write(str(child.pid))\n"
        "child.wait()",
    )
    result = bench.run()
    assert result.state is RunState.OUT_OF_MEMORY
    assert "300 MiB" in result.error["message"]
    child = int((bench.root / "child").read_text())
    wait_for(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_driver_that_is_told_to_stop_closes_the_run_as_interrupted(bench, marker, number):
    path, touch = marker
    bench.write("toy", f"{touch}\nimport time; time.sleep(60)", "never")
    driver = start_driver()
    wait_for(path.exists)
    driver.send_signal(number)
    output, _ = driver.communicate(timeout=30)
    assert driver.returncode == 130
    assert "interrupted at one" in output
    (entry,) = runs_of(bench)
    assert (entry.state, entry.failing_step) == (RunState.INTERRUPTED, "one")
    assert read_record(bench.deployment.outputs / entry.record_path, expected_digest=entry.record_digest)


def test_a_driver_that_is_killed_leaves_a_run_that_is_found_lost(bench, marker):
    path, touch = marker
    bench.write("toy", f"{touch}\nimport time; time.sleep(60)")
    driver = start_driver()
    wait_for(path.exists)
    (running,) = runs_of(bench)
    assert running.state is RunState.RUNNING
    kernel = next(
        child for child in psutil.Process(driver.pid).children() if "ipykernel_launcher" in " ".join(child.cmdline())
    )
    driver.kill()
    driver.communicate(timeout=30)
    wait_for(lambda: runs_of(bench)[0].state is RunState.LOST)
    (lost,) = runs_of(bench)
    assert lost.ended_at is not None
    assert lost.error["code"] == "lost"
    wait_for(lambda: not kernel.is_running())


def start_driver():
    return subprocess.Popen(
        [sys.executable, "-c", "from brainscore_ops.cli import main; main()", "run", "toy"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


def runs_of(bench):
    database = bench.database()
    try:
        return list_runs(database)
    finally:
        database.close()


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
