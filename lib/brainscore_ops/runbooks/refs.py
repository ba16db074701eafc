"""Runs of another state of this repository: notebooks and library of a branch, a tag or a commit, beside the checkout.

The ref is checked out into a temporary git worktree among the deployment's state (which compute nodes reach too), and a
process of its own runs the runbook there: ``PYTHONPATH`` has the ref's ``lib/`` first, so that the run and its kernels import
it. Settings are the ref's too, but for the tier. Records and state stay those of the workspace that started it. The checkout
itself is not touched: its files, its index, its HEAD and its virtual environment stay as they are; git keeps its note of the
worktree until that is removed.
"""

from __future__ import annotations

import difflib
import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tomllib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from brainscore_ops.errors import Fault, RefusedError, StepFailedError, UnavailableError, UsageError
from brainscore_ops.plugins.git import CommitNotFoundError, GitFailedError, find_commit, git
from brainscore_ops.runbooks.kernels import kernel_environment
from brainscore_ops.runbooks.signals import stop_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from brainscore_ops.settings import Deployment

REMOTE = "origin"
DEFAULT_BRANCH = "main"
"""What counts as the default branch of a repository without a remote."""
INSTALL_SECONDS = 1800
DISTRIBUTION = "brainscore_ops"


class UnknownRefError(UsageError):
    """The ops repository has no branch, tag or commit of that name."""

    code = "unknown-ref"


class RefRefusedError(RefusedError):
    """The ref may not run against the deployment."""

    code = "ref-refused"
    fault = Fault.OPERATOR


class RemoteUnavailableError(UnavailableError):
    """The repository's remote did not say what its default branch is."""

    code = "remote-unavailable"


class RefEnvironmentError(StepFailedError):
    """The environment that a ref asks for could not be made."""

    code = "ref-environment"


@dataclass(frozen=True)
class Ref:
    """A commit that is to be run."""

    name: str
    """As it was asked for."""
    commit: str
    subject: str
    """The first line of its message."""
    notes: tuple[str, ...]
    """What a person has to know: changes that no commit has, and that therefore do not run."""


def find_ref(repository: Path, name: str) -> Ref:
    """What a name means: a branch, tag or commit of the repository, or else a branch of its remote as it was last fetched.

    :raises UnknownRefError: with the names that come close
    """
    for candidate in (name, f"{REMOTE}/{name}"):
        with suppress(CommitNotFoundError):
            commit = find_commit(repository, candidate)
            subject = git(repository, "log", "-1", "--format=%s", commit).decode(errors="replace").strip()
            return Ref(name, commit, subject, tuple(_uncommitted(repository, name)))
    known = git(repository, "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes")
    names = [known_name.removeprefix(f"{REMOTE}/") for known_name in known.decode(errors="replace").split()]
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    raise UnknownRefError(
        f"expected a branch, tag or commit of {repository}, found none named {name!r}",
        remedy=(f"Did you mean {' or '.join(close)}? " if close else "")
        + f"A branch that somebody else pushed has to be fetched first: git fetch {REMOTE}",
    )


def insist_allowed(deployment: Deployment, ref: Ref) -> None:
    """Refuse a ref that may not run against the deployment.

    Where the tier takes the default branch alone, its commit has to be what the remote's default branch is at this moment (the
    remote is asked), or without a remote what ``main`` is.

    :raises RefRefusedError: it is another commit, or its own settings make something else of this deployment
    :raises RemoteUnavailableError: the remote could not be asked
    """
    repository = deployment.workspace.root
    if not deployment.rules.any_ref:
        branch, commit = default_branch(repository)
        if ref.commit != commit:
            raise RefRefusedError(
                f"expected the default branch for a deployment of the tier {deployment.tier} "
                f"({branch}, {commit[:12]}), found {ref.name} ({ref.commit[:12]})",
                remedy=f"Try it with a deployment of the tier dev; merge it into {branch} for this one.",
            )
    path = f"params/{deployment.name}.yaml"
    try:
        document = yaml.safe_load(git(repository, "cat-file", "blob", f"{ref.commit}:{path}"))
    except GitFailedError:
        raise RefRefusedError(
            f"expected {ref.name} to describe the deployment {deployment.name} ({path}), found no such file in it",
            remedy="Commit it to that branch.",
        ) from None
    except yaml.YAMLError:
        return  # the run itself says it, in full
    found = document.get("tier") if isinstance(document, dict) else None
    if found != deployment.tier:
        raise RefRefusedError(
            f"expected {deployment.name} to be of the tier {deployment.tier} in {ref.name} as it is here, found {found!r}",
            remedy=f"Mend {path} in that branch.",
        )


