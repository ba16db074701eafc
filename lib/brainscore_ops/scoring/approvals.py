"""Leave to carry out a plan that is costly, or that changes what is published: given by a person, for one plan, for a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from brainscore_ops.database.ops_tables import Approval, PlanRequest, now
from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Fault, RefusedError, UsageError
from brainscore_ops.scoring.cost import hours_text

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database

SHORTEST_PREFIX = 8
_ITEMS = "items"


class ApprovalMissingError(RefusedError):
    """A plan waits for a maintainer's approval."""

    code = "approval-missing"
    fault = Fault.OPERATOR


class ApprovalExpiredError(RefusedError):
    """The plan was approved, and not carried out in time."""

    code = "approval-expired"
    fault = Fault.OPERATOR


class ApprovalOfAnotherPlanError(RefusedError):
    """Something was approved for the same purpose, and the plan has changed since."""

    code = "approval-of-another-plan"
    fault = Fault.OPERATOR


class UnknownPlanError(UsageError):
    """No plan that waits for an approval has that digest."""

    code = "unknown-plan"


@dataclass(frozen=True)
class Proposal:
    """A plan, as it is put before a maintainer."""

    digest: str
    """Of everything that it would do."""
    subject: str
    """What it is for, whatever is in it: ``benchmark_version Scott2019.concreteness-ridge``."""
    items: tuple[str, ...]
    """Each thing that it would do, by a name that holds everything about it. What is left of an approved plan is approved."""
    hours: float
    summary: dict[str, Any] = field(default_factory=dict)
    """What a maintainer has to know: shown by ``brainscore-ops approve``."""


@dataclass(frozen=True)
class Leave(Shown):
    """That a plan may be carried out, and why."""

    plan_digest: str
    approved_by: str = ""
    """Empty where it needed nobody's approval."""
    expires_at: datetime | None = None
    why: str = ""

    def table(self) -> Table:
        if not self.approved_by:
            return Table(f"No approval is needed: {self.why}", [])
        return Table(
            f"Approved by {self.approved_by}",
            [("plan", self.plan_digest[:16]), ("until", f"{self.expires_at:%Y-%m-%d %H:%M} UTC")],
        )


@dataclass(frozen=True)
class Waiting(Shown):
    """A plan that somebody asked for, and the newest approval of it."""

    digest: str
    subject: str
    summary: dict[str, Any]
    requested_at: datetime
    run_id: str | None
    approved_by: str | None
    approved_at: datetime | None
    expires_at: datetime | None

    @property
    def approved(self) -> bool:
        """Whether it may be carried out now."""
        return self.expires_at is not None and self.expires_at > now()

    def table(self) -> Table:
        state = (
            f"approved by {self.approved_by} until {self.expires_at:%Y-%m-%d %H:%M} UTC" if self.approved else "waits"
        )
        return Table(
            f"Plan {self.digest[:16]}: {self.subject}",
            [
                ("state", state),
                ("asked for", f"{self.requested_at:%Y-%m-%d %H:%M} UTC, by the run {self.run_id or '(by hand)'}"),
                *self.summary.items(),
            ],
        )

    def as_dict(self) -> dict[str, Any]:
        """The plan's request as a JSON document."""
        return {**vars(self), "approved": self.approved}


def guard(database: Database, proposal: Proposal, *, over_hours: float | None, run_id: str | None) -> Leave:
    """Let a plan pass, or refuse it until it is approved.

    :param over_hours: plans that take less need no approval; None where every plan needs one
    :raises ApprovalMissingError, ApprovalExpiredError, ApprovalOfAnotherPlanError: it may not be carried out now
    """
    if not proposal.items:
        return Leave(proposal.digest, why="there is nothing to do")
    if over_hours is not None and proposal.hours <= over_hours:
        return Leave(
            proposal.digest,
            why=f"{hours_text(proposal.hours)} of computing are not more than the {over_hours:g} hours of this deployment",
        )
    with database.session() as session:
        _request(session, proposal, run_id)
        verdict = _verdict(session, proposal)
    if isinstance(verdict, RefusedError):
        raise verdict
    return verdict


