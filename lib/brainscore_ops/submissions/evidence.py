"""All that the gate's rules look at: gathered from the forge, git and the database before the first rule is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select

from brainscore_ops.database.brainscore_tables import BenchmarkType, Model, Submission
from brainscore_ops.database.ops_tables import SubmissionLife
from brainscore_ops.plugins.catalogue import Catalogue, read_catalogue
from brainscore_ops.plugins.changes import Changes, UnrelatedError, analyse_changes
from brainscore_ops.plugins.git import CommitNotFoundError
from brainscore_ops.plugins.layout import PluginKey, collision_key
from brainscore_ops.plugins.merge_result import MergeResult, merge_result
from brainscore_ops.plugins.metadata import read_metadata
from brainscore_ops.plugins.moved_base import reasons_to_test_again
from brainscore_ops.plugins.origins import commits_that_added
from brainscore_ops.plugins.overlay import colliding
from brainscore_ops.plugins.tree import GitTree
from brainscore_ops.submissions.intake import UNDER_WAY
from brainscore_ops.submissions.life import IN_PRIVATE, life_of_pull_request
from brainscore_ops.submissions.overlays import library_head, whole_library
from brainscore_ops.submissions.plugin_tests import STATUS_CONTEXT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from brainscore_ops.forge.client import PullRequest, Review, Status
    from brainscore_ops.plugins.rules import SourceProblem
    from brainscore_ops.settings.deployment import ArchiveSettings
    from brainscore_ops.submissions.context import Context

_STANDING = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
"""The states of a review that take the place of what its author said before; a comment does not."""


@dataclass(frozen=True)
class Evidence:
    """A pull request, as everything that is known of it stood when it was looked at."""

    pull_request: PullRequest
    submission: int | None
    default_branch: str
    base_sha: str
    """The head of the default branch."""
    library_sha: str
    """The head of the public library's default branch: the same, but for what is proposed to the private repository."""
    changes: Changes | None
    """What the head changes since it left that branch; None where they have no history in common."""
    merge: MergeResult | None
    """What merging exactly this head into exactly this base gives."""
    outcome: Changes | None
    """What that merge changes on the base; None where it conflicts."""
    statuses: Mapping[str, Status]
    """The newest status of each context on exactly the head."""
    required_statuses: tuple[str, ...]
    status_authors: frozenset[str]
    """The logins whose statuses count."""
    blocking_label: str
    limits: ArchiveSettings
    base_catalogue: Catalogue
    outcome_catalogue: Catalogue
    """Of the merge; where that conflicts, of the head."""
    metadata_problems: tuple[SourceProblem, ...]
    """What is wrong with what the changed plugins say of themselves."""
    claims: Mapping[tuple[str, str], str]
    """Kind and folded identifier → who has it, beside the library: a score in the database, another submission."""
    taken_folders: Mapping[PluginKey, str]
    """The added plugins whose folder somebody else has, of whichever repository → who."""
    foreign: tuple[PluginKey, ...]
    """The plugins that are changed or removed, and are not the submitter's own."""
    approvals: tuple[str, ...]
    """The maintainers whose last word is an approval of exactly this head."""
    objections: tuple[str, ...]
    """The maintainers whose last word asks for changes."""
    tests_are_ours: bool
    """Whether the plugin tests that this system runs are required."""
    tested_base: str | None
    """What the head was merged with when its tests ran; None where there is no record of tests of this head."""
    reasons_to_test_again: tuple[str, ...]


def gather(context: Context, pull: PullRequest) -> Evidence:
    """Look at everything that the rules are about; nothing is changed."""
    library_sha = library_head(context)
    branch, base_sha = context.forge.default_branch()
    context.mirror.fetch()  # after that was read: what it names is there
    changes, merge, outcome = _merged(context, base_sha, pull.head_sha)
    gate = context.deployment.gate
    touched = outcome or changes
    plugins = touched.plugins if touched else ()
    result = merge.commit if merge and merge.commit else pull.head_sha
    before = whole_library(context, base_sha, pull.number, base=library_sha)
    after = whole_library(context, result, pull.number, base=library_sha, plugins=plugins)
    base_catalogue, outcome_catalogue = _catalogue(context, before), _catalogue(context, after)
    with context.database.session() as session:
        life = life_of_pull_request(session, context.home, pull.number)
        submission = life.submission_id if life else None
        submitter = life.submission.submitter_id if life else None
        tested = life.tested_base_sha if life and life.tested_sha == pull.head_sha else None
        foreign = _foreign(context, session, submitter, base_sha, touched) if touched else ()
        claims = _claims(context, session, life)
        taken_folders = _taken_folders(context, session, life, touched, library_sha)
    approvals, objections = _judgements(context, pull)
    return Evidence(
        pull_request=pull,
        submission=submission,
        default_branch=branch,
        base_sha=base_sha,
        library_sha=library_sha,
        changes=changes,
        merge=merge,
        outcome=outcome,
        statuses=context.forge.statuses(pull.head_sha),
        required_statuses=gate.required_statuses,
        status_authors=frozenset(gate.status_authors) | ({context.forge.login} - {""}),
        blocking_label=gate.blocking_label,
        limits=context.deployment.archives,
        base_catalogue=base_catalogue,
        outcome_catalogue=outcome_catalogue,
        metadata_problems=_metadata_problems(context, after, outcome_catalogue, touched),
        claims=claims,
        taken_folders=taken_folders,
        foreign=foreign,
        approvals=approvals,
        objections=objections,
        tests_are_ours=STATUS_CONTEXT in gate.required_statuses,
        tested_base=tested,
        reasons_to_test_again=_reasons(context, tested, library_sha, after, touched),
    )


