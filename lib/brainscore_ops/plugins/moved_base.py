"""Whether tests that ran against an older base of a branch would still give the same result.

What others add to a library in plugins of their own is no reason to test again: with thirty merges on a day every branch
would be tested thirty times. A reason is what the branch's plugins can meet:

- the library's own files and everything outside of it (requirements among them), and files that plugins share;
- the plugins that the branch itself changes;
- a plugin that was changed or removed, and that a plugin of the branch names, by its folder or by an identifier.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from brainscore_ops.plugins.changes import analyse_changes
from brainscore_ops.plugins.layout import KINDS_OF_TYPE, shown
from brainscore_ops.plugins.tree import GitTree

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from brainscore_ops.plugins.changes import Changes
    from brainscore_ops.plugins.layout import PluginKey

_LARGEST_SOURCE = 1_000_000


def reasons_to_test_again(
    repository: Path, tested: str, base: str, branch: str, plugins: Collection[PluginKey], library: str
) -> tuple[str, ...]:
    """Why tests against an older base say nothing of the newer one, in words; empty where they still hold.

    :param tested: the base that the tests ran against
    :param base: the base as it is now
    :param branch: a commit with the files of the plugins that were tested
    :param plugins: the plugins that the branch changes
    :raises CommitNotFoundError: one of the commits is not there
    :raises UnrelatedError: the two bases have no commit in common
    """
    if tested == base:
        return ()
    moved = analyse_changes(repository, tested, base, library)
    if moved.base != tested:
        return (f"the default branch does not hold {tested[:10]} any more",)
    reasons = [f"{shown(path)} changed" for path in (*moved.shared, *(other.path for other in moved.other))]
    reasons += [f"{plugin} changed as well" for plugin in moved.plugins if plugin in plugins]
    sources = b"\n".join(_sources(GitTree(repository, branch), plugins, library))
    reasons += [
        f"{plugin} changed, which is named in the code"
        for plugin in (*moved.changed, *moved.removed)
        if plugin not in plugins and _named(plugin, moved, sources)
    ]
    return tuple(reasons)


def _sources(tree: GitTree, plugins: Collection[PluginKey], library: str) -> Collection[bytes]:
    folders = tuple(f"{plugin.path(library)}/" for plugin in plugins)
    small = [
        entry.path
        for entry in tree.entries(library)
        if entry.path.startswith(folders) and (entry.size or 0) <= _LARGEST_SOURCE
    ]
    return tree.read_many(small).values()


def _named(plugin: PluginKey, moved: Changes, sources: bytes) -> bool:
    identifiers = {
        identifier
        for kind in KINDS_OF_TYPE[plugin.type]
        for found in (moved.identifiers[kind].changed, moved.identifiers[kind].removed)
        for identifier, folder in found.items()
        if folder == plugin.name
    }
    # As a word of its own: 'vgg' is not named by 'vgg16'.
    return any(
        re.search(rb"(?<![\w])" + re.escape(name.encode()) + rb"(?![\w])", sources)
        for name in {plugin.name, *identifiers}
    )
