"""The merge of what the gate lets through, and what happens to what it does not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brainscore_ops.display import Code, Shown, Table
from brainscore_ops.errors import Fault, Problem, RefusedError, StepFailedError, UnavailableError
from brainscore_ops.forge.errors import HeadMovedError, NotMergeableError
from brainscore_ops.notify.contexts import Held
from brainscore_ops.plugins.git import find_commit, is_ancestor
from brainscore_ops.submissions import mail
from brainscore_ops.submissions.comments import fenced
from brainscore_ops.submissions.gate import examine
from brainscore_ops.submissions.life import BEFORE_MERGE, State, life_of_pull_request, move
from brainscore_ops.submissions.plugin_tests import STATUS_CONTEXT
from brainscore_ops.submissions.publication import make_public

if TYPE_CHECKING:
    from brainscore_ops.submissions.context import Context
    from brainscore_ops.submissions.gate import Verdict

COMMENT_KEY = "brainscore-ops/gate"
TESTS_OUTDATED = "tests-outdated"
"""The reason code of a pull request that was tested on a base that has moved on since."""


class GateRefusedError(RefusedError):
    """A rule of the gate is not met: a person has to look at the pull request."""

    code = "gate"


class TestsNotDoneError(UnavailableError):
    """Nothing but the plugin tests is missing: they have not ended, or not for this base."""

    __test__ = False  # pytest: not a test
    code = "tests-not-done"


class MergedElsewhereError(StepFailedError):
    """The merge is not on the default branch: somebody changed the pull request's target at the last moment."""

    code = "merged-elsewhere"
    fault = Fault.OPERATOR


@dataclass(frozen=True)
class Merged(Shown):
    """What was merged, and onto what."""

    pull_request: int
    base_sha: str
    head_sha: str
    merge_sha: str

    def table(self) -> Table:
        return Table(
            f"Pull request {self.pull_request} is merged",
            [
                ("merge commit", Code(self.merge_sha)),
                ("tested head", Code(self.head_sha)),
                ("base", Code(self.base_sha)),
            ],
        )


def insist(context: Context, verdict: Verdict) -> None:
    """Go on only with a verdict that passed.

    :raises TestsNotDoneError: where nothing is missing but the tests; the submission goes back to before them
    :raises GateRefusedError: with every rule that is not met, after the pull request and the submitter were told
    """
    if verdict.passed:
        return
    if verdict.waits_for_tests:
        raise _wait_for_tests(context, verdict)
    refusal = GateRefusedError(
        f"pull request {verdict.pull_request} does not meet {len(verdict.unmet)} of the {len(verdict.rulings)} rules of the gate",
        problems=[
            Problem(ruling.rule, f"expected {ruling.expected}; found: {ruling.found}", where=ruling.rule)
            for ruling in verdict.unmet
        ],
        remedy="A maintainer has to look at it, or a new commit has to meet the rules.",
    )
    _hold(context, verdict, refusal)
    raise refusal


def merge(context: Context, verdict: Verdict) -> Merged:
    """Squash-merge exactly the head that the verdict is about, and record base and head: scoring needs both.

    Every rule is asked again just before: a maintainer may have read the verdict for an hour. What happens after that is
    caught by the forge, which merges only that head, and by a look at what was merged.

    :raises HeadMovedError: where somebody pushed since the verdict
    :raises NotMergeableError: where it conflicts with the default branch, after the pull request and the submitter were told
    :raises GateRefusedError, TestsNotDoneError: where a rule is no longer met
    :raises MergedElsewhereError: where the merge is not on the default branch
    """
    number = verdict.pull_request
    current = examine(context, number)
    if current.head_sha == verdict.head_sha and not current.merged:
        insist(context, current)
    title = context.forge.pull_request(number).title
    message = ""
    with context.database.session() as session:
        life = life_of_pull_request(session, context.home, number)
        if life is not None:
            title = life.name
            message = f"Submission: {life.submission_id}"
            if life.submission.submitter.email:
                message += f"\nCo-authored-by: {life.submitter} <{life.submission.submitter.email}>"
    try:
        merge_sha = context.forge.squash_merge(
            number, head_sha=verdict.head_sha, title=f"{title} (#{number})", message=message
        )
    except (HeadMovedError, NotMergeableError) as refusal:
        _hold(context, verdict, refusal)
        raise
    merged = record_merge(context, number, head_sha=verdict.head_sha, merge_sha=merge_sha)
    _let_go(context, verdict, merged)
    return merged


