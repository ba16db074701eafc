"""How often something may be tried: counted in the database, so that several servers and a restart count together."""

from __future__ import annotations

import hashlib
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from brainscore_ops.database.account_tables import RateLimit
from brainscore_ops.portal.errors import TooManyRequestsError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

CLEANING = 0.02
"""The share of the counts at which those that are over are removed."""


@dataclass(frozen=True)
class Limit:
    """So many times in so many seconds."""

    what: str
    times: int
    seconds: int


SIGN_INS_FROM_ADDRESS = Limit("sign-in-address", 30, 600)
SIGN_INS_TO_ACCOUNT = Limit("sign-in-account", 15, 900)
"""From one address. What is tried from many is slowed down by the next."""
SIGN_INS_TO_ACCOUNT_FROM_ANYWHERE = Limit("sign-in-anywhere", 100, 3600)
MAILS_FROM_ADDRESS = Limit("mail-address", 20, 3600)
MAILS_TO_ADDRESS = Limit("mail-to", 4, 3600)
ADDRESS_CHANGES = Limit("address-change", 5, 3600)
"""Of one account: each is a try at its password, too."""
UPLOADS = Limit("upload", 60, 3600)


def count(session: Session, limit: Limit, *whom: str) -> None:
    """Count one try.

    :param whom: who or what the limit is for
    :raises TooManyRequestsError: where it was one too many
    """
    span = int(time.time()) // limit.seconds
    key = hashlib.sha256("\0".join([limit.what, str(span), *whom]).encode()).hexdigest()
    end = datetime.fromtimestamp((span + 1) * limit.seconds, UTC)
    if random.random() < CLEANING:  # noqa: S311 - nobody gains by guessing it
        session.execute(delete(RateLimit).where(RateLimit.expires_at < datetime.now(UTC)))
    tries = session.scalar(
        insert(RateLimit)
        .values(key=key, count=1, expires_at=end)
        .on_conflict_do_update(index_elements=["key"], set_={"count": RateLimit.count + 1})
        .returning(RateLimit.count)
    )
    if tries is not None and tries > limit.times:
        wait = max(end - datetime.now(UTC), timedelta(seconds=1))
        raise TooManyRequestsError(
            f"expected at most {limit.times} tries in {limit.seconds // 60} minutes",
            retry_after=int(wait.total_seconds()),
        )


def network_of(address: str) -> str:
    """Whom an address is counted as: who has an IPv6 address has a whole network of them."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(found) if found.version == 4 else str(ip_network((found, 64), strict=False))
