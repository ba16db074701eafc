"""Giving pairs to workers until each has come to an end: who waits, who runs where, who is tried again, and who is lost.

What has been computed is a file before anything else happens with it, so that a driver that dies takes nothing along.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainscore_ops.errors import Fault, OpsError, StepFailedError, UnavailableError
from brainscore_ops.planning import end_of_plan, is_planning, planned
from brainscore_ops.scoring import slurm
from brainscore_ops.scoring.attempts import (
    Again,
    Attempt,
    AttemptState,
    FailureKind,
    attempts_of,
    driver_lost,
    next_try,
    now,
    read_attempt,
    write_attempt,
)
from brainscore_ops.scoring.claims import Drivers
from brainscore_ops.scoring.cluster import jobs_of_dead_drivers, lost_because, open_pools
from brainscore_ops.scoring.pair import PairOutcome, ScorePairParameters, forget_outcome, keep_outcome, kept_outcome
from brainscore_ops.scoring.worker import work

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from brainscore_ops.scoring.cluster import Pool
    from brainscore_ops.scoring.worker import Execute
    from brainscore_ops.settings import Deployment, ResourceClass

_TICK_SECONDS = 0.25
_LOOK_ELSEWHERE_SECONDS = 1.0
_OVERDUE_SECONDS = 120.0
"""So long after its walltime an attempt that says nothing is taken for lost."""
_CANCEL_SECONDS = 60.0
_SILENCE_SECONDS = 300.0
"""How long SLURM's controller may not answer before what waits for it is given up."""


@dataclass(frozen=True)
class Task:
    """A pair that is to be computed."""

    identity: str
    job: ScorePairParameters
    library_commit: str
    submission: int | None
    resource_class: ResourceClass
    """The one to begin with."""
    refused: OpsError | None = None
    """Why it cannot be computed at all."""

    @property
    def results(self) -> Path:
        """The pair's results folder."""
        return Path(self.job.results)


@dataclass
class _Trial:
    """A pair that has not come to its end."""

    task: Task
    attempt: Attempt
    fresh: bool = False
    tries: list[Attempt] = field(default_factory=list)
    """Those of this run that have ended."""
    address: str = ""
    """The worker that has it; empty while it waits."""
    future: Any = None
    given: float = 0.0


def compute(
    deployment: Deployment,
    tasks: Sequence[Task],
    execute: Execute,
    *,
    driver: str,
    tell: Callable[[Sequence[Attempt]], None],
) -> dict[str, PairOutcome]:
    """Compute pairs, each until it has a score or is not worth another try.

    :param execute: how a worker executes the ``score_pair`` notebook
    :param driver: the name of whoever computes them: a run's id
    :param tell: told of attempts whenever they change, in batches; it may be called some seconds late
    :returns: identity → what became of the pair
    """
    if is_planning():
        for task in tasks:
            pair = f"{task.job.model} on {task.job.benchmark}"
            planned("pair", f"{pair} ({task.resource_class.name})", identity=task.identity, commit=task.library_commit)
        if tasks:
            raise end_of_plan(
                f"{len(tasks)} scores are what the plugins will say. Then they are recorded, and those concerned told."
            )
        return {}
    drivers = Drivers(deployment.shared / "drivers")
    with drivers.being(driver):
        if deployment.scoring.cluster == "slurm":
            end_jobs_of_dead_drivers(deployment, drivers)
        return _Dispatch(deployment, drivers, execute, driver, tell).run(tasks)


def end_jobs_of_dead_drivers(deployment: Deployment, drivers: Drivers) -> list[str]:
    """Cancel the jobs that a driver left behind, and wait until they are gone: nobody computes what we are about to.

    :returns: their numbers
    """
    left = jobs_of_dead_drivers(deployment, drivers.are_alive)
    slurm.cancel(left)
    deadline = time.monotonic() + _CANCEL_SECONDS
    while left and time.monotonic() < deadline:
        known = slurm.jobs(numbers=left)
        if all(job.is_over for job in known.values()):
            break
        time.sleep(0.3)
    return left


