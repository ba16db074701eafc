"""A benchmark's new version: which scores are of an older one, which follow from their stored raw value, which must be run.

Brain-Score stores a raw score and the ceiled one that the benchmark made of it. Where a new version changes nothing but the
ceiling, the new score follows from the stored raw value and no model has to be run. That the raw value is unchanged is never
assumed: a maintainer says so, and the new version is run on a sample of models, whose raw values, scores and errors have to
come out as the stored ones foretell.
"""

from __future__ import annotations

import hashlib
import json
import math
import socket
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from brainscore_ops.database.ops_tables import ScoreProvenance
from brainscore_ops.database.snapshots import Snapshot, SnapshotStore, list_snapshots, take_snapshot
from brainscore_ops.display import Shown, Table, number, with_error
from brainscore_ops.errors import Fault, RefusedError
from brainscore_ops.scoring.approvals import Leave, Proposal, guard
from brainscore_ops.scoring.ceiling_rules import RULES, CeilingRule, rules_of
from brainscore_ops.scoring.cost import Cost, hours_text
from brainscore_ops.scoring.existing import read_existing
from brainscore_ops.scoring.pair import PairOutcome
from brainscore_ops.scoring.plan import ChangedPlugins, Pair, Plan, Wanted, plan_again, plan_pairs
from brainscore_ops.submissions.rescoring import cost_of, find_target, private_submissions
from brainscore_ops.submissions.scoring_request import (
    ScoringReport,
    Target,
    changed_by,
    compute_pairs,
    delay_of,
    find_private_models,
    read_code,
    record_all,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from brainscore_ops.plugins.library_code import LibraryCode
    from brainscore_ops.scoring.recording import Recorded
    from brainscore_ops.scoring.worker import Execute
    from brainscore_ops.submissions.context import Context

SUBJECT = "benchmark_version"
_NOTHING = 1e-9


class VersionNotRaisedError(RefusedError):
    """The benchmark's code changed, and its version did not: both would be scored under one number."""

    code = "version-not-raised"
    fault = Fault.OPERATOR


@dataclass(frozen=True)
class Stored:
    """A score on an older version."""

    identity: str
    version: int | None
    model_digest: str
    shared_digest: str | None
    environment_digest: str | None
    packages: dict[str, Any]
    seed: int | None
    sandboxed: bool
    value: float
    raw: float | None
    error: float | None
    ceiling: float | None


@dataclass(frozen=True)
class Cell:
    """A model, and what is known of it on the benchmark."""

    pair: Pair
    """To be scored on the new version."""
    stored: Stored | None
    """Its newest score on an older version."""


@dataclass(frozen=True)
class Matrix(Shown):
    """The benchmark's column: the models that have no score on its present version."""

    benchmark: str
    commit: str
    version: int | None
    """As the code says without being run."""
    cells: tuple[Cell, ...]
    current: int
    """How many models have their outcome on the present version."""
    submission: int | None = None
    """Whose pairs alone are meant; None for those of all public models."""

    @property
    def older_version(self) -> int | None:
        """The newest of the versions that the stored scores are of."""
        return max((cell.stored.version or 0 for cell in self.cells if cell.stored), default=None)

    def table(self) -> Table:
        rows: list[list[object]] = []
        for cell in self.cells:
            stored = cell.stored
            if stored is None:
                rows.append([cell.pair.model, "", "", "", "", "no score on an older version"])
                continue
            changed = "its code changed since" if stored.model_digest != cell.pair.model_digest else ""
            rows.append(
                [
                    cell.pair.model,
                    stored.version,
                    with_error(stored.value, stored.error),
                    number(stored.raw),
                    number(stored.ceiling),
                    changed,
                ]
            )
        return Table(
            f"{self.benchmark} version {self.version or '(told by running it)'} at {self.commit[:10]}: "
            f"{len(rows)} models have no score on it, {self.current} have",
            rows,
            ["model", "of version", "score", "raw", "ceiling", ""],
        )


@dataclass(frozen=True)
class Sampled:
    """A model that the new version was run on, beside what its stored score foretold."""

    model: str
    group: str | None
    """The shared code that the stored score was computed with: a sample speaks for the scores of the same."""
    foretold: tuple[float, float | None]
    """The score and its error, by the rule; NaN without one."""
    raw_before: float
    result: dict[str, Any] | None
    problem: str
    """Why it does not confirm that the raw values are unchanged; empty where it does."""


@dataclass(frozen=True)
class Evidence(Shown):
    """What the sample says: whether scores on the new version follow from stored raw values, and how."""

    claimed: bool
    """Whether a maintainer says that raw values are unchanged."""
    samples: tuple[Sampled, ...] = ()
    rule: CeilingRule | None = None
    """How a score follows from raw value and ceiling; None where it does not."""
    facts: dict[str, Any] | None = None
    """What the new version says of itself: version, parent, ceiling."""

    @property
    def confirmed(self) -> bool:
        """Whether every sample came out as foretold."""
        return bool(self.samples) and self.rule is not None and not any(sample.problem for sample in self.samples)

    def table(self) -> Table:
        if not self.claimed:
            return Table("Nobody says that raw values are unchanged: every model has to be run", [])
        if not self.samples:
            return Table("No stored score can be compared with: every model has to be run", [])
        rows = []
        for sample in self.samples:
            result = sample.result or {}
            foretold = with_error(*sample.foretold, digits=6) if not math.isnan(sample.foretold[0]) else "–"
            found = with_error(result.get("value"), result.get("error"), digits=6)
            raw = number(result.get("raw"), 6)
            rows.append(
                [sample.model, number(sample.raw_before, 6), raw, foretold, found, sample.problem or "as foretold"]
            )
        said = f"scores are {self.rule.formula}" if self.confirmed and self.rule else "every model has to be run"
        return Table(
            f"The new version on {len(rows)} models: {said}",
            rows,
            ["model", "stored raw", "raw now", "foretold", "found", ""],
        )


@dataclass(frozen=True)
class Recomputation:
    """A score on the new version that follows from a stored raw value."""

    pair: Pair
    stored: Stored
    value: float
    error: float | None


@dataclass(frozen=True)
class VersionPlan(Shown):
    """What is done for a benchmark's new version."""

    benchmark: str
    commit: str
    recomputed: tuple[Recomputation, ...]
    run: tuple[tuple[Pair, str], ...]
    """Pairs, each with the reason why its model has to be run."""
    computed: int
    """Of those to be run: that the sample has computed already."""
    cost: Cost
    evidence: Evidence
    submission: int | None = None
    """Whose pairs alone are meant."""

    @property
    def subject(self) -> str:
        """What it is for, whatever is in it."""
        of = f" submission {self.submission}" if self.submission is not None else ""
        return f"{SUBJECT} {self.benchmark}{of}"

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.recomputed or self.run)

    @property
    def items(self) -> tuple[str, ...]:
        """Each thing that it does, by a name that holds everything about it."""
        ran = [f"run {pair.results_key} {self.commit}" for pair, _ in self.run]
        ceiling = (self.evidence.facts or {}).get("ceiling")
        follows = [
            f"recompute {one.pair.identity} from {one.stored.identity} {one.value!r} {one.error!r} {ceiling!r}"
            for one in self.recomputed
        ]
        return tuple(sorted([*ran, *follows]))

    @property
    def digest(self) -> str:
        """Of exactly what it does (SHA-256, hexadecimal)."""
        return hashlib.sha256(json.dumps([self.benchmark, self.items]).encode()).hexdigest()

    @property
    def summary(self) -> dict[str, Any]:
        """What a maintainer has to know to approve it."""
        reasons = Counter(reason for _, reason in self.run)
        facts, rule = self.evidence.facts or {}, self.evidence.rule
        return {
            "benchmark": self.benchmark,
            "library commit": self.commit,
            "new version": facts.get("benchmark_version"),
            "new ceiling": facts.get("ceiling"),
            "recomputed from stored raw scores": len(self.recomputed),
            "by the rule": rule.formula if rule and self.recomputed else None,
            "to be run": len(self.run),
            "because": ", ".join(f"{reason} ({count})" for reason, count in reasons.items()),
            "already run for the sample": self.computed,
            "computing": hours_text(self.cost.hours),
        }

    def table(self) -> Table:
        if self.empty:
            return Table(f"Every model in question has its outcome on the present version of {self.benchmark}", [])
        rows = [
            [
                one.pair.model,
                "recompute",
                with_error(one.stored.value, one.stored.error),
                with_error(one.value, one.error),
                "",
            ]
            for one in self.recomputed
        ]
        rows += [[pair.model, "run", "", "", reason] for pair, reason in self.run]
        return Table(
            f"Plan {self.digest[:16]}: {len(self.recomputed)} scores recomputed, {len(self.run)} models run "
            f"({self.computed} of them for the sample), {hours_text(self.cost.hours)} of computing",
            rows,
            ["model", "how", "before", "after", "why"],
        )


