"""Signing up, signing in and out, passwords, and the account page."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from brainscore_ops.database.account_tables import Account
from brainscore_ops.database.brainscore_tables import User
from brainscore_ops.database.ops_tables import now
from brainscore_ops.errors import Problem
from brainscore_ops.portal import accounts, quota
from brainscore_ops.portal.accounts import Door, one_line
from brainscore_ops.portal.errors import BadFormError, SignInError
from brainscore_ops.portal.handlers import PortalHandler
from brainscore_ops.portal.keys import digest_of
from brainscore_ops.portal.sessions import begin_session, end_session, end_sessions, sessions_of
from brainscore_ops.portal.submitting import LOCK_SECONDS
from brainscore_ops.portal.tokens import SCOPES, make_token, revoke_token, tokens_of

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_SECONDS = 0.8
"""How long an answer takes at the least that could tell, by coming sooner, whether there is an account."""


class AccountHandler(PortalHandler):
    """What the pages about accounts share."""

    @property
    def door(self) -> Door:
        """Where links in mails lead."""
        return Door(self.deployment, self.address.url)

    def field(self, name: str) -> str:
        """What was typed into a field, without the length limits of a database."""
        return self.get_body_argument(name, "", strip=False)[:2000]

    def call_postman(self) -> None:
        """Have the mails sent that were just written."""
        self.settings["postman"].call()

    async def sign_in(self, user_id: int) -> None:
        """Begin a session, under a new key; whatever the browser had before ends."""

        def begin() -> str:
            with self.database.session() as session:
                return begin_session(
                    session,
                    session.get_one(User, user_id),
                    browser=self.request.headers.get("User-Agent", ""),
                    days=self.deployment.portal.session_days,
                    replaces=self.get_cookie(self.session_cookie),
                )

        key = await self.in_thread(begin)
        days = self.deployment.portal.session_days
        self.set_cookie(self.session_cookie, key, expires_days=days, **self.address.cookie_options)
        self._forget_xsrf()

    def sign_out(self) -> None:
        """Forget the session's cookie, and what forms proved themselves with."""
        self.clear_cookie(self.session_cookie, **self.address.cookie_options)
        self._forget_xsrf()

    def _forget_xsrf(self) -> None:
        self.clear_cookie(self.settings["xsrf_cookie_name"], **self.address.cookie_options)

    def next_page(self) -> str:
        """Where the visitor wanted to go: a page of ours, and no other."""
        return self.checked_page(self.get_argument("next", ""))

    def checked_page(self, wanted: str) -> str:
        """An address, where it is one of ours; otherwise a page to begin with."""
        # Browsers take // and /\ for the start of another host's address, and drop control characters.
        is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
        return wanted if is_ours else "/submissions"


class SignUp(AccountHandler):
    """Asking for an account."""

    async def get(self) -> None:
        await self.render("sign-up.html", values={}, problems={})

    async def post(self) -> None:
        values = {"email": self.field("email"), "name": self.field("name")}
        began = time.monotonic()
        try:
            await self.in_thread(
                accounts.ask_to_sign_up, self.database, self.door, address=self.request.remote_ip or "", **values
            )
        except BadFormError as error:
            self.set_status(422)
            await self.render("sign-up.html", values=values, problems=error.by_field)
            return
        self.call_postman()
        await _take_time(began)
        await self.render("mail-sent.html", email=values["email"].strip(), purpose="sign-up")


class Reset(AccountHandler):
    """Asking for a new password."""

    async def get(self) -> None:
        await self.render("reset.html", values={}, problems={})

    async def post(self) -> None:
        email, began = self.field("email"), time.monotonic()
        try:
            await self.in_thread(
                accounts.ask_for_reset,
                self.database,
                self.door,
                email=email,
                address=self.request.remote_ip or "",
            )
        except BadFormError as error:
            self.set_status(422)
            await self.render("reset.html", values={"email": email}, problems=error.by_field)
            return
        self.call_postman()
        await _take_time(began)
        await self.render("mail-sent.html", email=email.strip(), purpose="reset")


