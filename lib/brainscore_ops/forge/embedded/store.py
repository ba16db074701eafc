"""All that the embedded forge keeps: accounts, tokens, repositories and their records in one folder.

``forge.sqlite`` holds the records (what was answered survives a kill), ``repositories/`` the bare
repositories. Any number of processes may use one store at a time.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from brainscore_ops.errors import UsageError
from brainscore_ops.forge.embedded.git import ABSENT, GitRepository, Signature, TreeEntry
from brainscore_ops.forge.embedded.records import (
    SCHEMA,
    Account,
    Comment,
    CommitStatus,
    Label,
    Pull,
    RepositoryRecord,
    Visitor,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from brainscore_ops.forge.client import Person

SCOPES = frozenset({"repo", "repo:status", "public_repo", "read:user", "user:email"})
"""What a token may hold; ``repo`` reads and writes everything of repositories."""

LABEL_COLOR = "ededed"
"""The colour that GitHub gives a label that nobody defined."""


Record = TypeVar("Record")


class Store:
    """The folder `root`; created with its tables when it is missing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.address = "http://forge.localhost"
        """Where a server of this store is reached; the server says so when it starts."""
        self._database = root / "forge.sqlite"
        (root / "repositories").mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(SCHEMA)

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    # Setting up: each of these can be repeated.

    def create_user(self, login: str, name: str, email: str, *, kind: str = "User") -> Account:
        """Have an account; name and e-mail are brought up to date."""
        _require_name(login)
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO account (login, name, email, kind, created_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (login) DO UPDATE SET name = excluded.name, email = excluded.email",
                (login, name, email, kind, now()),
            )
            return require(account_of(connection, "login = ?", login))

    def create_token(self, login: str, scopes: Iterable[str] = ("repo",)) -> str:
        """A new token of an account. Only its digest is kept: it cannot be shown again."""
        scopes = sorted({scopes} if isinstance(scopes, str) else set(scopes))
        if unknown := set(scopes) - SCOPES:
            raise UsageError(f"Expected scopes among {sorted(SCOPES)}; found {sorted(unknown)}.")
        token = "bsf_" + secrets.token_urlsafe(30)
        with self.transaction() as connection:
            account = account_of(connection, "login = ?", login)
            if account is None:
                raise UsageError(f"There is no user {login!r}.", remedy="Create the user first: Store.create_user.")
            connection.execute(
                "INSERT INTO token (digest, account, scopes, created_at) VALUES (?, ?, ?, ?)",
                (digest(token), account.id, " ".join(scopes), now()),
            )
        return token

    def create_repository(
        self, full_name: str, default_branch: str = "main", *, private: bool = False
    ) -> RepositoryRecord:
        """Have a repository; its owner becomes an organization when there is no account of that name."""
        owner, _, name = full_name.partition("/")
        _require_name(owner)
        _require_name(name)
        with self.transaction() as connection:
            moment = now()
            connection.execute(
                "INSERT INTO account (login, name, email, kind, created_at) VALUES (?, ?, ?, 'Organization', ?)"
                " ON CONFLICT (login) DO NOTHING",
                (owner, owner, f"{owner}@users.noreply.localhost", moment),
            )
            connection.execute(
                "INSERT INTO repository (full_name, owner, default_branch, private, created_at, pushed_at)"
                " SELECT ?, id, ?, ?, ?, ? FROM account WHERE login = ? ON CONFLICT (full_name) DO NOTHING",
                (full_name, default_branch, private, moment, moment, owner),
            )
            record = require(_repository(connection, full_name))
        self.git(record).create(record.default_branch)
        return record

    def import_folder(self, full_name: str, folder: Path, *, message: str, author: Person, when: datetime) -> str:
        """Have the files of a folder as the first commit of the default branch; its SHA.

        The same files, message, author and time make the same commit. Nothing is done when the default branch's first
        commit is that one, however far the branch has gone since.

        :raises UsageError: the branch has another history
        """
        record = self.repository(full_name)
        if record is None:
            raise UsageError(f"There is no repository {full_name}.", remedy="Create it: Store.create_repository.")
        git = self.git(record)
        tree = git.write_tree(_folder_entries(git, folder))
        signature = Signature(author.name, author.email, when)
        sha = git.write_commit(tree, [], message, author=signature, committer=signature)
        branch = f"refs/heads/{record.default_branch}"
        head = git.reference(branch)
        if head is None:
            git.update_reference(branch, sha, old=ABSENT)
            with self.transaction() as connection:  # nobody is told of how a repository began
                connection.execute("INSERT OR REPLACE INTO announced VALUES (?, ?, ?)", (record.id, branch, sha))
        elif not git.is_ancestor(sha, head):
            raise UsageError(
                f"Expected {record.default_branch} of {full_name} to be empty or to begin with {sha}; it is at {head}.",
                remedy="Import into a new repository, or push the change as a commit.",
            )
        return sha

    # Reading and writing

    def git(self, record: RepositoryRecord) -> GitRepository:
        """The git side of a repository."""
        return GitRepository(self.root / "repositories" / f"{record.full_name}.git")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection that alone may write; what was done is kept if the block ends without an error."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to look something up with."""
        with closing(self._connect()) as connection:
            yield connection

    def visitor(self, token: str) -> Visitor | None:
        """Who a token belongs to; None when it is unknown or has ended."""
        with self.reading() as connection:
            row = connection.execute("SELECT account, scopes FROM token WHERE digest = ?", (digest(token),)).fetchone()
            if row is not None:
                return Visitor(
                    require(account_of(connection, "id = ?", row["account"])), frozenset(row["scopes"].split())
                )
            row = connection.execute(
                "SELECT bot FROM installation_token JOIN app ON app.id = app WHERE digest = ? AND expires_at > ?",
                (digest(token), now()),
            ).fetchone()
            if row is None:
                return None
            return Visitor(require(account_of(connection, "id = ?", row["bot"])), frozenset({"repo"}), is_app=True)

    def account(self, login: str) -> Account | None:
        """An account by its login."""
        with closing(self._connect()) as connection:
            return account_of(connection, "login = ?", login)

    def account_by_email(self, email: str) -> Account | None:
        """The account that commits of an e-mail address belong to."""
        with closing(self._connect()) as connection:
            return account_of(connection, "email = ? COLLATE NOCASE", email) if email else None

    def repository(self, full_name: str) -> RepositoryRecord | None:
        """A repository by ``owner/name``."""
        with closing(self._connect()) as connection:
            return _repository(connection, full_name)

    def repositories(self) -> list[RepositoryRecord]:
        """All repositories by name."""
        with closing(self._connect()) as connection:
            names = [row["full_name"] for row in connection.execute("SELECT full_name FROM repository ORDER BY 1")]
            return [require(_repository(connection, name)) for name in names]

    def pulls(self, repository: RepositoryRecord, *, state: str = "all") -> list[Pull]:
        """The pull requests of a repository by number."""
        with closing(self._connect()) as connection:
            rows = connection.execute(
                "SELECT * FROM pull WHERE repository = ? AND ? IN (state, 'all') ORDER BY number",
                (repository.id, state),
            ).fetchall()
            return [_pull(connection, row) for row in rows]

    def pull(self, repository: RepositoryRecord, number: int) -> Pull | None:
        """A pull request by its number."""
        with closing(self._connect()) as connection:
            row = connection.execute(
                "SELECT * FROM pull WHERE repository = ? AND number = ?", (repository.id, number)
            ).fetchone()
            return _pull(connection, row) if row else None

    def add_pull(
        self, repository: RepositoryRecord, author: Account, *, title: str, body: str, draft: bool, **refs: str
    ) -> Pull:
        """Add an open pull request under the next number.

        :param refs: base_ref, base_sha, head_ref, head_sha
        """
        with self.transaction() as connection:
            moment = now()
            number = connection.execute(
                "SELECT COALESCE(MAX(number), 0) + 1 FROM pull WHERE repository = ?", (repository.id,)
            ).fetchone()[0]
            values = {
                "repository": repository.id,
                "number": number,
                "title": title,
                "body": body,
                "state": "open",
                "draft": draft,
                "author": author.id,
                "created_at": moment,
                "updated_at": moment,
                **refs,
            }
            insert(connection, "pull", values)
            row = connection.execute(
                "SELECT * FROM pull WHERE repository = ? AND number = ?", (repository.id, number)
            ).fetchone()
            return _pull(connection, row)

    def change_pull(self, pull: Pull, **values: Any) -> None:
        """Set columns of a pull request."""
        with self.transaction() as connection:
            columns = ", ".join(f"{name} = ?" for name in values)
            connection.execute(
                f"UPDATE pull SET {columns}, updated_at = ? WHERE id = ?",  # noqa: S608 (names are our own)
                (*values.values(), now(), pull.id),
            )

    def statuses(self, repository: RepositoryRecord, sha: str) -> list[CommitStatus]:
        """The statuses of a commit, newest first."""
        with closing(self._connect()) as connection:
            rows = connection.execute(
                "SELECT * FROM status WHERE repository = ? AND sha = ? ORDER BY id DESC", (repository.id, sha)
            ).fetchall()
            return [_status(connection, row) for row in rows]

    def add_status(
        self,
        repository: RepositoryRecord,
        creator: Account,
        *,
        sha: str,
        context: str,
        state: str,
        description: str | None,
        target_url: str | None,
    ) -> CommitStatus:
        """Add a status."""
        values = {
            "repository": repository.id,
            "creator": creator.id,
            "sha": sha,
            "context": context,
            "state": state,
            "description": description,
            "target_url": target_url,
            "created_at": now(),
        }
        with self.transaction() as connection:
            identity = insert(connection, "status", values)
            return _status(connection, connection.execute("SELECT * FROM status WHERE id = ?", (identity,)).fetchone())

    def comments(self, pull: Pull) -> list[Comment]:
        """The comments of a pull request, oldest first."""
        with closing(self._connect()) as connection:
            rows = connection.execute("SELECT * FROM comment WHERE pull = ? ORDER BY id", (pull.id,)).fetchall()
            return [_comment(connection, row) for row in rows]

    def comment(self, repository: RepositoryRecord, identity: int) -> Comment | None:
        """A comment by its id, if it is one of this repository."""
        with closing(self._connect()) as connection:
            row = connection.execute(
                "SELECT comment.* FROM comment JOIN pull ON pull.id = comment.pull"
                " WHERE comment.id = ? AND pull.repository = ?",
                (identity, repository.id),
            ).fetchone()
            return _comment(connection, row) if row else None

    def add_comment(self, pull: Pull, author: Account, body: str) -> Comment:
        """Add a comment to a pull request."""
        moment = now()
        values = {
            "pull": pull.id,
            "author": author.id,
            "body": body,
            "created_at": moment,
            "updated_at": moment,
        }
        with self.transaction() as connection:
            identity = insert(connection, "comment", values)
            row = connection.execute("SELECT * FROM comment WHERE id = ?", (identity,)).fetchone()
            return _comment(connection, row)

    def change_comment(self, comment: Comment, body: str) -> None:
        """Replace a comment's text."""
        with self.transaction() as connection:
            connection.execute("UPDATE comment SET body = ?, updated_at = ? WHERE id = ?", (body, now(), comment.id))

    def labels(self, repository: RepositoryRecord) -> list[Label]:
        """The labels of a repository by name."""
        with closing(self._connect()) as connection:
            rows = connection.execute("SELECT * FROM label WHERE repository = ? ORDER BY name", (repository.id,))
            return [_label(row) for row in rows]

    def add_label(
        self, repository: RepositoryRecord, name: str, *, color: str = LABEL_COLOR, description: str | None = None
    ) -> Label | None:
        """Add a label to a repository; None when there is one of that name."""
        values = {"repository": repository.id, "name": name, "color": color, "description": description}
        with self.transaction() as connection:
            try:
                identity = insert(connection, "label", values)
            except sqlite3.IntegrityError:
                return None
            return _label(connection.execute("SELECT * FROM label WHERE id = ?", (identity,)).fetchone())

    def set_pull_labels(self, repository: RepositoryRecord, pull: Pull, names: Sequence[str]) -> None:
        """Make these the labels of a pull request; a label that the repository lacks is added to it, as GitHub does."""
        for name in names:
            self.add_label(repository, name)
        with self.transaction() as connection:
            connection.execute("DELETE FROM pull_label WHERE pull = ?", (pull.id,))
            connection.executemany(
                "INSERT OR IGNORE INTO pull_label SELECT ?, id FROM label WHERE repository = ? AND name = ?",
                [(pull.id, repository.id, name) for name in names],
            )
            connection.execute("UPDATE pull SET updated_at = ? WHERE id = ?", (now(), pull.id))

    def note_push(self, repository: RepositoryRecord) -> None:
        """Remember that references moved."""
        with self.transaction() as connection:
            connection.execute("UPDATE repository SET pushed_at = ? WHERE id = ?", (now(), repository.id))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._database, timeout=30, isolation_level=None)
        connection.row_factory = sqlite3.Row
        # With the write-ahead log a commit survives the end of the process; only a loss of power may undo the last ones.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


