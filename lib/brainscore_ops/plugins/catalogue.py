"""What a library's plugins register, read from their sources without importing them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from brainscore_ops.errors import UsageError
from brainscore_ops.plugins import rules
from brainscore_ops.plugins.layout import (
    IDENTIFIER_KINDS,
    KINDS_OF_TYPE,
    PLUGIN_TYPES,
    REGISTRIES,
    PluginKey,
    plugin_name_fault,
    plugin_name_like,
    shown,
)
from brainscore_ops.plugins.registrations import read_registrations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from brainscore_ops.plugins.registrations import Findings
    from brainscore_ops.plugins.rules import Rule, SourceProblem
    from brainscore_ops.plugins.tree import SourceTree

_INIT = "__init__.py"


class LibraryNotFoundError(UsageError):
    """A folder holds no domain library, or several."""

    code = "library-not-found"


@dataclass(frozen=True)
class Catalogue:
    """The plugins of a library and what they register."""

    library: str
    models: Mapping[str, str] = field(default_factory=dict)
    """Identifier to the name of the plugin's folder; the same for the other four kinds."""
    benchmarks: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    stimulus_sets: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
    plugins: Mapping[PluginKey, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """Every plugin, with its identifiers by kind."""
    problems: tuple[SourceProblem, ...] = ()
    """What is wrong, and what cannot be read without running it."""

    def of_kind(self, kind: str) -> Mapping[str, str]:
        """The identifiers of a kind: "models", "benchmarks", "data", "stimulus_sets" or "metrics"."""
        return {
            "models": self.models,
            "benchmarks": self.benchmarks,
            "data": self.data,
            "stimulus_sets": self.stimulus_sets,
            "metrics": self.metrics,
        }[kind]

    def pairs(self) -> frozenset[tuple[str, str]]:
        """Every (kind, identifier)."""
        return frozenset((kind, identifier) for kind in IDENTIFIER_KINDS for identifier in self.of_kind(kind))

    def plugin_of(self, kind: str, identifier: str) -> PluginKey:
        """The plugin that registers an identifier.

        :raises KeyError: none does
        """
        return PluginKey(_TYPE_OF_KIND[kind], self.of_kind(kind)[identifier])

    def plugin_of_model(self, identifier: str) -> PluginKey:
        """The plugin of a model.

        :raises KeyError: there is no such model
        """
        return self.plugin_of("models", identifier)

    def plugin_of_benchmark(self, identifier: str) -> PluginKey:
        """The plugin of a benchmark.

        :raises KeyError: there is no such benchmark
        """
        return self.plugin_of("benchmarks", identifier)

    def to_json(self) -> dict[str, Any]:
        """The catalogue as a JSON document: identifiers by kind, sorted, and the problems."""
        kinds = {kind: dict(sorted(self.of_kind(kind).items())) for kind in IDENTIFIER_KINDS}
        return {**kinds, "problems": [problem.as_dict() for problem in self.problems]}


def read_catalogue(tree: SourceTree, library: str, plugins: Collection[PluginKey] | None = None) -> Catalogue:
    """Read what a library's plugins register.

    Only the plugins' ``__init__.py`` files are read, and those other files of the library from which they take the text
    of an identifier. What cannot be read is in ``problems``, with file and line.

    :param plugins: only these; None for all
    :raises FileNotFoundError: there is no such library in the tree
    """
    entries = {entry.path: entry for entry in tree.entries(library)}
    if not entries:
        raise FileNotFoundError(library)
    found = [key for key in _plugin_folders(entries, library) if plugins is None or key in plugins]
    sources = {f"{key.path(library)}/{_INIT}" for key in found}
    contents = dict(tree.read_many(path for path in sources if path in entries and entries[path].kind == "file"))

    def read(path: str) -> bytes | None:
        if path not in contents:
            if path not in entries or entries[path].kind != "file":
                return None
            contents[path] = tree.read(path)
        return contents[path]

    builder = _Builder(library)
    for key in found:
        file = f"{key.path(library)}/{_INIT}"
        if file in contents:
            builder.add(key, file, read_registrations(file, read, library))
        elif file in entries:
            builder.report(rules.INIT_NO_FILE, file, kind=entries[file].kind)
        else:
            builder.report(rules.PLUGIN_NO_INIT, key.path(library))
    return builder.catalogue()


def find_library(folder: Path) -> tuple[Path, str]:
    """Find the domain library that a folder is, or holds.

    :param folder: a repository with one library package in it, or the library's package itself
    :return: the repository's folder and the package's name
    :raises LibraryNotFoundError: there is none, or more than one
    """
    folder = folder.expanduser().resolve()
    expected = f"a folder with {_INIT} and at least one of {', '.join(f'{each}/' for each in PLUGIN_TYPES)}"
    if not folder.is_dir():
        message = f"Expected a library's folder at {folder}; found {'a file' if folder.exists() else 'nothing'}"
        raise LibraryNotFoundError(message, remedy="Give the folder of the repository, or of the package in it.")
    if _is_library(folder):
        return folder.parent, folder.name
    # A folder of tests often has the library's own structure.
    names = (child.name for child in folder.iterdir() if child.name.isidentifier() and _is_library(child))
    found = sorted(name for name in names if not name.startswith("test"))
    if len(found) != 1:
        message = f"Expected one domain library ({expected}) in {folder}; found {', '.join(found) or 'none'}"
        remedy = (
            "Give the package's folder itself."
            if found
            else "Give the folder of the repository, or of the package in it."
        )
        raise LibraryNotFoundError(message, remedy=remedy)
    return folder, found[0]


def _is_library(folder: Path) -> bool:
    return (folder / _INIT).is_file() and any((folder / each).is_dir() for each in PLUGIN_TYPES)


_TYPE_OF_KIND = {kind: plugin_type for plugin_type, kinds in KINDS_OF_TYPE.items() for kind in kinds}


def _plugin_folders(entries: Iterable[str], library: str) -> list[PluginKey]:
    """The folders of plugins, sorted: those with ``__init__.py``, and those that have other Python files instead.

    A folder without any (data, byte code that was left behind) is nobody's mistake.
    """
    found = set()
    for path in entries:
        parts = path.removeprefix(f"{library}/").split("/")
        if len(parts) < 3 or parts[0] not in PLUGIN_TYPES:
            continue
        folder, name = parts[0], parts[1]
        if not name.endswith("_helpers") and not name.startswith("__") and parts[-1].endswith(".py"):
            found.add(PluginKey(folder, name))
    return sorted(found)


class _Builder:
    """Collects what the plugins register, one plugin after the other."""

    def __init__(self, library: str) -> None:
        self._library = library
        self._kinds: dict[str, dict[str, str]] = {kind: {} for kind in IDENTIFIER_KINDS}
        self._places: dict[tuple[str, str], str] = {}
        self._plugins: dict[PluginKey, Mapping[str, tuple[str, ...]]] = {}
        self._problems: list[SourceProblem] = []

    def report(self, rule: Rule, file: str, line: int = 1, **found: object) -> None:
        self._problems.append(rule.source_problem(file, line, **found))

    def add(self, key: PluginKey, file: str, findings: Findings) -> None:
        kinds = KINDS_OF_TYPE[key.type]
        fault = plugin_name_fault(key.name)
        if fault:
            self.report(rules.PLUGIN_NAME, file, fault=fault, example=plugin_name_like(key.name))
        self._problems += findings.problems
        if not findings.registrations and not findings.problems:
            ways = (f"{registry}['...'] = ..." for registry, kind in REGISTRIES.items() if kind in kinds)
            self.report(rules.NOTHING_REGISTERED, file, registration=" or ".join(ways))
        own: dict[str, list[str]] = {}
        for found in findings.registrations:
            about = {"identifier": shown(found.identifier), "kind": found.kind}
            if found.kind not in kinds:
                about |= {"type": key.type, "kinds": " or ".join(kinds)}
                self.report(rules.REGISTRY_OF_ANOTHER_TYPE, found.file, found.line, **about)
                continue
            own.setdefault(found.kind, []).append(found.identifier)
            first = self._places.setdefault((found.kind, found.identifier), f"{found.file}:{found.line}")
            if self._kinds[found.kind].setdefault(found.identifier, key.name) != key.name:
                self.report(rules.IDENTIFIER_TWICE, found.file, found.line, first=first, **about)
        self._plugins[key] = {kind: tuple(names) for kind, names in own.items()}

    def catalogue(self) -> Catalogue:
        return Catalogue(self._library, **self._kinds, plugins=self._plugins, problems=tuple(self._problems))
