"""Run a plugin's tests with pytest. Run inside the sandbox: run_tests.py PLUGIN_FOLDER REPORT_FOLDER.

Leaves REPORT_FOLDER/report.json and ends with pytest's exit code. Needs pytest and the standard library.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

SCHEMA_VERSION = 1
MAX_FAILURES = 50
MAX_MESSAGE = 2000

ARGUMENTS = (
    # The plugin's own folder and nothing above it: no settings and no conftest.py of others.
    "--rootdir={plugin}", "--confcutdir={plugin}", "--config-file={settings}",
    "-p", "no:cacheprovider", "--no-header",
    "--override-ini=python_files=test*.py", "--override-ini=consider_namespace_packages=true",
    # As in all Brain-Score libraries: what is marked slow is for its author's machine.
    "-m", "not slow", "--continue-on-collection-errors", "--tb=short", "-ra", "--color=no", "-v",
)  # fmt: skip


def main() -> int:
    plugin, folder = Path(sys.argv[1]), Path(sys.argv[2])
    settings = folder / "pytest.ini"
    settings.write_text("[pytest]\n")
    report = Report(plugin)
    arguments = [argument.format(plugin=plugin, settings=settings) for argument in ARGUMENTS]
    exit_code = int(pytest.main([*arguments, str(plugin)], plugins=[report]))
    temporary = folder / "report.json.part"
    temporary.write_text(json.dumps({**report.document(), "exit_code": exit_code}))
    os.replace(temporary, folder / "report.json")  # noqa: PTH105
    return exit_code


class Report:
    """A pytest plugin that counts, and keeps why tests failed."""

    def __init__(self, plugin: Path) -> None:
        self.plugin = plugin
        self.counts = dict.fromkeys(("passed", "failed", "errors", "skipped", "deselected"), 0)
        self.failures: list[dict[str, str]] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.counts["failed" if report.when == "call" else "errors"] += 1
            self.keep(report)
        elif report.skipped:  # also what was expected to fail and did
            self.counts["skipped"] += 1
        elif report.when == "call":
            self.counts["passed"] += 1

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:  # a test file that cannot be imported
            self.counts["errors"] += 1
            self.keep(report)
        elif report.skipped:
            self.counts["skipped"] += 1

    def pytest_deselected(self, items: list[Any]) -> None:
        self.counts["deselected"] += len(items)

    def keep(self, report: Any) -> None:
        if len(self.failures) < MAX_FAILURES:
            self.failures.append({"test": str(report.nodeid)[:500], "message": self.message(report)[:MAX_MESSAGE]})

    def message(self, report: Any) -> str:
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is None:  # collection errors are text
            return str(report.longrepr)[-MAX_MESSAGE:]
        path = str(crash.path)
        place = path.removeprefix(f"{self.plugin}/")
        return f"{crash.message} ({place}:{crash.lineno})"

    def document(self) -> dict[str, Any]:
        return {"schema_version": SCHEMA_VERSION, "counts": self.counts, "failures": self.failures}


if __name__ == "__main__":
    sys.exit(main())
