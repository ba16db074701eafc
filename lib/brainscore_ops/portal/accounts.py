"""Accounts: signing up, signing in, and choosing a password, or changing the address, by a link that was mailed.

Nobody learns from an answer, or from how long it takes, whether there is an account for an address: signing up, asking for a new
password and changing the address always answer that a mail is on its way, and the mail tells its reader, who has the address,
what is the case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, or_, select, update

from brainscore_ops.database.account_tables import Account, AccountTicket
from brainscore_ops.database.brainscore_tables import User
from brainscore_ops.database.ops_tables import now
from brainscore_ops.errors import Problem
from brainscore_ops.notify.contexts import AccountMail
from brainscore_ops.notify.errors import BadRecipientError
from brainscore_ops.notify.messages import mail_address, queue_message
from brainscore_ops.portal import rate_limits
from brainscore_ops.portal.errors import BadFormError, NotAllowedError, SignInError, StaleLinkError
from brainscore_ops.portal.keys import digest_of, new_key
from brainscore_ops.portal.passwords import (
    hash_password,
    is_usable,
    needs_rehash,
    problems_of_password,
    verify_password,
)
from brainscore_ops.portal.sessions import end_sessions
from brainscore_ops.queue.jobs import JobState, jobs
from brainscore_ops.submissions.accounts import change_address, find_or_create_user
from brainscore_ops.submissions.intake import readdress

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.settings import Deployment

SIGN_UP, RESET, ADDRESS = "sign-up", "reset", "address"
_GOOD_FOR = {SIGN_UP: timedelta(hours=24), RESET: timedelta(hours=1), ADDRESS: timedelta(hours=24)}
_PAGE = {SIGN_UP: "choose-password", RESET: "choose-password", ADDRESS: "account/address"}
_NO_PASSWORD = "!"  # noqa: S105 - Django's mark of a password that nothing fits
LONGEST_NAME = 200


@dataclass(frozen=True)
class Door:
    """Where links in mails lead: the site, as the settings name it."""

    deployment: Deployment
    url: str


@dataclass(frozen=True)
class Ticket:
    """A mailed link that is good."""

    purpose: str
    email: str
    name: str
    user_id: int | None
    """Of :data:`ADDRESS`, whose account it is about."""


def ask_to_sign_up(database: Database, door: Door, *, email: str, name: str, address: str) -> None:
    """Mail a link to finish signing up with; or, where there is an account, that there is one.

    :param address: where the visitor is, for the limits
    :raises BadFormError: with everything that is wrong
    :raises TooManyRequestsError: after too many
    """
    name = one_line(name)
    problems = _problems_of_address(email)
    if not name or len(name) > LONGEST_NAME:
        problems.append(Problem("bad-name", f"Expected a name of at most {LONGEST_NAME} characters.", "name"))
    if problems:
        raise BadFormError(problems)
    email = mail_address(email.strip())
    _count_mail(database, email, address)
    with database.session() as session:
        user = find_user(session, email)
        if user is not None and is_usable(user.password):
            _mail(session, door, email, kind="known", link=f"{door.url}/sign-in")
        else:
            _mail_ticket(session, door, SIGN_UP, email, name)


def ask_for_reset(database: Database, door: Door, *, email: str, address: str) -> None:
    """Mail a link to choose a new password with; or, where there is no account, that there is none.

    :raises BadFormError: where it is not an address
    :raises TooManyRequestsError: after too many
    """
    if problems := _problems_of_address(email):
        raise BadFormError(problems)
    email = mail_address(email.strip())
    _count_mail(database, email, address)
    with database.session() as session:
        user = find_user(session, email)
        if user is not None and may_sign_in(user):
            account = session.get(Account, user.id)
            _mail_ticket(session, door, RESET, email, account.name if account else "")
        else:
            _mail(session, door, email, kind="unknown", link=f"{door.url}/sign-up")


def ask_for_address(database: Database, door: Door, user_id: int, *, current: str, email: str, address: str) -> None:
    """Mail a link to confirm an account's new address with; or, where that is another account's, that it is. Nothing is changed
    yet, and what the account's present address is told is the same.

    :param current: the account's password
    :param address: where the visitor is, for the limits
    :raises BadFormError: with everything that is wrong
    :raises TooManyRequestsError: after too many
    """
    with database.session() as session:
        rate_limits.count(session, rate_limits.ADDRESS_CHANGES, str(user_id))
    with database.session() as session:
        user, account = session.get_one(User, user_id), session.get(Account, user_id)
        present, stored, name = user.email or "", user.password, account.name if account else ""
    problems = _problems_of_address(email, "new_email")
    if email.strip().casefold() == present.casefold():
        problems = [Problem("same-address", "This is your address already.", "new_email")]
    if not verify_password(current, stored):
        problems.append(Problem("wrong-password", "This is not your present password.", "address_password"))
    if problems:
        raise BadFormError(problems)
    email = mail_address(email.strip())
    _count_mail(database, email, address)
    with database.session() as session:
        other = find_user(session, email)
        if other is None:
            _mail_ticket(session, door, ADDRESS, email, name, user_id=user_id)
        else:
            _mail(session, door, email, kind="address-taken", link=f"{door.url}/sign-in")
        if present:
            _mail(session, door, present, kind="address-asked", link=f"{door.url}/reset", name=name, new=email)


def confirm_address(session: Session, door: Door, user_id: int, key: str) -> None:
    """Use a mailed link: its reader, who is signed in to the account, has the address, and the account gets it.

    Everybody who was signed in to it is signed out, and links that were mailed before are of no use any more.

    :raises StaleLinkError: where the link is of no use (any more), or for another account
    :raises NotAllowedError: while an archive is taken in that came from the present address
    """
    ticket = look_at_address(session, key, user_id)
    user = session.get_one(User, user_id)
    before = user.email or ""
    _require_nothing_arriving(session, door.deployment, before)
    _use_ticket(session, key)
    if not change_address(session, user, ticket.email):
        raise StaleLinkError("Another account has got this address meanwhile.", remedy="Sign in to that one.")
    readdress(session, user_id, ticket.email)
    account = session.get(Account, user_id)
    if account is not None:
        account.verified_at = now()
    _drop_tickets(session, key, user_id, before, ticket.email)
    end_sessions(session, user_id)
    if before:
        name = account.name if account else ""
        _mail(session, door, before, kind="address-changed", link=door.url, name=name, new=ticket.email)


def look_at_address(session: Session, key: str, user_id: int) -> Ticket:
    """What a mailed link makes of somebody's address. Looking does not use it.

    :raises StaleLinkError: where the link is of no use (any more), or for another account
    """
    ticket = look_at_ticket(session, key, ADDRESS)
    if ticket.user_id != user_id:
        raise StaleLinkError("This link is for another account.", remedy="Sign in to that one, then follow it again.")
    return ticket


def look_at_ticket(session: Session, key: str, *purposes: str) -> Ticket:
    """What a mailed link is for. Looking does not use it: mail programs look at links before their readers do.

    :param purposes: what it may be for

    :raises StaleLinkError: where it was used, is too old, or none of ours
    """
    found = session.get(AccountTicket, digest_of(key))
    if found is None or found.purpose not in purposes or found.used_at is not None or found.expires_at <= now():
        raise StaleLinkError(
            "This link was used before, or is too old.", remedy="Ask for another one; only the newest is good."
        )
    return Ticket(found.purpose, found.email, found.name, found.user_id)


def choose_password(session: Session, door: Door, key: str, *, name: str, password: str) -> User:
    """Use a mailed link: its reader has the address, so the account of that address is theirs, and gets this password.

    An account that submissions by mail or Brain-Score's own website made is adopted with all that it owns. Everybody who was
    signed in to it is signed out.

    :raises StaleLinkError: where the link is of no use (any more)
    :raises BadFormError: where the password is too weak
    """
    ticket = look_at_ticket(session, key, SIGN_UP, RESET)
    name = one_line(name)[:LONGEST_NAME] or ticket.name
    if problems := problems_of_password(password, email=ticket.email, name=name):
        raise BadFormError(problems)
    moment = now()
    _use_ticket(session, key)
    user = find_user(session, ticket.email) or find_or_create_user(session, ticket.email)
    if not may_sign_in(user):
        raise StaleLinkError("This account was closed by the Brain-Score team.", remedy="Write to them.")
    _drop_tickets(session, key, user.id, ticket.email)
    user.is_active = True
    user.password = hash_password(password)
    account = session.get(Account, user.id)
    if account is None:
        account = Account(user_id=user.id, name=name, created_at=moment)
        session.add(account)
    account.name, account.verified_at = name, moment
    end_sessions(session, user.id)
    if ticket.purpose == RESET:
        _mail(session, door, ticket.email, kind="changed", link=f"{door.url}/reset", name=name)
    return user


def change_password(
    session: Session, door: Door, user_id: int, *, current: str, password: str, session_digest: str
) -> None:
    """Give an account another password, and sign everybody out of it but this browser.

    :raises BadFormError: where the present one is wrong, or the new one too weak
    """
    user = session.get_one(User, user_id)
    account = session.get(Account, user_id)
    problems = problems_of_password(password, email=user.email or "", name=account.name if account else "")
    if not verify_password(current, user.password):
        problems.append(Problem("wrong-password", "This is not your present password.", "current"))
    if problems:
        raise BadFormError(problems)
    user.password = hash_password(password)
    _drop_tickets(session, "", user_id)
    end_sessions(session, user_id, but=session_digest)
    if user.email:
        _mail(session, door, user.email, kind="changed", link=f"{door.url}/reset", name=account.name if account else "")


def check_sign_in(database: Database, *, email: str, password: str, address: str) -> int:
    """The number of the user whose address and password these are. The password is stored anew where it is of an older make.

    :raises SignInError: where they do not belong together, the account was closed, or there is none: it does the same work
    :raises TooManyRequestsError: after too many
    """
    email, network = email.strip().casefold(), rate_limits.network_of(address)
    with database.session() as session:
        rate_limits.count(session, rate_limits.SIGN_INS_FROM_ADDRESS, network)
        rate_limits.count(session, rate_limits.SIGN_INS_TO_ACCOUNT, email, network)
        rate_limits.count(session, rate_limits.SIGN_INS_TO_ACCOUNT_FROM_ANYWHERE, email)
    with database.session() as session:
        user = find_user(session, email)
        stored, user_id = (user.password, user.id) if user and user.is_active else (_NO_PASSWORD, None)
    fits = verify_password(password, stored)
    if not fits or user_id is None:
        raise SignInError(
            "This address and this password do not belong together.",
            remedy="Try again, or choose a new password.",
        )
    if needs_rehash(stored):
        renewed = hash_password(password)
        with database.session() as session:
            session.execute(update(User).where(User.id == user_id, User.password == stored).values(password=renewed))
    return user_id


def find_user(session: Session, email: str) -> User | None:
    """The user of an address; of several that older tools made, the first, as everywhere."""
    return session.scalar(
        select(User).where(func.lower(User.email) == email.strip().lower()).order_by(User.id).limit(1)
    )


def may_sign_in(user: User) -> bool:
    """Who is not active was never (Brain-Score's website waits for a mailed link), or no longer may be."""
    return user.is_active or user.last_login is None


def one_line(text: str) -> str:
    """A text as one line of printable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _problems_of_address(email: str, field: str = "email") -> list[Problem]:
    try:
        mail_address(email.strip())
    except BadRecipientError:
        return [Problem("bad-address", "Expected an address of the form name@example.org.", field)]
    if len(email) > 254 or email.strip().casefold().endswith(".invalid"):
        return [Problem("bad-address", "Expected an address that mail can be sent to.", field)]
    return []


def _count_mail(database: Database, email: str, address: str) -> None:
    with database.session() as session:
        rate_limits.count(session, rate_limits.MAILS_FROM_ADDRESS, rate_limits.network_of(address))
        rate_limits.count(session, rate_limits.MAILS_TO_ADDRESS, email.casefold())


def _require_nothing_arriving(session: Session, deployment: Deployment, email: str) -> None:
    """A run that was asked for in the name of an address would make another account for it."""
    waiting = jobs(deployment, states=[state for state in JobState if not state.is_final], session=session)
    if any(job.runbook == "intake" and job.parameters.get("email", "").lower() == email.lower() for job in waiting):
        raise NotAllowedError(
            "An archive of yours is just being taken in.", remedy="Follow the link again in a few minutes."
        )


def _use_ticket(session: Session, key: str) -> None:
    used = session.scalar(
        update(AccountTicket)
        .where(AccountTicket.digest == digest_of(key), AccountTicket.used_at.is_(None))
        .values(used_at=now())
        .returning(AccountTicket.digest)
    )
    if used is None:  # another request was quicker
        raise StaleLinkError("This link was used before.", remedy="Sign in with what was chosen then.")


def _drop_tickets(session: Session, but: str, user_id: int, *emails: str) -> None:
    """Make what was mailed to addresses, or about an account's, useless; whoever was to get another address has it or not."""
    theirs = or_(AccountTicket.email.in_(emails), AccountTicket.user_id == user_id)
    session.execute(delete(AccountTicket).where(theirs, AccountTicket.digest != digest_of(but)))


def _mail_ticket(
    session: Session, door: Door, purpose: str, email: str, name: str, *, user_id: int | None = None
) -> None:
    key, moment = new_key(), now()
    good_for = _GOOD_FOR[purpose]
    session.execute(delete(AccountTicket).where(AccountTicket.expires_at < moment - timedelta(days=7)))
    session.add(
        AccountTicket(
            digest=digest_of(key),
            purpose=purpose,
            email=email,
            user_id=user_id,
            name=name,
            created_at=moment,
            expires_at=moment + good_for,
        )
    )
    hours = int(good_for.total_seconds() // 3600)
    link = f"{door.url}/{_PAGE[purpose]}?key={key}"
    _mail(session, door, email, kind=purpose, link=link, name=name, hours=hours)


def _mail(
    session: Session, door: Door, email: str, *, kind: str, link: str, name: str = "", hours: int = 0, new: str = ""
) -> None:
    mail = AccountMail(kind=kind, link_url=link, submitter=name, hours=hours, address=new)  # type: ignore[arg-type]
    queue_message(session, door.deployment, mail, event=f"account:{new_key()}", recipient=email)