def inspect(context: Context, target: Target, benchmark: str) -> Matrix:
    """The models that have no outcome on a benchmark's present version, with what is stored of older ones.

    :param target: where it has a submission, its models are meant, private ones too; if the benchmark is its own, all that its
        owner may meet; without one, the public models
    :raises UnknownIdentifiersError: the library does not hold the benchmark
    """
    code = read_code(context, target.commit)
    plan_again(code, wanted=Wanted(benchmarks=(benchmark,)), outcomes={})  # refuses what the library does not hold
    with context.database.session() as session:
        private = find_private_models(context, session, target.submission)
        changed = ChangedPlugins(benchmarks=frozenset({benchmark}))
        plan = plan_pairs(code, changed=changed, existing=read_existing(session), private_models=private)
        present = code.digests[code.catalogue.plugin_of_benchmark(benchmark)]
        rows = session.scalars(
            select(ScoreProvenance)
            .where(
                ScoreProvenance.benchmark == benchmark,
                ScoreProvenance.state == "scored",
                ScoreProvenance.benchmark_digest != present,
            )
            .order_by(ScoreProvenance.recorded_at)
        )
        stored = {row.model: _stored(row) for row in rows if row.value is not None}
    meant = _meant(code, target, benchmark)
    return Matrix(
        benchmark=benchmark,
        commit=target.commit,
        version=code.versions.get(benchmark),
        cells=tuple(Cell(pair, stored.get(pair.model)) for pair in plan.pairs if pair.model in meant),
        current=sum(pair.model in meant for pair in plan.known),
        submission=target.submission,
    )


