"""Somebody who may push to the repository, and writes commits that no ordinary git would: object by object."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from brainscore_ops.forge.client import ForgeClient, PullRequest

LINK, SUBMODULE, PLAIN = "120000", "160000", "100644"
_GONE = f"0 {'0' * 40}\t"


@dataclass
class Attacker:
    """Eve, with a clone of the library and an account on the forge."""

    client: ForgeClient
    clone: Path
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _WHO.items()}
        done = subprocess.run(
            ["git", *arguments], cwd=self.clone, input=stdin, capture_output=True, env=os.environ | who
        )
        if done.returncode != 0:
            raise AssertionError(done.stderr.decode())
        return done.stdout.decode(errors="surrogateescape").strip()

    def commit(
        self,
        start: str,
        add: Mapping[str, str | bytes] | None = None,
        *,
        remove: tuple[str, ...] = (),
        modes: Mapping[str, str] | None = None,
        parents: tuple[str, ...] = (),
    ) -> str:
        """A commit on another one.

        :param modes: git's modes, by path: of a link the content is where it points, of a submodule its commit
        :param remove: paths, or folders with all that is in them
        """
        self.git("read-tree", start)
        entries = []
        for path in remove:
            listed = self.git("ls-tree", "-r", "-z", "--name-only", start, "--", f":(literal){path}").split("\0")
            entries += [_GONE.encode() + os.fsencode(each) for each in listed if each]
        for path, content in (add or {}).items():
            mode = (modes or {}).get(path, PLAIN)
            data = content.encode() if isinstance(content, str) else content
            name = data.decode() if mode == SUBMODULE else self.git("hash-object", "-w", "--stdin", stdin=data)
            entries.append(f"{mode} {name}\t".encode() + os.fsencode(path))
        if entries:
            self.git("update-index", "-z", "--index-info", stdin=b"\0".join(entries) + b"\0")
        tree = self.git("write-tree")
        of = [argument for parent in (parents or (start,)) for argument in ("-p", parent)]
        return self.git("commit-tree", tree, "-m", "harmless", *of)

    def many(self, start: str, folder: str, count: int, content: bytes = b"x") -> str:
        """A commit with so many files in a folder."""
        blob = self.git("hash-object", "-w", "--stdin", stdin=content)
        self.git("read-tree", start)
        lines = "".join(f"{PLAIN} {blob}\t{folder}/{number}.csv\n" for number in range(count))
        self.git("update-index", "--index-info", stdin=lines.encode())
        return self.git("commit-tree", self.git("write-tree"), "-m", "many", "-p", start)

    def main(self) -> str:
        """The default branch as it is now."""
        self.git("fetch", "--quiet", "origin", "main")
        return self.git("rev-parse", "FETCH_HEAD")

    def push(self, commit: str, branch: str) -> None:
        self.git("push", "--quiet", "--force", "origin", f"{commit}:refs/heads/{branch}")

    def open(self, commit: str) -> PullRequest:
        """A pull request of a commit."""
        branch = f"eve-{next(self.numbers)}"
        self.push(commit, branch)
        return self.client.open_pull_request(branch=branch, title=f"Nothing to see: {branch}", body="")


_WHO = {"NAME": "Eve", "EMAIL": "eve@example.org", "DATE": "2026-01-01T00:00:00Z"}
