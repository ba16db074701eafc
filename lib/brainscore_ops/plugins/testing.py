"""Running a plugin's own tests, in the sandbox."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from brainscore_ops.plugins.files import HostileFileError, read_json
from brainscore_ops.plugins.holding import leased
from brainscore_ops.plugins.library_run import run_script
from brainscore_ops.plugins.output import plain, without_places

if TYPE_CHECKING:
    from collections.abc import Callable

    from brainscore_ops.plugins.environment import Environment
    from brainscore_ops.plugins.layout import PluginKey
    from brainscore_ops.plugins.sandbox import Limits, Outcome, Sandbox

_PYTEST_OK = 0
_PYTEST_FAILED = 1
_PYTEST_NO_TESTS = 5


@dataclass(frozen=True)
class PluginTestReport:
    """How a plugin's tests went."""

    plugin: PluginKey
    passed: bool
    """At least one test passed, and none did anything else but be skipped."""
    reason: str
    """``passed``, ``tests-failed``, ``no-tests``, ``all-skipped``, ``invalid-report``, ``tests-crashed``, or the limit
    that stopped them: ``timeout``, ``out-of-memory``, … ; ``killed`` is the machine's fault."""
    message: str
    """The reason in words."""
    tests_passed: int = 0
    tests_failed: int = 0
    errors: int = 0
    """Tests that could not be run: an import or a fixture failed."""
    skipped: int = 0
    failures: tuple[tuple[str, str], ...] = ()
    """A test's name and what it found, for the first that failed."""
    log: str = ""
    """The end of what was printed."""
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    sandboxed: bool = True


def run_plugin_tests(
    environment: Environment,
    checkout: Path,
    library: str,
    plugin: PluginKey,
    *,
    sandbox: Sandbox,
    limits: Limits,
    on_line: Callable[[str], None] | None = None,
) -> PluginTestReport:
    """Run the test files (``test*.py``) of a plugin.

    Tests that fail are no exception: the report says so. The report that the sandbox hands back is hostile: it is
    believed only where it and pytest's exit code agree.

    :param environment: with what the library and the plugin need
    :param checkout: the repository with the library and the plugin
    :raises SandboxBrokenError: nothing was run
    """
    checkout = checkout.absolute()
    with (
        tempfile.TemporaryDirectory(prefix="brainscore-ops-", ignore_cleanup_errors=True) as scratch,
        leased(environment.path),
    ):
        outcome = run_script(
            "run_tests.py",
            [checkout / plugin.path(library)],
            environment=environment,
            checkout=checkout,
            library=library,
            result=Path(scratch),
            sandbox=sandbox,
            limits=limits,
            on_line=on_line,
        )
        report = _report(plugin, outcome, Path(scratch) / "report.json")
    told = partial(without_places, checkout=checkout, environment=environment.path)
    failures = tuple((told(test), told(message)) for test, message in report.failures)
    return replace(report, log=told(report.log), message=told(report.message), failures=failures)


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Counts(_Document):
    passed: int = Field(ge=0)
    failed: int = Field(ge=0)
    errors: int = Field(ge=0)
    skipped: int = Field(ge=0)
    deselected: int = Field(ge=0)


class _Failure(_Document):
    test: Annotated[str, StringConstraints(max_length=500)]
    message: Annotated[str, StringConstraints(max_length=2000)]


class _Report(_Document):
    schema_version: Literal[1]
    exit_code: int
    counts: _Counts
    failures: list[_Failure] = Field(max_length=50)


def _report(plugin: PluginKey, outcome: Outcome, path: Path) -> PluginTestReport:
    if outcome.reason not in ("ok", "failed"):
        return _finished(plugin, outcome, outcome.reason, f"The tests were stopped: {outcome.detail}.")
    try:
        report = _Report.model_validate(read_json(path))
    except (HostileFileError, ValidationError):
        if outcome.reason == "failed":
            return _finished(plugin, outcome, "tests-crashed", f"The tests ended without a report: {outcome.detail}.")
        return _finished(
            plugin, outcome, "invalid-report", "The tests ended as if they had passed, but left no report."
        )
    reason, message = _verdict(report, outcome.returncode)
    return _finished(plugin, outcome, reason, message, report)


def _verdict(report: _Report, returncode: int) -> tuple[str, str]:
    """What a report means, if it and pytest's exit code say the same."""
    counts = report.counts
    if report.exit_code != returncode or (returncode != _PYTEST_FAILED and counts.failed + counts.errors):
        return "invalid-report", "The report of the tests and their exit code do not agree."
    if returncode == _PYTEST_OK and counts.passed:
        return "passed", f"{_counted(counts.passed, 'test')} passed."
    if returncode in (_PYTEST_OK, _PYTEST_NO_TESTS) and counts.skipped:
        return "all-skipped", f"No test was run, {counts.skipped} skipped: at least one has to pass."
    if returncode in (_PYTEST_OK, _PYTEST_NO_TESTS) and counts.deselected:
        return (
            "no-tests",
            f"No test was run, {counts.deselected} are marked as slow: at least one that is not has to pass.",
        )
    if returncode == _PYTEST_NO_TESTS:
        return "no-tests", "There are no tests: functions 'test_…' are expected in files 'test*.py' of the plugin."
    if returncode == _PYTEST_FAILED and counts.failed + counts.errors:
        return "tests-failed", f"{_counted(counts.failed, 'test')} failed, {counts.errors} could not be run."
    return "tests-crashed", f"pytest could not run the tests: it ended with exit code {returncode}."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _finished(
    plugin: PluginKey, outcome: Outcome, reason: str, message: str, report: _Report | None = None
) -> PluginTestReport:
    counts = report.counts if report else _Counts(passed=0, failed=0, errors=0, skipped=0, deselected=0)
    return PluginTestReport(
        plugin,
        passed=reason == "passed",
        reason=reason,
        message=message,
        tests_passed=counts.passed,
        tests_failed=counts.failed,
        errors=counts.errors,
        skipped=counts.skipped,
        failures=tuple((plain(one.test), plain(one.message)) for one in report.failures) if report else (),
        log=outcome.log,
        wall_seconds=outcome.wall_seconds,
        cpu_seconds=outcome.cpu_seconds,
        peak_memory_bytes=outcome.peak_memory_bytes,
        sandboxed=outcome.sandboxed,
    )
