"""Routes of webhooks, of their deliveries, and of dispatches."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from brainscore_ops.forge.embedded.api import Answer, ApiError, Request, Route, invalid, not_found, page, route
from brainscore_ops.forge.embedded.webhooks import (
    EVENTS,
    Delivery,
    Hook,
    add_hook,
    announce_dispatch,
    announce_ping,
    deliveries_of,
    hooks_of,
    redeliver,
    remove_hook,
)

if TYPE_CHECKING:
    from brainscore_ops.forge.embedded.records import RepositoryRecord

ROUTES: list[Route] = []

_HOOKS = "/repos/{owner}/{repo}/hooks"


@route(ROUTES, "GET", _HOOKS)
def list_hooks(request: Request) -> Answer:
    """The hooks of a repository."""
    record, _ = request.repository("repo")
    return page(request, hooks_of(request.store, record), lambda hook: request.documents.hook(record, hook))


@route(ROUTES, "POST", _HOOKS)
def create_hook(request: Request) -> Answer:
    """Have events sent somewhere; a ping is sent at once."""
    record, _ = request.repository("repo")
    values = _values(request, None)
    if any(hook.url == values["url"] for hook in hooks_of(request.store, record)):
        raise invalid("Hook", "url", "custom", "Hook already exists on this repository")
    hook = add_hook(request.store, record, **values)
    announce_ping(request.documents, record, hook)
    return Answer(request.documents.hook(record, hook), HTTPStatus.CREATED)


@route(ROUTES, "GET", _HOOKS + "/{id}")
def get_hook(request: Request) -> Answer:
    """One hook."""
    record, _ = request.repository("repo")
    return Answer(request.documents.hook(record, _require_hook(request, record)))


@route(ROUTES, "PATCH", _HOOKS + "/{id}")
def update_hook(request: Request) -> Answer:
    """Change what a hook asks for."""
    record, _ = request.repository("repo")
    known = _require_hook(request, record)
    values = _values(request, known)
    if values["url"] != known.url:
        remove_hook(request.store, known)
    return Answer(request.documents.hook(record, add_hook(request.store, record, **values)))


@route(ROUTES, "DELETE", _HOOKS + "/{id}")
def delete_hook(request: Request) -> Answer:
    """Send nothing more."""
    record, _ = request.repository("repo")
    remove_hook(request.store, _require_hook(request, record))
    return Answer(status=HTTPStatus.NO_CONTENT)


@route(ROUTES, "POST", _HOOKS + "/{id}/pings")
def ping_hook(request: Request) -> Answer:
    """Try a hook out."""
    record, _ = request.repository("repo")
    announce_ping(request.documents, record, _require_hook(request, record))
    return Answer(status=HTTPStatus.NO_CONTENT)


@route(ROUTES, "GET", _HOOKS + "/{id}/deliveries")
def list_deliveries(request: Request) -> Answer:
    """What was sent to a hook, newest first."""
    record, _ = request.repository("repo")
    hook = _require_hook(request, record)
    sent = deliveries_of(request.store, hook)
    return page(request, sent, lambda delivery: request.documents.short_delivery(record, delivery))


@route(ROUTES, "GET", _HOOKS + "/{id}/deliveries/{delivery}")
def get_delivery(request: Request) -> Answer:
    """One delivery with what was sent and answered."""
    record, _ = request.repository("repo")
    hook = _require_hook(request, record)
    return Answer(request.documents.delivery(record, hook, _require_delivery(request, hook)))


@route(ROUTES, "POST", _HOOKS + "/{id}/deliveries/{delivery}/attempts")
def attempt_delivery(request: Request) -> Answer:
    """Send it once more."""
    record, _ = request.repository("repo")
    redeliver(request.store, _require_delivery(request, _require_hook(request, record)))
    return Answer({}, HTTPStatus.ACCEPTED)


@route(ROUTES, "POST", "/repos/{owner}/{repo}/dispatches")
def dispatch(request: Request) -> Answer:
    """Tell whoever listens that something is to be done."""
    record, _ = request.repository("repo")
    event_type = request.value("event_type", str, "RepositoryDispatch")
    payload = request.value("client_payload", dict, "RepositoryDispatch", {})
    if not 0 < len(event_type) <= 100:
        raise invalid("RepositoryDispatch", "event_type")
    if len(payload) > 10:
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "No more than 10 properties are allowed; client_payload has more."
        )
    announce_dispatch(request.documents, record, event_type, payload)
    return Answer(status=HTTPStatus.NO_CONTENT)


def _values(request: Request, known: Hook | None) -> dict[str, Any]:
    config = request.value("config", dict, "Hook", {} if known else ...)
    url, secret = config.get("url", known.url if known else ""), config.get("secret", known.secret if known else "")
    events = request.value("events", list, "Hook", list(known.events) if known else ["push"])
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise invalid("Hook", "url", "custom", "url must be an http or https URL")
    if not isinstance(secret, str):
        raise invalid("Hook", "secret")
    if not events or not all(isinstance(event, str) and event in EVENTS for event in events):
        raise invalid("Hook", "events")
    active = request.value("active", bool, "Hook", known.active if known else True)
    return {"url": url, "secret": secret, "events": tuple(events), "active": active}


def _require_hook(request: Request, record: RepositoryRecord) -> Hook:
    for hook in hooks_of(request.store, record):
        if str(hook.id) == request.parameters["id"]:
            return hook
    raise not_found()


def _require_delivery(request: Request, hook: Hook) -> Delivery:
    for delivery in deliveries_of(request.store, hook):
        if str(delivery.id) == request.parameters["delivery"]:
            return delivery
    raise not_found()
