"""A migration's SQL, read by squawk: what would hurt a database that is in use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainscore_ops.database.migrating.errors import LintError
from brainscore_ops.database.migrating.statements import in_one_line
from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brainscore_ops.database.migrating.plan import MigrationPlan

CONTRACTING = {
    "ban-drop-column": "drops a column",
    "ban-drop-table": "drops a table",
    "ban-drop-constraint": "drops a rule that code may rely on",
    "ban-drop-database": "drops a database",
    "ban-truncate-cascade": "empties tables",
    "renaming-column": "renames a column",
    "renaming-table": "renames a table",
    "changing-column-type": "changes a column's type",
    "adding-not-nullable-field": "demands a value of a column",
    "adding-required-field": "adds a column that older code does not fill",
}
"""squawk's rules for statements that take away what running code may use."""
NOT_OURS = {
    "prefer-robust-stmts": "a migration is one transaction",
    "prefer-text-field": "widths are Brain-Score's",
    "prefer-bigint-over-int": "keys are Brain-Score's",
    "prefer-bigint-over-smallint": "as above",
    "prefer-identity": "as above",
    "prefer-timestamp-tz": "as above",
}
"""squawk's rules that do not apply here, and why."""


@dataclass(frozen=True)
class LintFinding:
    """What squawk says of a statement."""

    revision: str
    rule: str
    message: str
    statement: str
    accepted: str
    """Why it is right all the same; empty where nobody said so."""


@dataclass(frozen=True)
class Lint(Shown):
    """What squawk says of a migration."""

    findings: tuple[LintFinding, ...]
    contracting: Mapping[str, tuple[str, ...]]
    """Revision → what it takes away from code that is running."""

    def table(self) -> Table:
        rows = [[f.revision, f.rule, f.statement, f.accepted or f"NOT ACCEPTED: {f.message}"] for f in self.findings]
        rows += [[name, "contracts", ", ".join(what), ""] for name, what in self.contracting.items()]
        title = "squawk finds nothing" if not rows else f"squawk: {len(self.findings)} findings"
        return Table(title, rows, ["revision", "rule", "statement", "why it is right"] if rows else [])


def lint(plan: MigrationPlan, *, server_version: int) -> Lint:
    """Let squawk read the SQL of every step.

    :param server_version: major version of the PostgreSQL that it is for
    :raises LintError: every finding that its revision does not accept with a reason
    """
    findings: list[LintFinding] = []
    contracting: dict[str, tuple[str, ...]] = {}
    for revision, direction in plan.steps:
        found = _squawk(revision.sql(direction), server_version)
        if taken := tuple(
            dict.fromkeys(CONTRACTING[item["rule_name"]] for item in found if item["rule_name"] in CONTRACTING)
        ):
            contracting[revision.id] = taken
        findings += [
            LintFinding(
                revision=revision.id,
                rule=item["rule_name"],
                message=item["message"],
                statement=item["statement"],
                accepted=revision.accepted.get(item["rule_name"], ""),
            )
            for item in found
            if item["rule_name"] not in CONTRACTING
        ]
    if problems := [
        Problem(finding.rule, finding.message, where=f"{finding.revision}: {finding.statement}")
        for finding in findings
        if not finding.accepted
    ]:
        raise LintError(
            f"squawk finds {len(problems)} things in the SQL that its revision does not account for",
            problems=problems,
            remedy="Change the revision, or name the rule in its ACCEPTED with the reason why it is right here.",
        )
    return Lint(tuple(findings), contracting)


def _squawk(sql: str, version: int) -> list[dict[str, Any]]:
    preamble = "SET lock_timeout = '5s';\nSET statement_timeout = '300s';\n"
    lines = (preamble + sql).splitlines()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "migration.sql"
        path.write_text(preamble + sql, encoding="utf-8")
        outcome = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("squawk")), "--reporter", "json", "--assume-in-transaction"),
                *("--pg-version", f"{version}.0", "--exclude", ",".join(NOT_OURS), str(path)),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            cwd=folder,
        )
    try:
        found: list[dict[str, Any]] = json.loads(outcome.stdout or "[]")
    except json.JSONDecodeError:
        raise LintError("squawk could not read the migration's SQL", log=outcome.stderr or outcome.stdout) from None
    for item in found:
        item["statement"] = in_one_line(lines[item["line"]])
    return found
