"""What the demo does: it sends every example submission through the runbooks, and checks that each ends as it should.

It states what should be true, like the runbooks that it calls: a second time it finds everything done, and after an
interruption it goes on where it was.
"""

from __future__ import annotations

import importlib.util
import signal
import sys
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainscore_ops.demo.display import FOUND
from brainscore_ops.errors import UsageError
from brainscore_ops.forge.client import Person
from brainscore_ops.pipeline import advance, goes_on
from brainscore_ops.runbooks.execution import run_runbook
from brainscore_ops.runbooks.signals import stop_runs_of_threads
from brainscore_ops.scores.leaderboard import Leaderboard, leaderboard
from brainscore_ops.scores.publication import published_revision
from brainscore_ops.services import forge_store
from brainscore_ops.submissions.context import Context, open_deployment
from brainscore_ops.submissions.intake import find_submission
from brainscore_ops.submissions.life import State
from brainscore_ops.submissions.scoring_request import find_target, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from brainscore_ops.runbooks.runs import RunResult
    from brainscore_ops.settings import Deployment

TRIGGER = "demo"
LIBRARY_JOB = "the library itself"
PUBLISH_JOB = "the leaderboard"
# The library's first commit has the same author and date wherever the demo runs, and so the same SHA.
_AUTHOR = Person("Brain-Score", "library@brain-score.invalid")
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Job:
    """One submission of the demo, and how it should end."""

    name: str
    title: str
    """What the submitter calls it."""
    file: Path
    submitter: str
    email: str
    public: bool
    expected: str
    """The state that it should end in."""
    description: str


@dataclass(frozen=True)
class News:
    """Something that happened to a job: a run began, took a step or ended; ``state`` is empty while it runs."""

    job: str
    runbook: str
    step: str = ""
    state: str = ""


@dataclass(frozen=True)
class Outcome:
    """Where a job ended."""

    job: str
    state: str
    reason: str
    submission: int | None
    runs: int
    """How many runs it took; none, where all was done before."""


def seed_library(deployment: Deployment) -> str:
    """Put the example library into the embedded forge as the repository's first commit.

    :returns: that commit's SHA
    """
    store = forge_store(deployment)
    store.create_repository(deployment.library.repository, default_branch="main")
    return store.import_folder(
        deployment.library.repository,
        deployment.workspace.root / "examples" / "library",
        message="The example library: two benchmarks, two models",
        author=_AUTHOR,
        when=_BEGINNING,
    )


def build_submissions(deployment: Deployment, only: Collection[str] = ()) -> list[Job]:
    """Build the example submissions' archives.

    :param only: the names of those that are wanted; all, where there are none
    :raises UsageError: where there is none of a name
    """
    script = deployment.workspace.root / "examples" / "build_submissions.py"
    if not script.is_file():
        raise UsageError(
            f"expected the example submissions at {script}, found none", remedy="Run this in a full checkout."
        )
    built = _load(script).build_all(deployment.state / "demo" / "archives")
    if unknown := set(only) - {entry["name"] for entry in built}:
        names = ", ".join(entry["name"] for entry in built)
        raise UsageError(f"expected names of example submissions ({names}), found {', '.join(sorted(unknown))}")
    return [
        Job(
            name=entry["name"],
            title=entry["title"],
            file=Path(deployment.state / "demo" / "archives" / entry["file"]),
            submitter=entry["submitter"],
            email=entry["email"],
            public=entry["public"],
            expected=entry["expect"]["state"],
            description=entry["description"],
        )
        for entry in built
        if not only or entry["name"] in only
    ]


def drive(deployment: Deployment, jobs: list[Job], first_commit: str, tell: Callable[[News], None]) -> list[Outcome]:
    """Score the library, and send every submission as far as it gets, two at a time.

    Threads drive them: what takes time is done by the kernels, which are processes.

    :param tell: called with what happens, as it happens
    :returns: where each ended, in the order of ``jobs``, the library first
    :raises KeyboardInterrupt: SIGINT or SIGTERM came; the runs that were under way are closed, and no other was begun
    """
    driver = _Driver(deployment.name, tell)
    with driver.stopped_by_signals(), ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(driver.score_library, first_commit)]
        futures += [pool.submit(driver.drive, job) for job in jobs]
        while not all(future.done() for future in futures):
            wait(futures, timeout=0.2, return_when=FIRST_EXCEPTION)
            if any(future.done() and future.exception() for future in futures):
                driver.stopping = True
    return [future.result() for future in futures]


