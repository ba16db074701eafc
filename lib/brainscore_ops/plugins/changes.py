"""What a branch changes in a domain library, told from git's objects: which plugins, and what is none.

Nothing is checked out and no file of the branch is trusted: a path counts as a plugin's only if its name, its mode and
its place in the tree all say so.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Badge, Shown, Table
from brainscore_ops.errors import RefusedError
from brainscore_ops.plugins.catalogue import Catalogue, read_catalogue
from brainscore_ops.plugins.git import find_commit, git
from brainscore_ops.plugins.layout import (
    IDENTIFIER_KINDS,
    PLUGIN_TYPES,
    Owner,
    PluginKey,
    is_test_file,
    locate,
    shown,
)
from brainscore_ops.plugins.namespace import Namespace
from brainscore_ops.plugins.tree import GitTree, kind_of_mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from brainscore_ops.plugins.rules import SourceProblem

EMPTY_TREES = frozenset(
    {
        "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
    }
)
"""git's name for a tree without files, by SHA-1 and by SHA-256."""

_FILE_MODES = frozenset({0o100644, 0o100755})


class UnrelatedError(RefusedError):
    """Two branches have no history in common."""

    code = "histories-unrelated"


@dataclass(frozen=True, order=True)
class OtherPath:
    """A changed path that is no plugin's."""

    path: str
    reason: str


@dataclass(frozen=True)
class IdentifierChanges:
    """What becomes of the identifiers of one kind: identifier to the name of its plugin's folder."""

    added: Mapping[str, str]
    changed: Mapping[str, str]
    """Registered before and after, by a plugin of which a file changes."""
    removed: Mapping[str, str]


@dataclass(frozen=True)
class Changes(Shown):
    """What lies between a base and a head."""

    base: str | None
    """The commit that was compared with: the merge base. None where everything counts as new."""
    head: str
    added: tuple[PluginKey, ...]
    """Plugins that are only at the head."""
    changed: tuple[PluginKey, ...]
    """Plugins that are at both ends."""
    removed: tuple[PluginKey, ...]
    """Plugins that are only at the base."""
    shared: tuple[str, ...]
    """Changed files that all plugins of a type use: they are no plugin's, and let all plugins of that type be tested."""
    other: tuple[OtherPath, ...]
    """All other changed paths, each with the reason why it is no plugin's."""
    tests_to_run: tuple[str, ...]
    """Test files, at the head, of the plugins that changed or are reached by a shared file."""
    identifiers: Mapping[str, IdentifierChanges]
    """By kind: models, benchmarks, data, stimulus_sets, metrics."""
    problems: tuple[SourceProblem, ...]
    """What is wrong with the changed plugins' sources at the head, and what cannot be read."""
    files: int
    """How many files the head adds or changes."""
    size: int
    """How many bytes they have at the head, all together."""

    @property
    def plugins(self) -> tuple[PluginKey, ...]:
        """All plugins of which a file changes."""
        return tuple(sorted({*self.added, *self.changed, *self.removed}))

    @property
    def plugin_only(self) -> bool:
        """Whether plugins change, and nothing else does."""
        return bool(self.plugins) and not self.shared and not self.other

    def facts(self) -> list[tuple[str, object]]:
        """What a reader wants to see of them, as the rows of a table."""
        kinds = (("adds", self.added), ("changes", self.changed), ("removes", self.removed))
        identifiers = [
            f"{kind}: {identifier}"
            for kind, each in self.identifiers.items()
            for identifier in (*each.added, *each.changed)
        ]
        return [
            ("files", f"{self.files}, {self.size:,} bytes"),
            ("plugins alone", Badge("met") if self.plugin_only else Badge("not met", "bad")),
            *[(verb, "\n".join(f"{key.type}/{key.name}" for key in keys)) for verb, keys in kinds],
            ("registers", "\n".join(identifiers)),
            ("tests to run", "\n".join(self.tests_to_run)),
            ("shared files", "\n".join(map(shown, self.shared))),
            ("other files", "\n".join(f"{shown(other.path)}: {other.reason}" for other in self.other)),
            ("problems", "\n".join(map(str, self.problems))),
        ]

    def table(self) -> Table:
        return Table("What changes", self.facts())

    def to_json(self) -> dict[str, Any]:
        """The changes as a JSON document.

        ``identifiers`` holds, for each kind, ``added``, ``changed`` and ``removed`` (identifier to plugin), and under
        ``problems`` what could not be read.
        """
        kinds = {
            kind: {"added": dict(each.added), "changed": dict(each.changed), "removed": dict(each.removed)}
            for kind, each in self.identifiers.items()
        }
        return {
            "plugin_only": self.plugin_only,
            "plugins": {each: [key.name for key in self.plugins if key.type == each] for each in PLUGIN_TYPES},
            "other": [{"path": each.path, "reason": each.reason} for each in self.other],
            "shared": list(self.shared),
            "tests_to_run": list(self.tests_to_run),
            "identifiers": {**kinds, "problems": [problem.as_dict() for problem in self.problems]},
        }


