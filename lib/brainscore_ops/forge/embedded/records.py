"""What the embedded forge keeps beside git: its tables, and each row as a frozen dataclass."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = """
CREATE TABLE IF NOT EXISTS account (
    id INTEGER PRIMARY KEY,
    login TEXT NOT NULL UNIQUE COLLATE NOCASE,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    kind TEXT NOT NULL DEFAULT 'User',
    created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS token (
    digest TEXT PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account(id),
    scopes TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS repository (
    id INTEGER PRIMARY KEY,
    full_name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    owner INTEGER NOT NULL REFERENCES account(id),
    default_branch TEXT NOT NULL,
    private INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    pushed_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS pull (
    id INTEGER PRIMARY KEY,
    repository INTEGER NOT NULL REFERENCES repository(id),
    number INTEGER NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
    draft INTEGER NOT NULL,
    base_ref TEXT NOT NULL,
    base_sha TEXT NOT NULL,
    head_ref TEXT NOT NULL,
    head_sha TEXT NOT NULL,
    author INTEGER NOT NULL REFERENCES account(id),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    closed_at TEXT,
    merged_at TEXT,
    merger INTEGER REFERENCES account(id),
    merge_sha TEXT,
    UNIQUE (repository, number)
);
CREATE UNIQUE INDEX IF NOT EXISTS one_open_pull_of_a_branch
    ON pull (repository, head_ref, base_ref) WHERE state = 'open';
CREATE TABLE IF NOT EXISTS status (
    id INTEGER PRIMARY KEY,
    repository INTEGER NOT NULL REFERENCES repository(id),
    sha TEXT NOT NULL,
    context TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('error', 'failure', 'pending', 'success')),
    description TEXT,
    target_url TEXT,
    creator INTEGER NOT NULL REFERENCES account(id),
    created_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS status_of_commit ON status (repository, sha);
CREATE TABLE IF NOT EXISTS comment (
    id INTEGER PRIMARY KEY,
    pull INTEGER NOT NULL REFERENCES pull(id),
    author INTEGER NOT NULL REFERENCES account(id),
    body TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS comment_of_pull ON comment (pull);
CREATE TABLE IF NOT EXISTS label (
    id INTEGER PRIMARY KEY,
    repository INTEGER NOT NULL REFERENCES repository(id),
    name TEXT NOT NULL COLLATE NOCASE,
    color TEXT NOT NULL,
    description TEXT,
    UNIQUE (repository, name)
);
CREATE TABLE IF NOT EXISTS pull_label (
    pull INTEGER NOT NULL REFERENCES pull(id),
    label INTEGER NOT NULL REFERENCES label(id),
    PRIMARY KEY (pull, label)
);
CREATE TABLE IF NOT EXISTS review (
    id INTEGER PRIMARY KEY,
    pull INTEGER NOT NULL REFERENCES pull(id),
    author INTEGER NOT NULL REFERENCES account(id),
    body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('APPROVED', 'CHANGES_REQUESTED', 'COMMENTED', 'DISMISSED')),
    sha TEXT NOT NULL,
    submitted_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS review_of_pull ON review (pull);
CREATE TABLE IF NOT EXISTS collaborator (
    repository INTEGER NOT NULL REFERENCES repository(id),
    account INTEGER NOT NULL REFERENCES account(id),
    role TEXT NOT NULL CHECK (role IN ('none', 'read', 'triage', 'write', 'maintain', 'admin')),
    PRIMARY KEY (repository, account)
);
CREATE TABLE IF NOT EXISTS protection (
    repository INTEGER NOT NULL REFERENCES repository(id),
    branch TEXT NOT NULL,
    contexts TEXT NOT NULL,
    strict INTEGER NOT NULL,
    approvals INTEGER NOT NULL,
    PRIMARY KEY (repository, branch)
);
CREATE TABLE IF NOT EXISTS app (
    id INTEGER PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    bot INTEGER NOT NULL REFERENCES account(id),
    public_key TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS installation_token (
    digest TEXT PRIMARY KEY,
    app INTEGER NOT NULL REFERENCES app(id),
    expires_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS hook (
    id INTEGER PRIMARY KEY,
    repository INTEGER NOT NULL REFERENCES repository(id),
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    events TEXT NOT NULL,
    active INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY,
    guid TEXT NOT NULL,
    hook INTEGER NOT NULL REFERENCES hook(id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    action TEXT,
    payload TEXT NOT NULL,
    redelivery INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due_at REAL,
    delivered_at TEXT NOT NULL,
    duration REAL NOT NULL,
    status TEXT NOT NULL,
    status_code INTEGER NOT NULL,
    answer TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS announced (
    repository INTEGER NOT NULL REFERENCES repository(id),
    name TEXT NOT NULL,
    sha TEXT NOT NULL,
    PRIMARY KEY (repository, name)
);
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (due_at) WHERE due_at IS NOT NULL;
"""
"""Times are UTC in ISO 8601 with a Z, as the API shows them."""


@dataclass(frozen=True)
class Account:
    """A user, an organization or a bot."""

    id: int
    login: str
    name: str
    email: str
    kind: str
    created_at: str


@dataclass(frozen=True)
class Visitor:
    """Who makes a request: an account by a token, and what that token may do."""

    account: Account
    scopes: frozenset[str]
    is_app: bool = False
    """Whether the token is an app's, which is no user."""

    def may(self, scope: str) -> bool:
        """Whether the token holds a scope; ``repo`` holds all those of repositories."""
        return scope in self.scopes or (scope in _WITHIN_REPO and "repo" in self.scopes)


_WITHIN_REPO = frozenset({"repo:status", "public_repo"})


@dataclass(frozen=True)
class RepositoryRecord:
    """A repository; its git objects are in a folder of the store."""

    id: int
    full_name: str
    owner: Account
    default_branch: str
    private: bool
    created_at: str
    pushed_at: str

    @property
    def name(self) -> str:
        """The part of the full name behind the owner."""
        return self.full_name.split("/")[1]


@dataclass(frozen=True)
class Label:
    """A label of a repository."""

    id: int
    name: str
    color: str
    description: str | None


@dataclass(frozen=True)
class Pull:
    """A pull request within one repository."""

    id: int
    number: int
    title: str
    body: str
    state: str
    draft: bool
    base_ref: str
    base_sha: str
    head_ref: str
    head_sha: str
    author: Account
    created_at: str
    updated_at: str
    closed_at: str | None
    merged_at: str | None
    merger: Account | None
    merge_sha: str | None
    """The commit that merges it; noted before the base branch moves, so it counts only with `merged_at`."""
    labels: tuple[Label, ...]

    @property
    def merged(self) -> bool:
        """Whether its merge commit is on the base branch."""
        return self.merged_at is not None


@dataclass(frozen=True)
class CommitStatus:
    """What an account said of a commit under one context."""

    id: int
    sha: str
    context: str
    state: str
    description: str | None
    target_url: str | None
    creator: Account
    created_at: str


@dataclass(frozen=True)
class Comment:
    """A comment on a pull request."""

    id: int
    number: int
    author: Account
    body: str
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class App:
    """An app, known by its public key."""

    id: int
    slug: str
    bot: Account
    """The account that its tokens act as."""
    public_key: str
    created_at: str


@dataclass(frozen=True)
class Review:
    """What somebody judged of a pull request at one head."""

    id: int
    number: int
    author: Account
    body: str
    state: str
    """``APPROVED``, ``CHANGES_REQUESTED``, ``COMMENTED`` or ``DISMISSED``."""
    sha: str
    """The head that was judged; a later push leaves the review where it is."""
    submitted_at: str


@dataclass(frozen=True)
class Protection:
    """What a branch asks of a pull request that is to be merged into it."""

    contexts: tuple[str, ...]
    """The statuses that must have succeeded on the head."""
    strict: bool
    """Whether the head must hold all that the branch holds."""
    approvals: int
    """How many reviews of people with write access must approve it."""
