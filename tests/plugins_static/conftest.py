"""A small library for every test of the static half of ``plugins``: as a folder, and as a git repository that grows."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIBRARY = "brainscore_tiny"


def _plugin_files(folder: str, identifier: str, kind: str = "model") -> dict[str, str]:
    """The files of a plugin, by path in the library: ``models/alexnet`` registers an identifier."""
    return {
        f"{folder}/__init__.py": f"from {LIBRARY} import {kind}_registry\n\n{kind}_registry['{identifier}'] = object\n",
        f"{folder}/test.py": "def test_it():\n    pass\n",
    }


_TINY = {
    "__init__.py": "model_registry = {}\nbenchmark_registry = {}\n",
    "models/__init__.py": "",
    "benchmarks/__init__.py": "",
    "model_helpers/activations.py": "",
    **_plugin_files("models/alexnet", "alexnet"),
    **_plugin_files("models/resnet_18", "resnet-18"),
    **_plugin_files("benchmarks/words", "Words2019-ridge", "benchmark"),
}


class Repository:
    """A git repository that a test writes commits into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / ".git").exists():
            self.git("init", "--quiet", "--initial-branch=main", ".")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in self._WHO.items()}
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, input=stdin, capture_output=True, check=True, env=os.environ | who
        )
        return done.stdout.decode(errors="surrogateescape").strip()

    _WHO = {"NAME": "Ada", "EMAIL": "ada@example.org", "DATE": "2026-01-01T00:00:00Z"}  # noqa: RUF012 - never changed

    def commit(
        self,
        add: Mapping[str, str | bytes] | None = None,
        *,
        remove: tuple[str, ...] = (),
        modes: Mapping[str, str] | None = None,
    ) -> str:
        """Commit files by path in the repository; ``modes`` are git's ("120000" for a link). Nothing is checked out."""
        entries = []
        for path, content in (add or {}).items():
            data = content.encode() if isinstance(content, str) else content
            name = self.git("hash-object", "-w", "--stdin", stdin=data)
            entries.append(f"{(modes or {}).get(path, '100644')} {name}\t".encode() + os.fsencode(path))
        entries += [f"0 {'0' * 40}\t".encode() + os.fsencode(path) for path in remove]
        self.git("update-index", "-z", "--index-info", stdin=b"\0".join(entries) + b"\0" if entries else b"")
        return self.commit_tree(self.git("write-tree"))

    def commit_tree(self, tree: str) -> str:
        """Commit a tree on top of the branch."""
        head = self.git("for-each-ref", "--format=%(objectname)", self.git("symbolic-ref", "HEAD"))
        commit = self.git("commit-tree", tree, "-m", "change", *(["-p", head] if head else []))
        self.git("update-ref", "HEAD", commit)
        return commit

    def branch(self, name: str, start: str) -> None:
        """Go on at another commit, on a branch of its own."""
        self.git("update-ref", f"refs/heads/{name}", start)
        self.git("symbolic-ref", "HEAD", f"refs/heads/{name}")
        self.git("read-tree", start)


@pytest.fixture(scope="session")
def tiny_files() -> dict[str, str]:
    """The small library, brainscore_tiny, by path in its repository."""
    return {f"{LIBRARY}/{path}": content for path, content in _TINY.items()}


@pytest.fixture
def tiny_folder(tmp_path: Path, tiny_files: dict[str, str]) -> Path:
    """The small library as a folder."""
    folder = tmp_path / "folder"
    for path, content in tiny_files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return folder


@pytest.fixture
def tiny_repository(tmp_path: Path, tiny_files: dict[str, str]) -> Repository:
    """A repository whose branch main holds the small library."""
    folder = tmp_path / "repository"
    folder.mkdir()
    repository = Repository(folder)
    repository.commit({"README.md": "A library.\n", **tiny_files})
    return repository


@pytest.fixture(scope="session")
def plugin_files() -> Callable[..., dict[str, str]]:
    """Makes the files of a plugin: ``plugin_files("models/vgg", "vgg")``."""
    return _plugin_files


@pytest.fixture(scope="session")
def example_library() -> Path:
    return Path(__file__).parents[2] / "examples" / "library"


@pytest.fixture
def write_zip(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    """Pack files, by path in the archive, as most programs do."""

    def write(files: Mapping[str, str | bytes]) -> Path:
        path = tmp_path / "upload.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path

    return write
