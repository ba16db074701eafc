"""Routes of pull requests, their comments and labels."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from brainscore_ops.forge.embedded.api import (
    Answer,
    ApiError,
    Request,
    Route,
    invalid,
    not_found,
    page,
    require_pull,
    route,
    unprocessable,
)
from brainscore_ops.forge.embedded.comparison import current_base, full_document, pull_changes
from brainscore_ops.forge.embedded.pulls import (
    HEAD_DIFFERS,
    PullHeadMovedError,
    PullRefusedError,
    merge_pull,
    open_pull,
    refresh,
    update_head,
)
from brainscore_ops.forge.embedded.store import now
from brainscore_ops.forge.embedded.webhooks import announce_comment, announce_pull

if TYPE_CHECKING:
    from collections.abc import Callable

    from brainscore_ops.forge.embedded.git import GitRepository
    from brainscore_ops.forge.embedded.records import Comment, Pull, RepositoryRecord

ROUTES: list[Route] = []

FILES_LIMIT = 3_000
"""Files that the listing of a pull request's files gives at most (GitHub's limit)."""


@route(ROUTES, "GET", "/repos/{owner}/{repo}/pulls")
def list_pulls(request: Request) -> Answer:
    """Pull requests by state, head (``owner:branch``) and base."""
    record, _ = request.repository()
    refresh(request.store, record)
    pulls = request.store.pulls(record, state=request.query.get("state", "open"))
    owner, colon, branch = request.query.get("head", "").partition(":")
    if colon:
        pulls = [pull for pull in pulls if pull.head_ref == branch and owner.lower() == record.owner.login.lower()]
    if base := request.query.get("base"):
        pulls = [pull for pull in pulls if pull.base_ref == base]
    by_update = request.query.get("sort") == "updated"
    pulls.sort(
        key=lambda pull: (pull.updated_at if by_update else "", pull.number),
        reverse=request.query.get("direction", "desc") == "desc",
    )
    return page(request, pulls, lambda pull: request.documents.pull(record, pull))


@route(ROUTES, "POST", "/repos/{owner}/{repo}/pulls")
def create_pull(request: Request) -> Answer:
    """Open a pull request from a branch of this repository."""
    record, _ = request.repository("repo")
    owner, colon, branch = request.value("head", str, "PullRequest").rpartition(":")
    if colon and owner.lower() != record.owner.login.lower():
        raise invalid("PullRequest", "head")
    title = request.value("title", str, "PullRequest")
    if not title.strip():
        raise invalid("PullRequest", "title", "missing_field")
    refresh(request.store, record)
    try:
        pull = open_pull(
            request.store,
            record,
            request.account(),
            title=title,
            body=request.value("body", str, "PullRequest", ""),
            head_ref=branch,
            base_ref=request.value("base", str, "PullRequest"),
            draft=request.value("draft", bool, "PullRequest", False),
        )
    except PullRefusedError as error:
        if error.code in ("invalid-head", "invalid-base"):
            raise invalid("PullRequest", error.message) from None
        problem = {"resource": "PullRequest", "code": "custom", "message": error.message}
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "Validation Failed", [problem]) from None
    return Answer(full_document(request.documents, record, pull), HTTPStatus.CREATED)


@route(ROUTES, "GET", "/repos/{owner}/{repo}/pulls/{number}")
def get_pull(request: Request) -> Answer:
    """One pull request."""
    record, _ = request.repository()
    return Answer(full_document(request.documents, record, require_pull(request, record)))


@route(ROUTES, "PATCH", "/repos/{owner}/{repo}/pulls/{number}")
def update_pull(request: Request) -> Answer:
    """Change title, body, base or state."""
    record, git = request.repository("repo")
    return Answer(full_document(request.documents, record, _update(request, record, git)))


@route(ROUTES, "GET", "/repos/{owner}/{repo}/pulls/{number}/files")
def list_files(request: Request) -> Answer:
    """What a pull request changes."""
    record, git = request.repository()
    pull = require_pull(request, record)
    changes = pull_changes(git, pull)[:FILES_LIMIT]
    return page(request, changes, lambda change: request.documents.change(record, pull.head_sha, change))


@route(ROUTES, "GET", "/repos/{owner}/{repo}/pulls/{number}/commits")
def list_commits(request: Request) -> Answer:
    """The commits of a pull request, oldest first."""
    record, git = request.repository()
    pull = require_pull(request, record)
    commits = git.commits(pull.head_sha, f"^{current_base(git, pull)}")[::-1]
    return page(request, commits, lambda commit: request.documents.commit(record, commit))


@route(ROUTES, "GET", "/repos/{owner}/{repo}/pulls/{number}/merge")
def get_merged(request: Request) -> Answer:
    """Whether a pull request is merged: 204, else 404."""
    record, _ = request.repository()
    if not require_pull(request, record).merged:
        raise not_found()
    return Answer(status=HTTPStatus.NO_CONTENT)


@route(ROUTES, "PUT", "/repos/{owner}/{repo}/pulls/{number}/merge")
def merge(request: Request) -> Answer:
    """Merge a pull request; with ``sha`` only that head."""
    record, _ = request.repository("repo")
    method = request.value("merge_method", str, "PullRequest", "merge")
    if method not in ("merge", "squash"):
        raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, "Rebase merges are not allowed on this repository.")
    try:
        sha = merge_pull(
            request.store,
            record,
            require_pull(request, record),
            request.account(),
            head_sha=request.value("sha", str, "PullRequest", None),
            method=method,
            title=request.value("commit_title", str, "PullRequest", None),
            message=request.value("commit_message", str, "PullRequest", None),
        )
    except PullHeadMovedError as error:
        raise ApiError(HTTPStatus.CONFLICT, error.message) from None
    except PullRefusedError as error:
        raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, error.message) from None
    return Answer({"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


@route(ROUTES, "PUT", "/repos/{owner}/{repo}/pulls/{number}/update-branch")
def update_branch(request: Request) -> Answer:
    """Merge the base branch into the head's."""
    record, _ = request.repository("repo")
    pull = require_pull(request, record)
    expected = request.value("expected_head_sha", str, "PullRequest", pull.head_sha)
    if expected != pull.head_sha:
        raise unprocessable(HEAD_DIFFERS)
    try:
        update_head(request.store, record, pull, request.account())
    except PullRefusedError as error:
        raise unprocessable(error.message) from None
    require_pull(request, record)
    url = request.documents.pull_page(record, pull)
    return Answer({"message": "Updating pull request branch.", "url": url}, HTTPStatus.ACCEPTED)