def private_columns(context: Context, target: Target, benchmark: str) -> list[int]:
    """The submissions whose private models have no outcome on a benchmark's present version.

    :param target: of the public library
    """

    def pairs_of(home: Context, submission: int) -> list[Pair]:
        return [cell.pair for cell in inspect(home, find_target(home, submission, target.commit), benchmark).cells]

    return private_submissions(context, pairs_of)


def sample(
    context: Context,
    target: Target,
    matrix: Matrix,
    *,
    raw_unchanged: bool,
    checks: int,
    tolerance: float,
    execute: Execute,
) -> Evidence:
    """Run the new version on some models whose raw score is stored, and compare.

    Their outcomes are files: nothing is recorded by this. For every state of the shared code that stored scores were computed
    with, the models are chosen from the whole range of raw scores.

    :param raw_unchanged: a maintainer's word that the new version measures what the old one did; without it nothing is run
    :param checks: how many models, for each state of the shared code
    :param tolerance: relative, for raw values, scores and errors
    :raises VersionNotRaisedError: the new version has no number of its own
    :raises ScoringDelayedError: models of the sample could not be run for reasons that are not their own
    """
    if matrix.cells and matrix.version is not None and matrix.version <= (matrix.older_version or 0):
        raise _not_raised(matrix, matrix.version)
    if not raw_unchanged:
        return Evidence(claimed=False)
    chosen = _chosen(matrix, checks)
    if not chosen:
        return Evidence(claimed=True)
    report = compute_pairs(context, Plan(matrix.commit, tuple(cell.pair for cell in chosen)), execute, target)
    if (late := delay_of(report)) is not None:
        raise late
    facts = next((outcome.result for outcome in report.pairs if outcome.result), None)
    if facts is None:
        return Evidence(
            True,
            tuple(
                _sampled(cell, outcome, None, facts, tolerance)
                for cell, outcome in zip(chosen, report.pairs, strict=True)
            ),
        )
    if facts["benchmark_version"] <= (matrix.older_version or 0):
        raise _not_raised(matrix, facts["benchmark_version"])
    rule = _common_rule(chosen, report.pairs, tolerance)
    samples = tuple(
        _sampled(cell, outcome, rule, facts, tolerance) for cell, outcome in zip(chosen, report.pairs, strict=True)
    )
    return Evidence(True, samples, rule, facts)


def plan_version(context: Context, matrix: Matrix, evidence: Evidence) -> VersionPlan:
    """What follows from stored raw scores, what has to be run, and what that costs."""
    recomputed, run = [], []
    sampled = {one.model for one in evidence.samples}
    groups = {one.group for one in evidence.samples if not one.problem and _says_something(one.raw_before)}
    for cell in matrix.cells:
        if cell.pair.model in sampled:
            run.append((cell.pair, "run for the sample"))
            continue
        reason = _why_run(cell, evidence, groups)
        if reason or cell.stored is None:
            run.append((cell.pair, reason))
        else:
            recomputed.append(_recomputation(cell.pair, cell.stored, evidence))
    to_compute = [pair for pair, _ in run if pair.model not in sampled]
    return VersionPlan(
        benchmark=matrix.benchmark,
        commit=matrix.commit,
        recomputed=tuple(recomputed),
        run=tuple(run),
        computed=len(run) - len(to_compute),
        cost=cost_of(context, to_compute),
        evidence=evidence,
        submission=matrix.submission,
    )


