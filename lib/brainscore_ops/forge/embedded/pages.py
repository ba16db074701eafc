"""Pages for people: repositories, files, commits and pull requests, rendered here and readable without a script."""

from __future__ import annotations

import asyncio
import mimetypes
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tornado.web import HTTPError, RequestHandler, StaticFileHandler

from brainscore_ops.forge.embedded.access import unmet_protection
from brainscore_ops.forge.embedded.api_repositories import newest_statuses
from brainscore_ops.forge.embedded.comparison import current_base, mergeable, pull_changes
from brainscore_ops.forge.embedded.git import EMPTY_TREE
from brainscore_ops.forge.embedded.pulls import refresh
from brainscore_ops.forge.embedded.reviews import reviews_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from brainscore_ops.forge.embedded.git import Commit, FileChange, GitRepository
    from brainscore_ops.forge.embedded.records import Comment, CommitStatus, Pull, RepositoryRecord, Review
    from brainscore_ops.forge.embedded.store import Store

TEMPLATES = Path(__file__).parent / "templates"

SHOWN_FILES = 300
"""Files of a difference that a page shows; the API lists them all."""

SHOWN_LINES = 400
"""Lines of a file's difference up to which it is unfolded."""

SHOWN_BYTES = 500_000
"""Bytes of a file that are shown as text."""


def routes(shared: dict[str, Any]) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """The pages' addresses; each is answered by a function of this file."""
    repository = r"/(?P<full_name>[\w.-]+/[\w.-]+)"
    pages: list[tuple[str, Page]] = [
        ("/", _home),
        (repository, _repository),
        (repository + r"/pulls", _repository),
        (repository + r"/pull/(?P<number>\d{1,9})", _pull),
        (repository + r"/commit/(?P<sha>[0-9a-f]{40})", _commit),
        (repository + r"/(?:tree|blob)/(?P<ref>[^/]+)(?P<path>/.*)?", _path),
    ]
    return [
        (r"/static/(style\.css)", StaticFileHandler, {"path": str(TEMPLATES)}),
        (r"/avatars/(?P<login>[^/]+)\.svg", AvatarHandler, {}),
        (repository + r"/raw/(?P<ref>[^/]+)/(?P<path>.*)", RawHandler, shared),
        *((pattern, PageHandler, shared | {"page": page}) for pattern, page in pages),
        ("/.*", PageHandler, shared | {"page": _missing}),
    ]


@dataclass(frozen=True)
class View:
    """A template and what it shows."""

    template: str
    title: str
    values: dict[str, Any]


if TYPE_CHECKING:
    Page = Callable[..., View]


class PageHandler(RequestHandler):
    """One kind of page."""

    def initialize(self, store: Store, executor: Executor, page: Page) -> None:
        """Take what all requests share, and what is shown."""
        self.store = store
        self.executor = executor
        self.page = page

    def set_default_headers(self) -> None:
        """Let nothing run or load that is not from here: titles, texts and files are strangers'."""
        self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'")
        self.set_header("X-Content-Type-Options", "nosniff")

    async def get(self, **parameters: str) -> None:
        """Show the page."""
        loop = asyncio.get_running_loop()
        view = await loop.run_in_executor(self.executor, lambda: self.page(self.store, **parameters))
        self.render(view.template, title=view.title, **_HELPERS, **view.values)

    def get_template_path(self) -> str:
        """Where the templates are."""
        return str(TEMPLATES)

    def write_error(self, status_code: int, **_kwargs: Any) -> None:
        """Say what is wrong in the look of the other pages."""
        self.render("error.html", title=f"{status_code}", status=HTTPStatus(status_code), **_HELPERS)


class RawHandler(RequestHandler):
    """A file's bytes, never as anything that a browser would run."""

    def initialize(self, store: Store, executor: Executor) -> None:
        """Take what all requests share."""
        self.store = store
        self.executor = executor

    async def get(self, full_name: str, ref: str, path: str) -> None:
        """Send the file."""
        content = await asyncio.get_running_loop().run_in_executor(
            self.executor, lambda: _read(_open(self.store, full_name)[1], ref, path)
        )
        kind = mimetypes.guess_type(path)[0] or ""
        self.set_header("Content-Type", kind if kind in _IMAGES else "text/plain; charset=utf-8")
        self.set_header("Content-Security-Policy", "default-src 'none'; sandbox")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.write(content)


