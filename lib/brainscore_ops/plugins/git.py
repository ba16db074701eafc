"""git's plumbing, which changes no branch: argument lists, bounded output, a deadline, no influence of the surroundings."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from typing import TYPE_CHECKING

from brainscore_ops.errors import Fault, StepFailedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


class GitFailedError(StepFailedError):
    """git did not do what was asked."""

    code = "git-failed"


class NotARepositoryError(GitFailedError):
    """A folder is no git repository, or none that git reads for this user."""

    code = "not-a-repository"
    fault = Fault.OPERATOR
    exit_code = UsageError.exit_code


class CommitNotFoundError(UsageError):
    """A revision names no commit of the repository."""

    code = "commit-not-found"


def git(
    repository: Path,
    *arguments: str,
    stdin: bytes = b"",
    deadline: float = 60,
    limit: int = 1 << 30,
    accept: Collection[int] = (0,),
) -> bytes:
    """What a git command prints.

    :param accept: the exit codes that are no failure
    :param deadline: seconds until it is ended
    :param limit: bytes of its output that are taken before it is ended
    :raises GitFailedError: git is missing, failed, took too long or said too much
    """
    command = ["git", "--no-replace-objects", "-C", str(repository), *arguments]
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as complaints:
        given.write(stdin)
        given.seek(0)
        try:
            process = subprocess.Popen(
                command,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise GitFailedError(f"Expected the program git: {error}", remedy="Install git.") from error
        with process:
            timer = threading.Timer(deadline, _end, [process])
            timer.start()
            output = process.stdout.read(limit + 1) if process.stdout else b""
            if len(output) > limit:
                _end(process)
            process.wait()
            timer.cancel()
        complaints.seek(0)
        found = complaints.read(4000).decode(errors="replace").strip()
    if process.returncode not in accept or len(output) > limit:
        message = (
            f"Expected 'git {arguments[0]}' to succeed in {repository} within {deadline:g} s and {limit} bytes; "
            f"it ended with {process.returncode}: {found}"
        )
        raise GitFailedError(message, remedy="Is this the folder of a git repository that you may read?")
    return output


def find_commit(repository: Path, revision: str) -> str:
    """The full SHA of a commit that a revision names.

    :raises CommitNotFoundError: it names none
    :raises NotARepositoryError: there is no repository
    """
    try:
        found = git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except GitFailedError as error:
        try:
            git(repository, "rev-parse", "--git-dir")
        except GitFailedError:
            raise NotARepositoryError(
                f"expected the folder of a git repository, found {repository}, in which git finds none",
                remedy="Name the folder of a clone that you own or that `git config --global safe.directory` names.",
            ) from error
        message = f"Expected a commit of {repository}; found none named {revision!r}"
        raise CommitNotFoundError(message, remedy="Fetch it first, or correct its name.") from error
    return found.decode("ascii").strip()


def is_ancestor(repository: Path, commit: str, of: str) -> bool:
    """Whether a commit is another one, or one of those that it is built on.

    :raises GitFailedError: one of them is not there
    """
    count = git(repository, "rev-list", "--count", "--max-count=1", commit, f"^{of}")
    return int(count) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    # What git started itself would keep the pipe open that we read from.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    # Within a git hook GIT_DIR and its like point elsewhere; messages are parsed by nobody but read by people.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
