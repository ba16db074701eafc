"""Scoring again what a maintainer asks for: planned and priced without running anything, approved where it is costly."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from brainscore_ops.errors import RefusedError, UsageError
from brainscore_ops.scoring.approvals import Leave, Proposal, guard
from brainscore_ops.scoring.cost import Cost, estimate_cost, hours_text, read_measurements
from brainscore_ops.scoring.existing import read_outcomes
from brainscore_ops.scoring.plan import Pair, Plan, Wanted, plan_again
from brainscore_ops.submissions.life import find_life, note
from brainscore_ops.submissions.scoring_request import Target, find_private_models, read_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from brainscore_ops.submissions.context import Context

_LONGEST_SUBJECT = 250


class NothingAskedForError(UsageError):
    """A rescoring without any condition would be one of everything."""

    code = "nothing-asked-for"


def asked_for(
    *,
    models: Sequence[str] = (),
    benchmarks: Sequence[str] = (),
    pairs: Iterable[Sequence[str]] = (),
    failed: str = "",
    stale: bool = False,
    before: datetime | str | None = None,
) -> Wanted:
    """What is to be scored again.

    :param before: as text in ISO 8601, as a notebook's parameter has it
    :raises NothingAskedForError: where no condition is given
    """
    moment = datetime.fromisoformat(before) if isinstance(before, str) else before
    wanted = Wanted(
        models=tuple(models),
        benchmarks=tuple(benchmarks),
        pairs=tuple((model, benchmark) for model, benchmark in pairs),
        failed=failed,
        stale=stale,
        before=moment,
    )
    if wanted == Wanted(before=moment):
        raise NothingAskedForError(
            "expected models, benchmarks, pairs, a reason of failures, or stale; found none of them",
            remedy="Name what is to be scored again. Everything that has no score yet is what `score_plugins` scores.",
        )
    return wanted


def plan_rescoring(context: Context, target: Target, wanted: Wanted) -> Plan:
    """The pairs that are to be scored again at a commit.

    :raises UnknownIdentifiersError: for models and benchmarks that the library does not hold
    """
    code = read_code(context, target.commit)
    with context.database.session() as session:
        outcomes = read_outcomes(session)
        private = find_private_models(context, session)
    return plan_again(code, wanted=wanted, outcomes=outcomes, private_models=private)


def cost_of(context: Context, pairs: Sequence[Pair]) -> Cost:
    """What pairs are estimated to take, from what was measured before."""
    with context.database.session() as session:
        known = read_measurements(session, pairs)
    return estimate_cost(pairs, known, limit_seconds=context.deployment.sandbox.wall_seconds)


def proposal_of(plan: Plan, cost: Cost, subject: str) -> Proposal:
    """A plan of pairs, as it is put before a maintainer."""
    return Proposal(
        digest=plan.digest,
        subject=subject,
        # The code besides the plugins is that of the commit.
        items=tuple(sorted(f"{pair.results_key} {plan.library_commit}" for pair in plan.pairs)),
        hours=cost.hours,
        summary={
            "library commit": plan.library_commit,
            "pairs": len(plan.pairs),
            "why": ", ".join(f"{reason} ({count})" for reason, count in Counter(p.reason for p in plan.pairs).items()),
            "computing": hours_text(cost.hours),
        },
    )


def insist_on_approval(context: Context, plan: Plan, cost: Cost, subject: str) -> Leave:
    """Let a plan pass that costs little or was approved.

    :raises ApprovalMissingError, ApprovalExpiredError, ApprovalOfAnotherPlanError: it may not be carried out now
    """
    limit = context.deployment.scoring.approval_over_hours
    return guard(context.database, proposal_of(plan, cost, subject), over_hours=limit, run_id=context.run_id)


def insist_for_target(context: Context, target: Target, plan: Plan, cost: Cost) -> Leave:
    """The same for what a merge calls for; a submission whose plan waits says so in its timeline.

    :raises ApprovalMissingError, ApprovalExpiredError, ApprovalOfAnotherPlanError: it may not be carried out now
    """
    try:
        return insist_on_approval(context, plan, cost, f"score_plugins {target.commit}")
    except RefusedError as refusal:
        if target.submission is not None:
            with context.database.session() as session:
                life = find_life(session, target.submission, lock=True)
                note(session, life, refusal, key=f"approval:{plan.digest}", run_id=context.run_id)
        raise


def subject_of(wanted: Wanted) -> str:
    """What a rescoring is for, whatever pairs are in its plan: the same request has the same."""
    conditions = {name: value for name, value in asdict(wanted).items() if value}
    text = json.dumps(conditions, default=str, ensure_ascii=False)
    return (
        f"rescore {text}" if len(text) <= _LONGEST_SUBJECT else f"rescore {hashlib.sha256(text.encode()).hexdigest()}"
    )
