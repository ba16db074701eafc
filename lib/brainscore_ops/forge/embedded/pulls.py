"""The life of a pull request on the embedded forge: opened, following its branch, merged, all of it safe against a kill.

Git's references are the truth for where branches are; the records are brought after them by `refresh`, which runs
before pull requests are read and after references may have moved. So it does not matter whether a branch was moved by the API,
by a push or by somebody with git in the folder, nor where a process was killed.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from brainscore_ops.errors import RefusedError
from brainscore_ops.forge.embedded.access import unmet_protection
from brainscore_ops.forge.embedded.comparison import current_base
from brainscore_ops.forge.embedded.git import GitRepository, MergeConflictError, ReferenceMovedError, Signature
from brainscore_ops.forge.embedded.store import now
from brainscore_ops.forge.embedded.webhooks import announce_pull, announce_pushes

if TYPE_CHECKING:
    from brainscore_ops.forge.embedded.records import Account, Pull, RepositoryRecord
    from brainscore_ops.forge.embedded.store import Store


HEAD_DIFFERS = "expected head sha didn\u2019t match current head ref."
"""GitHub's words, with GitHub's apostrophe."""


class PullRefusedError(RefusedError):
    """A pull request cannot be opened, reopened or merged as asked; the code says which rule of GitHub's it is."""

    code = "pull-refused"


class PullHeadMovedError(RefusedError):
    """The head of a pull request is not the one that was to be merged."""

    code = "pull-head-moved"


def refresh(store: Store, repository: RepositoryRecord) -> None:
    """Bring the open pull requests after their branches, and finish merges that were interrupted."""
    git = store.git(repository)
    pulls = store.pulls(repository, state="open")
    if not pulls:
        return
    references = git.references()
    for pull in pulls:
        base = references.get(f"refs/heads/{pull.base_ref}", pull.base_sha)
        if pull.merge_sha and git.is_ancestor(pull.merge_sha, base):
            _record_merge(store, repository, pull)
            continue
        head = references.get(f"refs/heads/{pull.head_ref}")
        if head is None:  # the branch is gone: GitHub closes the pull request and keeps its last head
            store.change_pull(pull, state="closed", closed_at=now())
            _announce(store, repository, pull, "closed")
            continue
        if head != pull.head_sha:
            # Like GitHub, the recorded base follows only with a new head: it may lag behind its branch.
            store.change_pull(pull, head_sha=head, base_sha=base)
        if references.get(f"refs/pull/{pull.number}/head") != head:
            git.update_reference(f"refs/pull/{pull.number}/head", head)
        if head != pull.head_sha:
            _announce(store, repository, pull, "synchronize", before=pull.head_sha, after=head)


def open_pull(
    store: Store,
    repository: RepositoryRecord,
    author: Account,
    *,
    title: str,
    body: str,
    head_ref: str,
    base_ref: str,
    draft: bool,
) -> Pull:
    """Open a pull request from one branch of the repository into another.

    :raises PullRefusedError: a branch is missing, nothing differs, or there is one open already
    """
    git = store.git(repository)
    head, base = (git.reference(f"refs/heads/{ref}") for ref in (head_ref, base_ref))
    if head is None:
        raise PullRefusedError("head", code="invalid-head")
    if base is None:
        raise PullRefusedError("base", code="invalid-base")
    if git.merge_base(base, head) is None:
        raise PullRefusedError(
            f"The {head_ref} branch has no history in common with {base_ref}", code="unrelated-histories"
        )
    if git.is_ancestor(head, base):
        raise PullRefusedError(f"No commits between {base_ref} and {head_ref}", code="no-commits")
    refs = {"head_ref": head_ref, "head_sha": head, "base_ref": base_ref, "base_sha": base}
    try:
        pull = store.add_pull(repository, author, title=title, body=body, draft=draft, **refs)
    except sqlite3.IntegrityError:
        owner = repository.owner.login
        raise PullRefusedError(f"A pull request already exists for {owner}:{head_ref}.", code="pull-exists") from None
    git.update_reference(f"refs/pull/{pull.number}/head", head)
    announce_pull(store, repository, pull, "opened", author)
    return pull


