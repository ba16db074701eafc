"""Which paths of a tree are one and the same on computers that know no case, or only one form of Unicode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_ops.plugins.layout import collision_key

if TYPE_CHECKING:
    from collections.abc import Iterable


class Namespace:
    """All the names, of files and of folders, that a set of paths makes.

    :param files: paths of files
    :param folders: paths of folders that may have no file in them
    """

    def __init__(self, files: Iterable[str], folders: Iterable[str] = ()) -> None:
        self._folders: set[str] = set()
        self._spellings: dict[str, dict[str, None]] = {}
        for path in files:
            self._spell(path)
            self._add_folders(path.rpartition("/")[0])
        for path in folders:
            self._add_folders(path)

    def is_folder(self, path: str) -> bool:
        return path in self._folders

    def holds(self, path: str) -> bool:
        """Whether a file or folder has this name, spelled just so."""
        return path in self._spellings.get(_key(path), ())

    def twin(self, path: str) -> tuple[str, str] | None:
        """The shortest part of a path that has another spelling beside it, and that spelling; None where there is none."""
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            part = "/".join(parts[:end])
            others = [each for each in self._spellings.get(_key(part), ()) if each != part]
            if others:
                return part, others[0]
        return None

    def _add_folders(self, folder: str) -> None:
        while folder and folder not in self._folders:
            self._folders.add(folder)
            self._spell(folder)
            folder = folder.rpartition("/")[0]

    def _spell(self, path: str) -> None:
        self._spellings.setdefault(_key(path), {})[path] = None


def _key(path: str) -> str:
    """What a path is on a computer that knows no case and one form of Unicode."""
    return collision_key(path) if path.isascii() else "/".join(map(collision_key, path.split("/")))
