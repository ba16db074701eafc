"""Routes of collaborators and of the protection of branches."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from brainscore_ops.forge.embedded.access import PERMISSIONS, ROLES, protect, protections, role_of, set_role
from brainscore_ops.forge.embedded.api import Answer, ApiError, Request, Route, invalid, not_found, route
from brainscore_ops.forge.embedded.records import Protection

if TYPE_CHECKING:
    from brainscore_ops.forge.embedded.records import RepositoryRecord

ROUTES: list[Route] = []

_WORDS = {"pull": "read", "push": "write"}


@route(ROUTES, "PUT", "/repos/{owner}/{repo}/collaborators/{login}")
def add_collaborator(request: Request) -> Answer:
    """Give somebody a role; nobody has to accept an invitation here."""
    record, _ = request.repository("repo")
    given = request.value("permission", str, "Collaborator", "push")
    role = _WORDS.get(given, given)
    if request.store.account(request.parameters["login"]) is None:
        raise not_found()
    if role not in ROLES:
        raise invalid("Collaborator", "permission")
    set_role(request.store, record, request.parameters["login"], role)
    return Answer(status=HTTPStatus.NO_CONTENT)


@route(ROUTES, "GET", "/repos/{owner}/{repo}/collaborators/{login}/permission")
def get_permission(request: Request) -> Answer:
    """What somebody may do."""
    record, _ = request.repository("repo")
    account = request.store.account(request.parameters["login"])
    if account is None:
        raise not_found()
    role = role_of(request.store, record, account)
    user = request.documents.account(account) | {
        "permissions": {
            word: ROLES.index(role) >= ROLES.index(_WORDS.get(word, word))
            for word in ("admin", "maintain", "push", "triage", "pull")
        },
        "role_name": role,
    }
    return Answer({"permission": PERMISSIONS.get(role, role), "role_name": role, "user": user})


@route(ROUTES, "GET", "/repos/{owner}/{repo}/branches/{branch*}/protection")
def get_protection(request: Request) -> Answer:
    """What a branch asks for."""
    record, _ = request.repository("repo")
    return Answer(_document(request, record, _require_protection(request, record)))


@route(ROUTES, "PUT", "/repos/{owner}/{repo}/branches/{branch*}/protection")
def set_protection(request: Request) -> Answer:
    """Protect a branch."""
    record, git = request.repository("repo")
    if git.reference(f"refs/heads/{request.parameters['branch']}") is None:
        raise ApiError(HTTPStatus.NOT_FOUND, "Branch not found")
    missing = [
        name
        for name in ("required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions")
        if name not in (request.body or {})
    ]
    if missing:
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "Invalid request.",
            [f'"{name}" wasn\'t supplied.' for name in missing],
        )
    checks = request.value("required_status_checks", dict, "ProtectedBranch", {})
    reviews = request.value("required_pull_request_reviews", dict, "ProtectedBranch", None)
    contexts = [*(checks.get("contexts") or ()), *(check["context"] for check in checks.get("checks") or ())]
    protection = Protection(
        contexts=tuple(dict.fromkeys(map(str, contexts))),
        strict=bool(checks.get("strict")),
        approvals=0 if reviews is None else int(reviews.get("required_approving_review_count", 1)),
    )
    protect(request.store, record, request.parameters["branch"], protection)
    return Answer(_document(request, record, protection))


@route(ROUTES, "DELETE", "/repos/{owner}/{repo}/branches/{branch*}/protection")
def remove_protection(request: Request) -> Answer:
    """Leave a branch unprotected."""
    record, _ = request.repository("repo")
    _require_protection(request, record)
    protect(request.store, record, request.parameters["branch"], None)
    return Answer(status=HTTPStatus.NO_CONTENT)


def _require_protection(request: Request, record: RepositoryRecord) -> Protection:
    protection = protections(request.store, record).get(request.parameters["branch"])
    if protection is None:
        raise ApiError(HTTPStatus.NOT_FOUND, "Branch not protected")
    return protection


def _document(request: Request, record: RepositoryRecord, protection: Protection) -> dict[str, Any]:
    url = f"{request.documents.repository(record)['url']}/branches/{request.parameters['branch']}/protection"
    document: dict[str, Any] = {"url": url, "enforce_admins": {"url": f"{url}/enforce_admins", "enabled": True}}
    if protection.contexts or protection.strict:
        document["required_status_checks"] = {
            "url": f"{url}/required_status_checks",
            "strict": protection.strict,
            "contexts": list(protection.contexts),
            "checks": [{"context": context, "app_id": None} for context in protection.contexts],
            "contexts_url": f"{url}/required_status_checks/contexts",
        }
    if protection.approvals:
        document["required_pull_request_reviews"] = {
            "url": f"{url}/required_pull_request_reviews",
            "dismiss_stale_reviews": False,
            "require_code_owner_reviews": False,
            "required_approving_review_count": protection.approvals,
        }
    return document