def approve(session: Session, digest: str, *, by: str, lasting: timedelta) -> Waiting:
    """Give leave to carry out a plan.

    :param digest: of the plan, or its beginning
    :raises UnknownPlanError: no plan, or several, begin so
    """
    request = _find(session, digest)
    moment = now()
    session.add(Approval(plan_digest=request.digest, approved_by=by, approved_at=moment, expires_at=moment + lasting))
    session.flush()
    return _waiting(session, request)


def plan_requests(session: Session, limit: int = 20) -> list[Waiting]:
    """The plans that approval was asked for, the newest first."""
    query = select(PlanRequest).order_by(PlanRequest.requested_at.desc()).limit(limit)
    return [_waiting(session, request) for request in session.scalars(query)]


def _request(session: Session, proposal: Proposal, run_id: str | None) -> None:
    # As a list: JSONB keeps no order of names.
    document = {"hours": proposal.hours, "summary": list(proposal.summary.items()), _ITEMS: list(proposal.items)}
    session.execute(
        insert(PlanRequest)
        .values(digest=proposal.digest, subject=proposal.subject, document=document, requested_at=now(), run_id=run_id)
        .on_conflict_do_nothing()
    )


def _verdict(session: Session, proposal: Proposal) -> Leave | RefusedError:
    rows = session.execute(
        select(Approval, PlanRequest)
        .join(PlanRequest, PlanRequest.digest == Approval.plan_digest)
        .where(PlanRequest.subject == proposal.subject)
        .order_by(Approval.expires_at.desc())
    ).all()
    covering = [approval for approval, request in rows if _covers(request, proposal)]
    ask = f"Look at the plan, then: brainscore-ops approve {proposal.digest[:16]}"
    if covering:
        newest = covering[0]
        if newest.expires_at > now():
            return Leave(proposal.digest, newest.approved_by, newest.expires_at)
        return ApprovalExpiredError(
            f"{newest.approved_by} approved this plan ({proposal.digest[:16]}) until "
            f"{newest.expires_at:%Y-%m-%d %H:%M} UTC, which has passed",
            remedy=ask,
        )
    if current := [approval for approval, _ in rows if approval.expires_at > now()]:
        return ApprovalOfAnotherPlanError(
            f"expected an approval of the plan {proposal.digest[:16]} for {proposal.subject}, found one by "
            f"{current[0].approved_by} of {current[0].plan_digest[:16]}: the library or the scores have changed since",
            remedy=ask,
        )
    return ApprovalMissingError(
        f"the plan {proposal.digest[:16]} for {proposal.subject} ({hours_text(proposal.hours)} of computing, "
        f"{len(proposal.items)} steps) waits for a maintainer's approval",
        remedy=f"{ask}, and run this again.",
    )


def _covers(request: PlanRequest, proposal: Proposal) -> bool:
    """Whether what was approved is this plan, or this plan is what is left of it."""
    return request.digest == proposal.digest or set(proposal.items) <= set(request.document.get(_ITEMS, ()))


def _find(session: Session, digest: str) -> PlanRequest:
    found = session.scalars(
        select(PlanRequest).where(PlanRequest.digest.startswith(digest, autoescape=True)).limit(2)
    ).all()
    if len(digest) < SHORTEST_PREFIX or len(found) != 1:
        what = "several" if len(found) > 1 else "none"
        raise UnknownPlanError(
            f"expected the digest of a plan, or at least its first {SHORTEST_PREFIX} digits, found {digest!r}: {what} begins so",
            remedy="`brainscore-ops approve` lists the plans that wait.",
        )
    return found[0]


def _waiting(session: Session, request: PlanRequest) -> Waiting:
    newest = session.scalar(
        select(Approval).where(Approval.plan_digest == request.digest).order_by(Approval.expires_at.desc()).limit(1)
    )
    return Waiting(
        digest=request.digest,
        subject=request.subject,
        summary=dict(request.document.get("summary", [])),
        requested_at=request.requested_at,
        run_id=request.run_id,
        approved_by=newest.approved_by if newest else None,
        approved_at=newest.approved_at if newest else None,
        expires_at=newest.expires_at if newest else None,
    )
