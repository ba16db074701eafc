"""Repair of what stands still: the forge is compared with the database, and what an event should have started is started.

Events get lost and processes die. Nothing here does anything of its own: each repair is the runbook that the event would have
started, and those converge. What waits for a person (a refusal of the gate, failed tests, a draft) is left alone until something
about it changes; what failed again and again is left to a maintainer, and named.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import Field
from sqlalchemy import or_, select

from brainscore_ops.database.ops_tables import Run, SubmissionLife
from brainscore_ops.display import Shown, Table, printable
from brainscore_ops.errors import UnavailableError
from brainscore_ops.parameters import RunbookParameters
from brainscore_ops.queue import jobs
from brainscore_ops.runbooks.execution import run_runbook
from brainscore_ops.runbooks.ledger import mark_lost
from brainscore_ops.runbooks.signals import stop_runs_of_threads
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.scores.leaderboard import leaderboard
from brainscore_ops.scores.publication import published_revision
from brainscore_ops.submissions.context import NoPrivateRepositoryError, PrivateElsewhereError
from brainscore_ops.submissions.life import SCORING_DONE, State
from brainscore_ops.submissions.plugin_tests import STATUS_CONTEXT
from brainscore_ops.submissions.pull_requests import follow
from brainscore_ops.submissions.scoring_request import missing_pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from brainscore_ops.forge.client import PullRequest, Status
    from brainscore_ops.runbooks.runs import RunResult
    from brainscore_ops.submissions.context import Context

LOCK = "reconcile"

TRIES_WITHIN = timedelta(hours=24)
"""The time within which failed tries are counted against the bound."""

MOST_STEPS = 8
"""Runs that one subject gets from one reconciliation: its whole way has five."""

LEADERBOARD = "the leaderboard"

BEFORE_MERGE = frozenset({State.ACCEPTED, State.PROPOSED, State.TESTED, State.TESTS_FAILED, State.HELD, State.RECEIVED})


class ReconcileParameters(RunbookParameters):
    """What ``reconcile`` is told."""

    look_back_days: int = Field(
        30, description="how far back merged and closed pull requests are looked at, in days", gt=0, le=3650
    )
    tries: int = Field(
        3,
        description="failed runs of one runbook for one thing, within a day, after which a maintainer has to look",
        gt=0,
    )
    budget_minutes: float = Field(
        45, description="after how many minutes no further repair is begun; the next reconciliation goes on", gt=0
    )
    enqueue: bool = Field(
        False, description="leave to the queue's workers what continues what it finds, instead of running it here"
    )


class AlreadyReconcilingError(UnavailableError):
    """Another reconciliation is under way."""

    code = "already-reconciling"


@dataclass(frozen=True)
class Finding:
    """Something that stands still, and what continues it."""

    subject: str
    """``pull request 3``, ``submission 7`` or the leaderboard."""
    why: str
    runbook: str
    """The runbook that continues it; empty where a maintainer has to look."""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Survey(Shown):
    """What stands still."""

    findings: tuple[Finding, ...]
    looked_at: Mapping[str, int]
    """How many of what was compared."""

    @property
    def repairable(self) -> tuple[Finding, ...]:
        """What a runbook continues."""
        return tuple(finding for finding in self.findings if finding.runbook)

    def table(self) -> Table:
        looked = ", ".join(f"{count} {what}" for what, count in self.looked_at.items())
        if not self.findings:
            return Table(f"Nothing stands still (looked at {looked})", [])
        return Table(
            f"Standing still: {len(self.findings)} (looked at {looked})",
            [[found.subject, found.why, found.runbook or "a maintainer has to look"] for found in self.findings],
            ["what", "why", "continued by"],
        )


@dataclass(frozen=True)
class Repair:
    """What became of a finding."""

    subject: str
    runbook: str
    state: str
    """The run's; ``asked for`` where it waits in the queue; empty where there was no time left for one."""
    run_id: str
    message: str


@dataclass(frozen=True)
class Repairs(Shown):
    """What a reconciliation did."""

    repairs: tuple[Repair, ...]

    @property
    def left(self) -> int:
        """How many findings were left for the next time."""
        return sum(not repair.state for repair in self.repairs)

    def table(self) -> Table:
        if not self.repairs:
            return Table("There was nothing to run", [])
        return Table(
            f"{len(self.repairs) - self.left} continued"
            + (f"; {self.left} left for the next time" if self.left else ""),
            [
                [
                    repair.subject,
                    repair.runbook,
                    repair.state or "no time left",
                    printable(repair.message),
                    repair.run_id,
                ]
                for repair in self.repairs
            ],
            ["what", "runbook", "state", "message", "run"],
        )


