"""Replay the merged pull requests of a real domain library through analysis, proposal and gate, on an embedded forge.

    python tests/bench/replay.py REPO --library brainscore_vision --last 20

REPO is any local clone; it is only read. Each merge on its default branch (a merge commit, or a squash commit whose title ends
with ``(#123)``) is proposed against the commit that it was merged onto, with the plugin tests taken as passed, and the gate is
asked. One JSON document says for each what the gate would have done, and how long that took; the peer of the analysis' time is
``git diff --name-status`` of the same two commits in the same run.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from brainscore_ops import services
from brainscore_ops.database.connection import Database
from brainscore_ops.errors import OpsError, UsageError
from brainscore_ops.forge.client import PullRequest
from brainscore_ops.forge.git import run_git
from brainscore_ops.forge.mirror import network_configuration
from brainscore_ops.plugins.changes import analyse_changes
from brainscore_ops.settings import Workspace, load_deployment
from brainscore_ops.settings.deployment import LibrarySettings
from brainscore_ops.submissions import gate
from brainscore_ops.submissions.context import Context

ROOT = Path(__file__).parents[2]
PUSH_SECONDS = 600

Result = TypeVar("Result")


@dataclass(frozen=True)
class Merge:
    """A pull request as the history has it."""

    commit: str
    """What the default branch got."""
    base: str
    """What it was merged onto."""
    head: str
    """What was proposed: the merged branch, or the squash commit itself."""
    kind: str
    """``merge`` or ``squash``."""
    number: int | None
    title: str


@dataclass
class Replayed:
    """What became of one pull request."""

    commit: str
    number: int | None
    kind: str
    title: str
    verdict: str = "error"
    """``merged``: by itself; ``held``: for a person; ``error``: it could not be replayed."""
    rules: dict[str, str] = field(default_factory=dict)
    """The rules that were not met, and what they found."""
    plugin_only: bool | None = None
    plugins: dict[str, list[str]] = field(default_factory=dict)
    other_paths: int = 0
    error: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


def merges(repository: Path, last: int, branch: str = "HEAD") -> list[Merge]:
    """The last merged pull requests of a branch, oldest first."""
    log = run_git(
        "log", "--first-parent", "--format=%H%x00%P%x00%s%x01", branch, "--", git_dir=git_dir(repository)
    ).stdout.decode("utf-8", "replace")
    found = []
    for entry in log.split("\x01"):
        if len(found) == last or not entry.strip():
            break
        commit, parents_text, title = entry.strip().split("\0")
        parents = parents_text.split()
        named = re.search(r"\(#(\d+)\)$", title) or re.match(r"Merge pull request #(\d+)", title)
        number = int(named[1]) if named else None
        if len(parents) == 2:
            found.append(Merge(commit, parents[0], parents[1], "merge", number, title))
        elif len(parents) == 1 and number is not None:
            found.append(Merge(commit, parents[0], commit, "squash", number, title))
    return found[::-1]


def git_dir(repository: Path) -> Path:
    """Where a clone keeps its objects, with a working tree or without.

    :raises UsageError: the folder is no clone
    """
    for folder in (repository / ".git", repository):
        if (folder / "HEAD").is_file():
            return folder
    raise UsageError(f"expected a clone at {repository}, found no git repository")


class Replay:
    """A forge and a database of their own, which hold the library as it was before each merge."""

    def __init__(self, context: Context, repository: Path) -> None:
        self._context = context
        self._repository = repository

    def run(self, merge: Merge) -> Replayed:
        """Propose a merge as it was proposed, and ask the gate."""
        replayed = Replayed(merge.commit, merge.number, merge.kind, merge.title)
        branch = f"replay/{merge.commit[:12]}"
        try:
            self._push(f"{merge.base}:refs/heads/main", f"{merge.head}:refs/heads/{branch}")
            self._context.mirror.fetch()
            self._judge(merge, branch, replayed)
        except OpsError as error:
            replayed.error = f"{error.code}: {error.message}"
        return replayed

    def _judge(self, merge: Merge, branch: str, replayed: Replayed) -> None:
        context = self._context

        def timed(name: str, work: Callable[[], Result]) -> Result:
            begun = time.perf_counter()
            result = work()
            replayed.seconds[name] = round(time.perf_counter() - begun, 4)
            return result

        objects = git_dir(self._repository)
        timed("git_diff", lambda: run_git("diff", "--name-status", f"{merge.base}...{merge.head}", git_dir=objects))
        changes = timed(
            "analysis", lambda: analyse_changes(context.mirror.path, merge.base, merge.head, context.library)
        )
        replayed.plugin_only, replayed.other_paths = changes.plugin_only, len(changes.other) + len(changes.shared)
        for plugin in changes.plugins:
            replayed.plugins.setdefault(str(plugin.type), []).append(plugin.name)
        pull = timed(
            "proposal", lambda: context.forge.open_pull_request(branch=branch, title=merge.title[:200], body="")
        )
        for name in context.deployment.gate.required_statuses:
            context.forge.set_status(merge.head, context=name, state="success", description="taken as passed")
        verdict = timed("gate", lambda: _judge(context, pull))
        replayed.verdict = "merged" if verdict.passed else "held"
        replayed.rules = {ruling.rule: ruling.found[:300] for ruling in verdict.rulings if not ruling.passed}
        context.forge.close(pull.number)

    def _push(self, *refs: str) -> None:
        """Push the objects of the clone as they are; the forge's main branch goes wherever history was."""
        url = self._context.forge.clone_url
        run_git(
            "push",
            "--quiet",
            "--force",
            url,
            *refs,
            git_dir=git_dir(self._repository),
            env=network_configuration(url, self._context.forge.token()),
            timeout=PUSH_SECONDS,
        )