class ChoosePassword(AccountHandler):
    """What a mailed link opens."""

    async def get(self) -> None:
        key = self.get_query_argument("key", "")

        def look() -> accounts.Ticket:
            with self.database.session() as session:
                return accounts.look_at_ticket(session, key, accounts.SIGN_UP, accounts.RESET)

        await self._show(key, await self.in_thread(look), {})

    async def post(self) -> None:
        key, password, name = self.field("key"), self.field("password"), self.field("name")

        def choose() -> int:
            with self.database.session() as session:
                return accounts.choose_password(session, self.door, key, name=name, password=password).id

        def look() -> accounts.Ticket:
            with self.database.session() as session:
                return accounts.look_at_ticket(session, key, accounts.SIGN_UP, accounts.RESET)

        try:
            user_id = await self.in_thread(choose)
        except BadFormError as error:
            self.set_status(422)
            await self._show(key, await self.in_thread(look), error.by_field)
            return
        self.call_postman()
        await self.sign_in(user_id)
        self.redirect("/account?said=welcome", status=303)

    async def _show(self, key: str, ticket: accounts.Ticket, problems: Mapping[str, str]) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")
        await self.render("choose-password.html", key=key, ticket=ticket, problems=problems)


class SignIn(AccountHandler):
    """Signing in."""

    async def get(self) -> None:
        if self.person is not None:
            self.redirect(self.next_page(), status=303)
            return
        await self._show()

    async def post(self) -> None:
        email, began = self.field("email"), time.monotonic()
        try:
            user_id = await self.in_thread(
                accounts.check_sign_in,
                self.database,
                email=email,
                password=self.field("password"),
                address=self.request.remote_ip or "",
            )
        except SignInError as error:
            await _take_time(began)
            self.set_status(422)
            await self._show(email, str(error))
            return
        await self.sign_in(user_id)
        self.redirect(self.next_page(), status=303)

    async def _show(self, email: str = "", problem: str = "") -> None:
        await self.render(
            "sign-in.html",
            email=email,
            next=self.get_argument("next", ""),
            problem=problem,
            github=self.deployment.portal.github is not None,
        )


class SignOut(AccountHandler):
    """Signing out."""

    async def post(self) -> None:
        key = self.get_cookie(self.session_cookie)

        def end() -> None:
            with self.database.session() as session:
                end_session(session, digest_of(key or ""))

        await self.in_thread(end)
        self.sign_out()
        self.redirect("/", status=303)


class AccountPage(AccountHandler):
    """Somebody's account: name, password, tokens, sessions, quota."""

    async def get(self) -> None:
        self.signed_in("account")
        await self.show(said=self.get_query_argument("said", ""))

    async def show(self, *, said: str = "", problems: Mapping[str, str] | None = None, new_token: str = "") -> None:
        """The page."""
        person = self.signed_in("account")

        def gather() -> dict[str, Any]:
            with self.database.session() as session:
                return {
                    "tokens": tokens_of(session, person.user_id),
                    "sessions": sessions_of(session, person.user_id),
                    "quota": quota.standing(session, self.deployment, person.user_id),
                }

        await self.render(
            "account.html",
            person=person,
            scopes=SCOPES,
            said=SAID.get(said, ""),
            problems=problems or {},
            new_token=new_token,
            **await self.in_thread(gather),
        )

    async def show_problems(self, error: BadFormError) -> None:
        """The page again, with what is wrong."""
        self.set_status(422)
        await self.show(problems=error.by_field)


class AccountName(AccountPage):
    """Another name."""

    async def post(self) -> None:
        person, name = self.signed_in("account"), one_line(self.field("name"))
        if not name or len(name) > accounts.LONGEST_NAME:
            problem = Problem("bad-name", f"Expected a name of at most {accounts.LONGEST_NAME} characters.", "name")
            await self.show_problems(BadFormError([problem]))
            return

        def rename() -> None:
            with self.database.session() as session:
                account = session.get(Account, person.user_id)
                if account is None:
                    session.add(Account(user_id=person.user_id, name=name, created_at=now()))
                else:
                    account.name = name

        await self.in_thread(rename)
        self.redirect("/account?said=name", status=303)


class AccountPassword(AccountPage):
    """Another password."""

    async def post(self) -> None:
        person = self.signed_in("account")

        def change() -> None:
            with self.database.session() as session:
                accounts.change_password(
                    session,
                    self.door,
                    person.user_id,
                    current=self.field("current"),
                    password=self.field("password"),
                    session_digest=person.session,
                )

        try:
            await self.in_thread(change)
        except BadFormError as error:
            await self.show_problems(error)
            return
        self.call_postman()
        await self.sign_in(person.user_id)
        self.redirect("/account?said=password", status=303)