def survey(context: Context, *, look_back_days: int, tries: int) -> Survey:
    """Compare the forge with the database.

    Nothing is changed but what nobody would come back to: runs that nobody drives any more are marked as lost, submissions
    whose pull request was closed as closed.
    """
    since = datetime.now(UTC) - timedelta(days=look_back_days)
    looked_at: Counter[str] = Counter()
    findings: list[Finding | None] = []
    for side in _sides(context):
        findings += _survey(side, tries, since, looked_at)
    findings.append(_Observer(context, tries, since).of_leaderboard())
    return Survey(tuple(finding for finding in findings if finding is not None), dict(looked_at))


def _sides(context: Context) -> list[Context]:
    """The repositories that are looked at: both; where others see what a run prints and keeps, the public one alone."""
    try:
        return [context.public_side, context.private_side]
    except (NoPrivateRepositoryError, PrivateElsewhereError):
        return [context.public_side]


def _survey(context: Context, tries: int, since: datetime, looked_at: Counter[str]) -> list[Finding | None]:
    observer = _Observer(context, tries, since)
    pulls = {pull.number: pull for pull in context.forge.pull_requests("open")}
    pulls |= {pull.number: pull for pull in context.forge.pull_requests_since(since)}
    lives = observer.lives
    # A submission that is not at its end is looked at however old its pull request is.
    for life in lives:
        if (
            life.pull_request is not None
            and life.pull_request not in pulls
            and life.state in {*BEFORE_MERGE, State.MERGED}
        ):
            pulls[life.pull_request] = context.forge.pull_request(life.pull_request)
    for life in lives:
        pull = pulls.get(life.pull_request or 0)
        if pull is not None and pull.state == "closed" and not pull.merged and life.state in BEFORE_MERGE:
            follow(context, pull)
    looked_at.update({"pull requests": len(pulls), "submissions": len(lives)})
    looked_at["runs"] = len(observer.runs)  # the same, whichever repository is looked at
    return [
        *(observer.of_submission(life) for life in lives if life.pull_request is None or life.state == State.PUBLISHED),
        *(observer.of_pull(pull) for _, pull in sorted(pulls.items())),
        *(observer.of_private_scores(life) for life in lives if life.private and life.state in SCORING_DONE),
    ]


def repair(
    context: Context, found: Survey, *, look_back_days: int, tries: int, budget_minutes: float, enqueue: bool = False
) -> Repairs:
    """Run what continues each finding, and go on with it as far as it gets; the leaderboard comes last.

    :param enqueue: ask for it instead: the queue's workers run it, and what follows from it
    :raises AlreadyReconcilingError: another process does so
    """
    if enqueue:
        return _ask(context, found)
    deadline = time.monotonic() + 60 * budget_minutes
    since = datetime.now(UTC) - timedelta(days=look_back_days)
    repairs: list[Repair] = []
    with context.database.lock(LOCK, wait=False) as held:
        if not held:
            raise AlreadyReconcilingError(
                "another reconciliation is under way", remedy="It does the same: wait for it."
            )
        for finding in found.repairable:
            if finding.subject != LEADERBOARD:
                repairs += _continue(context, finding, tries, since, deadline)
        # What was repaired may have brought scores: whether the page is of them is asked anew.
        last = _Observer(context, tries, since).of_leaderboard()
        if last is not None and last.runbook:
            repairs += _continue(context, last, tries, since, deadline)
    return Repairs(tuple(repairs))


def _ask(context: Context, found: Survey) -> Repairs:
    asked = []
    for finding in found.repairable:
        by = f"reconcile:{context.run_id or 'by hand'}"
        job = jobs.enqueue(context.deployment, finding.runbook, finding.parameters, by=by)
        asked.append(Repair(finding.subject, finding.runbook, "asked for", f"job {job}", ""))
    return Repairs(tuple(asked))


