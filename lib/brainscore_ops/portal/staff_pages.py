"""For the team: the queue, runs, submissions and accounts. Records are there for a submission's owner as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select

from brainscore_ops.database.account_tables import Account
from brainscore_ops.database.brainscore_tables import User
from brainscore_ops.database.ops_tables import Run, SubmissionLife
from brainscore_ops.portal import submission_views
from brainscore_ops.portal.errors import BadRequestError, NotAllowedError, PageNotFoundError
from brainscore_ops.portal.handlers import PortalHandler
from brainscore_ops.portal.ranks import RANKS, rank_of, set_quota, set_rank
from brainscore_ops.portal.record_page import POLICY, record_page
from brainscore_ops.queue.jobs import JobState, cancel, jobs, retry
from brainscore_ops.runbooks.history import list_runs, show_run
from brainscore_ops.runbooks.ledger import entry_of
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.submissions.life import State

if TYPE_CHECKING:
    from pathlib import Path

    from brainscore_ops.portal.sessions import Person
    from brainscore_ops.queue.jobs import JobView
    from brainscore_ops.runbooks.history import ShownRun

PAGE = 50
"""How many lines a list has."""


class StaffHandler(PortalHandler):
    """The base of the team's pages. To others they are not there."""

    async def prepare(self) -> None:
        await super().prepare()
        if self.person is None:
            self.signed_in("staff")
        self.staff()

    def staff(self) -> Person:
        """Somebody of the team, in person: no token opens these pages.

        :raises PageNotFoundError: for everybody else
        """
        person = self.signed_in("staff")
        if not person.viewer.sees_everything:
            raise PageNotFoundError("There is no such page.", remedy="Begin at the leaderboard.")
        return person


class Queue(StaffHandler):
    """What waits, runs and has ended."""

    async def get(self) -> None:
        def gather() -> list[JobView]:
            with self.database.session() as session:
                return jobs(self.deployment, limit=200, session=session)

        found = await self.in_thread(gather)
        await self.render(
            "staff-queue.html",
            under_way=[job for job in found if not job.state.is_final],
            ended=[job for job in found if job.state.is_final][:PAGE],
            kinds=_JOB_KINDS,
        )


class Job(StaffHandler):
    """Cancelling a job, and asking for it again."""

    async def post(self, number: str, what: str) -> None:
        by = f"web:{self.staff().email}"

        def act() -> None:
            with self.database.session() as session:
                (cancel if what == "cancel" else retry)(self.deployment, int(number), by, session=session)

        await self.in_thread(act)
        self.redirect("/staff", status=303)


class Runs(StaffHandler):
    """The newest runs."""

    async def get(self) -> None:
        runbook, state = self.get_query_argument("runbook", ""), self.get_query_argument("state", "")

        def gather() -> dict[str, Any]:
            wanted = RunState(state) if state in set(RunState) else None
            with self.database.session() as session:
                names = session.scalars(select(Run.runbook).distinct().order_by(Run.runbook)).all()
            return {
                "runs": list_runs(self.database, runbook=runbook or None, state=wanted, limit=2 * PAGE),
                "runbooks": names,
            }

        await self.render(
            "staff-runs.html",
            runbook=runbook,
            state=state,
            states=list(RunState),
            kinds=_RUN_KINDS,
            **await self.in_thread(gather),
        )


class AllSubmissions(StaffHandler):
    """Everybody's submissions."""

    async def get(self) -> None:
        state = self.get_query_argument("state", "")

        def gather() -> list[submission_views.Line]:
            with self.database.session() as session:
                return submission_views.all_of(session, [state] if state in set(State) else [])

        await self.render(
            "staff-submissions.html", state=state, states=list(State), submissions=await self.in_thread(gather)
        )


