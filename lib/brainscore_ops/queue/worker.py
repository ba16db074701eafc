"""A worker: takes jobs from the queue and has each run in a process of its own.

A job is acknowledged when its process has ended, and what it asks for next is in the queue by then. A worker that dies in between
leaves its jobs to another: every worker looks for jobs whose worker has fallen silent. Runbooks converge, so that a run begun a
second time does only what is missing.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import ConnectorException, JobAborted
from procrastinate.job_context import AbortReason
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from procrastinate.worker import Worker as QueueWorker
from psycopg import OperationalError
from psycopg.conninfo import make_conninfo

from brainscore_ops.database.connection import Database
from brainscore_ops.database.marker import require_marked
from brainscore_ops.database.schema import require_newest
from brainscore_ops.errors import OpsError, RefusedError, UnavailableError
from brainscore_ops.notify.outbox import deliver
from brainscore_ops.queue.execution import INTERRUPTED, Order
from brainscore_ops.queue.jobs import TASK
from brainscore_ops.queue.schedule import ask_for_due, read_schedule, remove_old

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy.orm import Session

    from brainscore_ops.queue.schedule import Scheduled
    from brainscore_ops.settings import Deployment
    from brainscore_ops.settings.deployment import QueueSettings

T = TypeVar("T")

STOP_SECONDS = 30.0
"""How long a run that is told to stop has before it is told again, and then is killed."""
PATIENCE_SECONDS = 600.0
"""How long a worker waits for a database that is away; then it ends, and whatever started it starts it again."""
_PAUSE_SECONDS = 0.5
_SCHEDULE_SECONDS = 20.0

_LOCKED = """
WITH locked AS MATERIALIZED (
    SELECT id FROM procrastinate_jobs
    WHERE id = %(job)s AND status = 'doing' AND worker_id IS NOT DISTINCT FROM %(worker)s FOR UPDATE
) """
_HAND_ON = _LOCKED + "SELECT procrastinate_retry_job_v2(id, now(), NULL, NULL, NULL) FROM locked"  # noqa: S608 - of constants
_GIVE_UP = _LOCKED + "SELECT procrastinate_finish_job_v1(id, 'failed', false) FROM locked"  # noqa: S608 - as above
_WORK = """
SELECT 1 FROM procrastinate_jobs WHERE queue_name = %(queue)s AND (
    (status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())) OR (status = 'doing' AND worker_id = %(worker)s)
) LIMIT 1
"""
_SAY_WHY = """
UPDATE job_attempt SET ended_at = now(), reason_code = coalesce(reason_code, 'worker-died'),
    reason = coalesce(reason, 'The worker that carried it out fell silent.')
