"""The one client for a forge: GitHub and the embedded forge alike, through PyGithub.

Every method states what should be true and does only what is missing, so that it can be repeated after a crash.
"""

from __future__ import annotations

import base64
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from brainscore_ops.errors import UsageError
from brainscore_ops.forge.conditional import make_conditional
from brainscore_ops.forge.credentials import AppAccess, AppCredentials
from brainscore_ops.forge.errors import (
    BranchTakenError,
    ForgeRefusedError,
    ForgeUnavailableError,
    HeadMovedError,
    NotMergeableError,
    UnknownPullRequestError,
)
from brainscore_ops.forge.retry import base_was_modified, said_by, with_patience

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import github.PullRequest
    from github import Github, InputGitTreeElement
    from github.CommitStatus import CommitStatus
    from github.File import File
    from github.IssueComment import IssueComment
    from github.PullRequestReview import PullRequestReview
    from github.Repository import Repository

PATIENCE = 120.0
"""Seconds that one call may wait for a forge that fails or limits its rate."""

REQUEST_TIMEOUT = 30
"""Seconds that the forge has for one answer."""

PAGE_SIZE = 100
"""Items of a page of a listing: GitHub's maximum."""

DESCRIPTION_LIMIT = 140
"""Characters of a status' description that GitHub accepts."""

COMMENT_LIMIT = 60_000
"""Characters of a comment; GitHub accepts 65,536."""

INLINE_LIMIT = 100_000
"""Bytes up to which a text file travels within the request that makes the tree, and not in one of its own."""

UPDATE_LOOKS, UPDATE_SECONDS = 30, 1.0
"""How often and at which distance a branch that the forge updates is looked at."""

_MARKER = re.compile(r"<!-- brainscore-ops: \S+ -->\s*\Z")

Result = TypeVar("Result")


@dataclass(frozen=True)
class Person:
    """Somebody in a commit."""

    name: str
    email: str


@dataclass(frozen=True)
class PullRequest:
    """A pull request as it was when it was read."""

    number: int
    title: str
    body: str
    state: str
    """``open`` or ``closed``."""
    merged: bool
    draft: bool
    base_ref: str
    base_sha: str
    """The base branch's commit that the forge compares the head with; it may lag behind the branch."""
    head_ref: str
    head_repository: str
    """``owner/name`` of the repository that the head branch is in; empty when it is gone."""
    head_sha: str
    author: str
    """The login of who opened it."""
    labels: tuple[str, ...]
    merge_sha: str | None
    """The commit on the base branch that holds it, once it is merged."""
    url: str
    """Its page for people."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Review:
    """What somebody judged of a pull request at one head."""

    author: str
    """The login; empty when the account is gone."""
    state: str
    """``APPROVED``, ``CHANGES_REQUESTED``, ``COMMENTED`` or ``DISMISSED``."""
    sha: str
    """The head that was judged: an approval of another head is none of this one."""
    body: str
    submitted_at: datetime


@dataclass(frozen=True)
class Account:
    """Somebody on the forge, as everybody may see them."""

    id: int
    """The forge's own number of the account, which it keeps when it is renamed."""
    login: str
    name: str
    email: str
    """Empty where it is kept private."""


@dataclass(frozen=True)
class Status:
    """What somebody said of a commit under one context."""

    context: str
    state: str
    """``success``, ``failure``, ``error`` or ``pending``."""
    description: str
    target_url: str
    creator: str
    """The login of who set it; empty when the account is gone."""
    created_at: datetime


@dataclass(frozen=True)
class Comment:
    """What somebody said below a pull request."""

    author: str
    """The login; empty when the account is gone."""
    body: str
    """Markdown, without the marker that our own comments are found by."""
    created_at: datetime


@dataclass(frozen=True)
class ChangedFile:
    """A file of a pull request, as its head has it and where it left its base."""

    path: str
    status: str
    """``added``, ``modified``, ``removed``, ``renamed``, …"""
    previous_path: str
    """Empty but for a file that was renamed or copied."""
    additions: int
    """Lines."""
    deletions: int
    """Lines."""
    patch: str | None
    """The difference's hunks; None for binary files, and for what the forge finds too long to show."""