class AvatarHandler(RequestHandler):
    """A picture for an account: its initial on a colour of its own."""

    def get(self, login: str) -> None:
        """Draw it."""
        hue = sum(ord(character) * 37 for character in login) % 360
        initial = re.sub(r"\W", "", login)[:1].upper() or "?"
        self.set_header("Content-Type", "image/svg+xml")
        self.set_header("Cache-Control", "max-age=3600")
        self.write(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">'
            f'<rect width="40" height="40" fill="hsl({hue} 45% 45%)"/>'
            '<text x="20" y="27" font-family="sans-serif" font-size="20" fill="#fff" text-anchor="middle">'
            f"{initial}</text></svg>"
        )


# The pages


def _home(store: Store) -> View:
    public = [record for record in store.repositories() if not record.private]
    return View(
        "home.html", "Repositories", {"repositories": [(record, _open_pulls(store, record)) for record in public]}
    )


def _repository(store: Store, full_name: str) -> View:
    record, git = _open(store, full_name)
    refresh(store, record)
    head = git.reference(f"refs/heads/{record.default_branch}")
    values = {
        "record": record,
        "head": head,
        "entries": _sorted_entries(git, head) if head else [],
        "commits": git.commits(head, limit=15) if head else [],
        "pulls": store.pulls(record)[::-1],
        "branches": [name.removeprefix("refs/heads/") for name in sorted(git.references("refs/heads/"))],
    }
    return View("repository.html", record.full_name, values)


def _pull(store: Store, full_name: str, number: str) -> View:
    record, git = _open(store, full_name)
    refresh(store, record)
    pull = store.pull(record, int(number))
    if pull is None:
        raise HTTPError(HTTPStatus.NOT_FOUND)
    changes = pull_changes(git, pull)
    values = {
        "record": record,
        "pull": pull,
        "word": _word(pull),
        "commits": git.commits(pull.head_sha, f"^{current_base(git, pull)}")[::-1],
        "statuses": _statuses(store, record, pull.head_sha),
        "talk": _talk(store, pull),
        "merges": mergeable(git, pull) if pull.state == "open" else None,
        "asked": unmet_protection(store, record, git, pull) if pull.state == "open" else "",
        **_difference(changes, pull.head_sha),
    }
    return View("pull.html", f"{pull.title} #{pull.number}", values)


def _commit(store: Store, full_name: str, sha: str) -> View:
    record, git = _open(store, full_name)
    if git.kind(sha) != "commit":
        raise HTTPError(HTTPStatus.NOT_FOUND)
    commit = git.read_commit(sha)
    changes = git.changes(commit.parents[0] if commit.parents else EMPTY_TREE, sha)
    statuses = _statuses(store, record, sha)
    values = {"record": record, "commit": commit, "statuses": statuses, **_difference(changes, sha)}
    return View("commit.html", _subject(commit), values)


def _path(store: Store, full_name: str, ref: str, path: str | None) -> View:
    record, git = _open(store, full_name)
    place = (path or "").strip("/")
    kind = git.path_kind(_require_commit(git, ref), place)
    values: dict[str, Any] = {"record": record, "ref": ref, "path": place}
    if kind == "tree":
        return View("tree.html", place or record.full_name, values | {"entries": _sorted_entries(git, ref, place)})
    content = _read(git, ref, place)
    text = None if b"\0" in content[:8000] or len(content) > SHOWN_BYTES else content.decode("utf-8", "replace")
    return View("blob.html", place, values | {"text": text, "size": len(content)})


def _missing(_store: Store) -> View:
    raise HTTPError(HTTPStatus.NOT_FOUND)


# What they show


@dataclass(frozen=True)
class Line:
    """A line of a difference: `kind` is ``hunk``, ``added``, ``removed`` or ``same``."""

    kind: str
    old: int | None
    new: int | None
    text: str


