"""Plugins' own tests: what counts as passed, and what does not, whatever the plugin says."""

from __future__ import annotations

import pytest

from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.sandbox import Limits
from brainscore_ops.plugins.testing import run_plugin_tests

PLUGIN = PluginKey("models", "tested")


@pytest.fixture
def tested(stub_library, bare_environment, sandbox):
    def run(test: str, limits: Limits | None = None, **files: str):
        stub_library.write("models/tested/__init__.py", "value = 1")
        if test:
            stub_library.write("models/tested/test.py", test)
        for name, text in files.items():
            stub_library.write(f"models/tested/{name}.py", text)
        return run_plugin_tests(
            bare_environment, stub_library.checkout, "brainscore_stub", PLUGIN,
            sandbox=sandbox, limits=limits or Limits(wall_seconds=30),
        )  # fmt: skip

    return run


def test_tests_that_pass(tested):
    report = tested(
        """
        from brainscore_stub import load_benchmark
        from . import value

        def test_plugin():
            assert value == 1

        def test_library():
            assert load_benchmark("half").version == 2
        """
    )
    assert (report.passed, report.reason, report.tests_passed) == (True, "passed", 2)
    assert report.message == "2 tests passed."
    assert report.sandboxed
    assert report.peak_memory_bytes > 0


def test_tests_in_further_files_count(tested):
    report = tested("def test_one(): pass", test_more="def test_two(): assert 1 == 2")
    assert (report.passed, report.tests_passed, report.tests_failed) == (False, 1, 1)


def test_a_failure_says_which_test_and_why(tested):
    report = tested("def test_value():\n    value = 0.3\n    assert value == 0.25")
    assert (report.passed, report.reason) == (False, "tests-failed")
    ((name, message),) = report.failures
    assert name == "test.py::test_value"
    assert message.startswith("assert 0.3 == 0.25")
    assert message.endswith("(test.py:3)")


def test_a_file_that_cannot_be_imported(tested):
    report = tested("import a_package_that_is_not_there")
    assert (report.reason, report.errors) == ("tests-failed", 1)
    assert "No module named 'a_package_that_is_not_there'" in report.failures[0][1]


def test_a_file_that_cannot_be_imported_keeps_no_others_from_being_run(tested):
    report = tested("import a_package_that_is_not_there", test_more="def test(): pass")
    assert (report.reason, report.errors, report.tests_passed) == ("tests-failed", 1, 1)


def test_a_fixture_that_fails(tested):
    report = tested("import pytest\n@pytest.fixture\ndef bad(): 1/0\ndef test(bad): pass")
    assert (report.reason, report.errors, report.tests_passed) == ("tests-failed", 1, 0)


def test_no_tests_are_no_pass(tested):
    report = tested("")
    assert (report.passed, report.reason) == (False, "no-tests")
    assert "There are no tests" in report.message


def test_skipped_tests_are_no_pass(tested):
    report = tested("import pytest\n@pytest.mark.skip\ndef test_one(): pass\ndef test_two(): pytest.skip()")
    assert (report.passed, report.reason, report.skipped) == (False, "all-skipped", 2)


def test_slow_tests_are_no_pass(tested):
    report = tested("import pytest\n@pytest.mark.slow\ndef test_one(): pass")
    assert (report.passed, report.reason) == (False, "no-tests")
    assert "marked as slow" in report.message


def test_settings_of_others_do_not_count(tested, stub_library):
    (stub_library.checkout / "conftest.py").write_text("raise SystemExit('not mine')")
    (stub_library.checkout / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    stub_library.write("conftest.py", "raise SystemExit('not mine either')")
    assert tested("def test(): pass").passed


FORGED = """
import json, os
counts = dict(passed=9, failed=0, errors=0, skipped=0, deselected=0)
report = dict(schema_version=1, exit_code=0, counts=counts, failures=[])
open("/result/report.json", "w").write(json.dumps(report))
os._exit(1)
"""


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("import os\nos._exit(0)", "invalid-report"),
        ("import os\ndef test(): os._exit(0)", "invalid-report"),
        ("import sys\nsys.exit(0)", "tests-crashed"),
        ("import os\ndef test(): os._exit(3)", "tests-crashed"),
        ("import os, signal\ndef test(): os.kill(os.getpid(), signal.SIGSEGV)", "tests-crashed"),
        ("import os\nopen('/result/report.json', 'w').write('{}')\nos._exit(0)", "invalid-report"),
        ("import os\nos.symlink('/etc/passwd', '/result/report.json')\nos._exit(0)", "invalid-report"),
        (FORGED, "invalid-report"),
    ],
)
def test_tests_that_end_themselves_have_not_passed(tested, test, reason):
    report = tested(test)
    assert (report.passed, report.reason) == (False, reason)


def test_a_limit_that_stops_them(tested):
    report = tested("def test():\n    while True: pass", Limits(wall_seconds=2))
    assert (report.passed, report.reason) == (False, "timeout")
    assert report.message == "The tests were stopped: it ran longer than 2 s."