@route(ROUTES, "GET", "/repos/{owner}/{repo}/issues/{number}")
def get_issue(request: Request) -> Answer:
    """A pull request as an issue."""
    record, _ = request.repository()
    return Answer(request.documents.issue(record, require_pull(request, record)))


@route(ROUTES, "PATCH", "/repos/{owner}/{repo}/issues/{number}")
def update_issue(request: Request) -> Answer:
    """Change title, body, state or labels."""
    record, git = request.repository("repo")
    return Answer(request.documents.issue(record, _update(request, record, git)))


# Comments


@route(ROUTES, "GET", "/repos/{owner}/{repo}/issues/{number}/comments")
def list_comments(request: Request) -> Answer:
    """The comments of a pull request, oldest first."""
    record, _ = request.repository()
    comments = request.store.comments(require_pull(request, record))
    return page(request, comments, lambda comment: request.documents.comment(record, comment))


@route(ROUTES, "POST", "/repos/{owner}/{repo}/issues/{number}/comments")
def create_comment(request: Request) -> Answer:
    """Write a comment."""
    record, _ = request.repository("repo", push=False)
    pull = require_pull(request, record)
    comment = request.store.add_comment(pull, request.account(), _comment_body(request))
    document = request.documents.comment(record, comment)
    announce_comment(request.documents, record, pull, comment)
    return Answer(document, HTTPStatus.CREATED, headers={"Location": document["url"]})


@route(ROUTES, "GET", "/repos/{owner}/{repo}/issues/comments/{id}")
def get_comment(request: Request) -> Answer:
    """One comment."""
    record, _ = request.repository()
    return Answer(request.documents.comment(record, _require_comment(request, record)))


@route(ROUTES, "PATCH", "/repos/{owner}/{repo}/issues/comments/{id}")
def update_comment(request: Request) -> Answer:
    """Replace a comment's text."""
    record, _ = request.repository("repo")
    request.store.change_comment(_require_comment(request, record), _comment_body(request))
    return Answer(request.documents.comment(record, _require_comment(request, record)))


# Labels


@route(ROUTES, "GET", "/repos/{owner}/{repo}/labels")
def list_labels(request: Request) -> Answer:
    """The labels of a repository."""
    record, _ = request.repository()
    return page(request, request.store.labels(record), lambda label: request.documents.label(record, label))


@route(ROUTES, "POST", "/repos/{owner}/{repo}/labels")
def create_label(request: Request) -> Answer:
    """Define a label."""
    record, _ = request.repository("repo")
    label = request.store.add_label(
        record,
        request.value("name", str, "Label"),
        color=request.value("color", str, "Label", "ededed").lstrip("#"),
        description=request.value("description", str, "Label", None),
    )
    if label is None:
        raise invalid("Label", "name", "already_exists")
    return Answer(request.documents.label(record, label), HTTPStatus.CREATED)


