"""Who is signed in: a session in the database for each browser, of which the cookie holds the key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.orm import joinedload

from brainscore_ops.database.account_tables import Account, PortalSession
from brainscore_ops.database.ops_tables import now
from brainscore_ops.database.viewer import Viewer
from brainscore_ops.portal.keys import digest_of, new_key

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from brainscore_ops.database.brainscore_tables import User

# What stands first decides: all but Firefox call themselves Safari, too.
_BROWSERS = (("Firefox/", "Firefox"), ("Edg/", "Edge"), ("OPR/", "Opera"), ("Chrom", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "an iPhone"),
    ("iPad", "an iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "a Mac"),
    ("Linux", "Linux"),
)
SEEN_EVERY = timedelta(minutes=10)
"""How exactly it is known when a session was last used."""


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in, or whose program is."""

    user_id: int
    email: str
    name: str
    viewer: Viewer
    session: str = ""
    """The digest of their session; empty for a program."""


@dataclass(frozen=True)
class Browser:
    """One of somebody's sessions, as the account page lists it."""

    digest: str
    browser: str
    created_at: datetime
    seen_at: datetime


def begin_session(session: Session, user: User, *, browser: str, days: float, replaces: str | None) -> str:
    """Sign somebody in.

    :param replaces: the key of the session that this browser had before; it ends, whoever's it was
    :returns: the key for the cookie
    """
    if replaces:
        end_session(session, digest_of(replaces))
    key, moment = new_key(), now()
    session.execute(delete(PortalSession).where(PortalSession.expires_at < moment))
    session.add(
        PortalSession(
            digest=digest_of(key),
            user_id=user.id,
            browser=browser_name(browser),
            created_at=moment,
            seen_at=moment,
            expires_at=moment + timedelta(days=days),
        )
    )
    user.last_login = moment.replace(tzinfo=None)
    return key


def browser_name(said: str) -> str:
    """What somebody knows their browser by, from the long line that it calls itself."""
    browser = next((name for mark, name in _BROWSERS if mark in said), "")
    system = next((name for mark, name in _SYSTEMS if mark in said), "")
    return " on ".join(filter(None, [browser or " ".join(said.split())[:60] or "A program", system]))


def person_of_session(session: Session, key: str) -> Person | None:
    """Whose session a cookie's key opens; None where there is none, or it is over, or its owner may not sign in any more."""
    digest, moment = digest_of(key), now()
    found = session.scalar(
        select(PortalSession)
        .where(PortalSession.digest == digest, PortalSession.expires_at > moment)
        .options(joinedload(PortalSession.user))
    )
    if found is None or not found.user.is_active:
        return None
    if moment - found.seen_at > SEEN_EVERY:
        found.seen_at = moment
    return as_person(session, found.user, session_digest=digest)


def as_person(
    session: Session, user: User, *, session_digest: str = "", scopes: frozenset[str] = frozenset()
) -> Person:
    """A user as somebody who is looking."""
    account = session.get(Account, user.id)
    email = user.email or ""
    return Person(
        user_id=user.id,
        email=email,
        name=(account.name if account else "") or email.partition("@")[0],
        viewer=Viewer(user.id, user.is_staff, user.is_superuser, scopes),
        session=session_digest,
    )


def sessions_of(session: Session, user_id: int) -> list[Browser]:
    """Where somebody is signed in, the last used first."""
    found = session.scalars(
        select(PortalSession)
        .where(PortalSession.user_id == user_id, PortalSession.expires_at > now())
        .order_by(PortalSession.seen_at.desc())
    )
    return [Browser(each.digest, each.browser, each.created_at, each.seen_at) for each in found]


def end_session(session: Session, digest: str) -> None:
    """Sign one browser out."""
    session.execute(delete(PortalSession).where(PortalSession.digest == digest))


def end_sessions(session: Session, user_id: int, *, but: str = "") -> None:
    """Sign somebody out everywhere, or everywhere but in one browser."""
    session.execute(delete(PortalSession).where(PortalSession.user_id == user_id, PortalSession.digest != but))