class Accounts(StaffHandler):
    """Who has an account, and how much they may submit."""

    async def get(self) -> None:
        search = self.get_query_argument("search", "").strip()

        def gather() -> list[tuple[User, Account | None]]:
            query = select(User, Account).outerjoin(Account, Account.user_id == User.id).order_by(User.id.desc())
            if search:
                pattern = f"%{search.replace('%', '')}%"
                query = query.where(or_(User.email.ilike(pattern), Account.name.ilike(pattern)))
            with self.database.session() as session:
                return [(user, account) for user, account in session.execute(query.limit(PAGE))]

        await self.render(
            "staff-accounts.html", search=search, ranks=RANKS, rank_of=rank_of, accounts=await self.in_thread(gather)
        )

    async def post(self) -> None:
        person = self.staff()
        user_id, quota = self.get_body_argument("user", ""), self.get_body_argument("quota", "").strip()
        if not user_id.isdigit() or (quota and (not quota.isdigit() or int(quota) > 100_000)):
            raise BadRequestError("expected a number of submissions, or nothing for the deployment's own")
        rank = self.get_body_argument("rank", "")

        def change() -> None:
            with self.database.session() as session:
                user = session.get(User, int(user_id))
                if user is None:
                    raise PageNotFoundError("expected an account that there is")
                set_quota(session, user, int(quota) if quota else None)
                if rank and rank != rank_of(user):
                    if not person.viewer.is_superuser or user.id == person.user_id:
                        raise NotAllowedError(
                            "Only a superuser changes what others may do, and nobody what they may do themselves."
                        )
                    if rank not in RANKS:
                        raise BadRequestError(f"expected one of {', '.join(RANKS)}; found {rank!r}")
                    set_rank(session, user, rank)

        await self.in_thread(change)
        self.redirect("/staff/accounts", status=303)


class RunPage(PortalHandler):
    """A run: its steps, and its record."""

    async def get(self, run_id: str) -> None:
        self.signed_in("read")
        shown = await self.in_thread(self.find, run_id)
        await self.render("run.html", shown=shown, run=shown.entry, kind=_RUN_KINDS.get(shown.entry.state, "note"))

    def find(self, run_id: str) -> ShownRun:
        """A run, for the team and for the owner of the submission that it was about.

        :raises PageNotFoundError: for everybody else, and where there is none
        """
        with self.database.session() as session:
            run = session.get(Run, run_id)
            life = session.get(SubmissionLife, run.submission_id) if run and run.submission_id else None
            theirs = self.viewer.sees_everything or (life is not None and self.viewer.sees_inside(life))
            if run is None or not theirs:
                raise PageNotFoundError(
                    "There is no such run.", remedy="Sign in, if it is about a submission of yours."
                )
            entry = entry_of(run)
        return show_run(entry, self.deployment.outputs)


class RunRecord(RunPage):
    """The record itself, as a document of its own in which nothing acts."""

    async def get(self, run_id: str) -> None:
        self.signed_in("read")
        page = await self.in_thread(self._page, run_id)
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Cache-Control", "private, no-store")
        self.set_header("Content-Type", "text/html; charset=utf-8")
        await self.finish(page)

    def _page(self, run_id: str) -> str:
        shown = self.find(run_id)
        path: Path | None = shown.record
        if path is None or not path.resolve().is_relative_to(self.deployment.outputs.resolve()):
            raise PageNotFoundError("This run has no record yet.", remedy="Come back when it has ended.")
        try:
            return record_page(path, run_id)
        except (OSError, ValueError) as error:
            raise PageNotFoundError(f"The record of {run_id} cannot be read.") from error


_JOB_KINDS = {
    JobState.SUCCEEDED: "good",
    JobState.FAILED: "bad",
    JobState.REFUSED: "wait",
    JobState.RETRYING: "wait",
    JobState.CANCELLED: "wait",
}
_RUN_KINDS = {RunState.SUCCEEDED: "good", RunState.RUNNING: "note", RunState.REFUSED: "wait"} | {
    state: "bad" for state in RunState if state not in (RunState.SUCCEEDED, RunState.RUNNING, RunState.REFUSED)
}

_RUN = r"([A-Za-z0-9_.-]{1,100})"
ROUTES: list[tuple[str, type[PortalHandler]]] = [
    (r"/staff", Queue),
    (r"/staff/jobs/([0-9]{1,18})/(cancel|retry)", Job),
    (r"/staff/runs", Runs),
    (r"/staff/submissions", AllSubmissions),
    (r"/staff/accounts", Accounts),
    (rf"/runs/{_RUN}", RunPage),
    (rf"/runs/{_RUN}/record", RunRecord),
]
