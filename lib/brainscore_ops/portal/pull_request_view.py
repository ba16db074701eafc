"""The pull request of a private submission, for its owner and the team: its repository is open to the team alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from brainscore_ops.database.ops_tables import SubmissionLife
from brainscore_ops.display import printable
from brainscore_ops.portal.errors import PageNotFoundError
from brainscore_ops.submissions.context import Context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.viewer import Viewer
    from brainscore_ops.forge.client import ChangedFile, Comment, ForgeClient, PullRequest, Review, Status
    from brainscore_ops.settings import Deployment

MOST_FILES = 100
MOST_LINES = 1_000
"""Of all differences together."""
LONGEST_LINE = 500
MOST_COMMENTS = 50
LONGEST_TEXT = 20_000
"""Characters of a description or a comment."""

PATIENCE = 1
"""Seconds for which a forge that fails is asked again: somebody waits for the page."""
ANSWER_SECONDS = 5
"""What the forge has for one answer."""

_FENCE = re.compile(r"^(`{3,})[^\n`]*\n(.*?)^\1`*[ \t]*$", re.MULTILINE | re.DOTALL)
_KINDS = {"success": "good", "failure": "bad", "error": "bad", "pending": "wait"}
_REVIEWS = {
    "APPROVED": "approved it",
    "CHANGES_REQUESTED": "asked for changes",
    "COMMENTED": "looked at it",
    "DISMISSED": "had judged it; that no longer counts",
}


@dataclass(frozen=True)
class Place:
    """Where the pull request of a submission is, for somebody who may see it."""

    submission: int
    name: str
    """The submission's."""
    number: int
    private: bool
    url: str
    """Its page on the forge: of a private submission the team's alone."""
    has_archive: bool


@dataclass(frozen=True)
class Passage:
    """A piece of what somebody wrote: words, or what stands in a fence and is shown as it is."""

    text: str
    fenced: bool


@dataclass(frozen=True)
class Remark:
    """What somebody said."""

    author: str
    did: str
    """``approved it``; empty for a comment."""
    at: datetime
    passages: tuple[Passage, ...]


@dataclass(frozen=True)
class Check:
    """What was found about the head."""

    context: str
    kind: str
    state: str
    description: str
    at: datetime


@dataclass(frozen=True)
class Line:
    """A line of a difference: ``kind`` is ``hunk``, ``added``, ``removed`` or ``same``."""

    kind: str
    text: str


@dataclass(frozen=True)
class File:
    """A changed file."""

    path: str
    status: str
    previous_path: str
    additions: int
    deletions: int
    lines: tuple[Line, ...]
    left_out: int
    """How many lines of its difference are not shown."""
    why_none: str
    """Why there is no difference to show; empty where there is one."""


@dataclass(frozen=True)
class PullRequestView:
    """A pull request as it stands."""

    pull: PullRequest
    state: str
    kind: str
    description: tuple[Passage, ...]
    checks: tuple[Check, ...]
    remarks: tuple[Remark, ...]
    more_remarks: bool
    files: tuple[File, ...]
    more_files: bool

    @property
    def cut(self) -> bool:
        """Whether there is more of its files than is shown."""
        return self.more_files or any(file.left_out for file in self.files)


class PullRequests:
    """The private repository's pull requests. The client is kept: what did not change is not sent again.

    To be used by one thread at a time, as PyGithub is.
    """

    def __init__(self, deployment: Deployment, database: Database) -> None:
        self._context = Context(deployment=deployment, database=database, run_id=None)

    def read(self, number: int) -> PullRequestView:
        """A pull request, as it is now.

        :raises ForgeUnavailableError, ForgeRefusedError: the forge does not answer, or does not show it
        :raises NoPrivateRepositoryError, SecretError: the deployment's settings lead to none
        """
        forge = self._forge
        pull = forge.pull_request(number)
        comments = forge.comments(number, most=MOST_COMMENTS + 1)
        files = forge.changed_files(number, most=MOST_FILES + 1)
        said = [*map(_of_comment, comments), *map(_of_review, forge.reviews(number))]
        state = "merged" if pull.merged else "draft" if pull.draft and pull.state == "open" else pull.state
        return PullRequestView(
            pull=pull,
            state=state,
            kind={"merged": "good", "closed": "bad"}.get(state, "note"),
            description=passages(pull.body),
            checks=tuple(map(_check, sorted(forge.statuses(pull.head_sha).values(), key=lambda each: each.context))),
            remarks=tuple(sorted(said, key=lambda remark: remark.at)[:MOST_COMMENTS]),
            more_remarks=len(said) > MOST_COMMENTS,
            files=shown_files(files[:MOST_FILES]),
            more_files=len(files) > MOST_FILES,
        )

    @cached_property
    def _forge(self) -> ForgeClient:
        return self._context.private_side.forge_client(patience=PATIENCE, timeout=ANSWER_SECONDS)