def _merged(context: Context, base: str, head: str) -> tuple[Changes | None, MergeResult | None, Changes | None]:
    repository, library = context.mirror.path, context.library
    try:
        changes = analyse_changes(repository, base, head, library)
    except UnrelatedError:
        return None, None, None
    merge = merge_result(repository, base, head)
    return changes, merge, analyse_changes(repository, base, merge.commit, library) if merge.commit else None


def _catalogue(context: Context, commit: str) -> Catalogue:
    try:
        return read_catalogue(GitTree(context.mirror.path, commit), context.library)
    except FileNotFoundError:  # it removes the library: other rules say so
        return Catalogue(context.library)


def _metadata_problems(
    context: Context, after: str, catalogue: Catalogue, touched: Changes | None
) -> tuple[SourceProblem, ...]:
    present = [plugin for plugin in (touched.plugins if touched else ()) if plugin in catalogue.plugins]
    return read_metadata(GitTree(context.mirror.path, after), catalogue, present).problems


def _reasons(context: Context, tested: str | None, base: str, branch: str, touched: Changes | None) -> tuple[str, ...]:
    if tested is None or touched is None:
        return ()
    try:
        return reasons_to_test_again(context.mirror.path, tested, base, branch, touched.plugins, context.library)
    except (CommitNotFoundError, UnrelatedError):
        return (f"the default branch does not hold {tested[:10]} any more",)


def _foreign(
    context: Context, session: Session, submitter: int | None, base_sha: str, touched: Changes
) -> tuple[PluginKey, ...]:
    """The plugins of the library that are changed or removed, and that somebody else added (or nobody that we know)."""
    old = sorted({*touched.changed, *touched.removed})
    added_by = commits_that_added(context.mirror.path, base_sha, old, context.library)
    merges = session.execute(
        select(SubmissionLife.merge_sha, Submission.submitter_id)
        .join(SubmissionLife.submission)
        .where(SubmissionLife.library == context.home, SubmissionLife.merge_sha.in_(list(added_by.values())))
    )
    owners = {row.merge_sha: row.submitter_id for row in merges}
    return tuple(plugin for plugin in old if submitter is None or owners.get(added_by.get(plugin)) != submitter)


def _claims(context: Context, session: Session, life: SubmissionLife | None) -> dict[tuple[str, str], str]:
    """Who has which identifier beside the library. Of two submissions the one that came first has it."""
    domain = context.deployment.library.domain
    submitter = life.submission.submitter_id if life else None
    claims: dict[tuple[str, str], str] = {}
    for other in _before(context, session, life):
        for kind, names in other.identifiers.items():
            claims |= {(kind, collision_key(name)): _named(other) for name in names}
    models = select(Model.name, Model.owner_id).where(Model.domain == domain)
    benchmarks = select(BenchmarkType.identifier, BenchmarkType.owner_id).where(BenchmarkType.domain == domain)
    for kind, query in (("models", models), ("benchmarks", benchmarks)):
        claims |= {
            (kind, collision_key(name)): "what was scored before under that name"
            for name, owner in session.execute(query)
            if owner != submitter
        }
    return claims


def _before(context: Context, session: Session, life: SubmissionLife | None) -> list[SubmissionLife]:
    """The other submissions that have their names before this one: those under way that came first, and all whose plugins are in
    the private repository. The newest first.
    """
    submission = life.submission_id if life else None
    first: ColumnElement[bool] = SubmissionLife.state.in_(UNDER_WAY)
    if submission is not None:
        first = and_(first, SubmissionLife.submission_id < submission)
    private = and_(SubmissionLife.library == context.homes[1], SubmissionLife.state.in_(IN_PRIVATE))
    query = select(SubmissionLife).where(SubmissionLife.library.in_(context.homes), or_(first, private))
    # What a submission publishes is no other's.
    mine = {submission, life.publishes_id if life else None}
    found = session.scalars(query.order_by(SubmissionLife.submission_id.desc()))
    return [other for other in found if other.submission_id not in mine]


def _named(life: SubmissionLife) -> str:
    # What the gate says stands on the pull request: of a private submission it says nothing.
    return "another submission" if life.private else f"submission {life.submission_id}"


def _taken_folders(
    context: Context, session: Session, life: SubmissionLife | None, touched: Changes | None, library_sha: str
) -> dict[PluginKey, str]:
    """The added plugins whose folder is taken in the other repository; within one, git says so."""
    added = touched.added if touched else ()
    taken = {
        plugin: _named(other)
        for other in _before(context, session, life)
        for plugin in added
        if other.library != context.home
        and collision_key(plugin.name) in map(collision_key, other.plugins.get(plugin.type, ()))
    }
    public = colliding(context.mirror.path, library_sha, added, context.library) if context.private else ()
    return taken | dict.fromkeys(public, "the library")


def _judgements(context: Context, pull: PullRequest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The maintainers that approve exactly this head, and those that ask for changes. Nobody approves his own."""
    last: dict[str, Review] = {}
    for review in context.forge.reviews(pull.number):
        if review.author and review.state in _STANDING:
            last[review.author] = review
    approving = [login for login, review in last.items() if (review.state, review.sha) == ("APPROVED", pull.head_sha)]
    objecting = [login for login, review in last.items() if review.state == "CHANGES_REQUESTED"]
    # Our own account opens pull requests for others: it is no maintainer's.
    authors = {pull.author.casefold(), context.forge.login.casefold()}
    return (
        _maintainers(context, [login for login in approving if login.casefold() not in authors]),
        _maintainers(context, objecting),
    )


def _maintainers(context: Context, logins: Collection[str]) -> tuple[str, ...]:
    gate = context.deployment.gate
    named = {login.casefold() for login in gate.maintainers}
    return tuple(
        sorted(
            login for login in logins if login.casefold() in named or context.forge.role(login) in gate.approving_roles
        )
    )