def analyse_changes(repository: Path, base: str | None, head: str, library: str) -> Changes:
    """Tell what a branch changes, and which plugins that concerns.

    As a pull request shows it, ``head`` is compared with the newest commit that it has in common with ``base``: what
    others did on ``base`` since is no change of the branch. A rename counts as a removal and an addition.

    :param repository: a git repository, bare or not
    :param base: a revision of the branch that is merged into; None, or git's empty tree, where everything counts as new
    :param head: the revision that would be merged
    :param library: the package whose plugins are meant
    :raises CommitNotFoundError: a revision names no commit
    :raises UnrelatedError: the two have no commit in common
    :raises GitFailedError: git cannot read the repository
    """
    new = GitTree(repository, find_commit(repository, head))
    compared = None if base in EMPTY_TREES else base
    old = None if compared is None else GitTree(repository, _merge_base(repository, compared, new.commit))
    after, before = _End(new, library), _End(old, library)
    touched: set[PluginKey] = set()
    shared: list[str] = []
    reached: set[str] = set()
    other: list[OtherPath] = []
    paths = _changed_paths(repository, old, new)
    for path, mode in sorted(paths.items()):
        place = locate(path, library)
        reason = place.reason if place.owner is Owner.OTHER else _fault(path, mode, before, after)
        if reason:
            other.append(OtherPath(path, reason))
        elif place.plugin is not None:
            touched.add(place.plugin)
        else:
            shared.append(path)
            reached.update(place.types)
    identifiers, problems = _identifiers(before, after, touched)
    return Changes(
        base=old.commit if old else None,
        head=new.commit,
        added=tuple(sorted(touched & after.plugins - before.plugins)),
        changed=tuple(sorted(touched & after.plugins & before.plugins)),
        removed=tuple(sorted(touched & before.plugins - after.plugins)),
        shared=tuple(shared),
        other=tuple(other),
        tests_to_run=tuple(sorted(_tests(after, touched, reached))),
        identifiers=identifiers,
        problems=problems,
        files=sum(map(bool, paths.values())),
        size=sum(entry.size or 0 for entry in after.entries if entry.path in paths),
    )


class _End:
    """The whole tree at one end of the changes; without a commit, an empty one."""

    def __init__(self, tree: GitTree | None, library: str) -> None:
        self.tree = tree
        self.library = library
        self.entries = list(tree.entries()) if tree else []
        self.times = Counter(entry.path for entry in self.entries)
        self.files = {entry.path for entry in self.entries if entry.kind == "file"}
        self.plugins = {
            PluginKey(*path.split("/")[1:3])
            for path in self.files
            if path.startswith(f"{library}/") and path.endswith("/__init__.py") and path.count("/") == 3
            if locate(path, library).plugin is not None
        }

    @cached_property
    def names(self) -> Namespace:
        return Namespace(self.times)

    @property
    def has_library(self) -> bool:
        return f"{self.library}/__init__.py" in self.files