def _judge(context: Context, pull: PullRequest) -> gate.Verdict:
    """The gate's verdict, with the tests taken as passed on the base as it is."""
    evidence = gate.gather(context, pull)
    return gate.judge(replace(evidence, tested_base=evidence.base_sha, reasons_to_test_again=()))


@contextmanager
def replay_on(folder: Path, repository: Path, library: str) -> Iterator[Replay]:
    """A forge and a database in a folder, stopped at the end."""
    settings = load_deployment("local", Workspace(ROOT, folder / "state", folder / "outputs"))
    deployment = settings.model_copy(
        update={"library": LibrarySettings(package=library, repository=f"replay/{library}", domain="replay")}
    )
    services.up(deployment)
    context = Context(deployment=deployment, database=Database.of(deployment), run_id=None)
    try:
        services.forge_store(deployment).create_repository(deployment.library.repository, default_branch="main")
        yield Replay(context, repository)
    finally:
        context.database.close()
        services.down(deployment, remove=True)


def summary(replayed: list[Replayed]) -> dict[str, Any]:
    """Counts, median seconds, and the analysis' time as a multiple of ``git diff``'s."""
    whole = [entry for entry in replayed if entry.verdict != "error"]
    medians = {
        name: round(statistics.median(entry.seconds[name] for entry in whole), 4)
        for name in ("git_diff", "analysis", "proposal", "gate")
        if whole
    }
    return {
        "pull_requests": len(replayed),
        "verdicts": dict(Counter(entry.verdict for entry in replayed)),
        "rules": dict(Counter(rule for entry in replayed for rule in entry.rules)),
        "median_seconds": medians,
        "analysis_to_git_diff": round(medians["analysis"] / medians["git_diff"], 2) if medians else None,
    }


def main() -> int:
    """Replay, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path, help="a local clone of a domain library")
    parser.add_argument("--library", required=True, help="the library's package: brainscore_vision")
    parser.add_argument("--last", type=int, default=20, help="how many merged pull requests; the newest are taken")
    parser.add_argument(
        "--branch", default="HEAD", help="the branch whose history is replayed; by default the clone's own"
    )
    options = parser.parse_args()
    try:
        history = merges(options.repository.resolve(), options.last, options.branch)
        with tempfile.TemporaryDirectory(prefix="replay-") as folder:
            # The embedded PostgreSQL may run as another user, who has to be able to enter.
            Path(folder).chmod(0o755)
            with replay_on(Path(folder), options.repository.resolve(), options.library) as replay:
                replayed = []
                for number, merge in enumerate(history, start=1):
                    print(f"{number}/{len(history)} {merge.commit[:10]}", file=sys.stderr)  # noqa: T201
                    replayed.append(replay.run(merge))
    except OpsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    document = {
        "library": options.library,
        "summary": summary(replayed),
        "pull_requests": [asdict(entry) for entry in replayed],
    }
    print(json.dumps(document, indent=2))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
