"""API tokens: keys that people give to their programs, each with what it allows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from brainscore_ops.database.account_tables import ApiToken
from brainscore_ops.database.ops_tables import now
from brainscore_ops.errors import Problem
from brainscore_ops.portal.errors import BadFormError, PageNotFoundError
from brainscore_ops.portal.keys import digest_of, new_key
from brainscore_ops.portal.sessions import as_person

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

    from brainscore_ops.portal.sessions import Person

SCOPES: Mapping[str, str] = {
    "read": "see what you see: your submissions, private scores of your models",
    "submit": "send submissions in your name",
}
PREFIX = "bso_"
"""By which a token that was published by mistake is known for one."""
MOST_TOKENS = 20
USED_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class TokenView:
    """A token as the account page lists it."""

    id: int
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None


def make_token(session: Session, user_id: int, *, name: str, scopes: Sequence[str], days: int | None) -> str:
    """A new token.

    :param days: after which it is of no use any more; None for never
    :returns: the token, which is had here and never again
    :raises BadFormError: with everything that is wrong
    """
    problems = []
    name = " ".join(name.split())
    if not name or len(name) > 100:
        problems.append(Problem("bad-name", "Expected a name of at most 100 characters.", "token_name"))
    if not scopes or not set(scopes) <= SCOPES.keys():
        problems.append(Problem("bad-scopes", f"Expected at least one of: {', '.join(SCOPES)}.", "scopes"))
    if len(tokens_of(session, user_id)) >= MOST_TOKENS:
        problems.append(Problem("too-many", f"Expected at most {MOST_TOKENS} tokens.", "", "Delete one first."))
    if problems:
        raise BadFormError(problems)
    token, moment = new_key(PREFIX), now()
    session.add(
        ApiToken(
            user_id=user_id,
            name=name,
            digest=digest_of(token),
            scopes=sorted(set(scopes)),
            created_at=moment,
            expires_at=moment + timedelta(days=days) if days else None,
        )
    )
    return token


def person_of_token(session: Session, token: str) -> Person | None:
    """Whose token it is; None where it is nobody's, or over, or its owner may not sign in any more."""
    moment = now()
    found = session.scalar(
        select(ApiToken).where(ApiToken.digest == digest_of(token)).options(joinedload(ApiToken.user))
    )
    if found is None or found.revoked_at is not None or not found.user.is_active:
        return None
    if found.expires_at is not None and found.expires_at <= moment:
        return None
    if found.used_at is None or moment - found.used_at > USED_EVERY:
        found.used_at = moment
    return as_person(session, found.user, scopes=frozenset(found.scopes))


def tokens_of(session: Session, user_id: int) -> list[TokenView]:
    """Somebody's tokens that are good, the newest first."""
    found = session.scalars(
        select(ApiToken)
        .where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
        .order_by(ApiToken.created_at.desc())
    )
    return [
        TokenView(each.id, each.name, tuple(each.scopes), each.created_at, each.expires_at, each.used_at)
        for each in found
    ]


def revoke_token(session: Session, user_id: int, token_id: int) -> None:
    """Make a token of somebody's useless.

    :raises PageNotFoundError: where they have none of that number
    """
    found = session.get(ApiToken, token_id)
    if found is None or found.user_id != user_id:
        raise PageNotFoundError("expected the number of one of your tokens")
    found.revoked_at = found.revoked_at or now()