@route(ROUTES, "GET", "/repos/{owner}/{repo}/issues/{number}/labels")
def list_pull_labels(request: Request) -> Answer:
    """The labels of a pull request."""
    record, _ = request.repository()
    labels = require_pull(request, record).labels
    return page(request, labels, lambda label: request.documents.label(record, label))


@route(ROUTES, "POST", "/repos/{owner}/{repo}/issues/{number}/labels")
def add_pull_labels(request: Request) -> Answer:
    """Add labels to a pull request."""
    return _set_labels(request, lambda old, given: [*old, *given])


@route(ROUTES, "PUT", "/repos/{owner}/{repo}/issues/{number}/labels")
def set_pull_labels(request: Request) -> Answer:
    """Replace the labels of a pull request."""
    return _set_labels(request, lambda _old, given: given)


@route(ROUTES, "DELETE", "/repos/{owner}/{repo}/issues/{number}/labels")
def clear_pull_labels(request: Request) -> Answer:
    """Take all labels off a pull request."""
    record, _ = request.repository("repo")
    _change_labels(request, record, require_pull(request, record), [])
    return Answer(status=HTTPStatus.NO_CONTENT)


@route(ROUTES, "DELETE", "/repos/{owner}/{repo}/issues/{number}/labels/{name}")
def remove_pull_label(request: Request) -> Answer:
    """Take one label off a pull request."""
    record, _ = request.repository("repo")
    pull, name = require_pull(request, record), request.parameters["name"].lower()
    kept = [label.name for label in pull.labels if label.name.lower() != name]
    if len(kept) == len(pull.labels):
        raise ApiError(HTTPStatus.NOT_FOUND, "Label does not exist")
    _change_labels(request, record, pull, kept)
    return Answer([request.documents.label(record, label) for label in require_pull(request, record).labels])


def _update(request: Request, record: RepositoryRecord, git: GitRepository) -> Pull:
    pull = require_pull(request, record)
    values: dict[str, Any] = {
        name: request.value(name, str, "PullRequest") for name in ("title", "body") if name in (request.body or {})
    }
    state = request.value("state", str, "PullRequest", pull.state)
    if state not in ("open", "closed"):
        raise invalid("PullRequest", "state")
    if state != pull.state:
        if state == "open" and (pull.merged or git.reference(f"refs/heads/{pull.head_ref}") is None):
            raise invalid("PullRequest", "state", "custom", "state cannot be changed.")
        values |= {"state": state, "closed_at": now() if state == "closed" else None}
    base = request.value("base", str, "PullRequest", pull.base_ref)
    if base != pull.base_ref:
        tip = git.reference(f"refs/heads/{base}")
        if tip is None:
            raise invalid("PullRequest", "base")
        values |= {"base_ref": base, "base_sha": tip}
    if values:
        request.store.change_pull(pull, **values)
        action = "edited" if state == pull.state else {"open": "reopened", "closed": "closed"}[state]
        announce_pull(request.store, record, require_pull(request, record), action, request.account())
    if "labels" in (request.body or {}):
        _change_labels(request, record, pull, _names(request.body["labels"]))
    return require_pull(request, record)


def _set_labels(request: Request, combine: Callable[[list[str], list[str]], list[str]]) -> Answer:
    record, _ = request.repository("repo")
    pull = require_pull(request, record)
    given = request.body["labels"] if isinstance(request.body, dict) and "labels" in request.body else request.body
    names = combine([label.name for label in pull.labels], _names(given))
    _change_labels(request, record, pull, names)
    return Answer([request.documents.label(record, label) for label in require_pull(request, record).labels])


def _change_labels(request: Request, record: RepositoryRecord, pull: Pull, names: list[str]) -> None:
    request.store.set_pull_labels(record, pull, names)
    changed = require_pull(request, record)
    for action, more, fewer in (("labeled", changed, pull), ("unlabeled", pull, changed)):
        for label in more.labels:
            if label not in fewer.labels:
                document = request.documents.label(record, label)
                announce_pull(request.store, record, changed, action, request.account(), label=document)


def _names(given: object) -> list[str]:
    names = [name.get("name") if isinstance(name, dict) else name for name in given] if isinstance(given, list) else []
    if not isinstance(given, list) or not all(isinstance(name, str) and name.strip() for name in names):
        raise invalid("Label", "name")
    return [str(name) for name in names]


def _comment_body(request: Request) -> str:
    body: str = request.value("body", str, "IssueComment")
    if not body.strip():
        raise invalid("IssueComment", "body", "missing_field")
    return body


def _require_comment(request: Request, record: RepositoryRecord) -> Comment:
    identity = request.parameters["id"]
    comment = request.store.comment(record, int(identity)) if identity.isdecimal() and len(identity) < 19 else None
    if comment is None:
        raise not_found()
    return comment