def default_branch(repository: Path) -> tuple[str, str]:
    """The repository's default branch, and its commit.

    :raises RefRefusedError: there is none
    :raises RemoteUnavailableError: the remote does not answer
    """
    if REMOTE not in git(repository, "remote").decode().split():
        try:
            return DEFAULT_BRANCH, find_commit(repository, f"refs/heads/{DEFAULT_BRANCH}")
        except CommitNotFoundError:
            raise RefRefusedError(
                f"expected {repository} to have a remote {REMOTE}, or a branch {DEFAULT_BRANCH}, found neither",
                remedy=f"git remote add {REMOTE} …",
            ) from None
    try:
        said = git(repository, "ls-remote", "--symref", REMOTE, "HEAD").decode(errors="replace")
    except GitFailedError as error:
        raise RemoteUnavailableError(
            f"the remote {REMOTE} of {repository} did not say what its default branch is: {error.message[-300:]}",
            remedy="Look at the network and at your access to it, then run this again.",
        ) from error
    lines = [line.split() for line in said.splitlines()]
    branch = next((line[1] for line in lines if line[:1] == ["ref:"]), "HEAD").removeprefix("refs/heads/")
    commit = next((line[0] for line in lines if line[-1:] == ["HEAD"] and line[:1] != ["ref:"]), "")
    if not commit:
        raise RefRefusedError(f"expected the remote {REMOTE} of {repository} to have a default branch, found none")
    return branch, commit


@contextmanager
def checked_out(deployment: Deployment, ref: Ref) -> Iterator[tuple[Path, int]]:
    """The ref's files, in a folder that is there for the block; what a killed process left behind is cleared away first.

    :returns: the folder, and an open file whose lock says that the folder is in use; whoever works in the folder inherits it
    """
    repository, home = deployment.workspace.root, deployment.state / "refs"
    home.mkdir(parents=True, exist_ok=True)
    _sweep(repository, home)
    folder = home / f"{ref.commit[:12]}-{secrets.token_hex(3)}"
    with _lock_of(folder).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            # No hook of the repository runs: the checkout is not what they are for.
            git(
                repository,
                *("-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--quiet", "--detach"),
                *(str(folder), ref.commit),
                deadline=300,
            )
            yield folder, lock.fileno()
        finally:
            _remove(repository, folder)


