"""The REST API's transport: tokens, rate limits, conditional requests, pages' links, and errors as GitHub words them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import logging
import time
import uuid
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tornado.web import RequestHandler

from brainscore_ops.forge.embedded import (
    api_access,
    api_apps,
    api_git,
    api_hooks,
    api_pulls,
    api_repositories,
    api_reviews,
)
from brainscore_ops.forge.embedded.api import Answer, ApiError, Request, find_route, page_of
from brainscore_ops.forge.embedded.documents import API_PREFIX

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from tornado.httputil import HTTPServerRequest

    from brainscore_ops.forge.embedded.records import Visitor
    from brainscore_ops.forge.embedded.store import Store

ROUTES = (
    *api_access.ROUTES,  # before the branches: a branch's name may hold slashes
    *api_repositories.ROUTES,
    *api_git.ROUTES,
    *api_pulls.ROUTES,
    *api_reviews.ROUTES,
    *api_hooks.ROUTES,
    *api_apps.ROUTES,
)

log = logging.getLogger(__name__)


class ApiHandler(RequestHandler):
    """Everything below `API_PREFIX`."""

    def initialize(self, store: Store, executor: Executor, rates: RateLimits) -> None:
        """Take what all requests share.

        :param executor: of one thread: requests to the API are answered one after another
        """
        self.store = store
        self.executor = executor
        self.rates = rates

    async def get(self) -> None:
        """Answer."""
        await self._answer()

    post = patch = put = delete = get

    async def _answer(self) -> None:
        token = read_token(self.request)
        visitor = self.store.visitor(token) if token else None
        proof = token if token.count(".") == 2 else ""  # a JSON web token, by which an app proves itself
        key = visitor.account.login if visitor else f"address {self.request.remote_ip}"
        rate = self.rates.peek(key)
        try:
            if token and visitor is None and not proof:
                raise ApiError(HTTPStatus.UNAUTHORIZED, "Bad credentials")
            # As at GitHub, to look at the limit does not count against it.
            counted = self.request.path != f"{API_PREFIX}/rate_limit"
            rate = self.rates.count(key) if counted else rate
            if rate.used > rate.limit:
                raise ApiError(HTTPStatus.FORBIDDEN, f"API rate limit exceeded for {key}.")
            if self.request.method != "GET" and (wait := self.rates.count_write(key)):
                self.set_header("Retry-After", str(wait))
                raise ApiError(
                    HTTPStatus.FORBIDDEN,
                    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
                )
            request = self._request(visitor, rate, proof)
            answer = await asyncio.get_running_loop().run_in_executor(self.executor, _dispatch, request)
        except ApiError as error:
            answer = Answer(error.document(), error.status)
        except Exception:
            log.exception("%s %s failed", self.request.method, self.request.path)
            answer = Answer({"message": "Server Error", "status": "500"}, HTTPStatus.INTERNAL_SERVER_ERROR)
        self._write(answer, rate, visitor)

    def _request(self, visitor: Visitor | None, rate: Rate, proof: str) -> Request:
        if "%00" in (self.request.uri or ""):
            raise ApiError(HTTPStatus.BAD_REQUEST, "Bad Request")
        return Request(
            store=self.store,
            root_url=f"{self.request.protocol}://{self.request.host}",
            method=self.request.method or "",
            path=self.request.path.removeprefix(API_PREFIX),
            query={name: self.get_query_argument(name) for name in self.request.query_arguments},
            body=_parse(self.request.body),
            visitor=visitor,
            proof=proof,
            token_seconds=self.rates.limits.token_seconds,
            rate=rate.document(),
        )

    def _write(self, answer: Answer, rate: Rate, visitor: Visitor | None) -> None:
        self.set_status(answer.status)
        for name, value in (*rate.headers().items(), *answer.headers.items()):
            self.set_header(name, value)
        self.set_header("X-GitHub-Media-Type", "github.v3; format=json")
        self.set_header("X-GitHub-Request-Id", uuid.uuid4().hex)
        self.set_header("X-Content-Type-Options", "nosniff")
        if visitor:
            self.set_header("X-OAuth-Scopes", ", ".join(sorted(visitor.scopes)))
        if answer.total is not None and (links := self._links(answer.total)):
            self.set_header("Link", links)
        if answer.document is None:
            self.clear_header("Content-Type")
            return
        body = json.dumps(answer.document, ensure_ascii=False).encode("utf-8", "replace")
        if self.request.method == "GET" and answer.status == HTTPStatus.OK:
            etag = f'W/"{hashlib.sha256(body).hexdigest()}"'
            self.set_header("ETag", etag)
            self.set_header("Cache-Control", "private, max-age=0, s-maxage=0")
            if self.request.headers.get("If-None-Match") == etag:
                self.rates.forgive(rate.key)  # as at GitHub, what did not change does not count
                self.set_status(HTTPStatus.NOT_MODIFIED)
                return
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.write(body)

    def _links(self, total: int) -> str:
        query = {name: self.get_query_argument(name) for name in self.request.query_arguments}
        number, size = page_of(query)
        last = max(1, -(-total // size))
        pages = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
        wanted = (["next", "last"] if number < last else []) + (["first", "prev"] if number > 1 else [])
        place = f"{self.request.protocol}://{self.request.host}{self.request.path}"
        return ", ".join(f'<{place}?{urlencode(query | {"page": pages[name]})}>; rel="{name}"' for name in wanted)

    def compute_etag(self) -> None:
        """Leave tornado's own ETag out: `_write` sets GitHub's weak one."""


@dataclass(frozen=True)
class Limits:
    """How much a visitor may ask for. A local run must not be slowed by what GitHub has to share out; tests set it low."""

    requests: int = 60_000
    seconds: int = 3600
    """How long a rate limit's hour is."""
    writes: int = 60_000
    """Writes within `write_seconds`: GitHub's secondary limit."""
    write_seconds: int = 60
    token_seconds: int = 3600
    """How long a token is good that an app is given."""