def publish(deployment: Deployment, tell: Callable[[News], None]) -> tuple[Leaderboard, Path]:
    """Publish the leaderboard, unless what is published is of the same scores."""
    context = open_deployment(deployment.name)
    board = leaderboard(context.database, domain=deployment.library.domain)
    context.database.close()
    page = deployment.outputs / "site" / "index.html"
    if published_revision(page.parent) == board.revision:
        tell(News(PUBLISH_JOB, "publish", state=FOUND))
    else:
        tell(News(PUBLISH_JOB, "publish"))
        result = run_runbook("publish", {}, deployment=deployment.name, triggered_by=TRIGGER, raise_on_failure=True)
        tell(News(PUBLISH_JOB, "publish", state=str(result.state)))
    return board, page


class _Driver:
    """What the threads share."""

    def __init__(self, deployment: str, tell: Callable[[News], None]) -> None:
        self.stopping = False
        self._deployment = deployment
        self._tell = tell

    @contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """Within the block SIGINT and SIGTERM stop the runs that are under way, and keep others from being begun."""

        def stop(*_: object) -> None:
            self.stopping = True
            stop_runs_of_threads()

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def score_library(self, commit: str) -> Outcome:
        """Score what the library holds from the start."""
        with self._context() as context:
            plan = make_plan(context, find_target(context, None, commit))
        if not plan.pairs:
            self._tell(News(LIBRARY_JOB, "score_plugins", state=FOUND))
            return Outcome(LIBRARY_JOB, str(State.SCORED), "", None, runs=0)
        result = self._run(LIBRARY_JOB, "score_plugins", {"commit": commit})
        state = State.SCORED if result.exit_code == 0 else State.SCORING_FAILED
        return Outcome(LIBRARY_JOB, str(state), _reason(result), None, runs=1)

    def drive(self, job: Job) -> Outcome:
        """Send a submission as far as it gets."""
        with self._context() as context:
            known, runs = find_submission(context, job.file, job.email), 0
            if known is None or known.state == State.RECEIVED:
                self._run(job.name, "intake", _intake_of(job))
                known, runs = find_submission(context, job.file, job.email), 1
            else:
                self._tell(News(job.name, "intake", state=FOUND))
            if known is None:
                return Outcome(job.name, "lost", "it could not be recorded", None, runs)
            for runbook, parameters in advance(self._deployment, known.submission):
                runs += 1
                if not goes_on(self._run(job.name, runbook, parameters)):
                    break
            ended = find_submission(context, job.file, job.email) or known
        return Outcome(job.name, str(ended.state), ended.reason, ended.submission, runs)

    @contextmanager
    def _context(self) -> Iterator[Context]:
        if self.stopping:
            raise KeyboardInterrupt
        context = open_deployment(self._deployment)
        try:
            yield context
        finally:
            context.database.close()

    def _run(self, job: str, runbook: str, parameters: dict[str, Any]) -> RunResult:
        if self.stopping:
            raise KeyboardInterrupt
        self._tell(News(job, runbook))
        result = run_runbook(
            runbook,
            parameters,
            deployment=self._deployment,
            triggered_by=TRIGGER,
            on_step=lambda progress: None if progress.shown else self._tell(News(job, runbook, step=progress.step)),
        )
        self._tell(News(job, runbook, state=str(result.state)))
        return result


def _intake_of(job: Job) -> dict[str, Any]:
    return {
        "archive": str(job.file),
        "email": job.email,
        "submitter": job.submitter,
        "name": job.title,
        "public": job.public,
    }


def _reason(result: RunResult) -> str:
    return str((result.error or {}).get("message", ""))


def _load(script: Path) -> Any:
    sys.path.insert(0, str(script.parent))
    spec = importlib.util.spec_from_file_location(script.stem, script)
    if spec is None or spec.loader is None:
        raise UsageError(f"{script} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module
    spec.loader.exec_module(module)
    return module