def record_merge(context: Context, pull_request: int, *, head_sha: str, merge_sha: str) -> Merged:
    """Record that a pull request is merged, whoever merged it.

    :raises MergedElsewhereError: where the merge is not on the default branch: nothing is recorded
    """
    # The base is told by the merge itself, not by the verdict: the branch may have moved between the two.
    branch, default_head = context.forge.default_branch()
    context.mirror.fetch()
    if not is_ancestor(context.mirror.path, merge_sha, default_head):
        raise MergedElsewhereError(
            f"expected the merge of pull request {pull_request} on {branch}, found {merge_sha[:10]}, which is not there",
            remedy="See on the pull request's page who changed its target branch; take the merge back on that branch, and "
            "open a new pull request.",
        )
    base_sha = find_commit(context.mirror.path, f"{merge_sha}^")
    with context.database.session() as session:
        life = life_of_pull_request(session, context.home, pull_request, lock=True)
        if life is not None and (life.merge_sha is None or life.state in BEFORE_MERGE):
            life.base_sha, life.head_sha, life.merge_sha = base_sha, head_sha, merge_sha
            move(session, life, State.MERGED, key=merge_sha, run_id=context.run_id)
            make_public(context, session, life)
    return Merged(pull_request, base_sha, head_sha, merge_sha)


def _wait_for_tests(context: Context, verdict: Verdict) -> TestsNotDoneError:
    """Put a pull request back to before its tests, and say so on its head where they passed for an older base."""
    if verdict.tests_outdated:
        said = "The library moved on: the tests run again."
        context.forge.set_status(verdict.head_sha, context=STATUS_CONTEXT, state="pending", description=said)
    with context.database.session() as session:
        life = life_of_pull_request(session, context.home, verdict.pull_request, lock=True)
        if life is not None and life.state in BEFORE_MERGE - {State.PROPOSED}:
            said = " ".join(ruling.found for ruling in verdict.unmet)
            key = f"tests-again:{verdict.head_sha}:{verdict.base_sha}"
            message = f"The tests have to run again: {said}."
            move(session, life, State.PROPOSED, key=key, message=message, run_id=context.run_id)
    return TestsNotDoneError(
        f"pull request {verdict.pull_request} waits for its tests: {'; '.join(each.found for each in verdict.unmet)}",
        code=TESTS_OUTDATED if verdict.tests_outdated else None,
        remedy="Run test_plugins, or wait for it, and run this again.",
    )


def _hold(context: Context, verdict: Verdict, refusal: RefusedError) -> None:
    """Tell the submitter and the pull request, once for each set of rules at each head."""
    problems = refusal.problems or (Problem(refusal.code, refusal.message),)
    # What a rule found changes as the library grows, and is no news: that another rule is not met is.
    rules = ",".join(sorted(problem.code for problem in problems))
    event = f"{verdict.head_sha}:{hashlib.sha256(rules.encode()).hexdigest()[:16]}"
    with context.database.session() as session:
        life = life_of_pull_request(session, context.home, verdict.pull_request, lock=True)
        # A submission whose tests failed stays that: it says more.
        if life is not None and life.state in BEFORE_MERGE - {State.TESTS_FAILED}:
            move(session, life, State.HELD, key=event, failure=refusal, run_id=context.run_id)
            held = Held(**mail.about(life), rules=problems, remedy=refusal.remedy)
            mail.queue(session, context.deployment, life, held, event=f"held-{event}")
    mail.deliver(context)
    reasons = fenced("\n".join(f"{problem.code}: {problem.message}" for problem in problems))
    body = f"The gate holds this pull request at `{verdict.head_sha[:10]}`:\n\n{reasons}\n\n{refusal.remedy}"
    context.forge.comment(verdict.pull_request, key=COMMENT_KEY, body=body)


def _let_go(context: Context, verdict: Verdict, merged: Merged) -> None:
    """Where a comment says that the pull request is held, have it say that it is not any more."""
    with context.database.session() as session:
        life = life_of_pull_request(session, context.home, verdict.pull_request)
        was_held = life is not None and any(event.state == State.HELD for event in life.events)
    if was_held:
        body = f"Every rule of the gate is met at `{verdict.head_sha[:10]}`; merged as {merged.merge_sha}."
        context.forge.comment(verdict.pull_request, key=COMMENT_KEY, body=body)
