"""Which mails somebody wants: all of them, or results alone. Chosen by a link that every mail has."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from brainscore_ops.database.ops_tables import MailChoice, now

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from brainscore_ops.settings import Deployment

PATH = "mails"


def choice_of(session: Session, user_id: int) -> MailChoice:
    """What somebody chose: by default, all mails."""
    row = {"user_id": user_id, "token": secrets.token_urlsafe(32), "results_only": False}
    session.execute(insert(MailChoice).values(row).on_conflict_do_nothing(index_elements=["user_id"]))
    return session.scalars(select(MailChoice).where(MailChoice.user_id == user_id)).one()


def choice_by_token(session: Session, token: str) -> MailChoice | None:
    """The choice that a link of a mail is about; None for a link that is none."""
    return session.scalar(select(MailChoice).where(MailChoice.token == token).with_for_update())


def choose(choice: MailChoice, *, results_only: bool) -> None:
    """Choose anew."""
    choice.results_only, choice.chosen_at = results_only, now()


def address_of(deployment: Deployment, choice: MailChoice) -> str:
    """Where somebody chooses; empty where the deployment has no website."""
    website = deployment.mail.website.rstrip("/")
    return f"{website}/{PATH}/{choice.token}" if website else ""
