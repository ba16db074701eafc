"""The people that submissions belong to, as rows of Brain-Score's user table."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from brainscore_ops.database.brainscore_tables import User
from brainscore_ops.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

# Not the grammar of RFC 5322, which almost no address uses: one @, no white space, a domain with a dot.
_ADDRESS = re.compile(r"[^\s@<>,;:\"\x00-\x1f]{1,64}@[\w-]+(\.[\w-]+)+")

LIBRARY_ACCOUNT = "library@brain-score.invalid"
"""Owns the models and benchmarks that a library had before anybody submitted one."""


class BadAddressError(UsageError):
    """Something that is no e-mail address was given as one."""

    code = "bad-address"


def find_or_create_user(session: Session, email: str) -> User:
    """The account of an address, made without a usable password where there is none.

    :raises BadAddressError: where it is not an address
    """
    address = email.strip()
    if len(address) > 255 or not _ADDRESS.fullmatch(address):
        raise BadAddressError(
            f"expected an e-mail address such as ada@example.org, found {email!r}",
            remedy="Correct it and send it again.",
        )
    # Two submissions of a new person at once must not make two accounts, and the adopted table has no unique key.
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"user:{address.casefold()}", 0))))
    user = session.scalar(select(User).where(func.lower(User.email) == address.lower()).order_by(User.id).limit(1))
    if user is None:
        user = User(
            email=address,
            is_active=True,
            is_staff=False,
            is_superuser=False,
            # Django's form of a password that nothing matches.
            password="!" + secrets.token_urlsafe(30),
        )
        session.add(user)
        session.flush()
    return user
