"""The people that submissions belong to, as rows of Brain-Score's user table."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from brainscore_ops.database.brainscore_tables import User
from brainscore_ops.database.ops_tables import ForgeAccount
from brainscore_ops.notify.errors import BadRecipientError
from brainscore_ops.notify.messages import mail_address

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from brainscore_ops.forge.client import Account

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
    _lock(session, f"user:{address.casefold()}")
    user = session.scalar(select(User).where(func.lower(User.email) == address.lower()).order_by(User.id).limit(1))
    return user or make_user(session, address)


def change_address(session: Session, user: User, email: str) -> bool:
    """Give somebody another address, unless an account has it; whether it was given."""
    _lock(session, f"user:{email.casefold()}")
    if session.scalar(select(User.id).where(func.lower(User.email) == email.lower(), User.id != user.id).limit(1)):
        return False
    user.email = email
    return True


def user_of_account(session: Session, account: Account) -> User:
    """The user that an account on the forge belongs to, made without a usable password where there is none.

    The forge's number of the account decides; the first time it is met, the address of its public profile does: GitHub
    lets nobody show an address there that he has not confirmed. What commits name as their author proves nothing, and
    is not looked at.
    """
    _lock(session, f"forge-account:{account.id}")
    known = session.get(ForgeAccount, account.id)
    if known is not None:
        known.login = account.login
        return session.get_one(User, known.user_id)
    user = _user_of_profile(session, account.email) or make_user(session, None)
    session.add(ForgeAccount(id=account.id, login=account.login, user_id=user.id))
    session.flush()
    return user


def _user_of_profile(session: Session, email: str) -> User | None:
    if not email or email.casefold().endswith(".invalid"):  # nobody has such an address, but the library's account
        return None
    try:
        return find_or_create_user(session, email)
    except BadRecipientError:
        return None


def make_user(session: Session, email: str | None) -> User:
    """A new user, who cannot sign in with a password."""
    user = User(
        email=email,
        is_active=True,
        is_staff=False,
        is_superuser=False,
        # Django's form of a password that nothing matches: its mark, and forty characters of chance.
        password="!" + secrets.token_hex(20),
    )
    session.add(user)
    session.flush()
    return user


def _lock(session: Session, name: str) -> None:
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
