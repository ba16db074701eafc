"""The code of a library at one commit: what each pair of model and benchmark is computed from."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from brainscore_ops.plugins.catalogue import Catalogue, read_catalogue
from brainscore_ops.plugins.digest import plugin_digests, shared_code_digest
from brainscore_ops.plugins.layout import PLUGIN_TYPES, PluginKey, is_test_file, locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from brainscore_ops.plugins.tree import SourceTree

_REQUIREMENT_FILES = ("requirements.txt", "overrides.txt")
_QUOTED = re.compile(r"""(?:'([^'\n\\]{1,300})'|"([^"\n\\]{1,300})")""")
_VERSION = re.compile(r"\bversion\s*(?::\s*int\s*)?=\s*(\d{1,9})\b")


@dataclass(frozen=True)
class LibraryCode:
    """What a library holds at a commit, and the digests of it."""

    commit: str
    """Of the library."""
    catalogue: Catalogue
    digests: Mapping[PluginKey, str]
    """Of each plugin's files."""
    shared: str = ""
    """Digest of the code outside of plugins, and of what the library asks to have installed."""
    uses: Mapping[PluginKey, frozenset[PluginKey]] = field(default_factory=dict)
    """The other plugins that a plugin's code names, and those that these name in turn."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """Of benchmarks, as their code says without being run; what cannot be read so is left out. What counts is what a run says."""
    private_commit: str | None = None
    """The private repository's, where plugins of it are laid over the library."""

    def shared_by(self, model: str, benchmark: str) -> str:
        """The digest of the code besides both plugins that a score depends on: the library's own, and the plugins (data,
        metrics) that both name.

        A score carries it; its change marks the score as computed with older code, and does not compute it anew.
        """
        return shared_digest(self.shared, self._used_text["models", model], self._used_text["benchmarks", benchmark])

    @cached_property
    def _used_text(self) -> dict[tuple[str, str], str]:
        """What the plugin of each identifier uses, with digests, as text."""
        texts = {
            plugin: json.dumps(
                [[str(used), self.digests[used]] for used in sorted(self.uses.get(plugin, ())) if used in self.digests]
            )
            for plugin in self.catalogue.plugins
        }
        return {
            (kind, identifier): texts.get(PluginKey(kind, plugin), "[]")
            for kind, plugins in (("models", self.catalogue.models), ("benchmarks", self.catalogue.benchmarks))
            for identifier, plugin in plugins.items()
        }


def shared_digest(*parts: str) -> str:
    """SHA-256, in hexadecimal, of some texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read_library_code(tree: SourceTree, library: str, commit: str) -> LibraryCode:
    """Read a library at a commit, running nothing of it.

    Which plugins a plugin uses is told from its text: identifiers of other plugins in quotes, and imports of their modules. One
    that is put together when the code runs is not seen.

    :raises FileNotFoundError: there is no such library
    """
    catalogue = read_catalogue(tree, library)
    texts = _sources(tree, library)
    requirements = tree.read_many(_REQUIREMENT_FILES)
    asked_for = [requirements.get(name, b"").decode(errors="replace") for name in _REQUIREMENT_FILES]
    return LibraryCode(
        commit=commit,
        catalogue=catalogue,
        digests=plugin_digests(tree, library, catalogue.plugins),
        shared=shared_digest(shared_code_digest(tree, library), *asked_for),
        uses=_closure(_named(texts, catalogue, library)),
        versions=_versions(texts, catalogue),
    )


def _sources(tree: SourceTree, library: str) -> dict[PluginKey, list[str]]:
    """The Python files of each plugin, without its tests."""
    owners = {}
    for entry in tree.entries(library):
        plugin = locate(entry.path, library).plugin
        if plugin is not None and entry.path.endswith(".py") and not is_test_file(entry.path):
            owners[entry.path] = plugin
    texts: dict[PluginKey, list[str]] = {}
    for path, content in sorted(tree.read_many(owners).items()):
        texts.setdefault(owners[path], []).append(content.decode(errors="replace"))
    return texts


def _named(
    texts: Mapping[PluginKey, list[str]], catalogue: Catalogue, library: str
) -> dict[PluginKey, frozenset[PluginKey]]:
    plugins = {
        identifier: catalogue.plugin_of(kind, identifier)
        for kind in ("data", "stimulus_sets", "metrics")
        for identifier in catalogue.of_kind(kind)
    }
    types = "|".join(PLUGIN_TYPES)
    imported = re.compile(rf"(?:\b{re.escape(library)}\.|\bfrom\s+\.{{2,}})({types})\.(\w+)")
    found = {}
    for plugin, sources in texts.items():
        named = {PluginKey(*match) for source in sources for match in imported.findall(source)}
        quoted = {one or other for source in sources for one, other in _QUOTED.findall(source)}
        named |= {plugins[identifier] for identifier in quoted & plugins.keys()}
        found[plugin] = frozenset(named - {plugin}) & catalogue.plugins.keys()
    return found


def _closure(direct: Mapping[PluginKey, frozenset[PluginKey]]) -> dict[PluginKey, frozenset[PluginKey]]:
    def reach(start: PluginKey) -> frozenset[PluginKey]:
        seen: set[PluginKey] = set()
        front: Iterable[PluginKey] = direct[start]
        while front := set(front) - seen:
            seen |= front
            front = [further for one in front for further in direct.get(one, ())]
        return frozenset(seen - {start})

    return {plugin: reach(plugin) for plugin in direct}


def _versions(texts: Mapping[PluginKey, list[str]], catalogue: Catalogue) -> dict[str, int]:
    """A plugin whose code gives one version gives it to all of its benchmarks; several would have to be told apart by running."""
    versions = {}
    for identifier in catalogue.benchmarks:
        sources = texts.get(catalogue.plugin_of_benchmark(identifier), [])
        said = {int(number) for source in sources for number in _VERSION.findall(source)}
        if len(said) == 1:
            versions[identifier] = said.pop()
    return versions
