"""Which commit of a branch brought a plugin: git's own account of whose it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from brainscore_ops.plugins.git import git
from brainscore_ops.plugins.layout import PluginKey

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_COMMIT = b"commit "


def commits_that_added(
    repository: Path, head: str, plugins: Collection[PluginKey], library: str
) -> dict[PluginKey, str]:
    """The newest commit of a branch's own line that added each plugin.

    A plugin that was removed and added again is of who added it last. A merge commit counts for all that it brought.

    :param head: the branch's newest commit
    """
    if not plugins:
        return {}
    files = [f"{plugin.path(library)}/__init__.py" for plugin in plugins]
    output = git(
        repository,
        "log",
        "--first-parent",
        "--diff-merges=first-parent",
        "--no-renames",
        "--diff-filter=A",
        "--name-only",
        "-z",
        f"--format={_COMMIT.decode()}%H",
        head,
        "--",
        *(f":(literal){file}" for file in files),
    )
    added: dict[PluginKey, str] = {}
    commit = ""
    for field in output.replace(b"\n", b"").split(b"\0"):
        if field.startswith(_COMMIT):
            commit = field.removeprefix(_COMMIT).decode("ascii")
        elif field:
            added.setdefault(PluginKey(*os.fsdecode(field).split("/")[1:3]), commit)
    return added