def _continue(context: Context, finding: Finding, tries: int, since: datetime, deadline: float) -> Iterable[Repair]:
    """Run what continues a finding, then what is next for the same thing, until nothing is or a run does not succeed."""
    following: Finding | None = finding
    for _ in range(MOST_STEPS):
        if following is None or not following.runbook:
            return
        if time.monotonic() > deadline:
            yield Repair(following.subject, following.runbook, "", "", "")
            return
        result = _run(context, following)
        said = (result.error or {}).get("message", "")
        yield Repair(following.subject, following.runbook, str(result.state), said, result.id)
        if result.state is not RunState.SUCCEEDED:
            return
        side = context.private_side if following.parameters.get("private") else context
        following = _Observer(side, tries, since).again(following)


def _run(context: Context, finding: Finding) -> RunResult:
    """Run a runbook from within a step of another: in a thread, since the kernel's own has an event loop already."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(
            run_runbook,
            finding.runbook,
            finding.parameters,
            deployment=context.deployment.name,
            triggered_by=f"reconcile:{context.run_id or 'by hand'}",
        )
        try:
            return future.result()
        except KeyboardInterrupt:
            stop_runs_of_threads()
            raise


class _Observer:
    """The database's side of the comparison, read once, and the judgement of each thing."""

    def __init__(self, context: Context, tries: int, since: datetime) -> None:
        self._context = context
        self._tries = tries
        mark_lost(context.database)
        with context.database.session() as session:
            # A pull request that was scored long ago may be talked about today.
            wanted = or_(Run.started_at > since, Run.runbook == "score_plugins")
            self.runs = list(session.scalars(select(Run).where(wanted).order_by(Run.started_at)))
            lives = select(SubmissionLife).where(SubmissionLife.library == context.home)
            self.lives = list(session.scalars(lives.order_by(SubmissionLife.submission_id)))
            session.expunge_all()

    @cached_property
    def _default_branch(self) -> str:
        return self._context.forge.default_branch()[0]

    def again(self, finding: Finding) -> Finding | None:
        """What continues the same thing now."""
        number = finding.parameters.get("pull_request")
        if number is None and finding.subject.startswith("submission "):
            submission = int(finding.subject.split()[1])
            life = next((life for life in self.lives if life.submission_id == submission), None)
            if life is None:  # it is in the other repository: the next time goes on with it
                return None
            if life.pull_request is None:
                return self.of_submission(life)
            number = life.pull_request
        return None if number is None else self.of_pull(self._context.forge.pull_request(number))

    def of_submission(self, life: SubmissionLife) -> Finding | None:
        """A submission that has no pull request yet."""
        subject = f"submission {life.submission_id}"
        match life.state:
            case State.RECEIVED:
                return self._intake(life, subject)
            case State.ACCEPTED:
                parameters = {"submission": life.submission_id}
                return self._unless_busy(subject, "was accepted, and is not proposed", "create_pr", parameters)
            case State.PUBLISHED if life.removal_sha is None:
                parameters = {"submission": life.submission_id}
                why = "is public, and its private copy is still there"
                return self._unless_busy(subject, why, "publish_submission", parameters)
        return None

    def of_private_scores(self, life: SubmissionLife) -> Finding | None:
        """A private submission that was scored: the public library may have benchmarks or models by now that it never met."""
        if life.pull_request is None or not life.identifiers.keys() & {"models", "benchmarks"}:
            return None
        missing = missing_pairs(self._context, life.pull_request)
        if not missing:
            return None
        why = f"{missing} pairs with what the public library holds have no score"
        subject = f"private pull request {life.pull_request}"
        return self._unless_busy(subject, why, "score_plugins", self._pull_parameters(life.pull_request))

    def _pull_parameters(self, number: int) -> dict[str, Any]:
        return {"pull_request": number, **({"private": True} if self._context.private else {})}

    def of_pull(self, pull: PullRequest) -> Finding | None:
        """A pull request in any state."""
        life = next((life for life in self.lives if life.pull_request == pull.number), None)
        judged = self._merged(pull, life) if pull.merged else self._open(pull, life) if pull.state == "open" else None
        if judged is None:
            return None
        why, runbook = judged
        subject = f"{'private ' if self._context.private else ''}pull request {pull.number}"
        return self._unless_busy(subject, why, runbook, self._pull_parameters(pull.number))

    def of_leaderboard(self) -> Finding | None:
        """The published page, against the scores."""
        deployment = self._context.deployment
        board = leaderboard(self._context.database, domain=deployment.library.domain)
        if published_revision(deployment.outputs / "site") == board.revision:
            return None
        return self._unless_busy(LEADERBOARD, "the published page is not of the newest scores", "publish", {})

    def _merged(self, pull: PullRequest, life: SubmissionLife | None) -> tuple[str, str] | None:
        if life is None:
            known = self._last("score_plugins", {"pull_request": pull.number})
            if known is not None and known.state == RunState.SUCCEEDED:
                return None
            return "was merged, and never scored", "score_plugins"
        if life.state in BEFORE_MERGE:
            return f"was merged, and its submission is still {life.state}", "score_plugins"
        return ("was merged, and its scores are not in", "score_plugins") if life.state == State.MERGED else None

    def _open(self, pull: PullRequest, life: SubmissionLife | None) -> tuple[str, str] | None:
        if life is not None and life.state == State.CLOSED:
            return "was opened again, and its submission is still closed", "test_plugins"
        if pull.draft or pull.base_ref != self._default_branch:
            return None
        status = self._context.forge.statuses(pull.head_sha).get(STATUS_CONTEXT)
        if status is None:
            return "its head has no status of the plugin tests", "test_plugins"
        if status.state not in ("success", "failure"):
            return f"the plugin tests of its head are {status.state}, and nobody runs them", "test_plugins"
        if life is not None and life.tested_sha != pull.head_sha:
            return "the plugin tests of its head ended, and that was not recorded", "test_plugins"
        if status.state == "failure" or not self._changed_since_merge_was_refused(pull, status):
            return None  # it waits for a person
        return "its tests passed, and the gate was not asked", "merge"

    def _changed_since_merge_was_refused(self, pull: PullRequest, status: Status) -> bool:
        last = self._last("merge", {"pull_request": pull.number})
        if last is None or last.state != RunState.REFUSED or last.ended_at is None:
            return True
        reviews = self._context.forge.reviews(pull.number)
        changes = [pull.updated_at, status.created_at, *(review.submitted_at for review in reviews)]
        # The forge tells whole seconds; the gate's own comment, within the run, is the last thing that happens otherwise.
        return max(changes) > last.ended_at

    def _intake(self, life: SubmissionLife, subject: str) -> Finding | None:
        runs = [
            run
            for run in self.runs
            if run.runbook == "intake"
            and (
                run.submission_id == life.submission_id
                or (
                    run.submission_id is None
                    and str(run.parameters.get("archive", "")).endswith(f"/{life.archive_name}")
                )
            )
        ]
        if not runs:
            return Finding(subject, "its intake was interrupted, and where its archive came from is not known", "")
        given = {name: value for name, value in runs[-1].parameters.items() if name != "deployment"}
        return self._unless_busy(subject, "its intake was interrupted", "intake", given)

    def _unless_busy(self, subject: str, why: str, runbook: str, parameters: Mapping[str, Any]) -> Finding | None:
        """The finding, unless a run about it is under way; without its runbook, where that failed too often."""
        about = [run for run in self.runs if self._concerns(run, parameters) and run.runbook != "reconcile"]
        if parameters and any(run.state == RunState.RUNNING for run in about):
            return None
        since = datetime.now(UTC) - TRIES_WITHIN
        failed = [
            run
            for run in about
            if run.runbook == runbook
            and run.started_at > since
            and run.state not in (RunState.SUCCEEDED, RunState.REFUSED, RunState.RUNNING, RunState.INTERRUPTED)
        ]
        if len(failed) < self._tries:
            return Finding(subject, why, runbook, parameters)
        said = (failed[-1].error or {}).get("message", "")
        tried = f"{runbook} failed {len(failed)} times within a day, last as {failed[-1].id}: {said}"
        return Finding(subject, f"{why}; {tried}", "")

    def _last(self, runbook: str, parameters: Mapping[str, Any]) -> Run | None:
        found = [run for run in self.runs if run.runbook == runbook and self._concerns(run, parameters)]
        return found[-1] if found else None

    def _concerns(self, run: Run, parameters: Mapping[str, Any]) -> bool:
        # Each repository numbers its pull requests from 1.
        same = "pull_request" not in parameters or bool(run.parameters.get("private")) == self._context.private
        return (
            run.deployment == self._context.deployment.name
            and same
            and all(run.parameters.get(name) == value for name, value in parameters.items())
        )
