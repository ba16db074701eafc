"""What the demo does: it sends every example submission through the runbooks, and checks that each ends as it should.

It states what should be true, like the runbooks that it calls: a second time it finds everything done, and after an
interruption it goes on where it was.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainscore_ops.demo.display import FOUND
from brainscore_ops.errors import UsageError
from brainscore_ops.forge.client import Person
from brainscore_ops.pipeline import advance
from brainscore_ops.runbooks.execution import run_runbook
from brainscore_ops.scores.leaderboard import Leaderboard, leaderboard
from brainscore_ops.services import forge_store
from brainscore_ops.submissions.context import open_deployment
from brainscore_ops.submissions.intake import find_submission
from brainscore_ops.submissions.life import State
from brainscore_ops.submissions.scoring_request import find_target, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Event

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
    """Score the library, and send every submission as far as it gets; two at a time, each in a process of its own.

    :param tell: called with what happens, as it happens
    :returns: where each ended, in the order of ``jobs``, the library first
    """
    spawn = multiprocessing.get_context("spawn")  # forked dask and database connections do not work
    queue: Queue[News] = spawn.Queue()
    stopping = spawn.Event()
    # Not by KeyboardInterrupt, which may come while the pool's locks are held: the flag is looked at between two waits.
    interrupted = threading.Event()
    before = {number: signal.signal(number, lambda *_: interrupted.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ProcessPoolExecutor(2, mp_context=spawn, initializer=_begin_worker, initargs=(queue, stopping)) as pool:
            under_way = {pool.submit(_score_library, deployment.name, first_commit)}
            under_way |= {pool.submit(_drive_submission, deployment.name, job) for job in jobs}
            outcomes: dict[str, Outcome] = {}
            try:
                while under_way and not interrupted.is_set():
                    ended, under_way = wait(under_way, timeout=0.1, return_when=FIRST_COMPLETED)
                    for news in _news(queue):
                        tell(news)
                    for outcome in (future.result() for future in ended):
                        outcomes[outcome.job] = outcome
            finally:
                stopping.set()
                pool.shutdown(wait=True, cancel_futures=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if under_way:
        raise KeyboardInterrupt
    return [outcomes[name] for name in (LIBRARY_JOB, *(job.name for job in jobs))]


def publish(deployment: Deployment, tell: Callable[[News], None]) -> tuple[Leaderboard, Path]:
    """Publish the leaderboard, unless what is published is of the same scores."""
    context = open_deployment(deployment.name)
    board = leaderboard(context.database, domain=deployment.library.domain)
    context.database.close()
    page = deployment.outputs / "site" / "index.html"
    if published_revision(page) == board.revision:
        tell(News(PUBLISH_JOB, "publish", state=FOUND))
    else:
        tell(News(PUBLISH_JOB, "publish"))
        result = run_runbook("publish", {}, deployment=deployment.name, triggered_by=TRIGGER, raise_on_failure=True)
        tell(News(PUBLISH_JOB, "publish", state=str(result.state)))
    return board, page


def published_revision(page: Path) -> str | None:
    """The revision of the scores that a page shows; None where there is none."""
    data = page.parent / "leaderboard.json"
    if not (page.exists() and data.exists()):
        return None
    revision: str | None = json.loads(data.read_text(encoding="utf-8")).get("revision")
    return revision


_queue: Queue[News] | None = None
_stopping: Event | None = None


def _begin_worker(queue: Queue[News], stopping: Event) -> None:
    global _queue, _stopping
    _queue, _stopping = queue, stopping
    # Ctrl-C at a terminal reaches every process of the group. A run that is under way ends itself as interrupted; between
    # two runs there is nothing to end, and the main process says that no other is to be begun.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the main one is gone, killed and without a word: a run that is under way closes in order."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def _is_stopping() -> bool:
    return _stopping is not None and _stopping.is_set()


def _tell(news: News) -> None:
    if _queue is not None:
        _queue.put(news)


def _news(queue: Queue[News]) -> Iterator[News]:
    while not queue.empty():
        yield queue.get()


def _run(job: str, deployment: str, runbook: str, parameters: dict[str, Any]) -> RunResult:
    _tell(News(job, runbook))
    result = run_runbook(
        runbook,
        parameters,
        deployment=deployment,
        triggered_by=TRIGGER,
        on_step=lambda progress: _tell(News(job, runbook, step=progress.step)),
    )
    _tell(News(job, runbook, state=str(result.state)))
    return result


def _score_library(deployment: str, commit: str) -> Outcome:
    if _is_stopping():
        return Outcome(LIBRARY_JOB, "not begun", "", None, runs=0)
    context = open_deployment(deployment)
    plan = make_plan(context, find_target(context, None, commit))
    context.database.close()
    if not plan.pairs:
        _tell(News(LIBRARY_JOB, "score_plugins", state=FOUND))
        return Outcome(LIBRARY_JOB, str(State.SCORED), "", None, runs=0)
    result = _run(LIBRARY_JOB, deployment, "score_plugins", {"commit": commit})
    state = State.SCORED if result.exit_code == 0 else State.SCORING_FAILED
    return Outcome(LIBRARY_JOB, str(state), _reason(result), None, runs=1)


def _drive_submission(deployment: str, job: Job) -> Outcome:
    if _is_stopping():
        return Outcome(job.name, "not begun", "", None, runs=0)
    runs = 0
    context = open_deployment(deployment)
    known = find_submission(context, job.file, job.email)
    if known is None or known.state == State.RECEIVED:
        intake = {
            "archive": str(job.file),
            "email": job.email,
            "submitter": job.submitter,
            "name": job.title,
            "public": job.public,
        }
        _run(job.name, deployment, "intake", intake)
        runs += 1
        known = find_submission(context, job.file, job.email)
    context.database.close()
    if known is None:
        return Outcome(job.name, "lost", "it could not be recorded", None, runs)
    _tell(News(job.name, "intake", state=FOUND))
    for runbook, parameters in advance(deployment, known.submission):
        if _is_stopping():
            break
        runs += 1
        if _run(job.name, deployment, runbook, parameters).exit_code != 0:
            break
    ended = find_submission(context, job.file, job.email) or known
    context.database.close()
    return Outcome(job.name, str(ended.state), ended.reason, ended.submission, runs)


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
