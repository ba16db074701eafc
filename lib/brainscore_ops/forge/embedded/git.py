"""One bare repository: its objects, references, merges and differences, by git's plumbing."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from brainscore_ops.errors import RefusedError
from brainscore_ops.forge.git import GitResult, run_git

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ABSENT = "0" * 40
"""The value of a reference that does not exist, as ``git update-ref`` writes it."""

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

PATCH_LIMIT = 200_000
"""Bytes of one file's patch that are shown; GitHub leaves longer ones out, too."""


class ObjectRefusedError(RefusedError):
    """Git does not take an object, reference or path as it was given."""

    code = "git-object-refused"


class ReferenceMovedError(RefusedError):
    """A reference did not have the value that it was to be moved from."""

    code = "reference-moved"


class MergeConflictError(RefusedError):
    """Two commits change the same lines."""

    code = "merge-conflict"


@dataclass(frozen=True)
class Signature:
    """Who, and when."""

    name: str
    email: str
    when: datetime


@dataclass(frozen=True)
class Commit:
    """A commit object."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str


@dataclass(frozen=True)
class TreeEntry:
    """An entry of a tree: `sha` None removes the path when a tree is made."""

    path: str
    mode: str
    kind: str
    sha: str | None
    size: int | None = None


@dataclass(frozen=True)
class FileChange:
    """One file of a difference, in GitHub's words for `status`."""

    path: str
    status: str
    sha: str
    additions: int
    deletions: int
    previous_path: str | None
    patch: str | None
    """The hunks; None for a binary file and where they are too long."""


