"""The gate: named rules that a pull request has to meet to be merged without a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from brainscore_ops.database.ops_tables import SubmissionLife
from brainscore_ops.display import Shown, Table, printable
from brainscore_ops.plugins.catalogue import Catalogue, read_catalogue
from brainscore_ops.plugins.changes import Changes, analyse_changes
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.tree import GitTree
from brainscore_ops.submissions.life import find_life, submission_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brainscore_ops.forge.client import PullRequest, Status
    from brainscore_ops.submissions.context import Context

STATUSES = "statuses"


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
    foreign: tuple[PluginKey, ...]
    """The plugins that are changed or removed, and are not the submitter's own."""


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

    tests_are_under_way: bool
    """Whether nothing but statuses is missing, and these are to come."""

    @property
    def passed(self) -> bool:
        """Whether every rule is met."""
        return all(ruling.passed for ruling in self.rulings)

    def table(self) -> Table:
        if self.merged:
            return Table(f"Pull request {self.pull_request} is merged already", [])
        return Table(
            f"Pull request {self.pull_request} at {self.head_sha[:10]}: {'every rule is met' if self.passed else 'held'}",
            [["✓" if ruling.passed else "✗", ruling.rule, ruling.finding] for ruling in self.rulings],
            ["", "rule", "finding"],
        )

    def as_dict(self) -> dict[str, Any]:
        """The verdict as a JSON document."""
        return {**vars(self), "passed": self.passed, "rulings": [vars(ruling) for ruling in self.rulings]}


def examine(context: Context, pull_request: int) -> Verdict:
    """Ask every rule about a pull request as it is now; nothing is changed."""
    pull = context.forge.pull_request(pull_request)
    submission = submission_of(context, pull_request)
    if pull.merged:
        return Verdict(
            pull_request, submission, pull.head_sha, pull.base_sha, merged=True, rulings=(), tests_are_under_way=False
        )
    branch, base_sha = context.forge.default_branch()
    context.mirror.fetch()  # after that was read: what it names is there
    changes = analyse_changes(context.mirror.path, base_sha, pull.head_sha, context.library)
    evidence = Evidence(
        pull_request=pull,
        default_branch=branch,
        base_sha=base_sha,
        changes=changes,
        statuses=context.forge.statuses(pull.head_sha),
        required_statuses=context.deployment.gate.required_statuses,
        status_author=context.forge.login,
        blocking_label=context.deployment.gate.blocking_label,
        base_catalogue=read_catalogue(GitTree(context.mirror.path, base_sha), context.library),
        head_catalogue=read_catalogue(GitTree(context.mirror.path, pull.head_sha), context.library),
        foreign=_foreign(context, submission, changes),
    )
    findings = [(rule, rule.check(evidence)) for rule in RULES]
    return Verdict(
        pull_request,
        submission,
        pull.head_sha,
        base_sha,
        merged=False,
        rulings=tuple(Ruling(rule.name, not finding, finding or rule.purpose) for rule, finding in findings),
        tests_are_under_way=[rule.name for rule, finding in findings if finding] == [STATUSES]
        and all(status is None or status.state == "pending" for status in _not_green(evidence).values()),
    )


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
    for name, status in _not_green(evidence).items():
        if status is None:
            findings.append(f"{name} is missing")
        elif status.state != "success":
            findings.append(f"{name} is {status.state}")
        else:
            findings.append(f"{name} was set by {status.creator}, and not by {evidence.status_author}")
    return f"on {evidence.pull_request.head_sha[:10]}: {'; '.join(findings)}" if findings else ""


def _not_green(evidence: Evidence) -> dict[str, Status | None]:
    """The required statuses that did not succeed, or that somebody else set; None for one that is missing."""
    found = {name: evidence.statuses.get(name) for name in evidence.required_statuses}
    return {
        name: status
        for name, status in found.items()
        if status is None
        or status.state != "success"
        or (evidence.status_author and status.creator != evidence.status_author)
    }


def _changes_its_own(evidence: Evidence) -> str:
    foreign = [f"{plugin.type}/{plugin.name}" for plugin in evidence.foreign]
    return f"plugins of somebody else are changed or removed: {_some(foreign)}" if foreign else ""


def _identifiers_are_free(evidence: Evidence) -> str:
    base, head = evidence.base_catalogue, evidence.head_catalogue
    # What was wrong in the library before is no reason to hold this pull request.
    findings = [str(problem) for problem in head.problems if problem not in set(base.problems)]
    # The head may have left the branch before another plugin took the identifier.
    findings += [
        f"{identifier} is registered by {base.plugin_of(kind, identifier).name} already"
        for kind, identifier in sorted(head.pairs() & base.pairs())
        if head.plugin_of(kind, identifier) != base.plugin_of(kind, identifier)
    ]
    return f"the plugins' identifiers are not in order: {_some(findings)}" if findings else ""


def _foreign(context: Context, submission: int | None, changes: Changes) -> tuple[PluginKey, ...]:
    """The plugins of the library that a pull request changes or removes, and that its submitter did not submit."""
    with context.database.session() as session:
        submitter = find_life(session, submission).submission.submitter_id if submission else None
        merged = select(SubmissionLife).where(
            SubmissionLife.library == context.library, SubmissionLife.merge_sha.is_not(None)
        )
        own = {
            PluginKey(kind, name)
            for life in session.scalars(merged)
            if life.submission.submitter_id == submitter
            for kind, names in life.plugins.items()
            for name in names
        }
    return tuple(sorted({*changes.changed, *changes.removed} - own))


def _some(items: list[str], most: int = 10) -> str:
    more = len(items) - most
    return ", ".join(map(printable, items[:most])) + (f" and {more} more" if more > 0 else "")


RULES: tuple[Rule, ...] = (
    Rule("open", "the pull request is open", _is_open),
    Rule("no-draft", "the pull request is ready for review", _is_no_draft),
    Rule("default-branch", "the pull request targets the default branch", _targets_default_branch),
    Rule("not-blocked", "no label blocks the merge", _is_not_blocked),
    Rule("plugin-only", "nothing but plugins is changed", _is_plugin_only),
    Rule(STATUSES, "every required status succeeded on exactly this head", _statuses_are_green),
    Rule("own-plugins", "no plugin of somebody else is changed or removed", _changes_its_own),
    Rule("identifiers", "every identifier is read from the code, and registered once", _identifiers_are_free),
)
