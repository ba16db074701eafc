"""Routes by which an app proves itself and gets tokens."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from brainscore_ops.forge.embedded.api import Answer, ApiError, Request, Route, not_found, route
from brainscore_ops.forge.embedded.apps import AppRefusedError, create_installation_token, prove_app

if TYPE_CHECKING:
    from brainscore_ops.forge.embedded.records import Account, App

ROUTES: list[Route] = []

PERMISSIONS = {"contents": "write", "pull_requests": "write", "statuses": "write", "metadata": "read"}


@route(ROUTES, "GET", "/app")
def get_app(request: Request) -> Answer:
    """The app that asks."""
    app = _require_app(request)
    return Answer(
        {
            "id": app.id,
            "slug": app.slug,
            "node_id": f"A_{app.id}",
            "owner": request.documents.account(app.bot),
            "name": app.slug,
            "description": "",
            "external_url": request.root_url,
            "html_url": f"{request.root_url}/apps/{app.slug}",
            "created_at": app.created_at,
            "updated_at": app.created_at,
            "permissions": PERMISSIONS,
            "events": [],
        }
    )


@route(ROUTES, "GET", "/repos/{owner}/{repo}/installation")
def get_repository_installation(request: Request) -> Answer:
    """Where the app is installed; here, everywhere."""
    app = _require_app(request)
    record = request.store.repository(f"{request.parameters['owner']}/{request.parameters['repo']}")
    if record is None:
        raise not_found()
    return Answer(_installation(request, app, record.owner))


@route(ROUTES, "GET", "/app/installations/{id}")
def get_installation(request: Request) -> Answer:
    """The app's one installation."""
    app = _require_app(request)
    if request.parameters["id"] != str(app.id):
        raise not_found()
    return Answer(_installation(request, app, app.bot))


@route(ROUTES, "POST", "/app/installations/{id}/access_tokens")
def create_token(request: Request) -> Answer:
    """A token for an hour."""
    app = _require_app(request)
    if request.parameters["id"] != str(app.id):
        raise not_found()
    token, ends = create_installation_token(request.store, app, seconds=request.token_seconds)
    document = {"token": token, "expires_at": ends, "permissions": PERMISSIONS, "repository_selection": "all"}
    return Answer(document, HTTPStatus.CREATED)


def _require_app(request: Request) -> App:
    if not request.proof:
        raise ApiError(HTTPStatus.UNAUTHORIZED, "A JSON web token could not be decoded")
    try:
        return prove_app(request.store, request.proof)
    except AppRefusedError as error:
        raise ApiError(HTTPStatus.UNAUTHORIZED, error.message) from None


def _installation(request: Request, app: App, owner: Account) -> dict[str, Any]:
    url = f"{request.documents.api}/app/installations/{app.id}"
    return {
        "id": app.id,
        "account": request.documents.account(owner),
        "access_tokens_url": f"{url}/access_tokens",
        "repositories_url": f"{request.documents.api}/installation/repositories",
        "html_url": f"{request.root_url}/settings/installations/{app.id}",
        "app_id": app.id,
        "app_slug": app.slug,
        "target_id": owner.id,
        "target_type": owner.kind,
        "permissions": PERMISSIONS,
        "events": [],
        "repository_selection": "all",
        "single_file_name": None,
        "created_at": app.created_at,
        "updated_at": app.created_at,
        "suspended_by": None,
        "suspended_at": None,
    }
