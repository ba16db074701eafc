"""The merge of what the gate lets through, and what happens to what it does not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Problem, RefusedError, UnavailableError
from brainscore_ops.forge.errors import HeadMovedError, NotMergeableError
from brainscore_ops.notify.contexts import Held
from brainscore_ops.plugins.git import find_commit
from brainscore_ops.submissions import mail
from brainscore_ops.submissions.life import State, life_of_pull_request, move

if TYPE_CHECKING:
    from brainscore_ops.submissions.context import Context
    from brainscore_ops.submissions.gate import Verdict

COMMENT_KEY = "brainscore-ops/gate"


class GateRefusedError(RefusedError):
    """A rule of the gate is not met: a person has to look at the pull request."""

    code = "gate"


class TestsNotDoneError(UnavailableError):
    """Nothing but the plugin tests is missing, and they have not ended."""

    __test__ = False  # pytest: not a test
    code = "tests-not-done"


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
            [("merge commit", self.merge_sha), ("tested head", self.head_sha), ("base", self.base_sha)],
        )


def insist(context: Context, verdict: Verdict) -> None:
    """Go on only with a verdict that passed.

    :raises TestsNotDoneError: where nothing is missing but the end of the tests
    :raises GateRefusedError: with every rule that is not met, after the pull request and the submitter were told
    """
    if verdict.passed:
        return
    failed = [ruling for ruling in verdict.rulings if not ruling.passed]
    if verdict.tests_are_under_way:
        raise TestsNotDoneError(
            f"pull request {verdict.pull_request} waits for its tests: {failed[0].finding}",
            remedy="Run test_plugins, or wait for it, and run this again.",
        )
    refusal = GateRefusedError(
        f"pull request {verdict.pull_request} does not meet {len(failed)} of the {len(verdict.rulings)} rules of the gate",
        problems=[Problem(ruling.rule, ruling.finding, where=ruling.rule) for ruling in failed],
        remedy="A maintainer has to look at it, or a new commit has to meet the rules.",
    )
    _hold(context, verdict, refusal)
    raise refusal


def merge(context: Context, verdict: Verdict) -> Merged:
    """Squash-merge exactly the head that the verdict is about, and record base and head: scoring needs both.

    :raises HeadMovedError: where somebody pushed since the verdict
    :raises NotMergeableError: where it conflicts with the default branch, after the pull request and the submitter were told
    """
    number = verdict.pull_request
    title = context.forge.pull_request(number).title
    message = ""
    with context.database.session() as session:
        life = life_of_pull_request(session, context.library, number)
        if life is not None:
            title = life.name
            author = f"{life.submitter} <{life.submission.submitter.email}>"
            message = f"Submission: {life.submission_id}\nCo-authored-by: {author}"
    try:
        merge_sha = context.forge.squash_merge(
            number, head_sha=verdict.head_sha, title=f"{title} (#{number})", message=message
        )
    except (HeadMovedError, NotMergeableError) as refusal:
        _hold(context, verdict, refusal)
        raise
    return record_merge(context, number, head_sha=verdict.head_sha, merge_sha=merge_sha)


def record_merge(context: Context, pull_request: int, *, head_sha: str, merge_sha: str) -> Merged:
    """Record that a pull request is merged, whoever merged it."""
    # The base is told by the merge itself, not by the verdict: the branch may have moved between the two.
    context.mirror.fetch()
    base_sha = find_commit(context.mirror.path, f"{merge_sha}^")
    with context.database.session() as session:
        life = life_of_pull_request(session, context.library, pull_request, lock=True)
        if life is not None and (life.merge_sha is None or life.state in _BEFORE_MERGE):
            life.base_sha, life.head_sha, life.merge_sha = base_sha, head_sha, merge_sha
            move(session, life, State.MERGED, key=merge_sha, run_id=context.run_id)
    return Merged(pull_request, base_sha, head_sha, merge_sha)


_BEFORE_MERGE = {State.PROPOSED, State.TESTED, State.TESTS_FAILED, State.HELD}


def _hold(context: Context, verdict: Verdict, refusal: RefusedError) -> None:
    """Tell the submitter and the pull request, once for each list of reasons at each head."""
    problems = refusal.problems or (Problem(refusal.code, refusal.message),)
    event = f"{verdict.head_sha}:{hashlib.sha256(str(refusal).encode()).hexdigest()[:16]}"
    with context.database.session() as session:
        life = life_of_pull_request(session, context.library, verdict.pull_request, lock=True)
        # A submission whose tests failed stays that: it says more.
        if life is not None and life.state in {State.PROPOSED, State.TESTED, State.HELD}:
            move(session, life, State.HELD, key=event, failure=refusal, run_id=context.run_id)
            held = Held(**mail.about(life), rules=problems, remedy=refusal.remedy)
            mail.queue(session, context.deployment, life, held, event=f"held-{event}")
    mail.deliver(context)
    reasons = "\n".join(f"- **{problem.code}**: {problem.message}" for problem in problems)
    context.forge.comment(
        verdict.pull_request,
        key=COMMENT_KEY,
        body=f"The gate holds this pull request at `{verdict.head_sha[:10]}`:\n\n{reasons}\n\n{refusal.remedy}",
    )