class _Dispatch:
    def __init__(
        self,
        deployment: Deployment,
        drivers: Drivers,
        execute: Execute,
        driver: str,
        tell: Callable[[Sequence[Attempt]], None],
    ) -> None:
        self._deployment = deployment
        self._classes = deployment.resource_classes
        self._drivers = drivers
        self._execute = execute
        self._driver = driver
        self._tell = tell
        self._trials: dict[str, _Trial] = {}
        self._elsewhere: dict[str, Task] = {}
        self._settling: dict[str, Future[tuple[str, str] | None]] = {}
        self._broken: dict[str, OpsError] = {}
        self._done: dict[str, PairOutcome] = {}
        self._changed: dict[tuple[str, int], Attempt] = {}
        self._wake = threading.Event()
        self._looked_elsewhere = 0.0
        self._looked_at_files = 0.0
        self._used: set[str] = set()
        self._slurm_answered = time.monotonic()

    def run(self, tasks: Sequence[Task]) -> dict[str, PairOutcome]:
        """Do all of it."""
        for task in tasks:
            self._elsewhere[task.identity] = task
        self._take_what_is_free()
        try:
            if self._trials or self._elsewhere:
                self._compute()
        finally:
            self._give_up()
        return self._done

    def _compute(self) -> None:
        with (
            open_pools(self._deployment, self._driver, len(self._trials) or len(self._elsewhere)) as pool_of,
            ThreadPoolExecutor(4, thread_name_prefix="settle") as aside,
        ):
            self._aside = aside
            while self._trials or self._elsewhere:
                self._take_what_is_free()
                self._go_round(pool_of)
                self._settle()
                self._report()
                self._wake.wait(_TICK_SECONDS)
                self._wake.clear()

    # Whose pairs are ours.

    def _take_what_is_free(self) -> None:
        """Claim pairs; of those that another driver has, learn what it found, or take them over when it is gone."""
        if not self._elsewhere or time.monotonic() - self._looked_elsewhere < _LOOK_ELSEWHERE_SECONDS:
            return
        self._looked_elsewhere = time.monotonic()
        for identity, task in list(self._elsewhere.items()):
            if self._drivers.claim(task.results, self._driver):
                del self._elsewhere[identity]
                self._begin(task)

    def _begin(self, task: Task) -> None:
        """Go on where this pair was left: with its outcome, in a larger class, or from the start."""
        before = [self._lost(task, each) if not each.state.is_final else each for each in attempts_of(task.results)]
        self._changed.update(
            {(task.identity, each.number): each for each in before}
        )  # the last driver may not have said
        outcome, again = kept_outcome(task.results), None
        if outcome is not None and outcome.state == "failed":
            last_run = [each for each in before if before and each.driver == before[-1].driver]
            again = next_try(last_run, self._classes, self._most) if last_run and last_run[-1].kind else None
            if again is None and outcome.failure and outcome.failure["fault"] != Fault.SUBMISSION:
                outcome = None  # worth another round
        if outcome is not None and again is None:
            self._end(task.identity, task, outcome)
            return
        forget_outcome(task.results)
        first = Again(task.resource_class, fresh=False, why="")
        if again is not None and again.resource_class in self._larger_than(task.resource_class):
            first = again
        self._queue(_Trial(task, self._new_attempt(task, len(before) + 1, first.resource_class), first.fresh))

    def _lost(self, task: Task, attempt: Attempt) -> Attempt:
        """An attempt that was left by a driver that is gone. Its job is over; what it had found, it had written."""
        outcome = kept_outcome(task.results)
        if outcome is not None and outcome.state == "scored":
            ended = attempt.ended(None, run_id=outcome.run_id, **(outcome.measured or {}))
        else:
            ended = attempt.ended(driver_lost(attempt.driver).as_dict())
        self._write(task, ended)
        return ended

    def _larger_than(self, current: ResourceClass) -> tuple[ResourceClass, ...]:
        return self._classes[self._classes.index(current) :]

    def _end(self, identity: str, task: Task, outcome: PairOutcome) -> None:
        self._done[identity] = outcome
        self._trials.pop(identity, None)
        self._drivers.release(task.results, self._driver)

    # One round.

    def _go_round(self, pool_of: Callable[[ResourceClass], Pool]) -> None:
        for offered in self._classes:
            trials = [each for each in self._trials.values() if each.attempt.resource_class == offered.name]
            if not trials and offered.name not in self._used:
                continue
            if offered.name in self._broken:
                self._refuse(trials, self._broken[offered.name])
                continue
            try:
                pool = pool_of(offered)
                self._used.add(offered.name)
                self._serve(pool, offered, trials)
                self._bear_with(pool, trials)
            except slurm.SlurmUnavailableError as error:
                self._wait_for_slurm(trials, error)
            except UnavailableError as error:
                self._broken[offered.name] = error

    def _serve(self, pool: Pool, offered: ResourceClass, trials: Sequence[_Trial]) -> None:
        """Give the waiting pairs of a class to workers, and see what became of the others."""
        running = [each for each in trials if each.address]
        waiting = [each for each in trials if not each.address and each.task.identity not in self._settling]
        busy = {each.address for each in self._trials.values() if each.address}
        seats = pool.look(len(running) + len(waiting), busy)
        for trial in running:
            self._look_after(trial, pool, offered, there=trial.address in seats)
        overdue = [each for each in waiting if each.attempt.deadline and now() > each.attempt.deadline]
        for trial in overdue:
            hours = self._deployment.scoring.pending_seconds / 3600
            self._failed(
                trial, StepFailedError(f"no worker became free for it within {hours:.3g} h", code="never-started")
            )
        free = [address for address in seats if address not in busy]
        for trial in waiting:
            if trial in overdue:
                continue
            address = next((each for each in free if self._has_time(seats[each], offered, fresh=trial.fresh)), None)
            if address is not None:
                free.remove(address)
                self._give(trial, pool, address)
        if self._is_slurm:
            for address in free:
                if not self._has_time(seats[address], offered, fresh=any(each.fresh for each in waiting)):
                    pool.retire(address)

    def _give(self, trial: _Trial, pool: Pool, address: str) -> None:
        trial.address, trial.given = address, time.monotonic()
        parameters = trial.task.job.model_copy(update={"resource_class": trial.attempt.resource_class}).model_dump()
        trial.future = pool.give(address, work, self._execute, parameters, trial.attempt.number)
        trial.future.add_done_callback(lambda _: self._wake.set())

    def _look_after(self, trial: _Trial, pool: Pool, offered: ResourceClass, *, there: bool) -> None:
        if trial.future.done() and trial.future.status == "finished":
            attempt = read_attempt(trial.task.results, trial.attempt.number)
            if attempt.kind is FailureKind.TRANSIENT and self._is_slurm:
                # SLURM ends all processes of a job at once: the worker may live to tell of the pair, not of itself.
                self._ask_slurm(trial, pool, certainly=False)
            else:
                self._ended(trial, attempt)
            return
        overdue = time.monotonic() - trial.given > offered.walltime + _OVERDUE_SECONDS
        failed = trial.future.done()
        if there and not failed and not overdue:
            return
        error = trial.future.exception() if failed and there else None
        if error is not None and type(error).__name__ != "KilledWorker":
            self._failed(trial, StepFailedError(f"its worker could not compute it: {error}", code="worker-lost"))
            return
        trial.future.cancel()
        self._ask_slurm(trial, pool, certainly=True)

    def _ask_slurm(self, trial: _Trial, pool: Pool, *, certainly: bool) -> None:
        answer = self._aside.submit(lost_because, pool.job_of(trial.address), certainly=certainly)
        trial.address = ""
        self._settling[trial.task.identity] = answer
        answer.add_done_callback(lambda _: self._wake.set())

    def _settle(self) -> None:
        """Pairs whose worker is gone: it may have come to an end before; if not, the job's end says why."""
        for identity, answer in list(self._settling.items()):
            if not answer.done():
                continue
            del self._settling[identity]
            trial = self._trials[identity]
            attempt = read_attempt(trial.task.results, trial.attempt.number)
            outcome = kept_outcome(trial.task.results)
            why = ("worker-lost", str(answer.exception())) if answer.exception() else answer.result()
            if why is None or (attempt.state.is_final and attempt.kind is not FailureKind.TRANSIENT):
                self._ended(trial, attempt)
            elif outcome is not None and outcome.state == "scored":
                self._ended(trial, attempt.ended(None, run_id=outcome.run_id, **(outcome.measured or {})))
            else:
                code, words = why
                own = code in ("out-of-memory", "timeout")
                fault = Fault.SUBMISSION if own else Fault.INFRASTRUCTURE
                trial.attempt = attempt
                self._failed(trial, StepFailedError(words, code=code, fault=fault))

    def _has_time(self, since: float, offered: ResourceClass, *, fresh: bool) -> bool:
        """Whether a worker has enough of its walltime left: half of it, or nearly all for a pair that ran out of time."""
        if not self._is_slurm:
            return True
        age = time.monotonic() - since
        return age < (max(5.0, 0.05 * offered.walltime) if fresh else 0.5 * offered.walltime)

    # Ends.

    def _failed(self, trial: _Trial, failure: OpsError) -> None:
        outcome = kept_outcome(trial.task.results)
        self._ended(
            trial,
            trial.attempt.ended(failure.as_dict(), run_id=outcome.run_id if outcome else None),
            failure,
        )

    def _ended(self, trial: _Trial, attempt: Attempt, failure: OpsError | None = None) -> None:
        task = trial.task
        self._write(task, attempt)
        trial.tries.append(attempt)
        outcome = kept_outcome(task.results)
        if attempt.state is AttemptState.SCORED and outcome is not None:
            self._end(task.identity, task, outcome)
            return
        again = next_try(trial.tries, self._classes, self._most)
        if again is not None and again.resource_class.name not in self._broken:
            number = attempt.number + 1
            following = self._new_attempt(task, number, again.resource_class)
            self._queue(_Trial(task, following, again.fresh, trial.tries))
            return
        self._end(task.identity, task, self._final_outcome(task, trial.tries, outcome, failure))

    def _final_outcome(
        self, task: Task, tries: Sequence[Attempt], outcome: PairOutcome | None, failure: OpsError | None
    ) -> PairOutcome:
        last = tries[-1]
        if failure is None and outcome is not None and outcome.failure is not None and len(tries) == 1:
            return outcome
        known = failure or StepFailedError(
            str(last.reason), code=last.reason_code, fault=Fault(last.fault or Fault.INFRASTRUCTURE)
        )
        log = known.log or str(((outcome and outcome.failure) or {}).get("log") or "")
        told = StepFailedError(
            known.message + _history(tries), remedy=known.remedy, code=known.code, fault=known.fault, log=log
        )
        return keep_outcome(task.job, self._deployment, run_id=last.run_id, failure=told, measured=_used(last))

    def _refuse(self, trials: Sequence[_Trial], error: OpsError) -> None:
        for trial in trials:
            if not trial.address and trial.task.identity not in self._settling:
                self._failed(trial, error)

    def _bear_with(self, pool: Pool, trials: Sequence[_Trial]) -> None:
        """A controller that does not answer for a while is no reason to give anything up; one that is gone is."""
        silence = pool.silence
        if silence is None:
            self._slurm_answered = time.monotonic()
        elif silence[0] > _SILENCE_SECONDS:
            self._refuse(trials, silence[1])

    def _wait_for_slurm(self, trials: Sequence[_Trial], error: OpsError) -> None:
        """The same, where not even a first job could be asked for."""
        if time.monotonic() - self._slurm_answered > _SILENCE_SECONDS:
            self._refuse(trials, error)
        time.sleep(1)

    def _give_up(self) -> None:
        """What was not finished when we have to stop: its workers are gone, and so is this driver."""
        for trial in list(self._trials.values()):
            attempt = read_attempt(trial.task.results, trial.attempt.number)
            if not attempt.state.is_final:
                self._write(trial.task, attempt.ended(driver_lost(self._driver).as_dict()))
            self._drivers.release(trial.task.results, self._driver)
        self._report(at_once=True)

    # Words.

    @property
    def _most(self) -> int:
        return self._deployment.scoring.attempts

    @property
    def _is_slurm(self) -> bool:
        return self._deployment.scoring.cluster == "slurm"

    def _new_attempt(self, task: Task, number: int, offered: ResourceClass) -> Attempt:
        at = now()
        return Attempt(
            identity=task.identity,
            number=number,
            model=task.job.model,
            benchmark=task.job.benchmark,
            library_commit=task.library_commit,
            resource_class=offered.name,
            driver=self._driver,
            submission_id=task.submission,
            state=AttemptState.QUEUED,
            queued_at=at,
            deadline=at + timedelta(seconds=self._deployment.scoring.pending_seconds),
        )

    def _queue(self, trial: _Trial) -> None:
        self._write(trial.task, trial.attempt)
        self._trials[trial.task.identity] = trial
        if trial.task.refused is not None:
            self._failed(trial, trial.task.refused)

    def _write(self, task: Task, attempt: Attempt) -> None:
        write_attempt(task.results, attempt)
        self._changed[task.identity, attempt.number] = attempt

    def _report(self, *, at_once: bool = False) -> None:
        """Tell what has changed; workers say in files that they have begun."""
        if not at_once and time.monotonic() - self._looked_at_files < _LOOK_ELSEWHERE_SECONDS:
            return
        self._looked_at_files = time.monotonic()
        for trial in self._trials.values():
            if trial.address and trial.attempt.state is AttemptState.QUEUED:
                attempt = read_attempt(trial.task.results, trial.attempt.number)
                if attempt.state is AttemptState.RUNNING:
                    trial.attempt = attempt
                    self._changed[trial.task.identity, attempt.number] = attempt
        changed, self._changed = list(self._changed.values()), {}
        self._tell(changed)


def _history(tries: Sequence[Attempt]) -> str:
    if len(tries) < 2:
        return ""
    counted = Counter((each.resource_class, each.reason_code) for each in tries)
    told = ", ".join(
        f"{code} in {name}" + (f" {count} times" if count > 1 else "") for (name, code), count in counted.items()
    )
    return f" (tried {len(tries)} times: {told})"


def _used(attempt: Attempt) -> dict[str, Any] | None:
    used = {name: getattr(attempt, name) for name in ("wall_seconds", "cpu_seconds", "peak_memory_bytes")}
    return used if any(value is not None for value in used.values()) else None
