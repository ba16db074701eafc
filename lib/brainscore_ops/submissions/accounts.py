"""The people that submissions belong to, as rows of Brain-Score's user table."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from brainscore_ops.database.brainscore_tables import User
from brainscore_ops.notify.errors import BadRecipientError
from brainscore_ops.notify.messages import mail_address

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LIBRARY_ACCOUNT = "library@brain-score.invalid"
"""Owns the models and benchmarks that a library had before anybody submitted one."""

LONGEST_ADDRESS = 255
"""What Brain-Score's user table takes."""


def find_or_create_user(session: Session, email: str) -> User:
    """The account of an address, made without a usable password where there is none.

    :raises BadRecipientError: where it is not an address, or longer than Brain-Score's user table takes
    """
    address = mail_address(email.strip())
    if len(address) > LONGEST_ADDRESS:
        raise BadRecipientError(f"expected an address of at most {LONGEST_ADDRESS} characters, found {len(address)}")
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