def _merge_base(repository: Path, base: str, head: str) -> str:
    """The newest commit that two branches have in common, as ``git diff base...head`` takes it."""
    lines = git(repository, "rev-parse", f"{find_commit(repository, base)}...{head}").decode("ascii").split()
    common = [line.removeprefix("^") for line in lines if line.startswith("^")]
    if not common:
        message = f"Expected {base} and {head} to have a commit in common; found none"
        raise UnrelatedError(message, remedy="Start the branch from the library's own history.")
    return common[0]


def _changed_paths(repository: Path, old: GitTree | None, new: GitTree) -> dict[str, int]:
    """Every path that differs, with its mode at the head; 0 where it is gone."""
    start = old.commit if old else next(name for name in EMPTY_TREES if len(name) == len(new.commit))
    output = git(
        repository, "diff-tree", "-r", "-z", "--raw", "--no-renames", "--ignore-submodules=none", start, new.commit
    )
    fields = output.split(b"\0")
    # ":<mode before> <mode after> <object before> <object after> <status>", and then the path.
    heads, paths = fields[:-1:2], fields[1::2]
    return {os.fsdecode(path): int(head.split(b" ")[1], 8) for head, path in zip(heads, paths, strict=True)}


def _fault(path: str, mode: int, before: _End, after: _End) -> str:
    """Why a path that is named like a plugin's or a shared file is none; empty where it is one."""
    library = after.library
    if not after.has_library or (before.tree and not before.has_library):
        return f"the repository holds no package {library}/ that it could belong to"
    if mode and mode not in _FILE_MODES:
        kind = kind_of_mode(mode)
        return {
            "link": "it is a link, which may lead anywhere",
            "submodule": "it is a submodule, whose files are in another repository",
        }.get(kind, f"it has the unusual mode {mode:o}")
    plugin = locate(path, library).plugin
    if plugin is not None:
        there = after if after.names.is_folder(plugin.path(library)) else before
        if plugin not in there.plugins:
            return f"its folder is no plugin: there is no {plugin.path(library)}/__init__.py"
    if not mode:
        return ""
    if after.times[path] > 1 or after.names.is_folder(path):
        return "the tree holds another entry of the same name"
    twin = after.names.twin(path)
    # What collides at the base already is nothing that the branch does.
    if twin and not all(map(before.names.holds, twin)):
        return f"{shown(twin[0])} is the same as {shown(twin[1])} on computers that know no case or other Unicode forms"
    return ""


def _tests(after: _End, touched: set[PluginKey], reached: set[str]) -> Iterable[str]:
    for path in after.files:
        plugin = locate(path, after.library).plugin if is_test_file(path) else None
        if plugin in after.plugins and (plugin in touched or (plugin is not None and plugin.type in reached)):
            yield path


def _identifiers(
    before: _End, after: _End, touched: set[PluginKey]
) -> tuple[dict[str, IdentifierChanges], tuple[SourceProblem, ...]]:
    old, new = _catalogue(before, touched), _catalogue(after, touched)
    changes = {}
    for kind in IDENTIFIER_KINDS:
        was, now = old.of_kind(kind), new.of_kind(kind)
        changes[kind] = IdentifierChanges(
            added={name: now[name] for name in sorted(now.keys() - was.keys())},
            changed={name: now[name] for name in sorted(now.keys() & was.keys())},
            removed={name: was[name] for name in sorted(was.keys() - now.keys())},
        )
    return changes, new.problems


def _catalogue(end: _End, touched: set[PluginKey]) -> Catalogue:
    if end.tree is None or not touched & end.plugins:
        return Catalogue(end.library)
    return read_catalogue(end.tree, end.library, touched & end.plugins)
