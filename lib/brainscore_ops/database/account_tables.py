"""The tables of the website's accounts. Who somebody is, and their password, stand in Brain-Score's own ``brainscore_user``."""

from __future__ import annotations

from typing import Annotated, Any

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from brainscore_ops.database.brainscore_tables import Base, User
from brainscore_ops.database.ops_tables import Digest, Moment, Word

UserKey = Annotated[int, mapped_column(ForeignKey("brainscore_user.id"))]


class Account(Base):
    """What the website knows of a user beside Brain-Score's own table."""

    __tablename__ = "account"

    user_id: Mapped[int] = mapped_column(ForeignKey("brainscore_user.id"), primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(200))
    """How they are addressed, and how their commits are authored."""
    verified_at: Mapped[Moment | None]
    """When they last proved that the address is theirs."""
    quota: Mapped[int | None]
    """How many submissions they may make in the quota's period; NULL for the deployment's setting."""
    created_at: Mapped[Moment]

    user: Mapped[User] = relationship()


class PortalSession(Base):
    """Somebody who is signed in, in one browser."""

    __tablename__ = "portal_session"

    digest: Mapped[Digest] = mapped_column(primary_key=True)
    """SHA-256 of what the cookie holds, which stands nowhere else."""
    user_id: Mapped[UserKey] = mapped_column(index=True)
    browser: Mapped[str] = mapped_column(String(200))
    """What it called itself."""
    created_at: Mapped[Moment]
    seen_at: Mapped[Moment]
    expires_at: Mapped[Moment] = mapped_column(index=True)

    user: Mapped[User] = relationship()


class AccountTicket(Base):
    """A link that was mailed: it opens one door once, for a time."""

    __tablename__ = "account_ticket"

    digest: Mapped[Digest] = mapped_column(primary_key=True)
    """SHA-256 of what the link holds."""
    purpose: Mapped[Word]
    """``sign-up``, ``reset`` or ``address``."""
    email: Mapped[str] = mapped_column(String(320), index=True)
    """Where it was mailed to; of ``address``, the address that the account is to have."""
    user_id: Mapped[int | None]
    """Whose account gets another address; NULL where the address says whose account it is.
    No foreign key: it is compared with who is signed in."""
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[Moment]
    expires_at: Mapped[Moment] = mapped_column(index=True)
    used_at: Mapped[Moment | None]


class ApiToken(Base):
    """A key that somebody gave to a program of theirs."""

    __tablename__ = "api_token"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    user_id: Mapped[UserKey] = mapped_column(index=True)
    name: Mapped[Word]
    digest: Mapped[Digest] = mapped_column(unique=True)
    """SHA-256 of the token, which was shown once."""
    scopes: Mapped[list[Any]] = mapped_column(JSONB)
    """What it allows: :data:`brainscore_ops.portal.tokens.SCOPES`."""
    created_at: Mapped[Moment]
    expires_at: Mapped[Moment | None]
    used_at: Mapped[Moment | None]
    """Last, to the hour."""
    revoked_at: Mapped[Moment | None]

    user: Mapped[User] = relationship()


class RateLimit(Base):
    """How often something was tried in a span of time."""

    __tablename__ = "rate_limit"

    key: Mapped[Digest] = mapped_column(primary_key=True)
    """SHA-256 of what is tried, by whom, and when the span began: addresses stand nowhere in clear."""
    count: Mapped[int]
    expires_at: Mapped[Moment] = mapped_column(index=True)