class AccountAddress(AccountPage):
    """Another address: asked for on the account page, confirmed by a mailed link."""

    async def get(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")
        if self.person is None:
            # Not by way of the form to sign in, whose address would hold the key.
            await self.render("confirm-address.html", ticket=None, key="")
            return
        person, key = self.signed_in("account"), self.get_query_argument("key", "")

        def look() -> accounts.Ticket:
            with self.database.session() as session:
                return accounts.look_at_address(session, key, person.user_id)

        await self.render("confirm-address.html", ticket=await self.in_thread(look), key=key)

    async def post(self) -> None:
        person, began = self.signed_in("account"), time.monotonic()
        email = self.field("new_email")
        try:
            await self.in_thread(
                accounts.ask_for_address,
                self.database,
                self.door,
                person.user_id,
                current=self.field("address_password"),
                email=email,
                address=self.request.remote_ip or "",
            )
        except BadFormError as error:
            await self.show_problems(error)
            return
        self.call_postman()
        await _take_time(began)
        await self.render("mail-sent.html", email=email.strip(), purpose="address")


class AccountAddressConfirmed(AccountPage):
    """What the page that a mailed link opens sends."""

    async def post(self) -> None:
        person, key = self.signed_in("account"), self.field("key")

        def confirm() -> None:
            # An upload that is being checked is one of the address that it came with.
            with self.database.lock(f"uploads:{person.user_id}", wait=LOCK_SECONDS), self.database.session() as session:
                accounts.confirm_address(session, self.door, person.user_id, key)

        await self.in_thread(confirm)
        self.call_postman()
        await self.sign_in(person.user_id)
        self.redirect("/account?said=address", status=303)


class AccountTokens(AccountPage):
    """A new token."""

    async def post(self) -> None:
        person = self.signed_in("account")
        days = self.field("days")

        def make() -> str:
            with self.database.session() as session:
                return make_token(
                    session,
                    person.user_id,
                    name=self.field("token_name"),
                    scopes=self.get_body_arguments("scopes"),
                    days=int(days) if days in {"30", "365"} else None,
                )

        try:
            token = await self.in_thread(make)
        except BadFormError as error:
            await self.show_problems(error)
            return
        await self.show(new_token=token)


class AccountToken(AccountPage):
    """An end of a token."""

    async def post(self, token_id: str) -> None:
        person = self.signed_in("account")

        def revoke() -> None:
            with self.database.session() as session:
                revoke_token(session, person.user_id, int(token_id))

        await self.in_thread(revoke)
        self.redirect("/account?said=token-deleted", status=303)


class AccountSessions(AccountPage):
    """An end of all other sessions."""

    async def post(self) -> None:
        person = self.signed_in("account")

        def end() -> None:
            with self.database.session() as session:
                end_sessions(session, person.user_id, but=person.session)

        await self.in_thread(end)
        self.redirect("/account?said=signed-out", status=303)


SAID = {
    "welcome": "You are signed in, and your password is set.",
    "name": "Your name was changed.",
    "password": "Your password was changed, and all other browsers were signed out.",
    "address": "Your account has the new address, and all other browsers were signed out.",
    "token-deleted": "The token was deleted. Programs that use it get in no more.",
    "signed-out": "All other browsers were signed out.",
}

ROUTES: list[tuple[str, type[PortalHandler]]] = [
    (r"/sign-up", SignUp),
    (r"/sign-in", SignIn),
    (r"/sign-out", SignOut),
    (r"/reset", Reset),
    (r"/choose-password", ChoosePassword),
    (r"/account", AccountPage),
    (r"/account/name", AccountName),
    (r"/account/password", AccountPassword),
    (r"/account/address", AccountAddress),
    (r"/account/address/confirm", AccountAddressConfirmed),
    (r"/account/tokens", AccountTokens),
    (r"/account/tokens/([0-9]{1,18})/delete", AccountToken),
    (r"/account/sessions/end", AccountSessions),
]


async def _take_time(began: float) -> None:
    await asyncio.sleep(max(0.0, began + LEAST_SECONDS - time.monotonic()))