WHERE job_id = %(job)s AND number = %(number)s AND ended_at IS NULL
"""


class WorkerStoppedError(UnavailableError):
    """A worker had to end because its database stayed away."""

    code = "worker-stopped"


class _RunError(OpsError):
    """A run ended otherwise than well; procrastinate learns of it by an exception."""


class _FailedError(_RunError):
    """It failed, or was refused: to try it again blindly helps nobody."""


class _UnavailableError(_RunError):
    """A service was away."""


class _HandedBackError(_RunError):
    """It was stopped because its worker ends; somebody else goes on."""


def work(
    deployment: Deployment,
    *,
    parallel: int | None = None,
    once: bool = False,
    drain: bool = False,
    tell: Callable[[str], None] = print,
) -> int:
    """Run jobs until told to stop (SIGTERM, SIGINT); told twice, it does not wait for its runs.

    :param parallel: how many at once; by default what the deployment's settings say
    :param once: end after one job, or at once where none waits
    :param drain: end when no job waits that could be begun
    :param tell: is told what happens, a line each time
    :returns: how many jobs it ran
    :raises WorkerStoppedError: the database stayed away
    :raises BadScheduleError: what comes again and again could not be run
    """
    database = Database.of(deployment)
    try:
        read_schedule(deployment.workspace)
        require_newest(database)
        require_marked(database, deployment)
    finally:
        database.close()
    parallel = 1 if once else parallel or deployment.queue.parallel
    return asyncio.run(_Work(deployment, parallel, tell, once=once, drain=drain).go())


class _Work:
    def __init__(
        self, deployment: Deployment, parallel: int, tell: Callable[[str], None], *, once: bool, drain: bool
    ) -> None:
        self._deployment = deployment
        self._once, self._drain = once, drain
        self._settings = deployment.queue
        self._parallel = parallel
        self._tell = tell
        self._ended = 0
        self._stopping = self._hurried = False
        self._processes: set[asyncio.subprocess.Process] = set()
        self._running: set[int] = set()
        self._suspects: set[int] = set()
        self._worker: QueueWorker | None = None
        self._connector = _PatientConnector(_conninfo(deployment))

    async def go(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        _quieten()
        app = App(connector=self._connector)
        app.task(name=TASK, pass_context=True, retry=_Again(self._settings))(self._job)
        try:
            async with app.open_async():
                while not self._stopping:
                    # It stops by itself where one of its loops fails, and says why: it begins anew.
                    await self._serve(app)
                    await asyncio.sleep(0 if self._stopping else _PAUSE_SECONDS)
                return self._ended
        except ConnectorException as error:
            raise WorkerStoppedError(
                f"the database of {self._deployment.name} stayed away: {error.__cause__}".strip(),
                remedy="What ran goes on elsewhere. Start the worker again when the database is back.",
            ) from error

    async def _serve(self, app: App) -> None:
        settings = self._settings
        self._worker = worker = QueueWorker(
            app,
            queues=[self._deployment.name],
            name=None,
            concurrency=self._parallel,
            fetch_job_polling_interval=min(5.0, settings.heartbeat_seconds),
            abort_job_polling_interval=min(5.0, settings.heartbeat_seconds),
            shutdown_graceful_timeout=settings.grace_seconds,
            install_signal_handlers=False,
            update_heartbeat_interval=settings.heartbeat_seconds,
            stalled_worker_timeout=settings.silent_seconds,
        )
        await self._take_over(app)
        other = self._end_when_idle() if self._once or self._drain else self._keep_schedule()
        beside = [asyncio.create_task(self._watch(app)), asyncio.create_task(other)]
        try:
            await worker.run()  # type: ignore[no-untyped-call]
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _job(self, context: JobContext, runbook: str, parameters: dict[str, Any], by: str) -> None:
        """What procrastinate calls for a job: its run, in a process."""
        job = context.job
        assert job.id is not None, "a job that is run has a number"  # noqa: S101
        order = Order(job.id, job.attempts + 1, self._deployment.name, runbook, parameters, by)
        self._running.add(job.id)
        started = time.monotonic()
        self._tell(f"job {job.id} {runbook}: begun (attempt {order.attempt})")
        try:
            code = await self._process(order, context)
        finally:
            self._running.discard(job.id)
        self._ended += 1
        if self._once:
            self._end()
        self._tell(f"job {job.id} {runbook}: ended after {time.monotonic() - started:.1f} s, exit code {code}")
        _judge(code, context)

    async def _process(self, order: Order, context: JobContext) -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "brainscore_ops.queue.execution"),
            stdin=asyncio.subprocess.PIPE,
            stdout=sys.stderr.fileno(),
            start_new_session=True,  # a Ctrl-C at the terminal is for the worker, which knows what to do
        )
        self._processes.add(process)
        try:
            assert process.stdin is not None, "it was asked for"  # noqa: S101
            with suppress(ConnectionError):  # it died at once: its exit code tells
                process.stdin.write(order.as_line())
                await process.stdin.drain()
            if self._hurried:
                process.terminate()
            return await process.wait()
        except asyncio.CancelledError:
            why = "cancelled" if context.abort_reason() is AbortReason.USER_REQUEST else "handed back"
            self._tell(f"job {order.job_id} {order.runbook}: is stopped, to be {why}")
            return await _stop(process)
        finally:
            self._processes.discard(process)

    async def _watch(self, app: App) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat_seconds)
            with suppress(ConnectorException):  # the database is away: whoever needs it says so
                # Procrastinate's own heartbeat ends when it is told to stop, and not when its last job has ended.
                if self._stopping and self._worker and self._worker.worker_id is not None:
                    await app.job_manager.update_heartbeat(self._worker.worker_id)
                await self._take_over(app)

    async def _keep_schedule(self) -> None:
        """From time to time: ask for what comes again and again, remove what ended long ago, send mails that wait."""
        schedule = read_schedule(self._deployment.workspace)
        database = Database.of(self._deployment)
        said = ""
        try:
            while not self._stopping:
                try:
                    for job in await asyncio.to_thread(self._ask_for_due, database, schedule):
                        self._tell(f"job {job}: its time has come")
                    await asyncio.to_thread(deliver, database, self._deployment)
                    said = ""
                except OpsError as error:
                    if error.message != said:
                        self._tell(f"what comes again and again has to wait: {error.message}")
                    said = error.message
                await asyncio.sleep(_SCHEDULE_SECONDS)
        finally:
            database.close()

    def _ask_for_due(self, database: Database, schedule: Sequence[Scheduled]) -> list[int]:
        def ask(session: Session) -> list[int]:
            remove_old(self._deployment, session)
            return ask_for_due(self._deployment, session, schedule)

        return database.transact(ask)

    async def _end_when_idle(self) -> None:
        while self._running or await self._has_work():
            await asyncio.sleep(_PAUSE_SECONDS)
        self._end()

    def _end(self) -> None:
        self._stopping = True
        if self._worker:
            self._worker.stop()  # type: ignore[no-untyped-call]

    async def _take_over(self, app: App) -> None:
        """Put jobs back into the queue whose worker is silent, and those of our own that we know nothing of."""
        silent = await app.job_manager.get_stalled_jobs(
            queue=self._deployment.name, seconds_since_heartbeat=self._settings.silent_seconds
        )
        lost = await self._lost()
        for job in [*(job for job in silent if job.id not in self._running), *lost]:
            tried = job.attempts + 1
            gives_up = tried >= self._settings.attempts
            # Another worker may be quicker: a job that counts as somebody else's by now is left alone.
            taken = await self._connector.execute_query_all_async(
                _GIVE_UP if gives_up else _HAND_ON, job=job.id, worker=job.worker_id
            )
            if taken:
                await self._connector.execute_query_async(_SAY_WHY, job=job.id, number=tried)
                what = (
                    f"given up, its worker died {tried} times"
                    if gives_up
                    else "taken over from a worker that fell silent"
                )
                self._tell(f"job {job.id}: {what}")

    async def _lost(self) -> list[Job]:
        """Jobs that count as ours and are not run: the database went away while one was handed to us, or acknowledged."""
        worker_id = self._worker.worker_id if self._worker else None
        if worker_id is None:
            return []
        rows = await self._connector.execute_query_all_async(
            "SELECT id, status, task_name, priority, lock, queueing_lock, args, scheduled_at, queue_name, attempts, worker_id "
            "FROM procrastinate_jobs WHERE status = 'doing' AND worker_id = %(worker)s",
            worker=worker_id,
        )
        unknown = [job for job in map(Job.from_row, rows) if job.id not in self._running]
        # One that is being handed over this very moment is not lost: it has to be seen twice.
        lost = [job for job in unknown if job.id in self._suspects]
        self._suspects = {job.id for job in unknown if job.id is not None}
        return lost

    async def _has_work(self) -> bool:
        """Whether a job waits that could be begun, now or when another about the same subject has ended, or is ours.

        Both in one look: a job that is handed to us this moment is either the one or the other.
        """
        worker_id = self._worker.worker_id if self._worker else None
        found = await self._connector.execute_query_all_async(_WORK, queue=self._deployment.name, worker=worker_id)
        return bool(found)

    def _told_to_stop(self) -> None:
        if self._stopping:
            self._hurried = True
            for process in self._processes:
                with suppress(ProcessLookupError):
                    process.terminate()
            return
        self._connector.patience = 2 * _PAUSE_SECONDS
        if self._running:
            grace = self._settings.grace_seconds
            self._tell(f"told to end: {len(self._running)} runs have {grace:g} s; told again, they are stopped at once")
        self._end()


def _judge(code: int, context: JobContext) -> None:
    """Tell procrastinate, by an exception, what becomes of a job that did not succeed."""
    if code == 0:
        return
    if context.abort_reason() is AbortReason.USER_REQUEST:
        raise JobAborted
    if code in (INTERRUPTED, -signal.SIGTERM, -signal.SIGINT):
        raise _HandedBackError("its run was stopped")
    if code == UnavailableError.exit_code or code < 0:
        raise _UnavailableError(f"its run ended with {code}")
    raise _FailedError("refused" if code == RefusedError.exit_code else f"its run ended with {code}")


async def _stop(process: asyncio.subprocess.Process) -> int:
    """End a run in order, then with less patience, then at once."""
    for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGTERM, STOP_SECONDS / 3), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            process.send_signal(number)
        with suppress(TimeoutError):
            return await asyncio.wait_for(process.wait(), seconds)
    return -signal.SIGKILL


class _Again(BaseRetryStrategy):
    """When a job is tried again: a service was away, or it was handed back."""

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        settings = self._settings
        if isinstance(exception, _HandedBackError | asyncio.CancelledError):
            return RetryDecision(retry_at=datetime.now(UTC))
        if not isinstance(exception, _UnavailableError) or job.attempts + 1 >= settings.attempts:
            return None
        pause = min(settings.first_pause_seconds * 2**job.attempts, settings.longest_pause_seconds)
        return RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=pause))


class _PatientConnector(PsycopgConnector):
    """A connector that waits for a database that is away: it is restarted now and then."""

    def __init__(self, conninfo: str) -> None:
        super().__init__(conninfo=conninfo, min_size=1, max_size=4, timeout=10)
        self.patience = PATIENCE_SECONDS

    async def execute_query_async(self, query: Any, **arguments: Any) -> None:
        parent = super().execute_query_async
        await self._patiently(lambda: parent(query, **arguments))

    async def execute_query_one_async(self, query: Any, **arguments: Any) -> dict[str, Any]:
        parent = super().execute_query_one_async
        return await self._patiently(lambda: parent(query, **arguments))

    async def execute_query_all_async(self, query: Any, **arguments: Any) -> list[dict[str, Any]]:
        parent = super().execute_query_all_async
        return await self._patiently(lambda: parent(query, **arguments))

    async def listen_notify(self, on_notification: Any, channels: Any) -> None:
        channels = list(channels)
        parent = super().listen_notify
        await self._patiently(lambda: parent(on_notification, channels))

    async def _patiently(self, execute: Callable[[], Awaitable[T]]) -> T:
        since = time.monotonic()
        while True:
            try:
                return await execute()
            except ConnectorException as error:
                if not isinstance(error.__cause__, OperationalError) or time.monotonic() - since > self.patience:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)


def _conninfo(deployment: Deployment) -> str:
    from brainscore_ops.settings import DatabaseSecret, resolve_secret

    secret = resolve_secret(deployment, deployment.database.secret, DatabaseSecret)
    return make_conninfo(
        host=secret.host,
        port=secret.port,
        dbname=secret.database,
        user=secret.username,
        password=secret.password.get_secret_value(),
        connect_timeout=deployment.database.connect_seconds,
        application_name="brainscore_ops worker",
    )


def _quieten() -> None:
    """Procrastinate tells every run that failed with a traceback; the run's record tells more, and a line of ours less."""
    logging.getLogger("procrastinate").addFilter(lambda record: getattr(record, "action", "") != "job_error")
    logging.getLogger("procrastinate.worker").addFilter(lambda record: getattr(record, "action", "") != "job_error")
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