def now() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _require_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(\[bot\])?", name) or name.endswith(".git"):
        raise UsageError(f"Expected a name of letters, digits and _.- for an account or a repository, found {name!r}.")


def digest(token: str) -> str:
    """What is kept of a token."""
    # A token has 240 random bits: there is nothing to guess, so no slow hash is needed.
    return hashlib.sha256(token.encode()).hexdigest()


def _folder_entries(git: GitRepository, folder: Path) -> Iterator[TreeEntry]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            yield TreeEntry(name, "120000", "blob", git.write_blob(bytes(path.readlink())))
        elif path.is_file():
            mode = "100755" if path.stat().st_mode & 0o100 else "100644"
            yield TreeEntry(name, mode, "blob", git.write_blob(path.read_bytes()))


def insert(connection: sqlite3.Connection, table: str, values: dict[str, Any]) -> int:
    """Add a row; its number."""
    columns, marks = ", ".join(values), ", ".join("?" for _ in values)
    statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 (names are our own)
    return int(connection.execute(statement, tuple(values.values())).lastrowid or 0)


def account_of(connection: sqlite3.Connection, condition: str, value: object) -> Account | None:
    """The account that a condition on its columns finds."""
    row = connection.execute(f"SELECT * FROM account WHERE {condition}", (value,)).fetchone()  # noqa: S608
    return Account(**row) if row else None


