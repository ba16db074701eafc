"""The gate: named rules that a pull request has to meet to be merged without a person.

The rules are data (:data:`RULES`): each has a name, what it expects, and a function that says what was found. All of them are
asked of the same evidence (:mod:`brainscore_ops.submissions.evidence`), which is gathered before; a rule asks nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Badge, Shown, Table, printable
from brainscore_ops.plugins.layout import collision_key, shown
from brainscore_ops.submissions.evidence import Evidence, gather
from brainscore_ops.submissions.life import submission_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from brainscore_ops.forge.client import Status
    from brainscore_ops.submissions.context import Context

STATUSES = "statuses"
TESTED_BASE = "tested-base"


@dataclass(frozen=True)
class Found:
    """What a rule found, and whether that is as it should be."""

    met: bool
    words: str


@dataclass(frozen=True)
class Rule:
    """A condition of the merge."""

    name: str
    expected: str
    check: Callable[[Evidence], Found]


@dataclass(frozen=True)
class Ruling:
    """What a rule said."""

    rule: str
    passed: bool
    expected: str
    found: str


@dataclass(frozen=True)
class Verdict(Shown):
    """What the gate said of a pull request at one head and one base."""

    pull_request: int
    submission: int | None
    """The submission that it is; None for one that was opened by hand and that no runbook has met yet."""
    head_sha: str
    base_sha: str
    merged: bool
    """Whether it was merged before, so that there is nothing left to decide."""
    rulings: tuple[Ruling, ...]
    waits_for_tests: bool
    """Whether nothing but the tests is missing: they are to come, under way, or out of date."""
    tests_outdated: bool
    """Whether they ran, against a base that has moved on since."""

    @property
    def passed(self) -> bool:
        """Whether every rule is met."""
        return all(ruling.passed for ruling in self.rulings)

    @property
    def unmet(self) -> tuple[Ruling, ...]:
        """The rules that are not met."""
        return tuple(ruling for ruling in self.rulings if not ruling.passed)

    def table(self) -> Table:
        if self.merged:
            return Table(f"Pull request {self.pull_request} is merged already", [])
        return Table(
            f"{self.title} on {self.base_sha[:10]}",
            [[Badge("✓" if each.passed else "✗"), each.rule, each.expected, each.found] for each in self.rulings],
            ["", "rule", "expected", "found"],
        )

    @property
    def title(self) -> str:
        """The verdict in a line."""
        said = "merged already" if self.merged else "every rule is met" if self.passed else "held"
        return f"Pull request {self.pull_request} at {self.head_sha[:10]}: {said}"

    def as_dict(self) -> dict[str, Any]:
        """The verdict as a JSON document."""
        return {**vars(self), "passed": self.passed, "rulings": [vars(ruling) for ruling in self.rulings]}


def examine(context: Context, pull_request: int) -> Verdict:
    """Ask every rule about a pull request as it is now; nothing is changed."""
    pull = context.forge.pull_request(pull_request)
    if pull.merged:
        submission = submission_of(context, pull_request)
        return Verdict(
            pull_request,
            submission,
            pull.head_sha,
            pull.base_sha,
            merged=True,
            rulings=(),
            waits_for_tests=False,
            tests_outdated=False,
        )
    return judge(gather(context, pull))


def judge(evidence: Evidence) -> Verdict:
    """What the rules say of the evidence."""
    found = {rule: rule.check(evidence) for rule in RULES}
    unmet = {rule.name for rule, each in found.items() if not each.met}
    to_come = all(status is None or status.state == "pending" for status in _not_green(evidence).values())
    waits = bool(unmet) and unmet <= {STATUSES, TESTED_BASE} and to_come
    return Verdict(
        evidence.pull_request.number,
        evidence.submission,
        evidence.pull_request.head_sha,
        evidence.library_sha,
        merged=False,
        rulings=tuple(Ruling(rule.name, each.met, rule.expected, each.words) for rule, each in found.items()),
        waits_for_tests=waits,
        tests_outdated=waits and STATUSES not in unmet,
    )


def _is_open(evidence: Evidence) -> Found:
    return Found(evidence.pull_request.state == "open", evidence.pull_request.state)


def _is_no_draft(evidence: Evidence) -> Found:
    draft = evidence.pull_request.draft
    return Found(not draft, "a draft" if draft else "no draft")


def _targets_default_branch(evidence: Evidence) -> Found:
    target = evidence.pull_request.base_ref
    met = target == evidence.default_branch
    return Found(met, shown(target) if met else f"{shown(target)}; the default branch is {evidence.default_branch!r}")


def _is_not_blocked(evidence: Evidence) -> Found:
    labels = [label for label in evidence.pull_request.labels if label.casefold() == evidence.blocking_label.casefold()]
    return Found(not labels, f"the label {shown(labels[0])} is set" if labels else "no such label")


def _has_no_conflicts(evidence: Evidence) -> Found:
    merge = evidence.merge
    if merge is None:
        return Found(met=False, words="no history in common with the default branch")
    return Found(
        merge.commit is not None,
        f"both sides changed {_some(map(shown, merge.conflicts))}" if merge.conflicts else "it merges",
    )


def _is_plugin_only(evidence: Evidence) -> Found:
    findings: dict[str, str] = {}
    for changes in (evidence.changes, evidence.outcome):
        if changes is not None:
            findings |= {other.path: f"{shown(other.path)}: {other.reason}" for other in changes.other}
            findings |= {path: f"{shown(path)}: plugins share it" for path in changes.shared}
    if findings:
        return Found(met=False, words=f"more than plugins: {_some(findings.values())}")
    plugins = evidence.outcome.plugins if evidence.outcome else evidence.changes.plugins if evidence.changes else ()
    # Both have to say so: what the branch did, and what merging it would do.
    met = all(changes is None or changes.plugin_only for changes in (evidence.changes, evidence.outcome))
    return Found(met and bool(plugins), _some(map(str, plugins)) or "no plugin is changed")


def _is_of_bounded_size(evidence: Evidence) -> Found:
    changes, limits = evidence.changes, evidence.limits
    if changes is None:
        return Found(met=False, words="nothing that could be read")
    met = changes.files <= limits.members and changes.size <= limits.unpacked_bytes
    return Found(met, f"{_count(changes.files, 'file')} of {changes.size / 1e6:.1f} MB")


def _statuses_are_green(evidence: Evidence) -> Found:
    if not evidence.status_authors:
        return Found(met=False, words="whose statuses count is not known: name our account in gate.status_authors")
    findings = []
    for name, status in _not_green(evidence).items():
        if status is None:
            findings.append(f"{name} is missing")
        elif status.state != "success":
            findings.append(f"{name} is {status.state}")
        else:
            expected = " or ".join(sorted(evidence.status_authors))
            findings.append(f"{name} was set by {shown(status.creator)}, and not by {expected}")
    at = evidence.pull_request.head_sha[:10]
    return Found(not findings, f"at {at}: {'; '.join(findings) or _count(len(evidence.required_statuses), 'success')}")


def _not_green(evidence: Evidence) -> dict[str, Status | None]:
    """The required statuses that did not succeed, or that somebody else set; None for one that is missing."""
    found = {name: _newest(evidence, name) for name in evidence.required_statuses}
    return {
        name: status
        for name, status in found.items()
        if status is None or status.state != "success" or status.creator not in evidence.status_authors
    }


def _newest(evidence: Evidence, context: str) -> Status | None:
    # GitHub's contexts know no case: one that is written otherwise is the same, and the newest of all counts.
    same = [status for name, status in evidence.statuses.items() if name.casefold() == context.casefold()]
    return max(same, key=lambda status: status.created_at, default=None)


def _ran_against_this_base(evidence: Evidence) -> Found:
    if not evidence.tests_are_ours:
        return Found(met=True, words="other tests than this system's are required")
    if evidence.tested_base is None:
        return Found(met=False, words="no record of tests of this head")
    base = evidence.tested_base[:10]
    if evidence.reasons_to_test_again:
        return Found(met=False, words=f"they ran on {base}, and since then {_some(evidence.reasons_to_test_again)}")
    moved = evidence.tested_base != evidence.library_sha
    return Found(
        met=True, words=f"they ran on {base}" + (", and what came since does not concern them" if moved else "")
    )


def _changes_its_own(evidence: Evidence) -> Found:
    if not evidence.foreign:
        return Found(met=True, words="none")
    names = _some(map(str, evidence.foreign))
    if evidence.approvals:
        return Found(met=True, words=f"{names}, approved by {', '.join(evidence.approvals)}")
    return Found(met=False, words=f"{names}, and no maintainer's approval of exactly this head")


def _nobody_objects(evidence: Evidence) -> Found:
    return Found(not evidence.objections, _some(map(shown, evidence.objections)) or "nobody")


def _identifiers_are_free(evidence: Evidence) -> Found:
    base, after = evidence.base_catalogue, evidence.outcome_catalogue
    # What was wrong in the library before is no reason to hold this pull request.
    known = {(problem.code, problem.file, problem.message) for problem in base.problems}
    findings = [
        str(problem) for problem in after.problems if (problem.code, problem.file, problem.message) not in known
    ]
    added = sorted(after.pairs() - base.pairs())
    spellings: dict[tuple[str, str], set[str]] = {}
    for kind, identifier in after.pairs():
        spellings.setdefault((kind, collision_key(identifier)), set()).add(identifier)
    for kind, identifier in added:
        others = spellings[kind, collision_key(identifier)] - {identifier}
        if others:
            findings.append(f"{shown(identifier)} differs from {shown(min(others))} by its spelling alone")
        claim = evidence.claims.get((kind, collision_key(identifier)))
        if claim:
            findings.append(f"{shown(identifier)} in {kind} is taken by {claim}")
    return Found(not findings, _some(findings) or f"{_count(len(added), 'identifier')} added")


def _folders_are_free(evidence: Evidence) -> Found:
    findings = [f"{plugin} is a folder of {owner}" for plugin, owner in sorted(evidence.taken_folders.items())]
    return Found(not findings, _some(findings) or "nobody else has one")


def _says_what_it_is(evidence: Evidence) -> Found:
    problems = evidence.metadata_problems
    return Found(not problems, _some(map(str, problems)) or "nothing is wrong with it")


def _some(items: Iterable[str], most: int = 10) -> str:
    listed = list(items)
    more = len(listed) - most
    return ", ".join(map(printable, listed[:most])) + (f" and {more} more" if more > 0 else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 'es' if what.endswith('s') else 's'}"


RULES: tuple[Rule, ...] = (
    Rule("open", "an open pull request", _is_open),
    Rule("no-draft", "a pull request that is ready for review", _is_no_draft),
    Rule("default-branch", "the default branch as its target", _targets_default_branch),
    Rule("not-blocked", "no label that blocks the merge", _is_not_blocked),
    Rule("no-objection", "no maintainer who asks for changes", _nobody_objects),
    Rule("mergeable", "no conflict with the default branch", _has_no_conflicts),
    Rule("plugin-only", "plugins, and nothing else", _is_plugin_only),
    Rule("size", "no more than an archive may hold", _is_of_bounded_size),
    Rule(
        STATUSES,
        "every required status a success, on exactly this head, from those whose word counts",
        _statuses_are_green,
    ),
    Rule(TESTED_BASE, "tests on what merging gives, with nothing since that could change them", _ran_against_this_base),
    Rule("own-plugins", "no change to somebody else's plugin without a maintainer's approval", _changes_its_own),
    Rule("identifiers", "identifiers that can be read from the code, and that nobody else has", _identifiers_are_free),
    Rule("folders", "plugin folders that nobody else has", _folders_are_free),
    Rule("metadata", "metadata that holds to its schema, where there is any", _says_what_it_is),
)