def diff_lines(patch: str) -> list[Line]:
    """The lines of one file's hunks, numbered on both sides."""
    lines: list[Line] = []
    old = new = 0
    for text in patch.split("\n"):
        header = re.match(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@", text)
        if header:
            old, new = int(header[1]), int(header[2])
            lines.append(Line("hunk", None, None, text))
        elif text.startswith("+"):
            lines.append(Line("added", None, new, text[1:]))
            new += 1
        elif text.startswith("-"):
            lines.append(Line("removed", old, None, text[1:]))
            old += 1
        elif text.startswith("\\"):
            lines.append(Line("hunk", None, None, text[2:]))
        else:
            lines.append(Line("same", old, new, text[1:]))
            old, new = old + 1, new + 1
    return lines


def _difference(changes: list[FileChange], head: str) -> dict[str, Any]:
    return {
        "head": head,
        "files": [(change, diff_lines(change.patch) if change.patch else []) for change in changes[:SHOWN_FILES]],
        "more_files": max(0, len(changes) - SHOWN_FILES),
        "total_files": len(changes),
        "additions": sum(change.additions for change in changes),
        "deletions": sum(change.deletions for change in changes),
        "shown_lines": SHOWN_LINES,
    }


def _statuses(store: Store, record: RepositoryRecord, sha: str) -> list[CommitStatus]:
    return sorted(newest_statuses(store.statuses(record, sha)), key=lambda status: status.context)


def _talk(store: Store, pull: Pull) -> list[Comment | Review]:
    """Comments and reviews in the order in which they were written."""
    said: list[tuple[str, Comment | Review]] = [(comment.created_at, comment) for comment in store.comments(pull)]
    said += [(review.submitted_at, review) for review in reviews_of(store, pull)]
    return [entry for _, entry in sorted(said, key=lambda pair: pair[0])]


def _open(store: Store, full_name: str) -> tuple[RepositoryRecord, GitRepository]:
    record = store.repository(full_name)
    if record is None or record.private:
        raise HTTPError(HTTPStatus.NOT_FOUND)
    return record, store.git(record)


def _open_pulls(store: Store, record: RepositoryRecord) -> int:
    return len(store.pulls(record, state="open"))


def _require_commit(git: GitRepository, ref: str) -> str:
    sha = git.resolve(ref)
    if sha is None:
        raise HTTPError(HTTPStatus.NOT_FOUND)
    return sha


def _read(git: GitRepository, ref: str, path: str) -> bytes:
    content = git.read_path(_require_commit(git, ref), path)
    if content is None:
        raise HTTPError(HTTPStatus.NOT_FOUND)
    return content


def _sorted_entries(git: GitRepository, ref: str, path: str = "") -> list[tuple[str, str]]:
    """(kind, name) of a folder, folders first."""
    entries = git.read_tree(f"{_require_commit(git, ref)}:{path}")
    return sorted(((entry.kind, entry.path) for entry in entries), key=lambda entry: (entry[0] != "tree", entry[1]))


def _word(pull: Pull) -> str:
    if pull.merged:
        return "merged"
    return "draft" if pull.draft and pull.state == "open" else pull.state


def _subject(commit: Commit) -> str:
    return commit.message.strip().split("\n")[0] or "(no message)"


def _rest(commit: Commit) -> str:
    return commit.message.strip().partition("\n")[2].strip()


def _markdown(text: str) -> str:
    """Markdown as HTML; HTML within it is shown as text, and comments in it not at all."""
    import mistune

    visible = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return str(mistune.create_markdown(escape=True, plugins=["strikethrough", "table", "task_lists", "url"])(visible))


def _when(moment: str | datetime) -> str:
    time = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return time.astimezone(UTC).strftime("%d %b %Y, %H:%M UTC")


_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})

_HELPERS: dict[str, Any] = {
    "markdown": _markdown,
    "quote": quote,
    "rest_of": _rest,
    "subject_of": _subject,
    "when": _when,
    "word_of": _word,
}
