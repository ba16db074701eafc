"""Scoring again what a maintainer asks for: planned and priced without running anything, approved where it is costly."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from brainscore_ops.database.brainscore_tables import Model
from brainscore_ops.database.ops_tables import SubmissionLife
from brainscore_ops.database.viewer import PUBLIC, Viewer
from brainscore_ops.errors import Fault, OpsError, RefusedError, UsageError
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.scoring.approvals import Leave, Proposal, guard
from brainscore_ops.scoring.cost import Cost, estimate_cost, hours_text, read_measurements
from brainscore_ops.scoring.existing import read_outcomes
from brainscore_ops.scoring.plan import Pair, Plan, Wanted, plan_again
from brainscore_ops.submissions import scoring_request
from brainscore_ops.submissions.life import IN_PRIVATE, find_life, note
from brainscore_ops.submissions.overlays import library_head, library_of
from brainscore_ops.submissions.scoring_request import Target, changed_by, find_private_models, in_layers, read_code

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from brainscore_ops.submissions.context import Context

_LONGEST_SUBJECT = 250


class NothingAskedForError(UsageError):
    """A rescoring without any condition would be one of everything."""

    code = "nothing-asked-for"


class NotInLibraryError(RefusedError):
    """The plugins of a submission are in no library (any more): there is nothing to score."""

    code = "not-in-library"
    fault = Fault.OPERATOR


def at_home_of(context: Context, submission: int | None) -> Context:
    """The deployment with the repository at hand that a submission is in; without one, the public repository.

    What is about one submission may be about private models, whatever repository their code is in.

    :raises UnknownSubmissionError: there is none of that number
    :raises NoPrivateRepositoryError, PrivateElsewhereError: private submissions are no matter for this run
    """
    if submission is None:
        return context
    context.refuse_onlookers()
    with context.database.session() as session:
        return context.side_of(find_life(session, submission).library)


def find_target(context: Context, submission: int | None, commit: str) -> Target:
    """The library's commit at which pairs are scored again; of a private submission, its owner's plugins laid over it.

    :param context: at home of the submission
    :param submission: whose plugins the pairs are about; None for the whole public library
    :param commit: of the public library; empty for its newest
    :raises NotInLibraryError: its plugins are not in the library
    """
    if submission is None:
        return scoring_request.find_target(context, None, commit)
    with context.database.session() as session:
        life = find_life(session, submission)
        there = life.merge_sha is not None and (life.state in IN_PRIVATE or not life.private)
        state, owner = life.state, life.submission.submitter_id
        plugins = frozenset(PluginKey(kind, name) for kind, names in life.plugins.items() for name in names)
    if not there:
        raise NotInLibraryError(
            f"expected submission {submission} to be merged and not published since, found it {state}",
            remedy="What is published is scored again by the submission that brought it into the public library.",
        )
    base = commit or library_head(context)
    return Target(library_of(context, owner, base=base) if context.private else base, None, submission, plugins)


def viewer_of(context: Context, target: Target) -> Viewer:
    """Who is shown what a run changed: whoever submitted what it is about, or everybody."""
    if target.submission is None:
        return PUBLIC
    with context.database.session() as session:
        return Viewer(user_id=find_life(session, target.submission).submission.submitter_id)


def private_submissions(context: Context, pairs_of: Callable[[Context, int], Collection[Pair]]) -> list[int]:
    """The submissions with something private of which pairs are in question: as few as have all of these pairs.

    Private is what is in the private repository, and models that their owners hide.

    :param context: with the public repository at hand
    :param pairs_of: the pairs of a submission, by the deployment at its home. Where they cannot be told, the submission is among
        those that are found: what goes wrong with it is said in a run of its own, and nowhere else
    """
    hidden = select(Model.submission_id).where(
        Model.domain == context.deployment.library.domain, Model.public.is_(False)
    )
    query = select(SubmissionLife.submission_id).where(
        SubmissionLife.merge_sha.is_not(None),
        or_(
            (SubmissionLife.library == context.homes[1]) & SubmissionLife.state.in_(IN_PRIVATE),
            (SubmissionLife.library == context.homes[0]) & SubmissionLife.submission_id.in_(hidden),
        ),
    )
    with context.database.session() as session:
        candidates = session.scalars(query).all()
    pairs: dict[int, set[str]] = {}
    unknown = []
    for submission in candidates:
        try:
            pairs[submission] = {pair.identity for pair in pairs_of(at_home_of(context, submission), submission)}
        except OpsError:
            unknown.append(submission)
    # A pair of somebody's private model and private benchmark is in question for both of their submissions.
    found, covered = [], set[str]()
    for submission in sorted(pairs, key=lambda each: (-len(pairs[each]), each)):
        if pairs[submission] - covered:
            found.append(submission)
            covered |= pairs[submission]
    return sorted([*found, *unknown])


def asked_for(
    *,
    submission: int | None = None,
    models: Sequence[str] = (),
    benchmarks: Sequence[str] = (),
    pairs: Iterable[Sequence[str]] = (),
    failed: str = "",
    stale: bool = False,
    before: datetime | str | None = None,
) -> Wanted:
    """What is to be scored again.

    :param submission: whose pairs alone are meant: that is a condition by itself
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
    if wanted == Wanted(before=moment) and submission is None:
        raise NothingAskedForError(
            "expected models, benchmarks, pairs, a reason of failures, or stale; found none of them",
            remedy="Name what is to be scored again. Everything that has no score yet is what `score_plugins` scores.",
        )
    return wanted


def plan_rescoring(context: Context, target: Target, wanted: Wanted) -> Plan:
    """The pairs that are to be scored again at a commit; of a target with a submission, those with a plugin of it.

    :raises UnknownIdentifiersError: for models and benchmarks that the library does not hold
    """
    code = in_layers(context, read_code(context, target.commit))
    with context.database.session() as session:
        outcomes = read_outcomes(session)
        private = find_private_models(context, session, target.submission)
    among = changed_by(target, code) if target.submission is not None else None
    plan = plan_again(code, wanted=wanted, outcomes=outcomes, private_models=private, among=among)
    return replace(plan, library_commit=target.commit)


def private_rescorings(context: Context, target: Target, wanted: Wanted) -> list[int]:
    """The submissions of which private pairs are to be scored again, each in a run of its own.

    :param target: of the public library
    """

    def pairs_of(home: Context, submission: int) -> Collection[Pair]:
        return plan_rescoring(home, find_target(home, submission, target.commit), wanted).pairs

    return private_submissions(context, pairs_of)


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


def subject_of(wanted: Wanted, submission: int | None = None) -> str:
    """What a rescoring is for, whatever pairs are in its plan: the same request has the same."""
    conditions = {name: value for name, value in {"submission": submission, **asdict(wanted)}.items() if value}
    text = json.dumps(conditions, default=str, ensure_ascii=False)
    return (
        f"rescore {text}" if len(text) <= _LONGEST_SUBJECT else f"rescore {hashlib.sha256(text.encode()).hexdigest()}"
    )
