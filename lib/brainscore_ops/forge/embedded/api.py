"""The embedded forge's REST API without its transport: requests, answers, errors, and the table of routes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from brainscore_ops.forge.embedded.access import may_push, may_read
from brainscore_ops.forge.embedded.documents import Documents
from brainscore_ops.forge.embedded.pulls import refresh

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from brainscore_ops.forge.embedded.git import GitRepository
    from brainscore_ops.forge.embedded.records import Account, Pull, RepositoryRecord, Visitor
    from brainscore_ops.forge.embedded.store import Store

DEFAULT_PAGE_SIZE = 30
MAX_PAGE_SIZE = 100

DOCUMENTATION_URL = "https://docs.github.com/rest"


class ApiError(Exception):
    """An answer that is an error, with the body that GitHub would give."""

    def __init__(self, status: int, message: str, errors: Sequence[Mapping[str, str] | str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = list(errors)

    def document(self) -> dict[str, Any]:
        """The body."""
        errors = {"errors": self.errors} if self.errors else {}
        return {
            "message": self.message,
            **errors,
            "documentation_url": DOCUMENTATION_URL,
            "status": str(self.status),
        }


def not_found() -> ApiError:
    """What GitHub says of what is not there, or may not be seen."""
    return ApiError(HTTPStatus.NOT_FOUND, "Not Found")


def invalid(resource: str, name: str, code: str = "invalid", message: str = "") -> ApiError:
    """A field of the body that is missing or not valid."""
    error = {"resource": resource, "field": name, "code": code} | ({"message": message} if message else {})
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "Validation Failed", [error])


def unprocessable(message: str) -> ApiError:
    """A body that makes no sense for this repository."""
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, message)


@dataclass(frozen=True)
class Request:
    """One request to the API."""

    store: Store
    root_url: str
    """Where this server is reached: ``http://127.0.0.1:12345``."""
    method: str
    path: str
    """Below `API_PREFIX`, still percent-encoded."""
    query: Mapping[str, str]
    body: Any
    """The JSON document; None without a body."""
    visitor: Visitor | None
    proof: str = ""
    """The JSON web token by which an app proves itself."""
    token_seconds: int = 3600
    """How long a token is good that an app is given."""
    rate: Mapping[str, int] = field(default_factory=dict)
    """The visitor's rate limit: limit, remaining, used, reset."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The variable parts of the path."""

    @property
    def documents(self) -> Documents:
        """The builder of this server's documents."""
        return Documents(self.store, self.root_url)

    def repository(self, scope: str = "", *, push: bool = True) -> tuple[RepositoryRecord, GitRepository]:
        """The repository of the path.

        :param scope: what the visitor's token must hold; without it reading is enough
        :param push: whether, with a scope, the visitor must also be one who may push
        """
        record = self.store.repository(f"{self.parameters['owner']}/{self.parameters['repo']}")
        if record is None or not may_read(self.store, record, self.visitor):
            raise not_found()
        if scope:
            account = self.account(scope)
            if push and not may_push(self.store, record, account):
                raise ApiError(HTTPStatus.FORBIDDEN, "Must have push access to the repository.")
        return record, self.store.git(record)

    def account(self, scope: str = "") -> Account:
        """Who asks, if the token holds the scope."""
        if self.visitor is None:
            raise ApiError(HTTPStatus.UNAUTHORIZED, "Requires authentication")
        if scope and not self.visitor.may(scope):
            raise ApiError(HTTPStatus.FORBIDDEN, "Resource not accessible by personal access token")
        return self.visitor.account

    def value(self, name: str, kind: type, resource: str, default: Any = ...) -> Any:
        """A field of the body, checked for its type."""
        body = self.body if isinstance(self.body, dict) else {}
        value = body.get(name)
        if value is None:
            if default is ...:
                raise invalid(resource, name, "missing_field")
            return default
        if not isinstance(value, kind) or (isinstance(value, str) and "\0" in value):
            raise invalid(resource, name)
        return value


@dataclass(frozen=True)
class Answer:
    """What a route answers."""

    document: Any = None
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    total: int | None = None
    """How many items there are in all, where the document is one page of them."""


def page(request: Request, items: Sequence[Any], build: Callable[[Any], Any]) -> Answer:
    """One page of a listing."""
    number, size = page_of(request.query)
    start = (number - 1) * size
    return Answer([build(item) for item in items[start : start + size]], total=len(items))


def page_of(query: Mapping[str, str]) -> tuple[int, int]:
    """The page that is asked for, from 1, and its size."""
    number = _whole(query.get("page"), 1)
    return max(1, number), min(MAX_PAGE_SIZE, max(1, _whole(query.get("per_page"), DEFAULT_PAGE_SIZE)))


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and re.fullmatch(r"\d{1,9}", text) else default


@dataclass(frozen=True)
class Route:
    """One method of one path."""

    method: str
    pattern: re.Pattern[str]
    handle: Callable[[Request], Answer]


def route(table: list[Route], method: str, path: str) -> Callable[[Callable[[Request], Answer]], Any]:
    """Add a function to a table of routes.

    :param path: ``{name}`` stands for one segment, ``{name*}`` for one or more
    """
    expression = re.sub(r"\{(\w+)\*\}", r"(?P<\1>.+)", path)
    expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", expression)

    def register(handle: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
        table.append(Route(method, re.compile(expression), handle))
        return handle

    return register


def find_route(routes: Sequence[Route], method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The first route of a method and a path, and the path's variable parts.

    :raises ApiError: there is none
    """
    for candidate in routes:
        match = candidate.pattern.fullmatch(path) if candidate.method == method else None
        if match:
            return candidate, {name: unquote(value) for name, value in match.groupdict().items()}
    raise not_found()


def require_pull(request: Request, record: RepositoryRecord) -> Pull:
    """The pull request of the path, as its branches are now."""
    refresh(request.store, record)
    number = request.parameters["number"]
    pull = request.store.pull(record, int(number)) if number.isdecimal() and len(number) < 10 else None
    if pull is None:
        raise not_found()
    return pull
