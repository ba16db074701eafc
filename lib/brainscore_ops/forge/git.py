"""Git as a subprocess: plumbing commands with a clean environment, bounded in time and in output."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from brainscore_ops.forge.errors import GitFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

DEFAULT_TIMEOUT = 120.0
"""Seconds that a command on local objects may take."""

LOG_LIMIT = 4_000
"""Characters of standard error that an error carries."""


@dataclass(frozen=True)
class GitResult:
    """What a finished command left."""

    returncode: int
    stdout: bytes
    stderr: str


def run_git(
    *arguments: str | bytes,
    git_dir: Path | None = None,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    accept: Sequence[int] = (0,),
) -> GitResult:
    """Run one git command to its end.

    :param git_dir: the repository; without it the command must need none
    :param env: added to the clean environment of `git_environment`
    :param timeout: seconds; the command and its children are killed after it
    :param accept: the exit codes that are an answer and not a failure
    :raises GitFailedError: any other exit code, or the time is over
    """
    with spawn_git(*arguments, git_dir=git_dir, env=env) as process:
        try:
            stdout, stderr_bytes = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise GitFailedError(
                f"git {_name(arguments)} did not end within {timeout:.0f} s.", code="git-timeout"
            ) from None
    stderr = stderr_bytes.decode("utf-8", "replace")[-LOG_LIMIT:].strip()
    if process.returncode not in accept:
        raise GitFailedError(f"git {_name(arguments)} ended with exit code {process.returncode}.", log=stderr)
    return GitResult(process.returncode, stdout, stderr)


@contextmanager
def spawn_git(
    *arguments: str | bytes, git_dir: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a git command whose output is read while it runs; whatever still runs at the end of the block is killed."""
    process = subprocess.Popen(
        ["git", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=git_environment(git_dir) | dict(env or {}),
        start_new_session=True,  # git starts helpers (git-remote-http): they end with it
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            _close(stream)


def git_environment(git_dir: Path | None = None) -> dict[str, str]:
    """An environment in which nothing but the arguments decides what git does.

    No configuration of the system or the user, no prompt, no pager, no replaced objects, English messages. With
    ``GIT_DIR`` set git looks for no repository in the parents of the working directory.
    """
    inherited = {name: os.environ[name] for name in ("PATH", "TMPDIR", "HOME") if name in os.environ}
    proxies = {name: value for name, value in os.environ.items() if name.lower() in _NETWORK}
    fixed = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "LC_ALL": "C.UTF-8",
    }
    return inherited | proxies | fixed | ({"GIT_DIR": str(git_dir)} if git_dir else {})


_NETWORK = frozenset({"http_proxy", "https_proxy", "no_proxy", "all_proxy", "ssl_cert_file", "ssl_cert_dir"})


def _name(arguments: Sequence[str | bytes]) -> str:
    return os.fsdecode(arguments[0]) if arguments else ""


def _close(stream: IO[bytes] | None) -> None:
    try:
        if stream:
            stream.close()
    except BrokenPipeError:  # what was left to write has no reader any more
        pass
