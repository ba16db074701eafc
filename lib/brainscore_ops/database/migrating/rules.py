"""The rules that a migration has to meet before it comes near its database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.database.migrating.errors import MigrationRefusedError
from brainscore_ops.database.schema import BRAINSCORE_REVISION, DOWNGRADE, UPGRADE, revision_ids
from brainscore_ops.display import Badge, Shown, Table
from brainscore_ops.errors import Problem
from brainscore_ops.settings import Deployment, deployment_names, load_deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from brainscore_ops.database.migrating.lint import Lint
    from brainscore_ops.database.migrating.plan import MigrationPlan


RUNBOOK = "migrate"


@dataclass(frozen=True)
class Rule:
    """A rule that a migration has to meet, and whether it does."""

    name: str
    passed: bool
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Verdict(Shown):
    """The rules of a migration."""

    rules: tuple[Rule, ...]

    def table(self) -> Table:
        rows = [[Badge("✓" if rule.passed else "✗"), rule.name, rule.message] for rule in self.rules]
        return Table(
            "The rules are met" if all(r.passed for r in self.rules) else "Refused", rows, ["", "rule", "found"]
        )


def collect_evidence(
    deployment: Deployment, recorded_scraps: Callable[[Path, str], Iterable[Mapping[str, Any]]]
) -> dict[str, set[tuple[str, str]]]:
    """What was applied where it has to run before it runs on a deployment, as the records there tell.

    :param recorded_scraps: a deployment's outputs and a runbook → what its runs that succeeded handed on
    :returns: tier → (revision, SQL digest)
    """
    evidence: dict[str, set[tuple[str, str]]] = {str(tier): set() for tier in deployment.rules.migrated_after}
    for name in deployment_names(deployment.workspace):
        other = load_deployment(name, deployment.workspace)
        if str(other.tier) in evidence:
            evidence[str(other.tier)] |= {
                (step["revision"], step["sql_digest"])
                for scraps in recorded_scraps(other.outputs, RUNBOOK)
                for step in scraps.get("applied", [])
                if step["direction"] == UPGRADE
            }
    return evidence


def judge(
    plan: MigrationPlan,
    found: Lint,
    *,
    downgrade: bool,
    evidence: Mapping[str, set[tuple[str, str]]],
) -> Verdict:
    """Hold a plan against the rules.

    :param evidence: deployment that has to have run it before → (revision, SQL digest) of what its records say it applied
    """
    backwards = [revision.id for revision, direction in plan.steps if direction == DOWNGRADE]
    rules = [
        Rule(
            "no-way-back-unasked",
            not backwards or downgrade,
            f"takes back {', '.join(backwards)}" if backwards else "goes forward",
            "What they added would be given up. Run it with downgrade=true if that is meant.",
        ),
        Rule(
            "brain-scores-own-tables-stay",
            not backwards or plan.target in revision_ids(),
            f"ends at {plan.target}",
            f"Below {BRAINSCORE_REVISION} there would be no tables at all: name a later target.",
        ),
    ]
    before = revision_ids()[: revision_ids().index(plan.current) + 1] if plan.current else []
    for revision, direction in plan.steps:
        if direction == UPGRADE and revision.id in found.contracting:
            expanded = revision.contracts is not None and revision.contracts in before
            what = ", ".join(found.contracting[revision.id])
            rules.append(
                Rule(
                    "expanded-before-contracted",
                    expanded,
                    f"{revision.id} {what}; what replaced it came with {revision.contracts or 'no revision that it names'}",
                    "Code that runs now may use it. Name the revision that replaced it in CONTRACTS, and bring that one to this "
                    "database in a migration before this one.",
                )
            )
    for name, seen in evidence.items():
        missing = [revision.id for revision, _ in plan.steps if (revision.id, revision.digest) not in seen]
        rules.append(
            Rule(
                f"ran-on-{name}",
                not missing,
                f"the records of {name} lack {', '.join(missing)} with the same SQL"
                if missing
                else f"the same SQL ran on {name}",
                f"Run `brainscore-ops run migrate --deployment {name}` with this code first.",
            )
        )
    return Verdict(tuple(rules))


def insist(verdict: Verdict) -> None:
    """:raises MigrationRefusedError: every rule that is not met"""
    if problems := [Problem(r.name, r.message + ".", remedy=r.remedy) for r in verdict.rules if not r.passed]:
        raise MigrationRefusedError(
            "the rules of migrations do not let it go on", problems=problems, remedy="Nothing was changed."
        )
