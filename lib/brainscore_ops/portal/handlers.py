"""What every page is made of: who is looking, the deployment, threads for what would block, and headers that protect."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from markupsafe import Markup
from tornado.httputil import url_concat
from tornado.web import HTTPError, RequestHandler, StaticFileHandler

from brainscore_ops.database.viewer import PUBLIC, Viewer
from brainscore_ops.errors import OpsError, RefusedError, UnavailableError, UsageError
from brainscore_ops.portal import templating
from brainscore_ops.portal.errors import (
    NotAllowedError,
    NotSignedInError,
    PageNotFoundError,
    TooLargeError,
    TooManyRequestsError,
)
from brainscore_ops.portal.sessions import person_of_session
from brainscore_ops.portal.tokens import person_of_token
from brainscore_ops.submissions.life import UnknownSubmissionError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.portal.address import Address
    from brainscore_ops.portal.sessions import Person
    from brainscore_ops.portal.site import Site
    from brainscore_ops.settings import Deployment

P = ParamSpec("P")
T = TypeVar("T")

LOG = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_STATUS: tuple[tuple[type[OpsError], int], ...] = (
    (NotSignedInError, 401),
    (PageNotFoundError, 404),
    (UnknownSubmissionError, 404),
    (NotAllowedError, 403),
    (TooManyRequestsError, 429),
    (TooLargeError, 413),
    (UnavailableError, 503),
    (RefusedError, 422),
    (UsageError, 400),
)


class PortalHandler(RequestHandler):
    """The base of every page."""

    viewer: Viewer = PUBLIC
    """What whoever is looking may see; known once :meth:`prepare` is done."""
    is_api = False
    """Whether programs ask, and no browser."""
    person: Person | None = None
    """Who is signed in, or whose token came with the request; None for a stranger."""

    @property
    def deployment(self) -> Deployment:
        """The deployment that this is the site of."""
        found: Deployment = self.settings["deployment"]
        return found

    @property
    def database(self) -> Database:
        """Its database; asked in a thread only, by :meth:`in_thread`."""
        found: Database = self.settings["database"]
        return found

    @property
    def site(self) -> Site:
        """The site that this page is a part of."""
        found: Site = self.settings["site"]
        return found

    @property
    def address(self) -> Address:
        """How the site is reached from outside."""
        found: Address = self.settings["address"]
        return found

    def set_default_headers(self) -> None:
        self.set_header("Server", "portal")
        self.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.set_header("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        if self.address.secure:
            self.set_header("Strict-Transport-Security", "max-age=31536000")

    async def prepare(self) -> None:
        """Find out who is looking."""
        self._believe_proxies()
        if (token := self._bearer()) is not None:
            self.person = await self.in_thread(_in_session, self.database, person_of_token, token)
            if self.person is None:
                raise NotSignedInError("expected a token that is good, found one that is not")
            # A token that may not read is as good as a stranger's eyes.
            self.viewer = self.person.viewer if "read" in self.person.viewer.scopes else PUBLIC
        elif key := self.get_cookie(self.session_cookie):
            self.person = await self.in_thread(_in_session, self.database, person_of_session, key)
            if self.person is None:
                self.clear_cookie(self.session_cookie, **self.address.cookie_options)
            else:
                self.viewer = self.person.viewer

    def check_xsrf_cookie(self) -> None:
        """Every form proves that it came from a page of ours; a program with a token has no cookie that others could use."""
        if self._bearer() is None:
            super().check_xsrf_cookie()

    @property
    def session_cookie(self) -> str:
        """The name of the cookie with the session's key."""
        return self.address.cookie_name("session")

    def signed_in(self, scope: str = "") -> Person:
        """Whoever is signed in.

        :param scope: what a token has to allow for this
        :raises NotSignedInError: where nobody is
        :raises NotAllowedError: where a token does not allow it
        """
        if self.person is None:
            raise NotSignedInError("Sign in to see this page.")
        if self._bearer() is not None and scope not in self.person.viewer.scopes:
            raise NotAllowedError(f"expected a token with the scope {scope!r}", remedy="Make one on your account page.")
        return self.person

    @property
    def _sends_to_sign_in(self) -> bool:
        """Whether it is a browser that asks for a page: a program with a bad token is told so."""
        return self.request.method == "GET" and not self.is_api and self._bearer() is None

    def _bearer(self) -> str | None:
        kind, _, token = self.request.headers.get("Authorization", "").partition(" ")
        return token.strip() if kind.lower() == "bearer" else None

    async def in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what blocks (the database, files) in a thread, so that other visitors do not wait for it."""
        return await asyncio.get_running_loop().run_in_executor(
            self.settings["executor"], lambda: function(*args, **kwargs)
        )

    def xsrf_field(self) -> Markup:
        """What every form carries: a proof that it came from a page of ours. Asking for it sets a cookie."""
        self.set_header("Cache-Control", "private, no-store")
        return Markup(self.xsrf_form_html())  # noqa: S704 - tornado's own, escaped

    def render(self, template_name: str, **values: Any) -> Awaitable[None]:  # type: ignore[override]
        """Answer with a page."""
        page = templating.render(template_name, site=self.site, viewer=self.viewer, xsrf=self.xsrf_field, **values)
        if self.person is not None and "Cache-Control" not in self._headers:
            self.set_header("Cache-Control", "private, no-store")
        self.set_header("Content-Type", "text/html; charset=utf-8")
        return self.finish(page)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A page that says in words what went wrong, and what to do."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if isinstance(error, NotSignedInError) and self._sends_to_sign_in:
            self.set_status(303)
            self.set_header("Location", url_concat("/sign-in", {"next": self.request.uri or "/"}))
            self.finish()
            return
        if isinstance(error, OpsError):
            status_code = status_of(error)
        if isinstance(error, RefusedError | UsageError):
            message, remedy = error.message, error.remedy
            if isinstance(error, TooManyRequestsError):
                self.set_header("Retry-After", str(error.retry_after))
        elif isinstance(error, UnavailableError):
            # What such errors say names hosts and secrets: that is for the log.
            message, remedy = "A service that this page needs does not answer.", "Try again in a minute."
            self.set_header("Retry-After", "60")
        else:
            message, remedy = _IN_WORDS.get(status_code, ("Something went wrong on our side.", "Try again later."))
        self.set_status(status_code)
        self.write_error_page(HTTPStatus(status_code).phrase, message, remedy)

    def write_error_page(self, title: str, message: str, remedy: str) -> None:
        """How an error looks; an API has another form."""
        self.render("error.html", title=title, message=message, remedy=remedy)

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """What was foreseen is no traceback in the log, and what a visitor did wrong is not there at all."""
        if isinstance(value, OpsError) and not isinstance(value, RefusedError | UsageError):
            LOG.error("%s %s: %s", self.request.method, self.request.path, value)
        elif not isinstance(value, OpsError):
            super().log_exception(typ, value, tb)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        super().send_error(status_of(error) if isinstance(error, OpsError) else status_code, **kwargs)

    def _believe_proxies(self) -> None:
        """Take the visitor's address from the headers of our own proxies: from the right, the first that is none of them."""
        address = self.request.remote_ip or ""
        chain = [each.strip() for each in self.request.headers.get("X-Forwarded-For", "").split(",") if each.strip()]
        while self.address.trusts(address) and chain:
            address = chain.pop()
        self.request.remote_ip = address


class Asset(PortalHandler, StaticFileHandler):
    """One of our files."""


class NotFound(PortalHandler):
    """Whatever has no page."""

    async def prepare(self) -> None:
        await super().prepare()
        raise HTTPError(404)


def _in_session(database: Database, function: Callable[[Session, str], T], argument: str) -> T:
    with database.session() as session:
        return function(session, argument)


def status_of(error: OpsError) -> int:
    """The status that HTTP has for an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


_IN_WORDS = {
    400: ("The request could not be understood.", "Go back, and try again."),
    403: (
        "The form was not sent from this site, or it waited for too long.",
        "Go back, reload the page, and send it again.",
    ),
    404: ("There is no such page.", "Begin at the leaderboard."),
    405: ("This page cannot be asked for in this way.", "Begin at the leaderboard."),
    413: ("More was sent than this page takes.", "Send less."),
}