def accounts(store: Store) -> list[Account]:
    """Every account, in the order of their numbers."""
    with store.reading() as connection:
        return [Account(**row) for row in connection.execute("SELECT * FROM account ORDER BY id")]


def _repository(connection: sqlite3.Connection, full_name: str) -> RepositoryRecord | None:
    row = connection.execute("SELECT * FROM repository WHERE full_name = ?", (full_name,)).fetchone()
    if row is None:
        return None
    owner = require(account_of(connection, "id = ?", row["owner"]))
    return RepositoryRecord(**{**row, "owner": owner, "private": bool(row["private"])})


def _pull(connection: sqlite3.Connection, row: sqlite3.Row) -> Pull:
    labels = connection.execute(
        "SELECT label.* FROM label JOIN pull_label ON pull_label.label = label.id"
        " WHERE pull_label.pull = ? ORDER BY label.name",
        (row["id"],),
    )
    values = {name: row[name] for name in row.keys() if name != "repository"}  # noqa: SIM118 (a Row is no mapping)
    values |= {
        "draft": bool(row["draft"]),
        "author": require(account_of(connection, "id = ?", row["author"])),
        "merger": account_of(connection, "id = ?", row["merger"]),
        "labels": tuple(_label(label) for label in labels),
    }
    return Pull(**values)


def _status(connection: sqlite3.Connection, row: sqlite3.Row) -> CommitStatus:
    values = {name: row[name] for name in row.keys() if name != "repository"}  # noqa: SIM118
    return CommitStatus(**values | {"creator": require(account_of(connection, "id = ?", row["creator"]))})


def _comment(connection: sqlite3.Connection, row: sqlite3.Row) -> Comment:
    number = connection.execute("SELECT number FROM pull WHERE id = ?", (row["pull"],)).fetchone()["number"]
    author = require(account_of(connection, "id = ?", row["author"]))
    return Comment(row["id"], number, author, row["body"], row["created_at"], row["updated_at"])


def _label(row: sqlite3.Row) -> Label:
    return Label(row["id"], row["name"], row["color"], row["description"])


def require(record: Record | None) -> Record:
    """A row that is there because it was just written, or is referred to."""
    if record is None:
        raise AssertionError("the row that was just written or is referred to exists")
    return record
