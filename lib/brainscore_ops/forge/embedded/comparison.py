"""What a pull request is at the moment: what it changes against its base, and whether it merges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_ops.forge.embedded.git import MergeConflictError

if TYPE_CHECKING:
    from brainscore_ops.forge.embedded.documents import Document, Documents
    from brainscore_ops.forge.embedded.git import FileChange, GitRepository
    from brainscore_ops.forge.embedded.records import Pull, RepositoryRecord


def current_base(git: GitRepository, pull: Pull) -> str:
    """The commit that a pull request is compared with: the base branch now, or as it was when it was closed."""
    tip = git.reference(f"refs/heads/{pull.base_ref}") if pull.state == "open" else None
    return tip or pull.base_sha


def mergeable(git: GitRepository, pull: Pull) -> bool:
    """Whether an open pull request merges into its base branch as it is now without conflicts."""
    try:
        git.merge_trees(current_base(git, pull), pull.head_sha)
    except MergeConflictError:
        return False
    return True


def pull_changes(git: GitRepository, pull: Pull, *, patches: bool = True) -> list[FileChange]:
    """What a pull request changes: from where it left its base to its head."""
    base = current_base(git, pull)
    return git.changes(git.merge_base(base, pull.head_sha) or base, pull.head_sha, patches=patches)


def full_document(documents: Documents, record: RepositoryRecord, pull: Pull) -> Document:
    """A pull request as it is shown alone."""
    git = documents.store.git(record)
    return documents.full_pull(
        record,
        pull,
        mergeable=mergeable(git, pull) if pull.state == "open" else None,
        commits=git.count_commits(pull.head_sha, f"^{current_base(git, pull)}"),
        changes=pull_changes(git, pull, patches=False),
    )
