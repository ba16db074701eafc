"""``/mails/TOKEN``: which mails somebody wants, chosen by the link of a mail, without signing in.

A mail program that shows a button of its own sends its one click here (RFC 8058). Looking at the page changes nothing:
programs that look for viruses open every link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_ops.notify.choices import PATH, choice_by_token, choose
from brainscore_ops.portal.errors import PageNotFoundError
from brainscore_ops.portal.handlers import PortalHandler

if TYPE_CHECKING:
    from brainscore_ops.database.connection import Database


class MailChoicePage(PortalHandler):
    """All mails, or results alone."""

    async def get(self, token: str) -> None:
        """What is chosen now."""
        results_only = await self.in_thread(_choice, self.database, token, None)
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "private, no-store")
        await self.render("mail-choice.html", results_only=results_only, token=token)

    async def post(self, token: str) -> None:
        """Choose: by one click of a mail program, or by the page's button."""
        await self.in_thread(_choice, self.database, token, self.get_body_argument("wanted", "results") == "results")
        if self.get_body_argument("List-Unsubscribe", "") == "One-Click":
            self.finish("")
        else:
            self.redirect(f"/{PATH}/{token}", status=303)

    def check_xsrf_cookie(self) -> None:
        """The address is the proof: nobody else has it."""


def _choice(database: Database, token: str, results_only: bool | None) -> bool:
    with database.session() as session:
        choice = choice_by_token(session, token)
        if choice is None:
            raise PageNotFoundError("This link is not one of ours.", remedy="Take the whole link from the mail.")
        if results_only is not None:
            choose(choice, results_only=results_only)
        return choice.results_only


ROUTES: list[tuple[str, type[PortalHandler]]] = [(rf"/{PATH}/([\w-]{{20,64}})", MailChoicePage)]