def run_at(
    deployment: Deployment, ref: Ref, arguments: Sequence[str], *, tell: Callable[[str], None] = lambda _: None
) -> int:
    """Run ``brainscore-ops`` as the ref has it, with these arguments, on this deployment; its output is that process's own.

    SIGINT and SIGTERM are handed on, and waited for: the run is closed in order.

    :param tell: told what takes long
    :returns: its exit code
    :raises RefRefusedError, RemoteUnavailableError: see :func:`insist_allowed`
    :raises RefEnvironmentError: its packages could not be installed
    """
    insist_allowed(deployment, ref)
    with checked_out(deployment, ref) as (folder, lock):
        python = environment_of(folder, deployment.state / "refs" / "environments", tell)
        paths = [str(folder / "lib"), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **kernel_environment(deployment, with_secrets=True),
            "BRAINSCORE_OPS_WORKSPACE": str(folder),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        command = [str(python), "-P", "-c", "from brainscore_ops.cli import main; main()", *arguments]
        process: subprocess.Popen[bytes] | None = None
        asked: list[int] = []

        def hand_on() -> None:
            asked.append(signal.SIGTERM)
            if process is not None:
                process.send_signal(signal.SIGTERM)

        with stop_signals(hand_on):
            # A session of its own: a terminal's Ctrl-C comes to us, and once to it.
            process = subprocess.Popen(command, env=environment, pass_fds=[lock], start_new_session=True)
            if asked:
                process.send_signal(signal.SIGTERM)
            code = process.wait()
        return 128 - code if code < 0 else code


def environment_of(folder: Path, cache: Path, tell: Callable[[str], None]) -> Path:
    """A Python that has what the ref's ``pyproject.toml`` asks for: this one where it has, or else one that uv makes.

    It is kept by the digest of that file and of this Python's version, and used again.

    :raises RefEnvironmentError: with the end of what uv said
    """
    content = (folder / "pyproject.toml").read_bytes()
    if is_served_by_this_python(tomllib.loads(content.decode())):
        return Path(sys.executable)
    digest = hashlib.sha256(content + sys.version.encode()).hexdigest()[:16]
    made, python, stamp = cache / digest, cache / digest / "bin" / "python", cache / digest / ".complete"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            tell("its packages differ from those of this environment; installing them …")
            shutil.rmtree(made, ignore_errors=True)
            _uv("venv", "--quiet", "--python", sys.executable, str(made))
            # The project itself goes along for what it declares (papermill's engine); its code comes from PYTHONPATH.
            _uv("pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), str(folder))
            stamp.touch()
    return python


def is_served_by_this_python(document: dict[str, Any]) -> bool:
    """Whether this environment has what a ``pyproject.toml`` asks for and declares."""
    project = document.get("project", {})
    here = ".".join(map(str, sys.version_info[:3]))
    if here not in SpecifierSet(project.get("requires-python", "")):
        return False
    for text in project.get("dependencies", []):
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            return False
        if not requirement.specifier.contains(found, prereleases=True):
            return False
    groups = {"console_scripts": project.get("scripts", {}), **project.get("entry-points", {})}
    wanted = {(group, name, value) for group, entries in groups.items() for name, value in entries.items()}
    try:
        declared = {(entry.group, entry.name, entry.value) for entry in distribution(DISTRIBUTION).entry_points}
    except PackageNotFoundError:
        return False
    return wanted <= declared


def _uncommitted(repository: Path, name: str) -> Iterator[str]:
    """What is no part of a ref although somebody may think so: changes in the checkout, and where the branch is checked out."""
    folders = [repository.resolve()]
    listed = git(repository, "worktree", "list", "--porcelain").decode(errors="replace")
    for entry in listed.split("\n\n"):
        facts = dict(line.partition(" ")[::2] for line in entry.splitlines())
        if facts.get("branch") == f"refs/heads/{name}":
            folders.append(Path(facts["worktree"]).resolve())
    for folder in dict.fromkeys(folders):
        if folder.exists() and (changes := git(folder, "status", "--porcelain").decode(errors="replace").splitlines()):
            yield f"{len(changes)} uncommitted changes in {folder} are not part of {name}, and do not run"


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _sweep(repository: Path, home: Path) -> None:
    """Remove the worktrees that nobody holds any more."""
    for path in home.glob("*.lock"):
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue  # in use
            _remove(repository, path.with_suffix(""))


def _remove(repository: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(GitFailedError):
        git(repository, "worktree", "prune", "--expire", "now")
    _lock_of(folder).unlink(missing_ok=True)


def _uv(*arguments: str) -> None:
    from uv import find_uv_bin

    done = subprocess.run(
        [find_uv_bin(), *arguments], capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    if done.returncode:
        raise RefEnvironmentError(
            f"the packages of the ref's pyproject.toml could not be installed (uv {arguments[0]})",
            remedy="Mend its dependencies, or look at the registry; what uv said stands below.",
            log=done.stderr[-2000:],
        )