def insist_on_approval(context: Context, plan: VersionPlan) -> Leave:
    """Let exactly this plan pass once somebody has approved it.

    :raises ApprovalMissingError, ApprovalExpiredError, ApprovalOfAnotherPlanError: it may not be carried out now
    """
    proposal = Proposal(plan.digest, plan.subject, plan.items, plan.cost.hours, plan.summary)
    return guard(context.database, proposal, over_hours=None, run_id=context.run_id)


def snapshot(context: Context, plan: VersionPlan) -> Snapshot | Leave:
    """Take a snapshot of the database before the plan is carried out: one for each plan."""
    if plan.empty:
        return Leave(plan.digest, why="there is nothing to do")
    store = SnapshotStore.of(context.deployment)
    reason = f"before {plan.subject}, plan {plan.digest[:16]}"
    taken = next((one for one in list_snapshots(store) if one.reason == reason and not one.problem), None)
    return taken or take_snapshot(context.database, store, deployment=context.deployment.name, reason=reason)


def run_models(context: Context, target: Target, plan: VersionPlan, execute: Execute) -> ScoringReport:
    """Run the models that have to be run.

    :raises ScoringDelayedError: some could not be, for reasons that are not their own; nothing is recorded before all are in
    """
    report = compute_pairs(context, Plan(plan.commit, tuple(pair for pair, _ in plan.run)), execute, target)
    if (late := delay_of(report)) is not None:
        raise late
    return report


def record(context: Context, target: Target, plan: VersionPlan, report: ScoringReport) -> Recorded:
    """Write what was run and what was recomputed, in one transaction: the leaderboard changes at one moment."""
    outcomes = {pair.identity: outcome for (pair, _), outcome in zip(plan.run, report.pairs, strict=True)}
    outcomes |= {one.pair.identity: _outcome(context, one, plan.evidence) for one in plan.recomputed}
    pairs = [*(pair for pair, _ in plan.run), *(one.pair for one in plan.recomputed)]
    return record_all(context, plan.commit, pairs, outcomes, target.submission)


def _meant(code: LibraryCode, target: Target, benchmark: str) -> Collection[str]:
    """The models whose pairs with the benchmark a target is about."""
    own = changed_by(target, code)
    return code.catalogue.models if target.submission is None or benchmark in own.benchmarks else own.models


def _stored(row: ScoreProvenance) -> Stored:
    return Stored(
        identity=row.identity,
        version=row.benchmark_version,
        model_digest=row.model_digest,
        shared_digest=row.shared_digest,
        environment_digest=row.environment_digest,
        packages=row.packages,
        seed=row.seed,
        sandboxed=row.sandboxed,
        value=row.value or 0.0,
        raw=row.raw,
        error=row.error,
        ceiling=row.ceiling,
    )


def _not_raised(matrix: Matrix, version: int) -> VersionNotRaisedError:
    return VersionNotRaisedError(
        f"expected {matrix.benchmark} to have a version above {matrix.older_version}, which scores are stored of; "
        f"found {version}",
        remedy="Raise the benchmark's version in its code. Where nothing that a score depends on was changed, nothing has to "
        "be done; `brainscore-ops run rescore` computes scores of the same version anew.",
    )


def _chosen(matrix: Matrix, checks: int) -> list[Cell]:
    groups: dict[str | None, list[Cell]] = defaultdict(list)
    for cell in matrix.cells:
        if cell.stored is not None and not _unusable(cell, cell.stored) and _says_something(cell.stored.raw):
            groups[cell.stored.shared_digest].append(cell)
    return [cell for group in groups.values() for cell in _spread(group, checks)]


def _says_something(raw: float | None) -> bool:
    """Whether a raw score would be another if it were measured otherwise: 0 is what constant predictions get, however."""
    return raw is not None and abs(raw) > _NOTHING


def _spread(cells: Sequence[Cell], count: int) -> list[Cell]:
    """So many of them, evenly over the range of their raw scores, with both ends."""
    ordered = sorted(cells, key=lambda cell: cell.stored.raw if cell.stored and cell.stored.raw is not None else 0.0)
    if len(ordered) <= count:
        return ordered
    places = [round(place * (len(ordered) - 1) / max(1, count - 1)) for place in range(count)]
    return [ordered[place] for place in dict.fromkeys(places)]