@dataclass(frozen=True)
class Rate:
    """One visitor's rate limit within the present hour."""

    key: str
    limit: int
    used: int
    reset: int
    """Seconds since 1970."""

    def document(self) -> dict[str, int]:
        """``rate-limit``."""
        used = min(self.used, self.limit)
        return {"limit": self.limit, "remaining": self.limit - used, "reset": self.reset, "used": used}

    def headers(self) -> dict[str, str]:
        """As every answer carries it."""
        values = {f"X-RateLimit-{name.title()}": str(value) for name, value in self.document().items()}
        return values | {"X-RateLimit-Resource": "core"}


class RateLimits:
    """Requests of each visitor within an hour; a restart forgets them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._windows: dict[str, Rate] = {}
        self._writes: dict[str, list[float]] = {}

    def peek(self, key: str) -> Rate:
        """A visitor's limit as it is."""
        rate = self._windows.get(key)
        if rate is None or rate.reset <= time.time():
            rate = Rate(key, self.limits.requests, 0, int(time.time()) + self.limits.seconds)
        self._windows[key] = rate
        return rate

    def count(self, key: str) -> Rate:
        """The limit after one more request."""
        self._windows[key] = replace(self.peek(key), used=self.peek(key).used + 1)
        return self._windows[key]

    def count_write(self, key: str) -> int:
        """Count a write, unless there were too many of late; the seconds to wait then, otherwise 0."""
        moment = time.time()
        recent = [at for at in self._writes.get(key, ()) if at > moment - self.limits.write_seconds]
        self._writes[key] = recent
        if len(recent) >= self.limits.writes:
            return max(1, round(recent[0] + self.limits.write_seconds - moment))
        recent.append(moment)
        return 0

    def forgive(self, key: str) -> None:
        """Take one request back."""
        self._windows[key] = replace(self.peek(key), used=max(0, self.peek(key).used - 1))


def read_token(request: HTTPServerRequest) -> str:
    """The token of a request: ``bearer``, ``token``, or a basic password; empty without one."""
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() in ("bearer", "token"):
        return value.strip()
    if kind.lower() == "basic":
        try:
            login, _, password = base64.b64decode(value).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "unreadable"
        return password if password not in ("", "x-oauth-basic") else login
    return ""


def _dispatch(request: Request) -> Answer:
    found, parameters = find_route(ROUTES, request.method, request.path)
    return found.handle(replace(request, parameters=parameters))


def _parse(body: bytes) -> Any:
    if not body:
        return None
    try:
        document = json.loads(body)
        if b"\\ud" in body.lower():  # half of a surrogate pair is text that nothing can store
            json.dumps(document, ensure_ascii=False).encode()
    except ValueError:
        raise ApiError(HTTPStatus.BAD_REQUEST, "Problems parsing JSON") from None
    return document
