"""Routes of reviews."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from brainscore_ops.forge.embedded.api import Answer, ApiError, Request, Route, not_found, page, require_pull, route
from brainscore_ops.forge.embedded.reviews import STATES, add_review, dismiss_review, reviews_of
from brainscore_ops.forge.embedded.webhooks import announce_review

if TYPE_CHECKING:
    from brainscore_ops.forge.embedded.records import Pull, Review

ROUTES: list[Route] = []


@route(ROUTES, "GET", "/repos/{owner}/{repo}/pulls/{number}/reviews")
def list_reviews(request: Request) -> Answer:
    """The reviews of a pull request, oldest first."""
    record, _ = request.repository()
    reviews = reviews_of(request.store, require_pull(request, record))
    return page(request, reviews, lambda review: request.documents.review(record, review))


@route(ROUTES, "POST", "/repos/{owner}/{repo}/pulls/{number}/reviews")
def create_review(request: Request) -> Answer:
    """Approve, ask for changes, or comment; one that is only begun (without an event) is not kept here."""
    record, git = request.repository("repo", push=False)
    pull, author = require_pull(request, record), request.account()
    event = request.value("event", str, "PullRequestReview", "")
    body = request.value("body", str, "PullRequestReview", "")
    sha = request.value("commit_id", str, "PullRequestReview", pull.head_sha)
    if event not in STATES:
        raise _unprocessable(f"Expected an event among {', '.join(STATES)}")
    if event != "APPROVE" and not body.strip():
        raise _unprocessable("You need to leave a comment indicating the requested changes.")
    if event != "COMMENT" and author.id == pull.author.id:
        word = "approve" if event == "APPROVE" else "request changes on"
        raise _unprocessable(f"Can not {word} your own pull request")
    if git.kind(sha) != "commit":
        raise _unprocessable("The commit_id is not part of the pull request")
    review = add_review(request.store, pull, author, state=STATES[event], body=body, sha=sha)
    announce_review(request.documents, record, pull, review)
    return Answer(request.documents.review(record, review))


@route(ROUTES, "GET", "/repos/{owner}/{repo}/pulls/{number}/reviews/{id}")
def get_review(request: Request) -> Answer:
    """One review."""
    record, _ = request.repository()
    return Answer(request.documents.review(record, _require_review(request, require_pull(request, record))))


@route(ROUTES, "PUT", "/repos/{owner}/{repo}/pulls/{number}/reviews/{id}/dismissals")
def dismiss(request: Request) -> Answer:
    """Dismiss a review."""
    record, _ = request.repository("repo")
    pull = require_pull(request, record)
    request.value("message", str, "PullRequestReview")
    review = _require_review(request, pull)
    if review.state not in ("APPROVED", "CHANGES_REQUESTED"):
        raise _unprocessable(f"Can not dismiss a {review.state.lower()} pull request review")
    dismiss_review(request.store, review)
    return Answer(request.documents.review(record, _require_review(request, pull)))


def _require_review(request: Request, pull: Pull) -> Review:
    for review in reviews_of(request.store, pull):
        if str(review.id) == request.parameters["id"]:
            return review
    raise not_found()


def _unprocessable(problem: str) -> ApiError:
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "Unprocessable Entity", [problem])
