"""A library's files, read without importing anything: from a folder, from a git commit, or from memory."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from brainscore_ops.plugins.git import find_commit, git

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Kind = Literal["file", "link", "submodule", "other"]


@dataclass(frozen=True, order=True)
class Entry:
    """One path of a tree that is no folder."""

    path: str
    """From the root of the repository, parts separated by '/'; bytes that are no UTF-8 are escaped as surrogates."""
    mode: int
    """As git keeps it: 0o100644, 0o100755 (executable), 0o120000 (link), 0o160000 (submodule)."""
    kind: Kind
    size: int | None
    """In bytes; None where nobody knows."""

    @property
    def executable(self) -> bool:
        return self.kind == "file" and bool(self.mode & 0o100)


class SourceTree(Protocol):
    """The files of a repository at one moment. All paths are relative to the root of the repository."""

    def entries(self, under: str = "") -> Iterable[Entry]:
        """Every file (and whatever else is no folder) of a folder and the folders in it, in no particular order."""
        ...

    def read(self, path: str) -> bytes:
        """A file's content; for a link, where it points.

        :raises FileNotFoundError: there is no such file
        """
        ...

    def read_many(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """The contents of many files, in one go where that is quicker; those that do not exist are left out."""
        ...


class _Reading:
    """The slow way to read many files, for trees that have no quick one."""

    def read(self, path: str) -> bytes:
        raise NotImplementedError

    def read_many(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        found = {}
        for path in paths:
            try:
                found[path] = self.read(path)
            except FileNotFoundError:
                continue
        return found


@dataclass(frozen=True)
class DirectoryTree(_Reading):
    """The files of a folder as they are now. Links are seen and never followed; ``.git`` folders are left out.

    :param folder: the repository's folder, or a folder inside it
    :param prefix: where the folder stands in the repository: "brainscore_example" for the folder of that package
    """

    folder: Path
    prefix: str = ""

    def entries(self, under: str = "") -> Iterator[Entry]:
        if self.prefix and (not under or self.prefix.startswith(f"{under}/")):
            # Somebody asks for more than our folder, and gets what we have of it.
            under = self.prefix
        inside = self._inside(under)
        if inside is not None and not _through_link(Path(self.folder), inside):
            yield from self._walk(Path(self.folder, inside), under)

    def read(self, path: str) -> bytes:
        inside = self._inside(path)
        if not inside or _through_link(Path(self.folder), inside.rpartition("/")[0]):
            raise FileNotFoundError(path)
        file = Path(self.folder, inside)
        if file.is_symlink():
            return os.fsencode(file.readlink())
        if not file.is_file():
            raise FileNotFoundError(path)
        return file.read_bytes()

    def _inside(self, path: str) -> str | None:
        """A path of the repository as one of this folder; None where it cannot be in it."""
        if self.prefix:
            if path == self.prefix:
                return ""
            if not path.startswith(f"{self.prefix}/"):
                return None
            path = path.removeprefix(f"{self.prefix}/")
        return path if not path or {"", ".", ".."}.isdisjoint(path.split("/")) else None

    def _walk(self, folder: Path, path: str) -> Iterator[Entry]:
        try:
            with os.scandir(folder) as scanned:
                children = list(scanned)
        except (FileNotFoundError, NotADirectoryError):
            return
        for child in children:
            inside = f"{path}/{child.name}" if path else child.name
            if child.is_dir(follow_symlinks=False):
                if child.name != ".git":
                    yield from self._walk(Path(child.path), inside)
            else:
                yield _entry_on_disk(inside, child.stat(follow_symlinks=False))


@dataclass(frozen=True)
class GitTree:
    """The files of a commit, read from git's objects: works on bare repositories, checks nothing out.

    :param commit: a commit's SHA, or any revision that names one
    """

    repository: Path
    commit: str

    @cached_property
    def sha(self) -> str:
        """The commit's full SHA.

        :raises CommitNotFoundError: there is none
        """
        return find_commit(self.repository, self.commit)

    def entries(self, under: str = "") -> Iterator[Entry]:
        for entry, _ in self._listing:
            if not under or entry.path == under or entry.path.startswith(f"{under}/"):
                yield entry

    def read(self, path: str) -> bytes:
        try:
            return self.read_many([path])[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def read_many(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        objects = {path: self._objects[path] for path in paths if path in self._objects}
        contents = self._contents(dict.fromkeys(objects.values()))
        return {path: contents[name] for path, name in objects.items()}

    @cached_property
    def _listing(self) -> list[tuple[Entry, str]]:
        """Every entry with the name of its object. A tree that somebody made by hand may name a path twice."""
        output = git(self.repository, "ls-tree", "-r", "-z", "-l", "--full-tree", self.sha)
        return [_listed_entry(line) for line in output.split(b"\0") if line]

    @cached_property
    def _objects(self) -> dict[str, str]:
        """The objects of what has content."""
        return {entry.path: name for entry, name in self._listing if entry.kind in ("file", "link")}

    def _contents(self, objects: Iterable[str]) -> dict[str, bytes]:
        names = list(objects)
        if not names:
            return {}
        output = git(self.repository, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode())
        contents = {}
        position = 0
        for name in names:
            end = output.index(b"\n", position)
            size = int(output[position:end].rsplit(b" ", 1)[1])
            contents[name] = output[end + 1 : end + 1 + size]
            position = end + 1 + size + 1
        return contents


@dataclass(frozen=True)
class MemoryTree(_Reading):
    """Files that are on no disk: those of an archive that was only looked into."""

    files: Mapping[str, bytes]

    def entries(self, under: str = "") -> Iterator[Entry]:
        for path, content in self.files.items():
            if not under or path == under or path.startswith(f"{under}/"):
                yield Entry(path, 0o100644, "file", len(content))

    def read(self, path: str) -> bytes:
        try:
            return self.files[path]
        except KeyError:
            raise FileNotFoundError(path) from None


def _through_link(root: Path, inside: str) -> bool:
    """Whether a folder is reached only through a link."""
    folder = root
    for part in filter(None, inside.split("/")):
        folder /= part
        if folder.is_symlink():
            return True
    return False


def _entry_on_disk(path: str, status: os.stat_result) -> Entry:
    if stat.S_ISLNK(status.st_mode):
        return Entry(path, 0o120000, "link", status.st_size)
    if stat.S_ISREG(status.st_mode):
        return Entry(path, 0o100755 if status.st_mode & 0o100 else 0o100644, "file", status.st_size)
    return Entry(path, stat.S_IFMT(status.st_mode), "other", None)


def _listed_entry(line: bytes) -> tuple[Entry, str]:
    """One line of ls-tree: mode, type, object and size (right-aligned), then a tabulator and the path."""
    head, _, path = line.partition(b"\t")
    mode, _, name, size = head.split()
    number = int(mode, 8)
    entry = Entry(os.fsdecode(path), number, kind_of_mode(number), int(size) if size.isdigit() else None)
    return entry, name.decode("ascii")


def kind_of_mode(mode: int) -> Kind:
    """What git's mode of an entry says that it is."""
    if stat.S_ISREG(mode):
        return "file"
    return {0o120000: "link", 0o160000: "submodule"}.get(mode, "other")  # type: ignore[return-value]
