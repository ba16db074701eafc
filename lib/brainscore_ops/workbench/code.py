"""With which code a failed run is opened: with this checkout's, or with the one that the run had."""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from brainscore_ops import __version__
from brainscore_ops.errors import UsageError
from brainscore_ops.plugins.git import GitFailedError, git
from brainscore_ops.runbooks.code_version import code_version
from brainscore_ops.runbooks.refs import checked_out, environment_of, find_ref, insist_allowed
from brainscore_ops.runbooks.stepping.lab import KernelProgram
from brainscore_ops.runbooks.stepping.session import CodeVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brainscore_ops.runbooks.runs import RunEntry
    from brainscore_ops.settings import Deployment

SHOWN_COMMITS = 5
_THAT_COUNT = ("lib", "notebooks", "params")


class UnknownCodeVersionError(UsageError):
    """The run's code version names no commit."""

    code = "unknown-code-version"


def commit_of(version: str) -> str | None:
    """The commit that a code version names; None where it names none."""
    found = re.search(r"\+g([0-9a-f]{7,40})", version)
    return found and found.group(1)


def current_code(deployment: Deployment, entry: RunEntry) -> CodeVersion:
    """The checkout as it is, with what changed in it since the run."""
    version = code_version()
    notes = [f"The run had the code `{entry.code_version}`, this session has `{version}`."]
    if entry.code_version == version:
        notes = [f"The code is the one that the run had, `{version}`."]
    elif since := _commits_since(deployment.workspace.root, entry):
        shown = "; ".join(f"`{line}`" for line in since[:SHOWN_COMMITS])
        more = f" and {len(since) - SHOWN_COMMITS} more" if len(since) > SHOWN_COMMITS else ""
        notes.append(f"Since then: {shown}{more}. `--at-code-version` opens it with the code that it had.")
    program = KernelProgram(Path(sys.executable), {})
    return CodeVersion(deployment.workspace.root, program, version, notes)


@contextmanager
def code_of_run(deployment: Deployment, entry: RunEntry, tell: Callable[[str], None]) -> Iterator[CodeVersion]:
    """The commit that the run had, checked out beside the checkout for the block.

    :param tell: told what takes long
    :raises UnknownCodeVersionError: it names no commit
    :raises UnknownRefError: the repository has no such commit
    :raises RefRefusedError, RemoteUnavailableError: the tier of the deployment lets only the default branch in
    """
    commit = commit_of(entry.code_version)
    if commit is None:
        raise UnknownCodeVersionError(
            f"expected a run with the commit of its code, found {entry.code_version!r}",
            remedy="Open it without --at-code-version.",
        )
    ref = find_ref(deployment.workspace.root, commit)
    insist_allowed(deployment, ref)
    with checked_out(deployment, ref) as (folder, _):
        python = environment_of(folder, deployment.state / "refs" / "environments", tell)
        paths = [str(folder / "lib"), *filter(None, [os.environ.get("PYTHONPATH")])]
        notes = [f"The code is the one that the run had: `{ref.commit[:12]}`, {ref.subject}."]
        if entry.code_version.endswith(".dirty"):
            notes.append("It also had changes that no commit has; they are not here.")
        program = KernelProgram(python, {"PYTHONPATH": os.pathsep.join(paths), "BRAINSCORE_OPS_WORKSPACE": str(folder)})
        yield CodeVersion(folder, program, f"{__version__}+g{ref.commit[:12]}", notes)


def _commits_since(repository: Path, entry: RunEntry) -> list[str]:
    commit = commit_of(entry.code_version)
    if commit is None:
        return []
    try:
        said = git(repository, "log", "--format=%h %s", f"{commit}..HEAD", "--", *_THAT_COUNT)
    except GitFailedError:
        return []
    return [line.replace("`", "'") for line in said.decode(errors="replace").splitlines()]
