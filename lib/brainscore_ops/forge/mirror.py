"""A local bare mirror of a repository on the forge: what git objects are read from.

The repository's content is a stranger's. It is therefore never handled by a command that acts upon it (``git checkout``,
``git archive``, ``git submodule``): those honour the repository's attributes (filters, ``export-subst``), hooks and
submodules, and have had flaws in just what must hold here, that no file is written outside the folder. Instead the tree is
*listed* (``ls-tree``), every path is judged by us, and the blobs' bytes come from one ``cat-file --batch``, which knows
nothing of paths. What then stands in the folder is exactly the bytes of the commit.
"""

from __future__ import annotations

import base64
import fcntl
import os
import random
import re
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from brainscore_ops.errors import UsageError
from brainscore_ops.forge.errors import (
    CommitNotFoundError,
    ForgeRefusedError,
    ForgeUnavailableError,
    GitFailedError,
    HostileTreeError,
)
from brainscore_ops.forge.git import run_git, spawn_git

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

FETCH_TIMEOUT = 1800.0
"""Seconds for one fetch: the first one of a large library takes minutes."""

FETCH_ATTEMPTS = 3

MAX_FILES = 200_000
"""Entries of a tree that a checkout accepts; the largest domain library has about 4,400."""

MAX_BYTES = 4 * 1024**3
"""Bytes of all files of a tree together: blobs compress, so a small push can hold a huge file."""

MAX_FILE_BYTES = 100 * 1024**2
"""Bytes of one file: GitHub accepts no larger ones, and each is held in memory for a moment."""


