"""Canaries: pairs whose score is known, scored again when what they rest on changes. While one drifts nothing is published."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from brainscore_ops.database.ops_tables import CanaryScore, now
from brainscore_ops.display import Badge, Shown, Table, number
from brainscore_ops.errors import Fault, OpsError, Problem, RefusedError
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.library_code import LibraryCode, shared_digest
from brainscore_ops.plugins.requirements import requirements_for
from brainscore_ops.scoring.pair import PairOutcome, environments_of
from brainscore_ops.scoring.plan import Pair, Plan, Wanted, plan_again
from brainscore_ops.submissions.scoring_request import compute_pairs, read_code

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from brainscore_ops.scoring.worker import Execute
    from brainscore_ops.settings.deployment import CanarySettings
    from brainscore_ops.submissions.context import Context


class CanariesDriftedError(RefusedError):
    """A known score is not what it was: something that scores depend on changed them."""

    code = "canary-drifted"
    fault = Fault.OPERATOR


@dataclass(frozen=True)
class Canary:
    """A canary as it is to be scored now."""

    pair: Pair
    """Its identity is that of everything that it depends on: :func:`canary_identity`."""
    shared_digest: str
    environment_digest: str | None
    """Of the present lock; None where the environment cannot be made."""


@dataclass(frozen=True)
class CanaryPlan(Shown):
    """Which canaries have to be scored, because something that they depend on changed."""

    commit: str
    due: tuple[Canary, ...]
    unchanged: tuple[Canary, ...]

    def table(self) -> Table:
        if not (self.due or self.unchanged):
            return Table("This deployment names no canaries", [])
        rows = [[one.pair.model, one.pair.benchmark, "to be scored"] for one in self.due]
        rows += [[one.pair.model, one.pair.benchmark, "nothing that it depends on changed"] for one in self.unchanged]
        return Table(f"Canaries at {self.commit[:10]}: {len(self.due)} to be scored", rows, ["model", "benchmark", ""])


@dataclass(frozen=True)
class Finding:
    """A canary beside its newest score."""

    canary: CanarySettings
    state: str
    """``as expected``, ``drifted``, ``failed`` or ``not scored yet``."""
    value: float | None = None
    reason: str = ""
    """Why it failed."""
    commit: str = ""
    run_id: str | None = None

    @property
    def stops_publishing(self) -> bool:
        """Whether nothing may be published because of it."""
        return self.state in ("drifted", "failed")

    @property
    def message(self) -> str:
        """What was expected and what was found."""
        canary = self.canary
        found = self.reason if self.state == "failed" else number(self.value, 6)
        return (
            f"{canary.model} on {canary.benchmark}: expected {number(canary.expected, 6)} ± {canary.tolerance:g}, "
            f"found {found} at {self.commit[:10]} (run {self.run_id or 'by hand'})"
        )


@dataclass(frozen=True)
class Verdict(Shown):
    """What the canaries say."""

    findings: tuple[Finding, ...]
    delayed: tuple[PairOutcome, ...] = ()
    """Those that could not be scored for reasons of the infrastructure: they say nothing."""

    @property
    def drifted(self) -> tuple[Finding, ...]:
        """Those that stop publishing."""
        return tuple(finding for finding in self.findings if finding.stops_publishing)

    def table(self) -> Table:
        if not self.findings:
            return Table("This deployment names no canaries", [])
        rows = [
            [
                found.canary.model,
                found.canary.benchmark,
                f"{number(found.canary.expected, 4)} ± {found.canary.tolerance:g}",
                number(found.value, 4),
                Badge(found.state, "bad" if found.stops_publishing else ""),
                found.reason,
            ]
            for found in self.findings
        ]
        title = f"{len(self.drifted)} canaries drifted: NOTHING IS PUBLISHED" if self.drifted else "No canary drifted"
        return Table(title, rows, ["model", "benchmark", "expected", "found", "", "why"])

    def as_dict(self) -> dict[str, Any]:
        """The verdict as a JSON document."""
        return {
            "drifted": len(self.drifted),
            "canaries": [
                {**found.canary.model_dump(), "state": found.state, "value": found.value, "reason": found.reason}
                for found in self.findings
            ],
        }


def plan_canaries(context: Context, commit: str) -> CanaryPlan:
    """The canaries that a change of their plugins, of the shared code or of their environment calls for.

    :raises UnknownIdentifiersError: the settings name what the library does not hold
    """
    settings = context.deployment.canaries
    if not settings or context.private:  # they are of the public library, and were looked at when it changed
        return CanaryPlan(commit, (), ())
    code = read_code(context, commit)
    wanted = Wanted(pairs=tuple((canary.model, canary.benchmark) for canary in settings))
    canaries = [_canary(context, code, pair) for pair in plan_again(code, wanted=wanted, outcomes={}).pairs]
    with context.database.session() as session:
        identities = [one.pair.identity for one in canaries]
        known = set(session.scalars(select(CanaryScore.identity).where(CanaryScore.identity.in_(identities))))
    return CanaryPlan(
        commit,
        due=tuple(one for one in canaries if one.pair.identity not in known),
        unchanged=tuple(one for one in canaries if one.pair.identity in known),
    )


def score_canaries(context: Context, plan: CanaryPlan, execute: Execute) -> Verdict:
    """Score the canaries that are due, record them where no leaderboard looks, and tell what all of them say."""
    report = compute_pairs(context, Plan(plan.commit, tuple(one.pair for one in plan.due)), execute)
    with context.database.session() as session:
        for canary, outcome in zip(plan.due, report.pairs, strict=True):
            if outcome not in report.delayed:
                _record(session, plan.commit, canary, outcome)
        for canary in plan.unchanged:
            # What was taken back is as it was before: its old score is the newest again.
            row = session.get(CanaryScore, canary.pair.identity)
            if row is not None:
                row.checked_at, row.library_commit = now(), plan.commit
    return replace(judge(context), delayed=report.delayed)


def check_canaries(context: Context, commit: str, execute: Execute) -> Verdict:
    """Score the canaries that a commit calls for, and tell what all of them say."""
    return score_canaries(context, plan_canaries(context, commit), execute)


def judge(context: Context) -> Verdict:
    """What the newest score of each canary says, by the expectations that the settings have now."""
    with context.database.session() as session:
        return Verdict(tuple(_finding(session, canary) for canary in context.deployment.canaries))


def insist(context: Context) -> Verdict:
    """Let nothing be published while a canary drifts.

    :raises CanariesDriftedError: every canary that does
    """
    verdict = judge(context)
    if verdict.drifted:
        raise CanariesDriftedError(
            f"{len(verdict.drifted)} of {len(verdict.findings)} canaries are not as expected: scores that are computed now are "
            "not comparable with those before",
            problems=[Problem("canary-drifted", found.message, where=found.canary.model) for found in verdict.drifted],
            remedy="Find what changed (the run's record has commit, shared code and environment) and mend it, then run "
            f"`canaries`. Where the new score is right, change `expected` in params/{context.deployment.name}.yaml.",
        )
    return verdict


def canary_identity(pair: Pair, shared: str, environment: str | None) -> str:
    """Of everything that a canary depends on (SHA-256, hexadecimal): no other pair has it."""
    return shared_digest("canary", pair.identity, shared, environment or "no environment")


def _canary(context: Context, code: LibraryCode, pair: Pair) -> Canary:
    shared, environment = code.shared_by(pair.model, pair.benchmark), _environment(context, code, pair)
    return Canary(replace(pair, identity=canary_identity(pair, shared, environment)), shared, environment)


def _environment(context: Context, code: LibraryCode, pair: Pair) -> str | None:
    plugins = [PluginKey("models", pair.model_plugin), PluginKey("benchmarks", pair.benchmark_plugin)]
    try:
        requirements = requirements_for(context.checkout(code.commit), context.library, plugins)
        return environments_of(context.deployment).ensure(requirements).lock_digest
    except OpsError:
        return None  # scoring it will say why


def _record(session: Session, commit: str, canary: Canary, outcome: PairOutcome) -> None:
    failure = outcome.failure or {}
    values = {
        "model": outcome.model,
        "benchmark": outcome.benchmark,
        "state": outcome.state,
        "value": (outcome.result or {}).get("value"),
        "reason_code": failure.get("code"),
        "reason": failure.get("message"),
        "fault": failure.get("fault"),
        "model_digest": canary.pair.model_digest,
        "benchmark_digest": canary.pair.benchmark_digest,
        "shared_digest": canary.shared_digest,
        "environment_digest": outcome.environment_digest,
        "library_commit": commit,
        "run_id": outcome.run_id,
        "checked_at": now(),
    }
    session.execute(
        insert(CanaryScore)
        .values(identity=canary.pair.identity, **values)
        .on_conflict_do_update(index_elements=["identity"], set_=values)
    )


def _finding(session: Session, canary: CanarySettings) -> Finding:
    row = session.scalar(
        select(CanaryScore)
        .where(CanaryScore.model == canary.model, CanaryScore.benchmark == canary.benchmark)
        .order_by(CanaryScore.checked_at.desc())
        .limit(1)
    )
    if row is None:
        return Finding(canary, "not scored yet")
    if row.value is None:
        return Finding(canary, "failed", None, row.reason or "", row.library_commit, row.run_id)
    drifted = abs(row.value - canary.expected) > canary.tolerance
    return Finding(canary, "drifted" if drifted else "as expected", row.value, "", row.library_commit, row.run_id)
