"""The gate: named rules that a pull request has to meet to be merged without a person, and the merge itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Problem, RefusedError
from brainscore_ops.notify.contexts import Held
from brainscore_ops.plugins.catalogue import Catalogue, read_catalogue
from brainscore_ops.plugins.changes import Changes, analyse_changes
from brainscore_ops.plugins.git import find_commit
from brainscore_ops.plugins.tree import GitTree
from brainscore_ops.submissions import mail
from brainscore_ops.submissions.life import State, life_of_pull_request, move, submission_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brainscore_ops.forge.client import PullRequest, Status
    from brainscore_ops.submissions.context import Context

COMMENT_KEY = "brainscore-ops/gate"


class GateRefusedError(RefusedError):
    """A rule of the gate is not met: a person has to look at the pull request."""

    code = "gate"


@dataclass(frozen=True)
class Evidence:
    """All that the rules look at, gathered before the first is asked."""

    pull_request: PullRequest
    default_branch: str
    base_sha: str
    """The head of the default branch."""
    changes: Changes
    """What the head changes, against that base."""
    statuses: Mapping[str, Status]
    """The newest status of each context on exactly the head."""
    required_statuses: tuple[str, ...]
    status_author: str
    """The login whose statuses count; empty where the forge does not tell who we are."""
    blocking_label: str
    base_catalogue: Catalogue
    head_catalogue: Catalogue


@dataclass(frozen=True)
class Rule:
    """A condition of the merge. ``check`` returns what is wrong, and nothing where all is well."""

    name: str
    purpose: str
    check: Callable[[Evidence], str]


@dataclass(frozen=True)
class Ruling:
    """What a rule said."""

    rule: str
    passed: bool
    finding: str


@dataclass(frozen=True)
class Verdict(Shown):
    """What the gate said of a pull request at one head and one base."""

    pull_request: int
    submission: int | None
    """The submission that it proposes; None for one that was opened by hand."""
    head_sha: str
    base_sha: str
    merged: bool
    """Whether it was merged before, so that there is nothing left to decide."""
    rulings: tuple[Ruling, ...]

    @property
    def passed(self) -> bool:
        """Whether every rule is met."""
        return all(ruling.passed for ruling in self.rulings)

    def table(self) -> Table:
        if self.merged:
            return Table(f"Pull request {self.pull_request} is merged already", [])
        return Table(
            f"Pull request {self.pull_request} at {self.head_sha[:10]}: {'passes' if self.passed else 'is held'}",
            [["✓" if ruling.passed else "✗", ruling.rule, ruling.finding] for ruling in self.rulings],
            ["", "rule", "finding"],
        )

    def as_dict(self) -> dict[str, Any]:
        """The verdict as a JSON document."""
        return {**vars(self), "passed": self.passed, "rulings": [vars(ruling) for ruling in self.rulings]}


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


def examine(context: Context, pull_request: int) -> Verdict:
    """Ask every rule about a pull request as it is now; nothing is changed."""
    pull = context.forge.pull_request(pull_request)
    submission = submission_of(context, pull_request)
    if pull.merged:
        return Verdict(pull_request, submission, pull.head_sha, pull.base_sha, merged=True, rulings=())
    context.mirror.fetch()
    branch, base_sha = context.forge.default_branch()
    evidence = Evidence(
        pull_request=pull,
        default_branch=branch,
        base_sha=base_sha,
        changes=analyse_changes(context.mirror.path, base_sha, pull.head_sha, context.library),
        statuses=context.forge.statuses(pull.head_sha),
        required_statuses=context.deployment.gate.required_statuses,
        status_author=context.forge.login,
        blocking_label=context.deployment.gate.blocking_label,
        base_catalogue=read_catalogue(GitTree(context.mirror.path, base_sha), context.library),
        head_catalogue=read_catalogue(GitTree(context.mirror.path, pull.head_sha), context.library),
    )
    findings = [(rule, rule.check(evidence)) for rule in RULES]
    return Verdict(
        pull_request,
        submission,
        pull.head_sha,
        base_sha,
        merged=False,
        rulings=tuple(Ruling(rule.name, not finding, finding or rule.purpose) for rule, finding in findings),
    )


def insist(context: Context, verdict: Verdict) -> None:
    """Go on only with a verdict that passed.

    :raises GateRefusedError: with every rule that is not met, after the pull request and the submitter were told
    """
    if verdict.passed:
        return
    failed = [ruling for ruling in verdict.rulings if not ruling.passed]
    refusal = GateRefusedError(
        f"pull request {verdict.pull_request} does not meet {len(failed)} of the {len(verdict.rulings)} rules of the gate",
        problems=[Problem(ruling.rule, ruling.finding, where=ruling.rule) for ruling in failed],
        remedy="A maintainer has to look at it, or a new commit has to meet the rules.",
    )
    rules = "\n".join(f"- **{ruling.rule}**: {ruling.finding}" for ruling in failed)
    context.forge.comment(
        verdict.pull_request,
        key=COMMENT_KEY,
        body=f"This pull request is not merged by itself at `{verdict.head_sha[:10]}`:\n\n{rules}\n\n{refusal.remedy}",
    )
    with context.database.session() as session:
        life = life_of_pull_request(session, verdict.pull_request)
        # A submission whose tests failed stays that: it says more.
        if life is not None and life.state in {State.PROPOSED, State.TESTED, State.HELD}:
            move(session, life, State.HELD, key=verdict.head_sha, failure=refusal, run_id=context.run_id)
            held = Held(**mail.about(life), rules=refusal.problems, remedy=refusal.remedy)
            mail.queue(session, context.deployment, life, held, event=f"held-{verdict.head_sha}")
    mail.deliver(context)
    raise refusal


def merge(context: Context, verdict: Verdict) -> Merged:
    """Squash-merge exactly the head that the verdict is about, and record base and head: scoring needs both.

    :raises HeadMovedError: where somebody pushed since the verdict
    """
    number = verdict.pull_request
    with context.database.session() as session:
        life = life_of_pull_request(session, number)
        title = f"{life.name} (#{number})" if life else f"{context.forge.pull_request(number).title} (#{number})"
        message = (
            f"Submission: {life.submission_id}\nCo-authored-by: {life.submitter} <{life.submission.submitter.email}>"
            if life
            else ""
        )
    merge_sha = context.forge.squash_merge(number, head_sha=verdict.head_sha, title=title, message=message)
    # Told by the merge itself, not by the verdict: the branch may have moved between the two.
    context.mirror.fetch()
    base_sha = find_commit(context.mirror.path, f"{merge_sha}^")
    with context.database.session() as session:
        life = life_of_pull_request(session, number)
        if life is not None and life.merge_sha is None:
            life.head_sha, life.merge_sha = verdict.head_sha, merge_sha
            move(session, life, State.MERGED, key=merge_sha, run_id=context.run_id)
            life.base_sha = base_sha
    return Merged(number, base_sha, verdict.head_sha, merge_sha)


def _is_open(evidence: Evidence) -> str:
    state = evidence.pull_request.state
    return "" if state == "open" else f"expected an open pull request, found it {state}"


def _is_no_draft(evidence: Evidence) -> str:
    return "the pull request is a draft" if evidence.pull_request.draft else ""


def _targets_default_branch(evidence: Evidence) -> str:
    target = evidence.pull_request.base_ref
    return "" if target == evidence.default_branch else f"expected {evidence.default_branch} as target, found {target}"


def _is_not_blocked(evidence: Evidence) -> str:
    blocked = evidence.blocking_label in evidence.pull_request.labels
    return f"the label {evidence.blocking_label!r} is set" if blocked else ""


def _is_plugin_only(evidence: Evidence) -> str:
    changes = evidence.changes
    if changes.plugin_only:
        return ""
    other = [f"{other.path} ({other.reason})" for other in changes.other] + list(changes.shared)
    return f"more than plugins is changed: {_some(other)}" if other else "no plugin is changed"


def _statuses_are_green(evidence: Evidence) -> str:
    findings = []
    for context in evidence.required_statuses:
        status = evidence.statuses.get(context)
        if status is None:
            findings.append(f"{context} is missing")
        elif status.state != "success":
            findings.append(f"{context} is {status.state}")
        elif evidence.status_author and status.creator != evidence.status_author:
            findings.append(f"{context} was set by {status.creator}, and not by {evidence.status_author}")
    return f"on {evidence.pull_request.head_sha[:10]}: {'; '.join(findings)}" if findings else ""


def _identifiers_are_free(evidence: Evidence) -> str:
    # What was wrong in the library before is no reason to hold this pull request.
    known = set(evidence.base_catalogue.problems)
    problems = [str(problem) for problem in evidence.head_catalogue.problems if problem not in known]
    return f"the plugins' identifiers are not in order: {_some(problems)}" if problems else ""


def _some(items: list[str], most: int = 10) -> str:
    more = len(items) - most
    return ", ".join(items[:most]) + (f" and {more} more" if more > 0 else "")


RULES: tuple[Rule, ...] = (
    Rule("open", "the pull request is open", _is_open),
    Rule("no-draft", "the pull request is ready for review", _is_no_draft),
    Rule("default-branch", "the pull request targets the default branch", _targets_default_branch),
    Rule("not-blocked", "no label blocks the merge", _is_not_blocked),
    Rule("plugin-only", "nothing but plugins is changed", _is_plugin_only),
    Rule("statuses", "every required status succeeded on exactly this head", _statuses_are_green),
    Rule("identifiers", "every identifier is read from the code, and registered once", _identifiers_are_free),
)
