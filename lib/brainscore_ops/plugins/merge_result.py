"""What a merge of two commits would give: made from git's objects, as the forge makes it, and put on no branch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brainscore_ops.plugins.git import GitFailedError, find_commit, git

if TYPE_CHECKING:
    from pathlib import Path

_NOBODY = "brainscore-ops <> 0 +0000"
_CONFLICTS = 1


@dataclass(frozen=True)
class MergeResult:
    """The outcome of merging a head into a base."""

    base: str
    head: str
    commit: str | None
    """A commit of the result, on top of the base alone as a squash leaves it; None where there are conflicts."""
    conflicts: tuple[str, ...] = ()
    """The paths that both sides changed, and that git cannot merge."""


def merge_result(repository: Path, base: str, head: str) -> MergeResult:
    """Merge a head into a base without touching any branch or file.

    The commit is the same whenever it is made from the same two. Only objects are written, which nothing refers to.

    :raises CommitNotFoundError: a revision names no commit
    :raises GitFailedError: git cannot merge them: the two have no history in common, for one
    """
    base, head = find_commit(repository, base), find_commit(repository, head)
    arguments = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", base, head)
    try:
        tree = git(repository, *arguments).rstrip(b"\0")
    except GitFailedError:
        # Whether there are conflicts is said by the exit code alone; anything else fails again.
        _, *paths = git(repository, *arguments, accept=(_CONFLICTS,)).rstrip(b"\0").split(b"\0")
        return MergeResult(base, head, None, tuple(sorted({os.fsdecode(path) for path in paths})))
    text = f"tree {tree.decode('ascii')}\nparent {base}\nauthor {_NOBODY}\ncommitter {_NOBODY}\n\nMerge of {head}\n"
    commit = git(repository, "hash-object", "-t", "commit", "-w", "--stdin", stdin=text.encode())
    return MergeResult(base, head, commit.decode("ascii").strip())