class GitRepository:
    """The bare repository at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, default_branch: str) -> None:
        """Make the repository; nothing when it is there. It becomes visible whole or not at all."""
        if self.path.is_dir():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self.path.parent) as folder:
            new = Path(folder) / "repository"
            run_git("init", "--quiet", "--bare", "--template=", f"--initial-branch={default_branch}", str(new))
            with (new / "config").open("a") as file:
                file.write(_CONFIGURATION)
            new.rename(self.path)

    # References

    def references(self, prefix: str = "refs/") -> dict[str, str]:
        """Full name → object, of all references that begin with `prefix` (at any point, not only at a slash)."""
        listing = self._git("for-each-ref", "--format=%(objectname) %(refname)").stdout
        # A reference's name need not be UTF-8; it holds no space and no line's end.
        pairs = (os.fsdecode(line).split(" ", 1) for line in listing.splitlines())
        return {name: sha for sha, name in pairs if name.startswith(prefix)}

    def reference(self, name: str) -> str | None:
        """What a full reference name points at; None when there is no such reference."""
        result = self._git("show-ref", "--verify", "--hash", "--", name, accept=(0, 1, 128))
        return result.stdout.decode().strip() or None

    def update_reference(self, name: str, sha: str, *, old: str | None = None) -> None:
        """Point a reference at `sha` (`ABSENT` removes it).

        :param old: the value it must have; `ABSENT` when it must not exist; None when that does not matter
        :raises ReferenceMovedError: it has another value
        :raises ObjectRefusedError: the name is none for a reference
        """
        if self._git("check-ref-format", name, accept=(0, 1)).returncode != 0:
            raise ObjectRefusedError(f"{name} is not a valid name of a reference.")
        values = (sha,) if old is None else (sha, old)
        arguments = ("-d", name, *values[1:]) if sha == ABSENT else (name, *values)
        result = self._git("update-ref", "--no-deref", *arguments, accept=(0, 1, 128))
        if result.returncode != 0:
            if old is not None and (self.reference(name) or ABSENT) != old:
                raise ReferenceMovedError(f"Expected {name} at {old}; found {self.reference(name) or 'nothing'}.")
            raise ObjectRefusedError(f"{name} cannot be set to {sha}.", log=result.stderr)

    # Objects

    def kind(self, name: str) -> str | None:
        """The type of an object (``blob``, ``tree``, ``commit``, ``tag``); None when it is not there."""
        if not _SHA.fullmatch(name):
            return None
        return self._git("cat-file", "-t", name, accept=(0, 128)).stdout.decode().strip() or None

    def resolve(self, revision: str) -> str | None:
        """The commit that a SHA (whole or its beginning), a branch, a tag or ``heads/…`` means."""
        if _SHA.fullmatch(revision):  # before any branch: a branch may be named like a commit
            return self._commit_of(revision)
        for name in (f"refs/heads/{revision}", f"refs/{revision}", f"refs/tags/{revision}"):
            if self.reference(name):
                return self._commit_of(name)
        return self._commit_of(revision) if re.fullmatch(r"[0-9a-f]{4,39}|HEAD", revision) else None

    def _commit_of(self, name: str) -> str | None:
        result = self._git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", accept=(0, 1, 128))
        return result.stdout.decode().strip() or None

    def write_blob(self, content: bytes) -> str:
        """Store a file's content; its object name."""
        return self._git("hash-object", "-w", "--no-filters", "--stdin", stdin=content).stdout.decode().strip()

    def read_blob(self, sha: str) -> bytes:
        """A file's content."""
        return self._git("cat-file", "blob", sha).stdout

    def write_tree(self, entries: Iterable[TreeEntry], *, base: str | None = None) -> str:
        """A tree of entries at any depth, on top of the tree `base`.

        :raises ObjectRefusedError: a path that git does not take, or an object that is not there
        """
        entries = list(entries)
        self._require_objects(entries)
        lines = [f"{e.mode if e.sha else '0'} {e.sha or ABSENT}\t{e.path}\0".encode() for e in entries]
        with tempfile.TemporaryDirectory(prefix="forge-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            if base:
                self._git("read-tree", base, env=index)
            result = self._git("update-index", "-z", "--index-info", stdin=b"".join(lines), env=index, accept=(0, 128))
            if result.returncode != 0 or "Ignoring path" in result.stderr:
                raise ObjectRefusedError("tree.path contains a malformed path component", log=result.stderr)
            return self._git("write-tree", env=index).stdout.decode().strip()

    def _require_objects(self, entries: list[TreeEntry]) -> None:
        # A submodule's commit is in another repository.
        named = [entry for entry in entries if entry.sha is not None and entry.mode != "160000"]
        if malformed := [entry.sha for entry in named if not _SHA.fullmatch(entry.sha or "")]:
            raise ObjectRefusedError(f"tree.sha {malformed[0]} is not a valid oid")
        names = "".join(f"{entry.sha}\n" for entry in named).encode()
        kinds = self._git("cat-file", "--batch-check=%(objecttype)", stdin=names).stdout.decode().splitlines()
        for entry, kind in zip(named, kinds, strict=True):
            if kind != entry.kind:
                raise ObjectRefusedError(f"tree.sha {entry.sha} is not a valid {entry.kind}")

    def read_tree(self, name: str, *, recursive: bool = False) -> list[TreeEntry]:
        """The entries of a tree or of a commit's tree."""
        flags = ("-r", "-t") if recursive else ()
        listing = self._git("ls-tree", "-z", "-l", "--full-tree", *flags, name).stdout
        return [_tree_entry(record) for record in listing.split(b"\0") if record]

    def path_kind(self, commit: str, path: str) -> str | None:
        """``blob``, ``tree`` or ``commit`` at a path of a commit; None when nothing is there."""
        return self._git("cat-file", "-t", f"{commit}:{path}", accept=(0, 128)).stdout.decode().strip() or None

    def read_path(self, commit: str, path: str) -> bytes | None:
        """The content of the file at a path of a commit; None when there is none."""
        return (
            self._git("cat-file", "blob", f"{commit}:{path}").stdout if self.path_kind(commit, path) == "blob" else None
        )

    def write_commit(
        self, tree: str, parents: Sequence[str], message: str, *, author: Signature, committer: Signature
    ) -> str:
        """Store a commit; the same input gives the same object name."""
        parent_flags = [flag for parent in parents for flag in ("-p", parent)]
        env = _identity("AUTHOR", author) | _identity("COMMITTER", committer)
        return self._git("commit-tree", tree, *parent_flags, stdin=message.encode(), env=env).stdout.decode().strip()

    def read_commit(self, sha: str) -> Commit:
        """A commit's fields."""
        return _parse_commit(sha, self._git("cat-file", "commit", sha).stdout)

    def commits(self, *revisions: str, skip: int = 0, limit: int = 250, path: str = "") -> list[Commit]:
        """The commits that ``git rev-list`` gives for the revisions, newest first."""
        paths = ("--", path) if path else ("--",)
        names = self._git("rev-list", f"--skip={skip}", f"--max-count={limit}", *revisions, *paths).stdout
        return list(_parse_batch(self._git("cat-file", "--batch", stdin=names).stdout))

    def count_commits(self, *revisions: str) -> int:
        """How many commits ``git rev-list`` gives for the revisions."""
        return int(self._git("rev-list", "--count", *revisions, "--").stdout)

    # Two commits

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor; None where histories have nothing in common."""
        return self._git("merge-base", one, other, accept=(0, 1)).stdout.decode().strip() or None

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether one commit is in another's history."""
        arguments = ("merge-base", "--is-ancestor", ancestor, descendant)
        return self._git(*arguments, accept=(0, 1, 128)).returncode == 0

    def merge_trees(self, one: str, other: str) -> str:
        """The tree of two commits merged.

        :raises MergeConflictError: they cannot be merged without somebody's decision
        """
        result = self._git("merge-tree", "--write-tree", "-z", "--name-only", one, other, accept=(0, 1, 128))
        if result.returncode != 0:
            raise MergeConflictError(f"{other} does not merge into {one}.", log=result.stderr)
        return result.stdout.split(b"\0")[0].decode().strip()

    def changes(self, base: str, head: str, *, patches: bool = True) -> list[FileChange]:
        """The files that differ between two trees or commits, renames found."""
        common = ("diff-tree", "-r", "-M", "-z", "--full-index", "--no-commit-id", "--no-ext-diff", "--no-textconv")
        raw = _parse_raw(self._git(*common, "--raw", base, head).stdout)
        counts = _parse_numstat(self._git(*common, "--numstat", base, head).stdout)
        sections = iter(_split_patch(self._git(*common, "-p", base, head).stdout) if patches else [])
        # Git lists the files of its three formats in the same order; but where a file became a link, or the other way
        # round, the patch has two sections: a removal and an addition.
        changes = []
        for (status, sha, previous, path), (additions, deletions) in zip(raw, counts, strict=True):
            parts = [next(sections, None) for _ in range(2 if status == "changed" else 1)]
            patch = "\n".join(part for part in parts if part) or None
            changes.append(FileChange(path, status, sha, additions, deletions, previous, patch))
        return changes

    def _git(
        self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, accept: Sequence[int] = (0,)
    ) -> GitResult:
        return run_git(*arguments, git_dir=self.path, stdin=stdin, env=env, accept=accept)


_SHA = re.compile(r"[0-9a-f]{40}")

_CONFIGURATION = """
[core]
	hooksPath = /dev/null
[gc]
	auto = 0  # an object that a pull request once had stays readable
[receive]
	autogc = false
	fsckObjects = true
	hideRefs = refs/pull  # the forge alone says what the head of a pull request is
[http]
	receivepack = true  # whoever gets that far has shown a token
[uploadpack]
	allowAnySHA1InWant = true
	allowFilter = true
"""


def _identity(role: str, signature: Signature) -> dict[str, str]:
    return {
        f"GIT_{role}_NAME": signature.name,
        f"GIT_{role}_EMAIL": signature.email,
        f"GIT_{role}_DATE": f"@{int(signature.when.timestamp())} {signature.when.strftime('%z') or '+0000'}",
    }


def _parse_commit(sha: str, content: bytes) -> Commit:
    head, _, message = content.partition(b"\n\n")
    fields = [line.split(b" ", 1) for line in head.split(b"\n") if b" " in line and not line.startswith(b" ")]
    by_name = dict(reversed(fields))
    return Commit(
        sha=sha,
        tree=by_name[b"tree"].decode(),
        parents=tuple(value.decode() for name, value in fields if name == b"parent"),
        author=_parse_signature(by_name[b"author"]),
        committer=_parse_signature(by_name[b"committer"]),
        message=message.decode("utf-8", "replace"),
    )


def _parse_batch(output: bytes) -> Iterator[Commit]:
    """The commits that ``git cat-file --batch`` wrote."""
    while output:
        head, _, rest = output.partition(b"\n")
        name, _kind, size = head.split()
        yield _parse_commit(name.decode(), rest[: int(size)])
        output = rest[int(size) + 1 :]


def _parse_signature(value: bytes) -> Signature:
    match = re.fullmatch(r"(.*?) ?<(.*)> (\d+) ([+-]\d{4})", value.decode("utf-8", "replace"))
    if not match:  # old and hand-made commits hold anything here
        return Signature("", "", datetime.fromtimestamp(0, UTC))
    name, email, seconds, _zone = match.groups()
    return Signature(name, email, datetime.fromtimestamp(min(int(seconds), 253_402_300_799), UTC))


def _tree_entry(record: bytes) -> TreeEntry:
    head, path = record.split(b"\t", 1)
    mode, kind, sha, size = head.decode().split()
    return TreeEntry(path.decode("utf-8", "replace"), mode, kind, sha, None if size == "-" else int(size))


_STATUSES = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}


