"""Routes of accounts, repositories, branches, commits and commit statuses."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from brainscore_ops.forge.embedded.access import protections
from brainscore_ops.forge.embedded.api import (
    Answer,
    ApiError,
    Request,
    Route,
    invalid,
    not_found,
    page,
    page_of,
    route,
    unprocessable,
)
from brainscore_ops.forge.embedded.git import EMPTY_TREE
from brainscore_ops.forge.embedded.webhooks import announce_status

if TYPE_CHECKING:
    from brainscore_ops.forge.embedded.git import GitRepository
    from brainscore_ops.forge.embedded.records import CommitStatus, RepositoryRecord

ROUTES: list[Route] = []

DESCRIPTION_LIMIT = 140
"""Characters of a status' description that GitHub accepts."""

STATES = ("error", "failure", "pending", "success")


@route(ROUTES, "GET", "/user")
def get_user(request: Request) -> Answer:
    """The account of the token."""
    if request.visitor and request.visitor.is_app:
        raise ApiError(HTTPStatus.FORBIDDEN, "Resource not accessible by integration")
    return Answer(request.documents.private_account(request.account()))


@route(ROUTES, "GET", "/user/emails")
def get_emails(request: Request) -> Answer:
    """The addresses of the token's account: it has one, and nobody doubts that it is theirs."""
    visitor = request.visitor
    if visitor is None or not visitor.scopes & {"user:email", "repo"}:
        raise not_found()
    address = {"email": request.account().email, "primary": True, "verified": True, "visibility": "public"}
    return Answer([address])


@route(ROUTES, "GET", "/users/{login}")
def get_account(request: Request) -> Answer:
    """Any account."""
    account = request.store.account(request.parameters["login"])
    if account is None:
        raise not_found()
    return Answer(request.documents.private_account(account))


@route(ROUTES, "GET", "/rate_limit")
def get_rate_limit(request: Request) -> Answer:
    """The visitor's rate limit."""
    rate = dict(request.rate)
    return Answer({"resources": {"core": rate, "search": rate}, "rate": rate})


@route(ROUTES, "GET", "/repos/{owner}/{repo}")
def get_repository(request: Request) -> Answer:
    """A repository."""
    record, _ = request.repository()
    return Answer(request.documents.repository(record))


@route(ROUTES, "GET", "/repos/{owner}/{repo}/branches")
def list_branches(request: Request) -> Answer:
    """All branches."""
    record, git = request.repository()
    heads = sorted(git.references("refs/heads/").items())
    protected = protections(request.store, record)

    def short(head: tuple[str, str]) -> dict[str, object]:
        name, sha = head
        commit = request.documents.commit(record, git.read_commit(sha))
        return {
            "name": name.removeprefix("refs/heads/"),
            "commit": {"sha": sha, "url": commit["url"]},
            "protected": name.removeprefix("refs/heads/") in protected,
        }

    return page(request, heads, short)


@route(ROUTES, "GET", "/repos/{owner}/{repo}/branches/{branch*}")
def get_branch(request: Request) -> Answer:
    """A branch with its last commit."""
    record, git = request.repository()
    name = request.parameters["branch"]
    sha = git.reference(f"refs/heads/{name}")
    if sha is None:
        raise ApiError(HTTPStatus.NOT_FOUND, "Branch not found")
    protection = protections(request.store, record).get(name)
    contexts = list(protection.contexts) if protection else []
    repository = request.documents.repository(record)
    url = f"{repository['url']}/branches/{quote(name)}"
    document = {
        "name": name,
        "commit": request.documents.commit(record, git.read_commit(sha)),
        "_links": {"self": url, "html": f"{repository['html_url']}/tree/{quote(name)}"},
        "protected": protection is not None,
        "protection": {
            "enabled": protection is not None,
            "required_status_checks": {
                "enforcement_level": "everyone" if contexts else "off",
                "contexts": contexts,
                "checks": [{"context": context, "app_id": None} for context in contexts],
            },
        },
        "protection_url": f"{url}/protection",
    }
    return Answer(document)


@route(ROUTES, "GET", "/repos/{owner}/{repo}/commits")
def list_commits(request: Request) -> Answer:
    """The history of a branch or commit (``sha``), of one path (``path``) or of everything."""
    record, git = request.repository()
    start = git.resolve(request.query.get("sha") or record.default_branch)
    if start is None:
        raise not_found()
    number, size = page_of(request.query)
    commits = git.commits(start, skip=(number - 1) * size, limit=size, path=request.query.get("path", ""))
    total = git.count_commits(start) if not request.query.get("path") else (number - 1) * size + len(commits)
    return Answer([request.documents.commit(record, commit) for commit in commits], total=total)


