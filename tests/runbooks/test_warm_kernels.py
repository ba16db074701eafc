"""A process that drives several runs forks their kernels from one that is warm; every run is as much alone as before."""

from __future__ import annotations

import time

import psutil
import pytest

from brainscore_ops.runbooks import warm_kernels
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.runbooks.warm_kernels import ForkedProcess

GLUE = "from brainscore_ops.runbooks.scraps import glue\n"


@pytest.fixture
def warm_bench(bench):
    """A bench whose next kernel is a forked one."""
    bench.write("toy", "1")
    deadline = time.monotonic() + 60
    while warm_kernels._parent is None or not warm_kernels._parent.is_warm():
        assert time.monotonic() < deadline
        bench.run()
    return bench


@pytest.fixture
def forked(monkeypatch):
    """The forked processes of a test."""
    made = []
    monkeypatch.setattr(ForkedProcess, "__init__", spy(ForkedProcess.__init__, made))
    return made


def spy(function, calls):
    def spying(self, *arguments):
        calls.append(self)
        function(self, *arguments)

    return spying


def test_every_run_has_a_process_of_its_own(warm_bench, forked):
    source = (
        GLUE + "import numpy, os, random\nglue('seen', 'before' in globals())\nbefore = 1\nglue('pid', os.getpid())\n"
    )
    warm_bench.write("toy", source + "glue('drawn', [random.random(), numpy.random.random()])")
    first, second = warm_bench.run().scraps, warm_bench.run().scraps
    assert [process.pid for process in forked] == [first["pid"], second["pid"]]
    assert (first["seen"], second["seen"]) == (False, False)
    assert set(first["drawn"]).isdisjoint(second["drawn"])


def test_the_library_is_loaded_as_it_is_on_disk(warm_bench, forked, toy_modules):
    warm_bench.write(
        "toy", GLUE + "import changing, sys\nglue('value', changing.VALUE)\nglue('file', changing.__file__)"
    )
    for value in (1, 22):  # of another length: byte code is told by size and second
        (toy_modules / "changing.py").write_text(f"VALUE = {value}")
        assert warm_bench.run().scraps["value"] == value
    assert len(forked) == 2
    # What is ours is not even there before a kernel asks for it.
    loaded = "import sys\nloaded = sorted(name for name in sys.modules if name.startswith('brainscore_ops'))\n"
    warm_bench.write("toy", loaded + GLUE + "glue('loaded', loaded)")
    assert warm_bench.run().scraps["loaded"] == [
        "brainscore_ops",
        "brainscore_ops.errors",
        "brainscore_ops.runbooks",
        "brainscore_ops.runbooks.error_cards",
    ]


def test_what_a_cell_registers_for_the_end_is_done(warm_bench, forked, tmp_path):
    warm_bench.write("toy", f"import atexit\natexit.register(open, {str(tmp_path / 'ended')!r}, 'w')")
    assert warm_bench.run().state is RunState.SUCCEEDED
    assert (tmp_path / "ended").exists()
    assert len(forked) == 1


def test_how_a_forked_kernel_ends_is_told_as_exactly(warm_bench, forked):
    warm_bench.write("toy", "import os\nos.kill(os.getpid(), 11)")
    result = warm_bench.run()
    assert (result.state, len(forked)) == (RunState.KERNEL_DIED, 1)
    assert "SIGSEGV" in result.error["message"]


def test_a_kernel_without_parent_ends_and_the_next_run_has_another(warm_bench, forked):
    warm_bench.write("toy", "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)")
    assert warm_bench.run().state is RunState.KERNEL_DIED
    assert not psutil.pid_exists(forked[0].pid)
    warm_bench.write("toy", "1")
    assert warm_bench.run().state is RunState.SUCCEEDED