class Mirror:
    """The branches and the heads of pull requests of one repository, in a bare repository at `path`.

    :param clone_url: an ``http(s)`` URL without credentials
    :param token: sent as a header that is scoped to `clone_url`, or what gives one that is good now; empty for a public
        repository
    :param over: another mirror, beside this one, whose commits this one has as well: its objects are read where they are
    """

    def __init__(
        self, path: Path, *, clone_url: str, token: str | Callable[[], str], over: Mirror | None = None
    ) -> None:
        if urlsplit(clone_url).username is not None:
            raise UsageError(
                "The clone URL carries credentials.", remedy="Give the URL without them, and the token by itself."
            )
        self.path = path
        self.clone_url = clone_url
        self._token = token
        self._over = over

    def __repr__(self) -> str:
        return f"Mirror({str(self.path)!r}, clone_url={self.clone_url!r})"

    def fetch(self) -> None:
        """Bring the mirror up to date; it is created when it is missing. Several processes may do so at once.

        :raises ForgeUnavailableError: the forge cannot be reached
        :raises ForgeRefusedError: the token or the repository is not accepted
        """
        if self._over is not None:
            self._over.fetch()
        with _locked(self.path.with_name(self.path.name + ".lock")):
            self._create()
            for attempt in range(1, FETCH_ATTEMPTS):
                try:
                    self._fetch()
                except ForgeUnavailableError:
                    time.sleep(random.uniform(0, 2**attempt))  # noqa: S311 (jitter, not a secret)
                else:
                    return
            self._fetch()

    def checkout(self, sha: str, dest: Path) -> Path:
        """The files of one commit as the plain folder `dest`, without ``.git``.

        The folder appears at once and whole, and is made only once: all who ask for that commit there share it, so treat
        it as read-only. Symbolic links that cannot leave the folder are links there; any other becomes a file that
        holds the link's target, as git itself does where links are not supported. A submodule is an empty folder.

        :param sha: the full object name of a commit that the mirror holds
        :returns: `dest`
        :raises CommitNotFoundError: the mirror does not hold it
        :raises HostileTreeError: a path that no honest tree has, or a tree over the limits of this module
        """
        if not re.fullmatch(r"[0-9a-f]{40}", sha):
            raise UsageError(f"Expected the full 40 digits of a commit, found {sha!r}.")
        # Which commit stands in the folder is noted beside it, before the folder appears.
        note = dest.with_name(f".{dest.name}.commit")
        with _locked(note):
            if dest.exists():
                if note.read_text() != sha:
                    raise UsageError(
                        f"Expected {dest.name} to be absent or to hold {sha}; found {note.read_text() or 'another'}."
                    )
                return dest
            partial = dest.with_name(f".{dest.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
            try:
                _write_tree(list(self._list_tree(sha)), partial, git_dir=self.path)
                note.write_text(sha)
                partial.rename(dest)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        return dest

    def _create(self) -> None:
        if (self.path / "HEAD").is_file():
            return
        # A repository whose making was interrupted has no HEAD under this name, since it moves here whole.
        partial = self.path.with_name(self.path.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        run_git("init", "--quiet", "--bare", "--template=", str(partial))
        # Nothing is ever thrown away: what was tested or merged must stay readable after its branch is gone.
        run_git("config", "gc.auto", "0", git_dir=partial)
        if self._over is not None:
            # From this repository's objects: both may move together.
            objects = os.path.relpath(self._over.path / "objects", self.path / "objects")
            (partial / "objects/info/alternates").write_text(f"{objects}\n", encoding="utf-8")
        partial.rename(self.path)

    def _fetch(self) -> None:
        token = self._token() if callable(self._token) else self._token
        try:
            run_git(
                "fetch",
                "--quiet",
                "--prune",
                "--no-tags",
                "--force",
                "--no-recurse-submodules",
                "--no-auto-maintenance",
                "--no-write-fetch-head",
                self.clone_url,
                "+refs/heads/*:refs/heads/*",
                "+refs/pull/*/head:refs/pull/*/head",
                git_dir=self.path,
                env=network_configuration(self.clone_url, token),
                timeout=FETCH_TIMEOUT,
            )
        except GitFailedError as error:
            raise self._fetch_error(error, token) from None

    def _fetch_error(self, error: GitFailedError, token: str) -> Exception:
        said, log = error.log, error.log.replace(token, "***") if token else error.log
        if re.search(r"returned error: 40[134]|not found|Authentication failed|could not read", said, re.IGNORECASE):
            return ForgeRefusedError(
                f"The forge refuses to serve {self.clone_url}.",
                remedy="Check the repository's name and that the token may read it.",
                log=log,
            )
        if error.code == "git-timeout" or re.search(r"unable to access|RPC failed|hung up|early EOF", said):
            return ForgeUnavailableError(f"{self.clone_url} cannot be fetched at the moment.", log=log)
        return GitFailedError(error.message, log=log)

    def _list_tree(self, sha: str) -> Iterator[_Entry]:
        kind = run_git("cat-file", "-t", sha, git_dir=self.path, accept=(0, 128)).stdout.strip()
        if kind != b"commit":
            raise CommitNotFoundError(
                f"Expected the mirror {self.path.name} to hold the commit {sha}; found "
                + (f"a {kind.decode()}." if kind else "nothing of that name."),
                remedy="Fetch the mirror; if it is still missing, the commit is on no branch and in no pull request.",
            )
        size = 0
        # Read while git runs, so that a tree that refers to itself many times over is given up early.
        with spawn_git("ls-tree", "-r", "-l", "-z", "--full-tree", sha, git_dir=self.path) as process:
            assert process.stdout is not None  # noqa: S101 (for the type checker)
            for count, record in enumerate(_records(process.stdout), start=1):
                entry = _Entry.parse(record)
                size += entry.size
                if count > MAX_FILES or size > MAX_BYTES or entry.size > MAX_FILE_BYTES:
                    raise HostileTreeError(
                        f"Expected at most {MAX_FILES:,} files of {MAX_FILE_BYTES // 1024**2} MiB each and "
                        f"{MAX_BYTES // 1024**3} GiB together; {sha} has more.",
                        code="tree-too-large",
                    )
                yield entry
            if process.wait() != 0:
                raise GitFailedError(f"git ls-tree of {sha} ended with exit code {process.returncode}.")


@dataclass(frozen=True)
class _Entry:
    mode: bytes
    sha: bytes
    size: int
    path: bytes

    @classmethod
    def parse(cls, record: bytes) -> _Entry:
        head, path = record.split(b"\t", 1)
        mode, _kind, sha, size = head.split()
        return cls(mode, sha, 0 if size == b"-" else int(size), path)


_REGULAR, _EXECUTABLE, _LINK, _SUBMODULE = b"100644", b"100755", b"120000", b"160000"


def _write_tree(entries: list[_Entry], folder: Path, *, git_dir: Path) -> None:
    root = os.fsencode(folder)
    for entry in entries:
        _require_honest_path(entry.path)
    try:
        os.mkdir(root)  # noqa: PTH102 (paths here are bytes: a tree's names need not be UTF-8)
        # Links come last: no file is written while a link stands in the folder, so none is written through one.
        files = [entry for entry in entries if entry.mode not in (_LINK, _SUBMODULE)]
        links = [entry for entry in entries if entry.mode == _LINK]
        for entry, content in _blobs(files + links, git_dir):
            target = _prepare(root, entry.path)
            if entry.mode == _LINK and stays_inside(entry.path, content):
                os.symlink(content, target)  # noqa: PTH211
            else:
                mode = 0o777 if entry.mode == _EXECUTABLE else 0o666
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                with open(os.open(target, flags, mode), "wb") as file:  # noqa: PTH123
                    file.write(content)
        for entry in entries:
            if entry.mode == _SUBMODULE:
                os.mkdir(_prepare(root, entry.path))  # noqa: PTH102
    except (FileExistsError, NotADirectoryError) as error:
        raise HostileTreeError(
            f"The tree holds one path twice, or a file and a folder of the same name: {_shown(error.filename, root)}."
        ) from None
    except OSError as error:
        if error.errno in _UNWRITABLE_NAMES:
            raise HostileTreeError(
                f"The tree holds a name that cannot be written: {_shown(error.filename, root)}: {error.strerror}."
            ) from None
        raise


_UNWRITABLE_NAMES = frozenset({36, 84})  # ENAMETOOLONG, EILSEQ


def _require_honest_path(path: bytes) -> None:
    for part in path.split(b"/"):
        if part in (b"", b".", b"..") or part.lower() == b".git":
            raise HostileTreeError(f"The tree holds a path that leaves its folder or hides in .git: {path!r}.")


def stays_inside(link: bytes, target: bytes) -> bool:
    """Whether a link at the path `link` can only lead to somewhere within the tree's root.

    True for a relative target that goes up at most as far as the root and then only down. Going down may pass another
    link, which by the same rule is inside; ``..`` after a name is not accepted, since behind a link it means another
    folder than it seems to.
    """
    if not target or target.startswith(b"/") or b"\0" in target:
        return False
    parts = [part for part in target.split(b"/") if part not in (b"", b".")]
    up = next((index for index, part in enumerate(parts) if part != b".."), len(parts))
    return up <= link.count(b"/") and b".." not in parts[up:] and b".git" not in [part.lower() for part in parts]


def _prepare(root: bytes, path: bytes) -> bytes:
    """The absolute path, with its parent folders there as real folders."""
    *parents, name = path.split(b"/")
    folder = root
    for parent in parents:
        folder = folder + b"/" + parent
        try:
            os.mkdir(folder)  # noqa: PTH102
        except FileExistsError:
            if os.path.islink(folder) or not os.path.isdir(folder):  # noqa: PTH112, PTH114
                raise
    return folder + b"/" + name


def _blobs(entries: list[_Entry], git_dir: Path) -> Iterator[tuple[_Entry, bytes]]:
    """Each entry with its content, from one ``git cat-file --batch``."""
    if not entries:
        return
    with spawn_git("cat-file", "--batch", git_dir=git_dir) as process:
        assert process.stdin is not None  # noqa: S101 (for the type checker)
        assert process.stdout is not None  # noqa: S101
        for entry in entries:
            # One question at a time: neither side can block on a full pipe.
            process.stdin.write(entry.sha + b"\n")
            process.stdin.flush()
            header = process.stdout.readline().split()
            if len(header) != 3 or header[1] != b"blob":
                raise GitFailedError(f"Expected the blob {entry.sha.decode()} in the mirror; found {header!r}.")
            content = process.stdout.read(int(header[2]) + 1)
            yield entry, content[:-1]


def _records(stream: IO[bytes]) -> Iterator[bytes]:
    """The parts of a stream that NUL ends."""
    rest = b""
    for chunk in _chunks(stream):
        *records, rest = (rest + chunk).split(b"\0")
        yield from records


def _chunks(stream: IO[bytes]) -> Iterable[bytes]:
    return iter(lambda: stream.read(1 << 16), b"")


def _shown(path: bytes | str | None, root: bytes) -> str:
    return repr(os.fsencode(path or b"").removeprefix(root + b"/"))


def network_configuration(clone_url: str, token: str) -> dict[str, str]:
    """The token by configuration in the environment, so that it stands on no command line and in no file."""
    settings = {
        "http.followRedirects": "false",  # the header below would travel to wherever a redirect leads
        "protocol.allow": "never",
        "protocol.http.allow": "always",
        "protocol.https.allow": "always",
        "http.lowSpeedLimit": "1",
        "http.lowSpeedTime": "60",
    }
    if token:
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        settings[f"http.{clone_url}.extraHeader"] = f"Authorization: Basic {basic}"
    environment = {"GIT_CONFIG_COUNT": str(len(settings))}
    for index, (key, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return environment


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process at a time within the block; the lock ends with the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