def merge_pull(
    store: Store,
    repository: RepositoryRecord,
    pull: Pull,
    merger: Account,
    *,
    head_sha: str | None,
    method: str,
    title: str | None,
    message: str | None,
) -> str:
    """Merge a pull request into its base by one new commit; the commit's SHA.

    The commit is noted on the pull request before the branch moves, and the branch moves only from the base that was merged
    with. Killed in between, `refresh` sees the noted commit on the branch and records the merge, or does not and
    leaves the pull request open.

    :param head_sha: the head that must still be the pull request's
    :param method: ``squash`` or ``merge``
    :raises PullHeadMovedError: the head is another one
    :raises PullRefusedError: it cannot be merged: closed, a draft, conflicts, or the base moved in between
    """
    git = store.git(repository)
    if head_sha is not None and head_sha != pull.head_sha:
        raise PullHeadMovedError("Head branch was modified. Review and try the merge again.")
    if pull.state != "open" or pull.draft:
        raise PullRefusedError("Pull Request is not mergeable")
    if asked := unmet_protection(store, repository, git, pull):
        raise PullRefusedError(asked, code="branch-protected")
    base = current_base(git, pull)
    try:
        tree = git.merge_trees(base, pull.head_sha)
    except MergeConflictError:
        raise PullRefusedError("Pull Request is not mergeable") from None
    moment = datetime.now(UTC).replace(microsecond=0)
    # As GitHub does: a squashed commit is by who opened the pull request, a merge commit by who merges it.
    author, parents = (pull.author, [base]) if method == "squash" else (merger, [base, pull.head_sha])
    commit = git.write_commit(
        tree,
        parents,
        "\n\n".join(part for part in _words(git, pull, base, method, title, message) if part),
        author=Signature(author.name, author.email, moment),
        committer=Signature("Embedded Forge", "noreply@forge.localhost", moment),
    )
    store.change_pull(pull, merge_sha=commit, merger=merger.id, base_sha=base)
    try:
        git.update_reference(f"refs/heads/{pull.base_ref}", commit, old=base)
    except ReferenceMovedError:
        raise PullRefusedError("Base branch was modified. Review and try the merge again.") from None
    _record_merge(store, repository, store.pull(repository, pull.number) or pull)
    store.note_push(repository)
    announce_pushes(store, repository, merger)
    return commit


def update_head(store: Store, repository: RepositoryRecord, pull: Pull, actor: Account) -> str:
    """Merge the base branch into the head branch of an open pull request; the new head.

    :raises PullRefusedError: it is not open, has nothing to take over, or conflicts
    """
    git = store.git(repository)
    base = git.reference(f"refs/heads/{pull.base_ref}")
    if pull.state != "open" or base is None:
        raise PullRefusedError("Pull request is closed.")
    if git.is_ancestor(base, pull.head_sha):
        raise PullRefusedError("There are no new commits on the base branch.")
    try:
        tree = git.merge_trees(pull.head_sha, base)
    except MergeConflictError:
        raise PullRefusedError("merge conflict between base and head") from None
    signature = Signature(actor.name, actor.email, datetime.now(UTC).replace(microsecond=0))
    message = f"Merge branch '{pull.base_ref}' into {pull.head_ref}"
    commit = git.write_commit(tree, [pull.head_sha, base], message, author=signature, committer=signature)
    try:
        git.update_reference(f"refs/heads/{pull.head_ref}", commit, old=pull.head_sha)
    except ReferenceMovedError:
        raise PullRefusedError(HEAD_DIFFERS) from None
    store.note_push(repository)
    announce_pushes(store, repository, actor)
    return commit


def _record_merge(store: Store, repository: RepositoryRecord, pull: Pull) -> None:
    moment = now()
    store.change_pull(pull, state="closed", closed_at=moment, merged_at=moment)
    _announce(store, repository, pull, "closed")


def _announce(store: Store, repository: RepositoryRecord, pull: Pull, action: str, **more: str) -> None:
    changed = store.pull(repository, pull.number) or pull
    announce_pull(store, repository, changed, action, changed.merger or changed.author, **more)


def _words(
    git: GitRepository, pull: Pull, base: str, method: str, title: str | None, message: str | None
) -> tuple[str | None, str | None]:
    """Title and message of a merge commit, with GitHub's defaults for what is not given."""
    if method == "merge":
        default = f"Merge pull request #{pull.number} from {pull.head_ref}", pull.title
    else:
        commits = reversed(git.commits(pull.head_sha, f"^{base}"))
        default = f"{pull.title} (#{pull.number})", "\n\n".join(f"* {commit.message.strip()}" for commit in commits)
    return title or default[0], default[1] if message is None else message