def find_place(database: Database, viewer: Viewer, deployment: Deployment, submission: int) -> Place:
    """Where the pull request of a submission is, for its owner and the team.

    :raises PageNotFoundError: there is none, or they may not know of it: the two are told apart by nothing
    """
    context = Context(deployment=deployment, database=database, run_id=None)
    with database.session() as session:
        life = session.get(SubmissionLife, submission)
        if life is None or life.library not in context.homes or not viewer.sees_inside(life):
            raise PageNotFoundError("There is no such submission.", remedy="Sign in, if it is yours.")
        if life.pull_request is None:
            raise PageNotFoundError(
                "There is no pull request yet.", remedy=f"The page of submission {submission} says what comes next."
            )
        return Place(
            submission=submission,
            name=life.name,
            number=life.pull_request,
            private=life.private,
            url=life.pull_request_url or "",
            has_archive=life.archive_path is not None,
        )


def passages(text: str) -> tuple[Passage, ...]:
    """What somebody wrote, with what is fenced told from the rest. Nothing of it becomes HTML."""
    whole = printable(text.replace("\r\n", "\n").expandtabs(4))
    cut = whole[:LONGEST_TEXT]
    found, place = [], 0
    for fence in _FENCE.finditer(cut):
        found += [Passage(cut[place : fence.start()].strip(), fenced=False), Passage(fence[2].rstrip(), fenced=True)]
        place = fence.end()
    found.append(Passage(cut[place:].strip(), fenced=False))
    if len(whole) > len(cut):
        found.append(Passage(f"… and {len(whole) - len(cut):,} more characters, which are not shown.", fenced=False))
    return tuple(passage for passage in found if passage.text)


def shown_files(files: Sequence[ChangedFile]) -> tuple[File, ...]:
    """Files with their differences, as many lines in all as a page has room for."""
    room, shown = MOST_LINES, []
    for file in files:
        lines = (file.patch or "").split("\n") if file.patch else []
        taken = lines[: max(0, room)]
        room -= len(taken)
        shown.append(
            File(
                path=printable(file.path),
                status=file.status,
                previous_path=printable(file.previous_path),
                additions=file.additions,
                deletions=file.deletions,
                lines=tuple(map(_line, taken)),
                left_out=len(lines) - len(taken),
                why_none="" if lines else _why_none(file),
            )
        )
    return tuple(shown)


def _why_none(file: ChangedFile) -> str:
    if file.status == "renamed":
        return "Renamed, and not changed."
    return "It is empty, not text, or too long for the forge to show."


def _line(text: str) -> Line:
    kind = {"@": "hunk", "\\": "hunk", "+": "added", "-": "removed"}.get(text[:1], "same")
    return Line(kind, printable((text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]} …").expandtabs(4)))


def _check(status: Status) -> Check:
    return Check(
        context=status.context,
        kind=_KINDS.get(status.state, "note"),
        state=status.state,
        description=status.description,
        at=status.created_at,
    )


def _of_comment(comment: Comment) -> Remark:
    return Remark(comment.author, "", comment.created_at, passages(comment.body))


def _of_review(review: Review) -> Remark:
    did = _REVIEWS.get(review.state, "looked at it")
    return Remark(review.author, did, review.submitted_at, passages(review.body))
