"""Pull requests that people open by hand: each is a submission like any other, and its life follows the pull request.

Its identity is the library and the pull request's number. One that the system opened itself for a zip is that zip's, also when
the run that opened it was killed before it could say so.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from brainscore_ops.database.brainscore_tables import Submission
from brainscore_ops.database.ops_tables import SubmissionLife, now
from brainscore_ops.notify.contexts import Received
from brainscore_ops.plugins.changes import UnrelatedError, analyse_changes
from brainscore_ops.plugins.git import CommitNotFoundError
from brainscore_ops.plugins.layout import IDENTIFIER_KINDS, PLUGIN_TYPES
from brainscore_ops.submissions import mail
from brainscore_ops.submissions.accounts import make_user, user_of_account
from brainscore_ops.submissions.life import BEFORE_MERGE, DEADLINE_PASSED, STALE, State, life_of_pull_request, move
from brainscore_ops.submissions.publication import give_up

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from brainscore_ops.forge.client import Account, PullRequest
    from brainscore_ops.plugins.changes import Changes
    from brainscore_ops.submissions.context import Context

COMMENT_KEY = "brainscore-ops/submission"
_OWN_BRANCH = re.compile(r"submission/([1-9][0-9]{0,9})")


def follow(context: Context, pull: PullRequest) -> int | None:
    """Have the submission of a pull request stand where the pull request stands.

    A pull request that nobody has met becomes a submission; a push takes it back to before its tests, closing it ends it,
    and opening it again brings it back. A merge is recorded elsewhere, by
    :func:`brainscore_ops.submissions.merging.record_merge`.

    :returns: the submission; None for a pull request that changes no plugin, which is nobody's submission
    """
    with context.database.session() as session:
        life = _find(context, session, pull, lock=False)
        known_head = life.head_sha if life else None
        known = life is not None
    changes = None if known_head == pull.head_sha else _changes(context, pull)
    if not known and not (changes and changes.plugins):
        return None
    author = None if known or not pull.author else context.forge.account(pull.author)
    with context.database.session() as session:
        # Two runbooks may meet a new pull request at once.
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(_key(context, pull), 0))))
        life = _find(context, session, pull, lock=True)
        new = life is None
        if life is None:
            life = _enter(context, session, pull, author)
        _converge(context, session, life, pull, changes)
        submission = life.submission_id
        told_by_mail = bool(life.submission.submitter.email)
        if new and told_by_mail and pull.state == "open":
            received = Received(**mail.about(life), plugins=_plugins_of(life), public=life.public, by_hand=True)
            mail.queue(session, context.deployment, life, received, event="accepted")
    if new:
        mail.deliver(context)
    if new and not told_by_mail and pull.state == "open":
        context.forge.comment(pull.number, key=COMMENT_KEY, body=_welcome(submission))
    return submission


def _find(context: Context, session: Session, pull: PullRequest, *, lock: bool) -> SubmissionLife | None:
    """The submission of a pull request, also where the run that opened it was killed before it recorded that."""
    life = life_of_pull_request(session, context.home, pull.number, lock=lock)
    own = _OWN_BRANCH.fullmatch(pull.head_ref)
    # Anybody may name a branch of a fork like ours: it is ours in our repository, opened by our account.
    if life is None and own and _is_ours(context, pull):
        life = session.get(SubmissionLife, int(own[1]), with_for_update=lock)
        if life is not None and (life.library != context.home or life.pull_request is not None):
            return None
    return life


def _is_ours(context: Context, pull: PullRequest) -> bool:
    same_repository = pull.head_repository.casefold() == context.forge.repository.casefold()
    return same_repository and bool(pull.author) and pull.author == context.forge.login


def _enter(context: Context, session: Session, pull: PullRequest, author: Account | None) -> SubmissionLife:
    user = user_of_account(session, author) if author else make_user(session, None)
    moment = now()
    row = Submission(
        jenkins_id=0,
        submitter_id=user.id,
        timestamp=moment.replace(tzinfo=None),
        model_type="Brain-Score submission",
        status="running",
    )
    session.add(row)
    session.flush()
    life = SubmissionLife(
        submission_id=row.id,
        submission=row,
        key=_key(context, pull),
        name=_one_line(pull.title) or f"Pull request {pull.number}",
        submitter=_one_line(author.name if author else "") or pull.author or "somebody",
        library=context.home,
        # What is in an open pull request can be seen by everybody who sees its repository.
        public=not context.private,
        pull_request=pull.number,
        state=State.PROPOSED,
        created_at=moment,
        updated_at=moment,
    )
    session.add(life)
    session.flush()
    return life


def _converge(
    context: Context, session: Session, life: SubmissionLife, pull: PullRequest, changes: Changes | None
) -> None:
    life.pull_request, life.pull_request_url, life.branch = pull.number, pull.url, pull.head_ref[:255]
    if life.merge_sha is not None:
        return
    if changes is not None and life.head_sha != pull.head_sha:
        life.plugins, life.identifiers = _by_type(changes), _by_kind(changes)
    if pull.merged:
        return
    moment = _moment(pull.updated_at)
    if pull.state == "closed":
        if life.state in BEFORE_MERGE:
            move(session, life, State.CLOSED, key=moment, run_id=context.run_id)
            give_up(context, session, life, moment)
    elif life.state == State.CLOSED and not _is_being_closed(life, pull):
        said = "The pull request was opened again."
        move(session, life, State.PROPOSED, key=f"reopened:{moment}", message=said, run_id=context.run_id)
    elif life.head_sha != pull.head_sha and life.state in {State.ACCEPTED, *BEFORE_MERGE}:
        pushed = life.head_sha is not None and life.state in BEFORE_MERGE
        said = f"A commit was pushed: {pull.head_sha[:10]}." if pushed else ""
        move(session, life, State.PROPOSED, key=pull.head_sha, message=said, run_id=context.run_id)
    life.head_sha = pull.head_sha


def _is_being_closed(life: SubmissionLife, pull: PullRequest) -> bool:
    """Whether it was ended here, and the forge has yet to be told: it is open, and nobody opened it again."""
    return life.reason_code in (DEADLINE_PASSED, STALE) and pull.updated_at <= life.updated_at


def _changes(context: Context, pull: PullRequest) -> Changes | None:
    """What a pull request changes; None where that cannot be told (its head is gone, or shares no history)."""
    _, base = context.forge.default_branch()
    context.mirror.fetch()
    # Once it is merged the branch may be a part of the base, or gone: the merge itself tells.
    base, head = (f"{pull.merge_sha}^", pull.merge_sha) if pull.merge_sha else (base, pull.head_sha)
    try:
        return analyse_changes(context.mirror.path, base, head, context.library)
    except (CommitNotFoundError, UnrelatedError):
        return None


def _by_type(changes: Changes) -> dict[str, list[str]]:
    found = {kind: [plugin.name for plugin in changes.plugins if plugin.type == kind] for kind in PLUGIN_TYPES}
    return {kind: names for kind, names in found.items() if names}


def _by_kind(changes: Changes) -> dict[str, list[str]]:
    # What it registers; what it takes away is nobody's to score.
    found = {
        kind: sorted({*changes.identifiers[kind].added, *changes.identifiers[kind].changed})
        for kind in IDENTIFIER_KINDS
    }
    return {kind: names for kind, names in found.items() if names}


def _plugins_of(life: SubmissionLife) -> tuple[str, ...]:
    return tuple(f"{kind}/{name}" for kind, names in life.plugins.items() for name in names)


def _welcome(submission: int) -> str:
    return (
        f"Thank you! This is submission {submission}. Next, the plugins' tests run; when they pass and nothing but plugins is "
        "changed, this pull request is merged, and the scores are computed. What happens is told here: your account "
        "on the forge shows no e-mail address that we could write to."
    )


def _key(context: Context, pull: PullRequest) -> str:
    return hashlib.sha256(f"{context.home}\npull request {pull.number}".encode()).hexdigest()


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def _one_line(text: str, longest: int = 200) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:longest]