class ForgeClient:
    """One repository on a forge.

    :param api_url: where the REST API begins: ``https://api.github.com``, or ``…/api/v3`` of an embedded forge
    :param repository: ``owner/name``
    :param token: of an account, where there is no `app`
    :param app: whose tokens are asked for, and renewed in time
    :param clone_url: where git fetches; by default what the API says
    :param patience: seconds that one call may wait for a forge that fails or limits its rate
    :param timeout: seconds that the forge has for one answer
    :param seconds_between_writes: the pace of writes; GitHub asks integrators for 1.0
    """

    def __init__(
        self,
        *,
        api_url: str,
        repository: str,
        token: str = "",
        app: AppCredentials | None = None,
        clone_url: str | None = None,
        patience: float = PATIENCE,
        timeout: int = REQUEST_TIMEOUT,
        seconds_between_writes: float = 0.0,
    ) -> None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise UsageError(f"Expected a repository as owner/name, found {repository!r}.")
        if any(urlsplit(url).username is not None for url in (api_url, clone_url or "")):
            raise UsageError("A URL of the forge carries credentials.", remedy="Give the URL without, the token alone.")
        self.api_url = api_url.rstrip("/")
        self.repository = repository
        if bool(token) == (app is not None):
            raise UsageError("Expected either a token or an app to be given for the forge.")
        self._token = token
        self._app = app
        self._clone_url = clone_url
        self._patience = patience
        self._timeout = timeout
        self._seconds_between_writes = seconds_between_writes

    def __repr__(self) -> str:
        return f"ForgeClient(api_url={self.api_url!r}, repository={self.repository!r})"

    @cached_property
    def clone_url(self) -> str:
        """Where git fetches this repository."""
        return self._clone_url or self._call(f"find {self.repository}", lambda: self._repository.clone_url)

    @cached_property
    def login(self) -> str:
        """The login of our account; empty where the forge does not tell (an app's token given as a token)."""
        if self._app_access is not None:
            return self._call("tell which app it is", self._app_access.login)
        try:
            return self._call("tell whose token it is", lambda: self._forge.get_user().login)
        except ForgeRefusedError as error:
            if error.code == "forge-forbidden":
                return ""
            raise

    def token(self) -> str:
        """A token that is good for now, for git."""
        if self._app_access is None:
            return self._token
        return self._call("renew the app's token", lambda: self._forge.requester.auth.token)  # type: ignore[union-attr]

    def default_branch(self) -> tuple[str, str]:
        """The name of the default branch and the SHA of its head."""

        def read() -> tuple[str, str]:
            repository = self._forge.get_repo(self.repository)
            return repository.default_branch, repository.get_branch(repository.default_branch).commit.sha

        return self._call(f"read the default branch of {self.repository}", read)

    def propose(
        self,
        *,
        branch: str,
        base_sha: str,
        files: Mapping[str, bytes],
        message: str,
        author: Person,
        when: datetime,
    ) -> str:
        """Have a branch with one commit that adds or replaces `files` on `base_sha`; its SHA.

        The same input makes the same commit. A branch that an earlier call made is recognised even when that call had
        an older base: its commit is then made again on the parent that it has, and must come out the same.

        :param files: path in the repository → content; all become regular files
        :param when: the commit's date for author and committer, aware of its time zone
        :raises BranchTakenError: the branch holds anything else
        """
        if when.tzinfo is None:
            raise UsageError("Expected a time with its time zone, found one without.")
        make = partial(self._make_commit, files=files, message=message, author=author, when=when.astimezone(UTC))

        def converge() -> str:
            head = self._branch_head(branch)
            if head is None:
                proposed = make(base_sha)
                self._create_branch(branch, proposed)
            else:
                parents = self._repository.get_git_commit(head).parents
                proposed = make(parents[0].sha if len(parents) == 1 else base_sha)
                if proposed != head:
                    raise BranchTakenError(
                        f"Expected the branch {branch} to be absent or to hold this proposal; its head is {head}.",
                        remedy="Delete the branch if nobody needs it, or go on by hand from what it holds.",
                    )
            return proposed

        return self._call(f"propose the branch {branch}", converge)

    def remove(self, folders: Collection[str], *, message: str, author: Person, when: datetime) -> str:
        """Have all files below some folders gone from the default branch, by one commit; the branch's head then.

        :param folders: from the repository's root
        :param when: the commit's date, aware of its time zone
        """
        from github import InputGitAuthor, InputGitTreeElement

        below = tuple(f"{folder}/" for folder in folders)

        def converge() -> str:
            branch = self._forge.get_repo(self.repository).default_branch
            reference = self._repository.get_git_ref(f"heads/{branch}")
            head = self._repository.get_git_commit(reference.object.sha)
            tree = self._repository.get_git_tree(head.tree.sha, recursive=True).tree
            gone = [
                InputGitTreeElement(each.path, each.mode, each.type, sha=None)
                for each in tree
                if each.type != "tree" and each.path.startswith(below)
            ]
            if not gone:
                return head.sha
            signature = InputGitAuthor(author.name, author.email, when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
            left = self._repository.create_git_tree(gone, head.tree)
            commit = self._repository.create_git_commit(message, left, [head], signature, signature)
            reference.edit(commit.sha, force=False)  # refused where somebody was faster: what he did stays
            return commit.sha

        return self._call(f"remove files from {self.repository}", converge)

    def open_pull_request(self, *, branch: str, title: str, body: str, labels: Sequence[str] = ()) -> PullRequest:
        """The pull request of a branch into the default branch; opened when there is none in any state.

        Of several, an open one counts before a closed one, then the newest. An open one gets the labels it lacks;
        title and body stay as people may have edited them.
        """

        def converge() -> PullRequest:
            pull = self._pull_of(branch) or self._create_pull(branch, title, body)
            missing = [name for name in labels if name not in {label.name for label in pull.labels}]
            if missing and pull.state == "open":
                pull.add_to_labels(*missing)
                pull = self._repository.get_pull(pull.number)
            return _pull_request(pull)

        return self._call(f"open the pull request of {branch}", converge)

    def pull_request(self, number: int) -> PullRequest:
        """One pull request, fresh.

        :raises UnknownPullRequestError: there is none of that number
        """
        try:
            return self._call(
                f"read pull request #{number}", lambda: _pull_request(self._repository.get_pull(number).complete())
            )
        except ForgeRefusedError as error:
            if error.code != "forge-not-found":
                raise
            raise UnknownPullRequestError(
                f"expected a pull request #{number} in {self.repository}, found none that our account may see",
                remedy="Look the number up; if it is right, check the deployment's repository and the account's permissions.",
            ) from None

    def pull_requests(self, state: str = "open") -> list[PullRequest]:
        """All pull requests that are ``open``, ``closed`` or ``all``, by number."""

        def read() -> list[PullRequest]:
            pulls = self._repository.get_pulls(state=state, sort="created", direction="asc")
            return [_pull_request(pull) for pull in pulls]

        return sorted(self._call(f"list the {state} pull requests", read), key=lambda pull: pull.number)

    def pull_requests_since(self, moment: datetime) -> list[PullRequest]:
        """The pull requests in any state that changed since a moment, by number; older ones are not read."""

        def read() -> list[PullRequest]:
            found = []
            for pull in self._repository.get_pulls(state="all", sort="updated", direction="desc"):
                if (pull.updated_at or pull.created_at) < moment:
                    break
                found.append(_pull_request(pull))
            return found

        return sorted(self._call("list the newest pull requests", read), key=lambda pull: pull.number)

    def reviews(self, number: int) -> list[Review]:
        """The reviews of a pull request, oldest first."""

        def read() -> list[Review]:
            return [_review(review) for review in self._repository.get_pull(number).get_reviews()]

        return self._call(f"read the reviews of pull request #{number}", read)

    def comments(self, number: int, *, most: int) -> list[Comment]:
        """The first comments below a pull request, oldest first; those that stand at lines of its files are not among them."""

        def read() -> list[Comment]:
            comments = self._repository.get_pull(number).get_issue_comments()
            return [_comment(comment) for comment in islice(comments, most)]

        return self._call(f"read the comments on pull request #{number}", read)

    def changed_files(self, number: int, *, most: int) -> list[ChangedFile]:
        """The first files that a pull request changes against where it left its base, as the forge orders them."""

        def read() -> list[ChangedFile]:
            files = self._repository.get_pull(number).get_files()
            return [_changed_file(file) for file in islice(files, most)]

        return self._call(f"read the files of pull request #{number}", read)

    def role(self, login: str) -> str:
        """What an account may do in the repository: ``admin``, ``maintain``, ``write``, ``triage``, ``read`` or ``none``.

        A role of an organization's own making is told by its name.
        """
        try:
            return self._call(
                f"tell what {login} may do", lambda: self._repository.get_collaborator_role_name(login) or "none"
            )
        except ForgeRefusedError as error:
            if error.code == "forge-not-found":  # no such account, or one that is gone
                return "none"
            raise

    def account(self, login: str) -> Account | None:
        """An account as everybody may see it; None where there is none of that login."""

        def read() -> Account:
            user = self._forge.get_user(login)
            return Account(user.id, user.login, user.name or "", user.email or "")

        try:
            return self._call(f"look {login} up", read)
        except ForgeRefusedError as error:
            if error.code == "forge-not-found":
                return None
            raise

    def update_branch(self, number: int, *, head_sha: str) -> str:
        """Have the base branch's commits in the head branch of a pull request; its head then.

        The forge merges after it answered: the new head is waited for.

        :param head_sha: the head that is brought up to date
        :raises HeadMovedError: the head is another commit, which does not hold that one
        :raises NotMergeableError: the base conflicts with it
        """

        def converge() -> str:
            pull = self._repository.get_pull(number).complete()
            if pull.head.sha != head_sha:
                # Our own update, whose answer was lost, has the old head as its first parent.
                parents = self._repository.get_git_commit(pull.head.sha).parents
                if len(parents) == 2 and parents[0].sha == head_sha:
                    return pull.head.sha
                raise HeadMovedError(
                    f"Expected pull request #{number} at {head_sha}; its head is {pull.head.sha}.",
                    remedy="Look at the new head.",
                )
            return _update(pull, head_sha)

        return self._call(f"bring pull request #{number} up to date", converge)

    def dispatch(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """Ask the repository's workflows for something. What is asked for twice may be done twice: it has to converge."""
        self._call(
            f"dispatch {event_type}",
            lambda: self._repository.create_repository_dispatch(event_type, dict(payload)),
        )

    def statuses(self, sha: str) -> dict[str, Status]:
        """Context → the newest status that was set under it on exactly this commit."""
        return self._call(f"read the statuses of {sha}", lambda: self._newest_statuses(sha))

    def set_status(self, sha: str, *, context: str, state: str, description: str, target_url: str = "") -> Status:
        """Say something of a commit; nothing is done when the same was said last by this account.

        :param description: cut to `DESCRIPTION_LIMIT`
        """
        description = _shortened(description, DESCRIPTION_LIMIT)

        def converge() -> Status:
            newest = self._newest_statuses(sha).get(context)
            # The same words of somebody else are not ours: who relies on a status looks at its creator.
            if newest and newest.creator == self.login != "":
                said = (newest.state, newest.description, newest.target_url)
                if said == (state, description, target_url):
                    return newest
            return _status(
                self._repository.get_commit(sha).create_status(
                    state, target_url=target_url, description=description, context=context
                )
            )

        return self._call(f"set the status {context} on {sha}", converge)

    def squash_merge(self, number: int, *, head_sha: str, title: str, message: str) -> str:
        """Merge a pull request as one commit, only if its head is exactly `head_sha`; the SHA of that commit.

        A pull request that is already merged from that head gives the commit that was recorded.

        :raises HeadMovedError: the head is another commit
        :raises NotMergeableError: it conflicts, is closed, or the forge's rules hold it back
        """

        def converge() -> str:
            pull = self._repository.get_pull(number).complete()
            if pull.head.sha != head_sha:
                raise HeadMovedError(
                    f"Expected pull request #{number} at {head_sha}; its head is {pull.head.sha}"
                    + (", and that was merged." if pull.merged else "."),
                    remedy="" if pull.merged else "Test the new head, then merge that.",
                )
            if pull.merged:
                return str(pull.merge_commit_sha)
            if pull.state != "open":
                raise NotMergeableError(f"Expected pull request #{number} to be open; it is closed.")
            try:
                return _merge(pull, head_sha, title, message)
            except (HeadMovedError, NotMergeableError):
                # Another process may have merged it between the two requests.
                now = self._repository.get_pull(number).complete()
                if now.merged and now.head.sha == head_sha:
                    return str(now.merge_commit_sha)
                raise

        return self._call(f"merge pull request #{number}", converge)

    def comment(self, number: int, *, key: str, body: str) -> None:
        """Have one comment of this account under `key` on a pull request, with this text.

        The comment is found again by a marker that readers do not see; what others wrote is never touched.
        """
        if not re.fullmatch(r"[A-Za-z0-9_./:]+(-[A-Za-z0-9_./:]+)*", key):
            raise UsageError(f"Expected a comment's key of letters, digits and _./:- (single), found {key!r}.")
        marker = f"<!-- brainscore-ops: {key} -->"
        text = f"{_shortened(body, COMMENT_LIMIT)}\n\n{marker}"

        def converge() -> None:
            pull = self._repository.get_pull(number)
            ours = [
                comment
                for comment in pull.get_issue_comments()
                if (comment.body or "").rstrip().endswith(marker)
                and self.login in ("", comment.user.login if comment.user else None)
            ]
            if not ours:
                pull.complete().create_issue_comment(text)
            elif ours[0].body != text:
                ours[0].edit(text)

        self._call(f"comment on pull request #{number}", converge)

    def close(self, number: int) -> None:
        """Have a pull request closed; one that is merged is closed already."""

        def converge() -> None:
            pull = self._repository.get_pull(number).complete()
            if pull.state == "open":
                pull.edit(state="closed")

        self._call(f"close pull request #{number}", converge)

    def reopen(self, number: int) -> None:
        """Have a pull request open; one that is merged stays as it is."""

        def converge() -> None:
            pull = self._repository.get_pull(number).complete()
            if pull.state == "closed" and not pull.merged:
                pull.edit(state="open")

        self._call(f"open pull request #{number} again", converge)

    # The forge

    def _call(self, what: str, operation: Callable[[], Result]) -> Result:
        return with_patience(operation, what=what, patience=self._patience)

    @cached_property
    def _forge(self) -> Github:
        from github import Auth, Github

        forge = Github(
            auth=self._app_access.authentication() if self._app_access else Auth.Token(self._token),
            per_page=PAGE_SIZE,
            lazy=True,  # an object is read when something of it is asked for
            **self._options,
        )
        make_conditional(forge.requester)
        return forge

    @property
    def _options(self) -> dict[str, Any]:
        return {
            "base_url": self.api_url,
            "timeout": self._timeout,
            "retry": None,  # `with_patience` stands around whole operations instead
            "seconds_between_requests": None,
            "seconds_between_writes": self._seconds_between_writes,
        }

    @cached_property
    def _app_access(self) -> AppAccess | None:
        return AppAccess(self._app, self.repository, **self._options) if self._app else None

    @cached_property
    def _repository(self) -> Repository:
        return self._forge.get_repo(self.repository)

    # Proposals

    def _make_commit(
        self, base_sha: str, *, files: Mapping[str, bytes], message: str, author: Person, when: datetime
    ) -> str:
        from github import InputGitAuthor

        base = self._repository.get_git_commit(base_sha)
        tree = self._repository.create_git_tree(
            [self._tree_element(path, content) for path, content in sorted(files.items())], base.tree
        )
        signature = InputGitAuthor(author.name, author.email, when.strftime("%Y-%m-%dT%H:%M:%SZ"))
        return self._repository.create_git_commit(message, tree, [base], signature, signature).sha

    def _tree_element(self, path: str, content: bytes) -> InputGitTreeElement:
        from github import InputGitTreeElement

        text = _as_text(content) if len(content) <= INLINE_LIMIT else None
        if text is not None:
            return InputGitTreeElement(path, "100644", "blob", content=text)
        blob = self._call(
            f"store the file {path}",
            lambda: self._repository.create_git_blob(base64.b64encode(content).decode(), "base64"),
        )
        return InputGitTreeElement(path, "100644", "blob", sha=blob.sha)

    def _branch_head(self, branch: str) -> str | None:
        from github import UnknownObjectException

        try:
            return self._repository.get_git_ref(f"heads/{branch}").object.sha
        except UnknownObjectException:
            return None

    def _create_branch(self, branch: str, sha: str) -> None:
        from github import GithubException

        try:
            self._repository.create_git_ref(f"refs/heads/{branch}", sha)
        except GithubException as error:
            # Somebody was faster, most likely this same proposal in another process.
            if error.status != HTTPStatus.UNPROCESSABLE_ENTITY or self._branch_head(branch) != sha:
                raise

    # Pull requests

    def _pull_of(self, branch: str) -> github.PullRequest.PullRequest | None:
        owner = self.repository.split("/")[0]
        pulls = self._repository.get_pulls(state="all", head=f"{owner}:{branch}")
        # GitHub ignores a head filter that it cannot read: look at the branch ourselves.
        own = [pull for pull in pulls if pull.head.ref == branch and pull.head.user.login == owner]
        return max(own, key=lambda pull: (pull.state == "open", pull.number), default=None)

    def _create_pull(self, branch: str, title: str, body: str) -> github.PullRequest.PullRequest:
        from github import GithubException

        base = self._repository.default_branch
        try:
            return self._repository.create_pull(base=base, head=branch, title=title, body=body)
        except GithubException as error:
            existing = self._pull_of(branch) if error.status == HTTPStatus.UNPROCESSABLE_ENTITY else None
            if existing is None:
                raise
            return existing

    # Statuses

    def _newest_statuses(self, sha: str) -> dict[str, Status]:
        newest: dict[str, Status] = {}
        for status in self._repository.get_commit(sha).get_statuses():
            newest.setdefault(status.context, _status(status))  # the forge answers newest first
        return newest


def _merge(pull: github.PullRequest.PullRequest, head_sha: str, title: str, message: str) -> str:
    from github import GithubException

    try:
        return pull.merge(commit_title=title, commit_message=message, merge_method="squash", sha=head_sha).sha
    except GithubException as error:
        said = said_by(error)
        if error.status == HTTPStatus.CONFLICT:
            raise HeadMovedError(
                f"Expected pull request #{pull.number} at {head_sha}; it moved just now. The forge says: {said}",
                remedy="Test the new head, then merge that.",
            ) from None
        if error.status == HTTPStatus.METHOD_NOT_ALLOWED and not base_was_modified(error):
            raise NotMergeableError(
                f"The forge does not merge pull request #{pull.number}: {said}",
                remedy="Resolve the conflicts with the base branch, or satisfy the branch's protection.",
            ) from None
        raise


def _pull_request(pull: github.PullRequest.PullRequest) -> PullRequest:
    # Only what a listing holds as well: anything else would cost one more request for each pull request.
    merged = pull.merged_at is not None
    return PullRequest(
        number=pull.number,
        title=pull.title,
        body=pull.body or "",
        state=pull.state,
        merged=merged,
        draft=pull.draft,
        base_ref=pull.base.ref,
        base_sha=pull.base.sha,
        head_ref=pull.head.ref,
        head_repository=pull.head.repo.full_name if pull.head.repo else "",
        head_sha=pull.head.sha,
        author=pull.user.login if pull.user else "",
        labels=tuple(label.name for label in pull.labels),
        merge_sha=pull.merge_commit_sha if merged else None,
        url=pull.html_url,
        created_at=pull.created_at,
        updated_at=pull.updated_at or pull.created_at,
    )


def _review(review: PullRequestReview) -> Review:
    return Review(
        author=review.user.login if review.user else "",
        state=review.state,
        sha=review.commit_id or "",
        body=review.body or "",
        submitted_at=review.submitted_at,
    )


def _comment(comment: IssueComment) -> Comment:
    return Comment(
        author=comment.user.login if comment.user else "",
        body=_MARKER.sub("", comment.body or "").rstrip(),
        created_at=comment.created_at,
    )


def _changed_file(file: File) -> ChangedFile:
    return ChangedFile(
        path=file.filename,
        status=file.status,
        previous_path=file.previous_filename or "",
        additions=file.additions,
        deletions=file.deletions,
        patch=file.patch,
    )


def _update(pull: github.PullRequest.PullRequest, head_sha: str) -> str:
    from github import GithubException

    try:
        # PyGithub's own update_branch keeps the forge's reason to itself.
        pull.requester.requestJsonAndCheck("PUT", f"{pull.url}/update-branch", input={"expected_head_sha": head_sha})
    except GithubException as error:
        said = said_by(error)
        if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
            raise
        if "no new commits" in said.lower():
            return head_sha
        if "expected head sha" in said.lower():
            raise HeadMovedError(
                f"Expected pull request #{pull.number} at {head_sha}; it moved just now.",
                remedy="Look at the new head.",
            ) from None
        raise NotMergeableError(
            f"The forge does not bring pull request #{pull.number} up to date: {said}",
            remedy="Its author has to resolve the conflicts with the base branch.",
        ) from None
    for _ in range(UPDATE_LOOKS):
        pull.update()
        if pull.head.sha != head_sha:
            return pull.head.sha
        time.sleep(UPDATE_SECONDS)
    raise ForgeUnavailableError(
        f"The forge was asked to bring pull request #{pull.number} up to date, and has not done so yet.",
        remedy="Run this again in a minute.",
    )


def _status(status: CommitStatus) -> Status:
    return Status(
        context=status.context,
        state=status.state,
        description=status.description or "",
        target_url=status.target_url or "",
        creator=status.creator.login if status.creator else "",
        created_at=status.created_at,
    )


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _as_text(content: bytes) -> str | None:
    """The content as a JSON document can carry it without change; None for anything but plain UTF-8."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