@route(ROUTES, "GET", "/repos/{owner}/{repo}/commits/{ref*}/status")
def get_combined_status(request: Request) -> Answer:
    """The newest status of each context of a commit, and what they say together."""
    record, git = request.repository()
    sha = _require_commit(git, request.parameters["ref"])
    newest = newest_statuses(request.store.statuses(record, sha))
    repository = request.documents.repository(record)
    number, size = page_of(request.query)
    document = {
        "state": _combined_state([status.state for status in newest]),
        "statuses": [
            request.documents.simple_status(record, status) for status in newest[(number - 1) * size : number * size]
        ],
        "sha": sha,
        "total_count": len(newest),
        "repository": repository,
        "commit_url": f"{repository['url']}/commits/{sha}",
        "url": f"{repository['url']}/commits/{sha}/status",
    }
    return Answer(document, total=len(newest))


@route(ROUTES, "GET", "/repos/{owner}/{repo}/statuses/{ref*}")
@route(ROUTES, "GET", "/repos/{owner}/{repo}/commits/{ref*}/statuses")
def list_statuses(request: Request) -> Answer:
    """All statuses of a commit, newest first."""
    record, git = request.repository()
    statuses = request.store.statuses(record, _require_commit(git, request.parameters["ref"]))
    return page(request, statuses, lambda status: request.documents.status(record, status))


@route(ROUTES, "POST", "/repos/{owner}/{repo}/statuses/{sha}")
def create_status(request: Request) -> Answer:
    """Say something of a commit."""
    record, git = request.repository("repo:status")
    sha = request.parameters["sha"]
    if git.kind(sha) != "commit":
        raise unprocessable(f"No commit found for SHA: {sha}")
    state = request.value("state", str, "Status")
    if state not in STATES:
        raise invalid("Status", "state", "custom", f"state is not included in the list: {', '.join(STATES)}")
    description = request.value("description", str, "Status", None)
    if description and len(description) > DESCRIPTION_LIMIT:
        raise invalid(
            "Status", "description", "custom", f"description is too long (maximum is {DESCRIPTION_LIMIT} characters)"
        )
    target_url = request.value("target_url", str, "Status", None)
    if target_url and not target_url.startswith(("http://", "https://")):
        raise invalid("Status", "target_url", "custom", "target_url must use http(s) scheme")
    status = request.store.add_status(
        record,
        request.account(),
        sha=sha,
        context=request.value("context", str, "Status", "default"),
        state=state,
        description=description,
        target_url=target_url or None,
    )
    announce_status(request.documents, record, status)
    return Answer(request.documents.status(record, status), HTTPStatus.CREATED)


@route(ROUTES, "GET", "/repos/{owner}/{repo}/commits/{ref*}")
def get_commit(request: Request) -> Answer:
    """A commit with its files."""
    record, git = request.repository()
    return Answer(_commit_document(request, record, git, _require_commit(git, request.parameters["ref"])))


def newest_statuses(statuses: list[CommitStatus]) -> list[CommitStatus]:
    """The first of each context of statuses that come newest first."""
    by_context: dict[str, CommitStatus] = {}
    for status in statuses:
        by_context.setdefault(status.context, status)
    return list(by_context.values())


def _combined_state(states: list[str]) -> str:
    if any(state in ("error", "failure") for state in states):
        return "failure"
    return "pending" if "pending" in states or not states else "success"


def _require_commit(git: GitRepository, revision: str) -> str:
    sha = git.resolve(revision)
    if sha is None:
        raise unprocessable(f"No commit found for SHA: {revision}")
    return sha


def _commit_document(request: Request, record: RepositoryRecord, git: GitRepository, sha: str) -> dict[str, object]:
    commit = git.read_commit(sha)
    changes = git.changes(commit.parents[0] if commit.parents else EMPTY_TREE, sha)
    added, deleted = sum(change.additions for change in changes), sum(change.deletions for change in changes)
    return request.documents.commit(record, commit) | {
        "stats": {"total": added + deleted, "additions": added, "deletions": deleted},
        "files": [request.documents.change(record, sha, change) for change in changes[:300]],
    }
