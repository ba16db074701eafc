"""The identity of code: what a score was computed from, the same from a folder and from git."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from brainscore_ops.plugins.layout import Owner, is_noise, locate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from brainscore_ops.plugins.layout import PluginKey
    from brainscore_ops.plugins.tree import Entry, SourceTree

_BATCH_BYTES = 32_000_000


def plugin_digest(tree: SourceTree, library: str, plugin: PluginKey) -> str:
    """SHA-256, in hexadecimal, of a plugin's files: their paths in the plugin, whether executable, and their contents.

    What computers leave behind (byte code, ``.DS_Store``) does not count. The plugin's own name does not either.

    :raises FileNotFoundError: there is no such plugin
    """
    return plugin_digests(tree, library, [plugin])[plugin]


def plugin_digests(tree: SourceTree, library: str, plugins: Collection[PluginKey]) -> dict[PluginKey, str]:
    """The digests of many plugins, in one go.

    :raises FileNotFoundError: there is no such plugin
    """
    folders = {plugin.path(library): plugin for plugin in plugins}
    entries: dict[str, list[Entry]] = {folder: [] for folder in folders}
    under = next(iter(folders)) if len(folders) == 1 else library
    for entry in tree.entries(under):
        folder = "/".join(entry.path.split("/")[:3])
        if folder in entries and entry.path != folder:
            entries[folder].append(entry)
    empty = [folder for folder, found in entries.items() if not found]
    if empty:
        raise FileNotFoundError(empty[0])
    digests = {folder: _Digest(folder) for folder in folders}
    for entry, content in _contents(tree, (each for found in entries.values() for each in sorted(found))):
        digests["/".join(entry.path.split("/")[:3])].add(entry, content)
    return {plugin: digests[folder].text for folder, plugin in folders.items()}


def shared_code_digest(tree: SourceTree, library: str) -> str:
    """SHA-256, in hexadecimal, of the library's files outside of plugins: the code that every score depends on.

    :raises FileNotFoundError: there is no such library
    """
    entries = sorted(tree.entries(library))
    if not entries:
        raise FileNotFoundError(library)
    digest = _Digest(library)
    shared = (entry for entry in entries if locate(entry.path, library).owner is not Owner.PLUGIN)
    for entry, content in _contents(tree, shared):
        digest.add(entry, content)
    return digest.text


class _Digest:
    """The digest of a folder, made file by file."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._hash = hashlib.sha256(b"brainscore plugin files 1\n")

    def add(self, entry: Entry, content: bytes) -> None:
        path = os.fsencode(entry.path.removeprefix(f"{self._folder}/"))
        what = "executable" if entry.executable else entry.kind
        # Lengths before contents: no two different sets of files are the same bytes.
        self._hash.update(f"{what} {len(path)} {len(content)}\n".encode() + path + content)

    @property
    def text(self) -> str:
        return self._hash.hexdigest()


def _contents(tree: SourceTree, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes]]:
    """Entries with their contents: read many at once, but not all."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        if is_noise(entry.path):
            continue
        batch.append(entry)
        size += entry.size or 0
        if size > _BATCH_BYTES:
            yield from _read(tree, batch)
            batch, size = [], 0
    yield from _read(tree, batch)


def _read(tree: SourceTree, entries: list[Entry]) -> Iterator[tuple[Entry, bytes]]:
    contents = tree.read_many([entry.path for entry in entries if entry.kind in ("file", "link")])
    for entry in entries:
        yield entry, contents.get(entry.path, b"")
