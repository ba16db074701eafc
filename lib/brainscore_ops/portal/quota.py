"""How many submissions somebody may make: those that were accepted count; those that failed by our fault are given back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from brainscore_ops.database.account_tables import Account
from brainscore_ops.database.brainscore_tables import Submission, User
from brainscore_ops.database.ops_tables import SubmissionLife, now
from brainscore_ops.errors import Fault, RefusedError
from brainscore_ops.submissions.life import State

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from brainscore_ops.settings import Deployment

_NOT_ACCEPTED = (State.RECEIVED, State.REFUSED)
_FAILED = (State.TESTS_FAILED, State.SCORING_FAILED, State.CLOSED, State.HELD)


class QuotaError(RefusedError):
    """Somebody made as many submissions as they may."""

    code = "quota"


@dataclass(frozen=True)
class Standing:
    """How much of a quota is used."""

    used: int
    limit: int | None
    """None where there is none."""
    days: float
    next_free: datetime | None
    """When the first of those that count is too old to count."""

    @property
    def left(self) -> int | None:
        """How many are left; None where there is no limit."""
        return None if self.limit is None else max(0, self.limit - self.used)

    def require(self) -> None:
        """Refuse one submission too many.

        :raises QuotaError: with when there is room again
        """
        if self.left == 0:
            when = f" The next is free on {self.next_free:%Y-%m-%d %H:%M} UTC." if self.next_free else ""
            raise QuotaError(
                f"You have made {self.used} of {self.limit} submissions in the last {self.days:g} days.{when}",
                remedy="Wait until then, or ask the Brain-Score team for more.",
            )


def standing(session: Session, deployment: Deployment, user_id: int) -> Standing:
    """How much of somebody's quota is used. Staff has none."""
    settings = deployment.portal
    user, account = session.get_one(User, user_id), session.get(Account, user_id)
    since = now() - timedelta(days=settings.quota_days)
    counted = session.scalars(
        select(SubmissionLife.created_at)
        .join(Submission, Submission.id == SubmissionLife.submission_id)
        .where(
            Submission.submitter_id == user_id,
            SubmissionLife.created_at > since,
            SubmissionLife.publishes_id.is_(None),  # what publishes a private submission was counted with that
            SubmissionLife.state.not_in(_NOT_ACCEPTED),
            or_(
                SubmissionLife.state.not_in(_FAILED),
                SubmissionLife.fault.is_distinct_from(Fault.INFRASTRUCTURE),
            ),
        )
        .order_by(SubmissionLife.created_at)
    ).all()
    limit = account.quota if account is not None and account.quota is not None else settings.quota
    return Standing(
        used=len(counted),
        limit=None if user.is_staff or user.is_superuser else limit,
        days=settings.quota_days,
        next_free=counted[0] + timedelta(days=settings.quota_days) if counted else None,
    )