def _unusable(cell: Cell, stored: Stored) -> str:
    """Why a stored score says nothing of the new version; empty where it may."""
    if stored.model_digest != cell.pair.model_digest:
        return "the model's code changed since"
    if stored.raw is None:
        return "no raw score is stored"
    if not rules_of(stored.value, stored.raw, stored.ceiling):
        return "its score does not follow from its raw score and ceiling"
    return ""


def _why_run(cell: Cell, evidence: Evidence, groups: set[str | None]) -> str:
    if cell.stored is None:
        return "no score on an older version"
    if unusable := _unusable(cell, cell.stored):
        return unusable
    if not evidence.claimed:
        return "nobody says that raw scores are unchanged"
    if not evidence.confirmed or evidence.rule is None:
        return "the sample does not confirm that raw scores are unchanged"
    if cell.stored.shared_digest not in groups:
        return "no sample has the shared code that it was computed with"
    if evidence.rule not in rules_of(cell.stored.value, cell.stored.raw or 0.0, cell.stored.ceiling):
        return f"its score is not {evidence.rule.formula}"
    return ""


def _common_rule(cells: Sequence[Cell], outcomes: Sequence[PairOutcome], tolerance: float) -> CeilingRule | None:
    """The rule that every stored score of the sample, and every new one, follows."""
    rules = list(RULES)
    for cell, outcome in zip(cells, outcomes, strict=True):
        stored, result = cell.stored, outcome.result
        if stored is None or stored.raw is None or result is None:
            continue
        rules = [
            rule
            for rule in rules
            if rule in rules_of(stored.value, stored.raw, stored.ceiling)
            and rule in rules_of(result["value"], result["raw"], result["ceiling"], tolerance)
        ]
    return rules[0] if rules else None


def _sampled(
    cell: Cell, outcome: PairOutcome, rule: CeilingRule | None, facts: dict[str, Any] | None, tolerance: float
) -> Sampled:
    stored, result = cell.stored, outcome.result
    if stored is None or stored.raw is None:
        raise ValueError("a sample is of models with a stored raw score")  # by the choice above
    foretold: tuple[float, float | None] = (math.nan, None)
    if rule is not None and facts is not None:
        foretold = rule.value(stored.raw, facts["ceiling"]), rule.error(stored.error, stored.ceiling, facts["ceiling"])
    problem = _problem(stored, outcome, foretold, facts, tolerance)
    return Sampled(cell.pair.model, stored.shared_digest, foretold, stored.raw, result, problem)


def _problem(
    stored: Stored,
    outcome: PairOutcome,
    foretold: tuple[float, float | None],
    facts: dict[str, Any] | None,
    tolerance: float,
) -> str:
    result = outcome.result
    if result is None or facts is None:
        return f"it failed: {(outcome.failure or {}).get('message', 'for no known reason')}"
    if not _close(result["raw"], stored.raw, tolerance):
        return "its raw score changed"
    if (result["benchmark_version"], result["ceiling"]) != (facts["benchmark_version"], facts["ceiling"]):
        return "its ceiling is not that of the other models"
    if math.isnan(foretold[0]) or not _close(result["value"], foretold[0], tolerance):
        return "its score does not follow from its raw score and ceiling"
    if not _close(result["error"], foretold[1], tolerance):
        return "its error does not follow from the stored one"
    return ""


def _close(first: float | None, second: float | None, tolerance: float) -> bool:
    if first is None or second is None:
        return first is second
    return math.isclose(first, second, rel_tol=tolerance, abs_tol=tolerance * 1e-3)


def _recomputation(pair: Pair, stored: Stored, evidence: Evidence) -> Recomputation:
    rule, facts = evidence.rule, evidence.facts
    if rule is None or facts is None or stored.raw is None:
        raise ValueError("only what a rule holds for is recomputed")  # by the choice in _why_run
    ceiling = facts["ceiling"]
    return Recomputation(
        pair, stored, rule.value(stored.raw, ceiling), rule.error(stored.error, stored.ceiling, ceiling)
    )


def _outcome(context: Context, one: Recomputation, evidence: Evidence) -> PairOutcome:
    facts = evidence.facts or {}
    about = {name: facts.get(name) for name in ("ceiling", "ceiling_error", "benchmark_version", "benchmark_parent")}
    return PairOutcome(
        model=one.pair.model,
        benchmark=one.pair.benchmark,
        state="scored",
        result={
            "value": one.value,
            "error": one.error,
            "raw": one.stored.raw,
            "packages": one.stored.packages,
            **about,
        },
        failure=None,
        environment_digest=one.stored.environment_digest,
        sandboxed=one.stored.sandboxed,
        node=socket.gethostname(),
        run_id=context.run_id,
        seed=one.stored.seed,
        recomputed_from=one.stored.identity,
    )