def _parse_raw(output: bytes) -> list[tuple[str, str, str | None, str]]:
    """(status, object name, previous path, path) of each file."""
    parts = iter(output.split(b"\0"))
    files = []
    for head in parts:
        if not head:
            continue
        _mode, _new_mode, old_sha, new_sha, letter = head.decode().lstrip(":").split()
        status = _STATUSES[letter[0]]
        previous = next(parts).decode("utf-8", "replace") if letter[0] in "RC" else None
        path = next(parts).decode("utf-8", "replace")
        files.append((status, old_sha if status == "removed" else new_sha, previous, path))
    return files


def _parse_numstat(output: bytes) -> list[tuple[int, int]]:
    """(additions, deletions) of each file; zeros for binary ones."""
    parts = iter(output.split(b"\0"))
    counts = []
    for record in parts:
        if not record:
            continue
        added, deleted, path = record.split(b"\t", 2)
        if not path:  # a rename: the old and the new path follow
            next(parts)
            next(parts)
        counts.append((0, 0) if added == b"-" else (int(added), int(deleted)))
    return counts


def _split_patch(output: bytes) -> list[str | None]:
    """The hunks of each file of a patch."""
    # "diff --git" at a line's start begins a file: within a hunk every line begins with ' ', '+', '-' or '\'.
    sections = re.split(rb"^diff --git ", output, flags=re.MULTILINE)[1:]
    return [_hunks(section) for section in sections]


def _hunks(section: bytes) -> str | None:
    start = section.find(b"\n@@ ")
    if start < 0 or len(section) - start > PATCH_LIMIT:
        return None
    return section[start + 1 :].decode("utf-8", "replace").rstrip("\n")
