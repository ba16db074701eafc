"""What somebody may do on the website: whether they are of the team, may sign in, and how much they may submit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func

from brainscore_ops.database.account_tables import Account
from brainscore_ops.database.ops_tables import now
from brainscore_ops.errors import UsageError
from brainscore_ops.portal.accounts import find_user
from brainscore_ops.portal.sessions import end_sessions

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from brainscore_ops.database.brainscore_tables import User
    from brainscore_ops.database.connection import Database

MEMBER, STAFF, SUPERUSER, SHUT_OUT = "member", "staff", "superuser", "shut out"
RANKS = (MEMBER, STAFF, SUPERUSER, SHUT_OUT)
"""A superuser is staff too, and may change what others are. Who is shut out cannot sign in."""


class UnknownAccountError(UsageError):
    """There is no user of that address."""

    code = "unknown-account"


@dataclass(frozen=True)
class Ranked:
    """An account, and what it may do."""

    email: str
    rank: str
    quota: int | None
    """None for the deployment's own."""


def rank_of(user: User) -> str:
    """What somebody is, one of :data:`RANKS`."""
    if not user.is_active:
        return SHUT_OUT
    return SUPERUSER if user.is_superuser else STAFF if user.is_staff else MEMBER


def set_rank(session: Session, user: User, rank: str) -> None:
    """Make somebody a member, staff, a superuser, or shut them out. It holds at once: they are signed out everywhere."""
    if rank == rank_of(user):
        return
    user.is_active = rank != SHUT_OUT
    user.is_staff, user.is_superuser = rank in (STAFF, SUPERUSER), rank == SUPERUSER
    if rank == SHUT_OUT and user.last_login is None:
        user.last_login = func.now()  # who never signed in may, once they prove that the address is theirs; not these
    end_sessions(session, user.id)


def set_quota(session: Session, user: User, quota: int | None) -> None:
    """Give somebody a quota of their own, or the deployment's (None)."""
    account = session.get(Account, user.id)
    if account is None:
        account = Account(user_id=user.id, name="", created_at=now())
        session.add(account)
    account.quota = quota


def change_rank(
    database: Database,
    email: str,
    *,
    staff: bool | None = None,
    superuser: bool | None = None,
    active: bool | None = None,
    quota: int | None = None,
    sets_quota: bool = False,
) -> Ranked:
    """Change what is said, leave the rest, and return what somebody is now.

    :raises UnknownAccountError: where there is no user of that address
    """
    with database.session() as session:
        user = find_user(session, email)
        if user is None:
            raise UnknownAccountError(
                f"expected the address of an account, found {email!r}", remedy="They sign up on the website first."
            )
        is_superuser = user.is_superuser if superuser is None else superuser
        is_staff = is_superuser or (user.is_staff if staff is None else staff)
        is_active = user.is_active if active is None else active
        set_rank(
            session, user, SHUT_OUT if not is_active else SUPERUSER if is_superuser else STAFF if is_staff else MEMBER
        )
        if sets_quota:
            set_quota(session, user, quota)
        session.flush()
        account = session.get(Account, user.id)
        return Ranked(user.email or "", rank_of(user), account.quota if account else None)
