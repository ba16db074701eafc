"""Routes of git's own objects: references, blobs, trees and commits."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from brainscore_ops.forge.embedded.access import protections
from brainscore_ops.forge.embedded.api import (
    Answer,
    ApiError,
    Request,
    Route,
    invalid,
    not_found,
    page,
    route,
    unprocessable,
)
from brainscore_ops.forge.embedded.git import (
    ABSENT,
    GitRepository,
    ObjectRefusedError,
    ReferenceMovedError,
    Signature,
    TreeEntry,
)
from brainscore_ops.forge.embedded.pulls import refresh
from brainscore_ops.forge.embedded.webhooks import announce_pushes

if TYPE_CHECKING:
    from collections.abc import Collection

    from brainscore_ops.forge.embedded.records import Account, RepositoryRecord

ROUTES: list[Route] = []

TREE_LIMIT = 100_000
"""Entries that a recursive listing gives before it is truncated (GitHub's limit)."""

_KINDS = {"100644": "blob", "100755": "blob", "120000": "blob", "040000": "tree", "160000": "commit"}


@route(ROUTES, "GET", "/repos/{owner}/{repo}/git/ref/{ref*}")
def get_reference(request: Request) -> Answer:
    """One reference: ``heads/main``."""
    record, git = request.repository()
    name = f"refs/{request.parameters['ref']}"
    sha = git.reference(name)
    if sha is None:
        raise not_found()
    return Answer(_document(request, record, git, name, sha))


@route(ROUTES, "GET", "/repos/{owner}/{repo}/git/matching-refs/{ref*}")
def list_references(request: Request) -> Answer:
    """All references that begin so."""
    record, git = request.repository()
    matching = sorted(git.references(f"refs/{request.parameters['ref']}").items())
    return page(request, matching, lambda pair: _document(request, record, git, *pair))


@route(ROUTES, "POST", "/repos/{owner}/{repo}/git/refs")
def create_reference(request: Request) -> Answer:
    """Make a reference that does not exist."""
    record, git = request.repository("repo")
    name, sha = request.value("ref", str, "Reference"), request.value("sha", str, "Reference")
    if not name.startswith("refs/") or name.count("/") < 2:
        raise unprocessable("Reference name must start with 'refs/' and have at least one more slash.")
    _require_settable(git, name, sha, protections(request.store, record))
    try:
        git.update_reference(name, sha, old=ABSENT)
    except ReferenceMovedError:
        raise unprocessable("Reference already exists") from None
    except ObjectRefusedError as error:
        raise unprocessable(error.message) from None
    _moved(request, record)
    return Answer(_document(request, record, git, name, sha), HTTPStatus.CREATED)


@route(ROUTES, "PATCH", "/repos/{owner}/{repo}/git/refs/{ref*}")
def update_reference(request: Request) -> Answer:
    """Move a reference; backwards or sideways only with ``force``."""
    record, git = request.repository("repo")
    name, sha = f"refs/{request.parameters['ref']}", request.value("sha", str, "Reference")
    old = git.reference(name)
    if old is None:
        raise unprocessable("Reference does not exist")
    _require_settable(git, name, sha, protections(request.store, record))
    if not request.value("force", bool, "Reference", False) and not git.is_ancestor(old, sha):
        raise unprocessable("Update is not a fast forward")
    try:
        git.update_reference(name, sha, old=old)
    except ReferenceMovedError:
        raise ApiError(HTTPStatus.CONFLICT, "Reference was updated in between") from None
    _moved(request, record)
    return Answer(_document(request, record, git, name, sha))


@route(ROUTES, "DELETE", "/repos/{owner}/{repo}/git/refs/{ref*}")
def delete_reference(request: Request) -> Answer:
    """Remove a reference."""
    record, git = request.repository("repo")
    name = f"refs/{request.parameters['ref']}"
    if git.reference(name) is None:
        raise unprocessable("Reference does not exist")
    _require_settable(git, name, None, protections(request.store, record))
    if name == f"refs/heads/{record.default_branch}":
        raise unprocessable("Cannot delete the default branch")
    git.update_reference(name, ABSENT)
    _moved(request, record)
    return Answer(status=HTTPStatus.NO_CONTENT)


@route(ROUTES, "POST", "/repos/{owner}/{repo}/git/blobs")
def create_blob(request: Request) -> Answer:
    """Store a file's content."""
    record, git = request.repository("repo")
    content = request.value("content", str, "Blob")
    if request.value("encoding", str, "Blob", "utf-8") == "base64":
        try:
            sha = git.write_blob(base64.b64decode("".join(content.split()), validate=True))
        except binascii.Error:
            raise unprocessable("content is not valid Base64") from None
    else:
        sha = git.write_blob(content.encode())
    return Answer(request.documents.short_blob(record, sha), HTTPStatus.CREATED)


@route(ROUTES, "GET", "/repos/{owner}/{repo}/git/blobs/{sha}")
def get_blob(request: Request) -> Answer:
    """A file's content."""
    record, git = request.repository()
    sha = request.parameters["sha"]
    if git.kind(sha) != "blob":
        raise not_found()
    return Answer(request.documents.blob(record, sha, git.read_blob(sha)))


@route(ROUTES, "POST", "/repos/{owner}/{repo}/git/trees")
def create_tree(request: Request) -> Answer:
    """Make a tree of entries, on top of ``base_tree``."""
    record, git = request.repository("repo")
    base = request.value("base_tree", str, "Tree", None)
    if base is not None and git.kind(base) not in ("tree", "commit"):
        raise unprocessable("base_tree is not a valid tree oid")
    entries = request.value("tree", list, "Tree")
    if not entries:
        raise unprocessable("Invalid tree info")
    try:
        sha = git.write_tree([_tree_entry(git, entry) for entry in entries], base=base)
    except ObjectRefusedError as error:
        raise unprocessable(error.message) from None
    document = request.documents.tree(record, sha, git.read_tree(sha), truncated=False)
    return Answer(document, HTTPStatus.CREATED)


@route(ROUTES, "GET", "/repos/{owner}/{repo}/git/trees/{sha*}")
def get_tree(request: Request) -> Answer:
    """The entries of a tree, of a commit or of a branch."""
    record, git = request.repository()
    name = request.parameters["sha"]
    sha = name if git.kind(name) == "tree" else git.resolve(name)
    if sha is None:
        raise not_found()
    entries = git.read_tree(sha, recursive="recursive" in request.query)
    tree = sha if git.kind(sha) == "tree" else git.read_commit(sha).tree
    document = request.documents.tree(record, tree, entries[:TREE_LIMIT], truncated=len(entries) > TREE_LIMIT)
    return Answer(document)


@route(ROUTES, "POST", "/repos/{owner}/{repo}/git/commits")
def create_commit(request: Request) -> Answer:
    """Make a commit that no reference holds yet."""
    record, git = request.repository("repo")
    tree, message = request.value("tree", str, "Commit"), request.value("message", str, "Commit")
    parents = request.value("parents", list, "Commit", [])
    if git.kind(tree) != "tree":
        raise unprocessable("Tree SHA does not exist")
    if any(not isinstance(parent, str) or git.kind(parent) != "commit" for parent in parents):
        raise unprocessable("Parent SHA does not exist or is not a commit object")
    author = _signature(request.value("author", dict, "Commit", {}), request.account())
    given = request.value("committer", dict, "Commit", None)
    committer = author if given is None else _signature(given, request.account())
    sha = git.write_commit(tree, parents, message, author=author, committer=committer)
    return Answer(request.documents.git_commit(record, git.read_commit(sha)), HTTPStatus.CREATED)


@route(ROUTES, "GET", "/repos/{owner}/{repo}/git/commits/{sha}")
def get_git_commit(request: Request) -> Answer:
    """A commit object."""
    record, git = request.repository()
    sha = request.parameters["sha"]
    if git.kind(sha) != "commit":
        raise not_found()
    return Answer(request.documents.git_commit(record, git.read_commit(sha)))


def _document(request: Request, record: RepositoryRecord, git: GitRepository, name: str, sha: str) -> dict[str, Any]:
    return request.documents.reference(record, name, sha, git.kind(sha) or "commit")


def _require_settable(git: GitRepository, name: str, sha: str | None, protected: Collection[str] = ()) -> None:
    if name.startswith("refs/pull/"):
        raise unprocessable("Reference update failed: refs/pull is read only")
    if name.removeprefix("refs/heads/") in protected:
        raise unprocessable("Cannot update this protected ref.")
    if sha is None:
        return
    kind = git.kind(sha)
    if kind is None or (name.startswith("refs/heads/") and kind != "commit"):
        raise unprocessable("Object does not exist")


def _moved(request: Request, record: RepositoryRecord) -> None:
    request.store.note_push(record)
    announce_pushes(request.store, record, request.account())
    refresh(request.store, record)


def _tree_entry(git: GitRepository, entry: object) -> TreeEntry:
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str) or "\0" in entry["path"]:
        raise unprocessable("tree.path contains a malformed path component")
    mode = str(entry.get("mode"))
    if mode not in _KINDS:
        raise unprocessable("Must supply a valid tree.mode")
    content = entry.get("content")
    if isinstance(content, str):
        sha: Any = git.write_blob(content.encode())
    else:
        sha = entry.get("sha")
    if sha is not None and not isinstance(sha, str):
        raise unprocessable("tree.sha is not a valid oid")
    return TreeEntry(entry["path"], mode, _KINDS[mode], sha)


def _signature(given: dict[str, Any], account: Account) -> Signature:
    name, email, date = given.get("name", account.name), given.get("email", account.email), given.get("date")
    if not isinstance(name, str) or not isinstance(email, str) or "\0" in name + email or not re.search(r"\w", name):
        raise invalid("Commit", "author")
    return Signature(name, email, _moment(date))


def _moment(text: object) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise invalid("Commit", "date") from None
    if moment.year < 1970 or moment.year > 9998:  # git's own dates begin with 1970
        raise invalid("Commit", "date")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
