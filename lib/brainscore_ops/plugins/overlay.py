"""A library with other plugins laid over it: a commit that is made from git's objects, and put on no branch.

What is laid over never takes the place of what the library holds: of two plugins in folders of one name the library's counts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from brainscore_ops.plugins.git import find_commit, git
from brainscore_ops.plugins.layout import PLUGIN_TYPES, PluginKey, collision_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

_NOBODY = "brainscore-ops <> 0 +0000"


def overlay(repository: Path, base: str, over: str, plugins: Collection[PluginKey], library: str) -> str:
    """A commit with all that ``base`` holds, and those of the plugins that ``over`` holds and ``base`` does not.

    The commit is the same whenever it is made of the same. Its parents are the two: :func:`layers` tells them again. Only objects
    are written, which nothing refers to.

    :param plugins: those of ``over`` that are meant; its other files are left out
    :returns: the commit's SHA
    :raises CommitNotFoundError: a revision names no commit
    """
    base, over = find_commit(repository, base), find_commit(repository, over)
    inner = _children(repository, base, library)
    for kind in PLUGIN_TYPES:
        folder = f"{library}/{kind}"
        theirs = _children(repository, base, folder)
        taken = set(map(_folded, theirs))
        wanted = {os.fsencode(plugin.name) for plugin in plugins if plugin.type == kind}
        added = {
            name: entry
            for name, entry in _children(repository, over, folder).items()
            if name in wanted and _folded(name) not in taken
        }
        if added:
            inner[kind.encode()] = _tree_entry(repository, theirs | added)
    root = _children(repository, base, "") | {library.encode(): _tree_entry(repository, inner)}
    tree = _make_tree(repository, root)
    text = (
        f"tree {tree}\nparent {base}\nparent {over}\nauthor {_NOBODY}\ncommitter {_NOBODY}\n\n"
        "Plugins laid over the library\n"
    )
    commit = git(repository, "hash-object", "-t", "commit", "-w", "--stdin", stdin=text.encode())
    return commit.decode("ascii").strip()


def layers(repository: Path, commit: str) -> tuple[str, str]:
    """The two commits that an overlay was made of: the library's, and the one that was laid over it.

    :raises CommitNotFoundError: it is no overlay, or is not there
    """
    return find_commit(repository, f"{commit}^1"), find_commit(repository, f"{commit}^2")


def newest_change(repository: Path, commit: str, folders: Collection[str]) -> str:
    """The newest commit, up to one, that changed something in one of the folders; that one, where none did.

    :raises CommitNotFoundError: the revision names no commit
    """
    commit = find_commit(repository, commit)
    if not folders:
        return commit
    found = git(repository, "--literal-pathspecs", "rev-list", "-1", commit, "--", *folders)
    return found.decode("ascii").strip() or commit


def colliding(repository: Path, base: str, plugins: Iterable[PluginKey], library: str) -> tuple[PluginKey, ...]:
    """The plugins whose folder a library has already, also where only the case of letters tells them apart."""
    taken = {
        (kind, _folded(name)) for kind in PLUGIN_TYPES for name in _children(repository, base, f"{library}/{kind}")
    }
    return tuple(sorted(key for key in plugins if (key.type, collision_key(key.name)) in taken))


def _folded(name: bytes) -> str:
    return collision_key(os.fsdecode(name))


def _children(repository: Path, commit: str, folder: str) -> dict[bytes, bytes]:
    """Name → mode, type and object, of what stands directly in a folder; empty where there is no such folder."""
    output = git(repository, "ls-tree", "-z", "--full-tree", commit, *([f"{folder}/"] if folder else []))
    entries = (line.split(b"\t", 1) for line in output.split(b"\0") if line)
    return {path.rpartition(b"/")[2]: head for head, path in entries}


def _tree_entry(repository: Path, children: Mapping[bytes, bytes]) -> bytes:
    return b"040000 tree " + _make_tree(repository, children).encode()


def _make_tree(repository: Path, children: Mapping[bytes, bytes]) -> str:
    listing = b"".join(head + b"\t" + name + b"\0" for name, head in sorted(children.items()))
    return git(repository, "mktree", "-z", stdin=listing).decode("ascii").strip()
