"""Webhooks of the embedded forge: what happened is written down for every hook that wants it, and delivered, signed.

A delivery is a row before it is a request: what was not delivered when the forge was killed is delivered after its next
start. One that fails is tried again a few times, and can be asked for again for ever.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.forge.embedded.comparison import full_document
from brainscore_ops.forge.embedded.documents import Documents
from brainscore_ops.forge.embedded.git import ABSENT
from brainscore_ops.forge.embedded.store import insert, now

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from brainscore_ops.forge.embedded.git import Commit
    from brainscore_ops.forge.embedded.records import Account, Comment, CommitStatus, Pull, RepositoryRecord, Review
    from brainscore_ops.forge.embedded.store import Store

EVENTS = frozenset(
    {"ping", "push", "pull_request", "pull_request_review", "issue_comment", "status", "repository_dispatch", "*"}
)
"""What a hook can ask for; ``*`` is everything."""

MAX_ATTEMPTS = 4
FIRST_RETRY_SECONDS = 1.0
"""The wait before the second attempt; it doubles with each."""
ANSWER_SECONDS = 10
"""How long the receiver has (GitHub's limit)."""
STOP_SECONDS = 2
ANSWER_LIMIT = 10_000
"""Bytes of the receiver's answer that are kept."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hook:
    """Where a repository's events are sent."""

    id: int
    repository: int
    url: str
    secret: str
    events: tuple[str, ...]
    active: bool
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one hook, or there."""

    id: int
    guid: str
    """The event's: the same for each time that it is delivered."""
    hook: int
    event: str
    action: str | None
    payload: str
    redelivery: bool
    attempts: int
    due_at: float | None
    """Seconds since 1970; None where nothing more is tried."""
    delivered_at: str
    duration: float
    status: str
    status_code: int
    """0 before the first attempt, and where nobody answered."""
    answer: str


def add_hook(
    store: Store, repository: RepositoryRecord, *, url: str, secret: str, events: tuple[str, ...], active: bool = True
) -> Hook:
    """Have a hook; one of the same address is brought up to date."""
    known = next((hook for hook in hooks_of(store, repository) if hook.url == url), None)
    moment = now()
    values = {"secret": secret, "events": json.dumps(events), "active": active, "updated_at": moment}
    with store.transaction() as connection:
        if known:
            connection.execute(
                "UPDATE hook SET secret = :secret, events = :events, active = :active, updated_at = :updated_at"
                " WHERE id = :id",
                values | {"id": known.id},
            )
            identity = known.id
        else:
            identity = insert(
                connection, "hook", values | {"repository": repository.id, "url": url, "created_at": moment}
            )
        return _hook(connection.execute("SELECT * FROM hook WHERE id = ?", (identity,)).fetchone())


def remove_hook(store: Store, hook: Hook) -> None:
    """Forget a hook with its deliveries."""
    with store.transaction() as connection:
        connection.execute("DELETE FROM hook WHERE id = ?", (hook.id,))


def hooks_of(store: Store, repository: RepositoryRecord) -> list[Hook]:
    """The hooks of a repository."""
    with store.reading() as connection:
        rows = connection.execute("SELECT * FROM hook WHERE repository = ? ORDER BY id", (repository.id,))
        return [_hook(row) for row in rows]


def deliveries_of(store: Store, hook: Hook) -> list[Delivery]:
    """What was or will be sent to a hook, newest first."""
    with store.reading() as connection:
        rows = connection.execute("SELECT * FROM delivery WHERE hook = ? ORDER BY id DESC", (hook.id,))
        return [_delivery(row) for row in rows]


def redeliver(store: Store, delivery: Delivery) -> None:
    """Send the same event once more."""
    with store.transaction() as connection:
        _enqueue(connection, delivery.hook, delivery.event, delivery.action, delivery.payload, guid=delivery.guid)


# What happened


def announce_pull(
    store: Store, record: RepositoryRecord, pull: Pull, action: str, sender: Account, **more: Any
) -> None:
    """A pull request was ``opened``, ``closed``, ``reopened``, ``synchronize``d, ``labeled`` …"""
    if not _is_wanted(store, record, "pull_request"):
        return
    documents = Documents(store, store.address)
    payload = {"action": action, "number": pull.number, "pull_request": full_document(documents, record, pull), **more}
    _announce(documents, record, "pull_request", action, payload, sender)


def announce_review(documents: Documents, record: RepositoryRecord, pull: Pull, review: Review) -> None:
    """A review was submitted."""
    document = documents.review(record, review) | {"state": review.state.lower()}
    payload = {"action": "submitted", "review": document, "pull_request": documents.pull(record, pull)}
    _announce(documents, record, "pull_request_review", "submitted", payload, review.author)


def announce_comment(documents: Documents, record: RepositoryRecord, pull: Pull, comment: Comment) -> None:
    """Somebody wrote a comment."""
    payload = {
        "action": "created",
        "issue": documents.issue(record, pull),
        "comment": documents.comment(record, comment),
    }
    _announce(documents, record, "issue_comment", "created", payload, comment.author)


def announce_status(documents: Documents, record: RepositoryRecord, status: CommitStatus) -> None:
    """A status was set."""
    git = documents.store.git(record)
    branches = [
        {
            "name": name.removeprefix("refs/heads/"),
            "commit": {"sha": sha, "url": f"{documents.repository(record)['url']}/commits/{sha}"},
            "protected": False,
        }
        for name, sha in git.references("refs/heads/").items()
        if sha == status.sha
    ]
    payload = {
        **{key: documents.simple_status(record, status)[key] for key in ("id", "description", "state", "context")},
        **{key: documents.simple_status(record, status)[key] for key in ("target_url", "created_at", "updated_at")},
        "sha": status.sha,
        "name": record.full_name,
        "commit": documents.commit(record, git.read_commit(status.sha)),
        "branches": branches[:10],
    }
    _announce(documents, record, "status", None, payload, status.creator)


def announce_dispatch(documents: Documents, record: RepositoryRecord, event_type: str, client_payload: Any) -> None:
    """Somebody asked for a ``repository_dispatch``."""
    payload = {"action": event_type, "branch": record.default_branch, "client_payload": client_payload}
    _announce(documents, record, "repository_dispatch", event_type, payload, record.owner)


def announce_ping(documents: Documents, record: RepositoryRecord, hook: Hook) -> None:
    """A hook was made, or is tried out."""
    payload = {"zen": "Keep it logically awesome.", "hook_id": hook.id, "hook": documents.hook(record, hook)}
    _announce(documents, record, "ping", None, payload, record.owner, only=hook)


def announce_pushes(store: Store, record: RepositoryRecord, pusher: Account | None = None) -> None:
    """What branches moved since this was asked last, whoever moved them."""
    git = store.git(record)
    heads = git.references("refs/heads/")
    with store.transaction() as connection:
        rows = connection.execute("SELECT name, sha FROM announced WHERE repository = ?", (record.id,))
        before = {row["name"]: row["sha"] for row in rows}
        moved = {name for name in before.keys() | heads.keys() if before.get(name) != heads.get(name)}
        for name in moved:
            connection.execute("DELETE FROM announced WHERE repository = ? AND name = ?", (record.id, name))
            if name in heads:
                connection.execute("INSERT INTO announced VALUES (?, ?, ?)", (record.id, name, heads[name]))
    if not _is_wanted(store, record, "push"):
        return
    for name in sorted(moved):
        payload = _push(store, record, name, before.get(name, ABSENT), heads.get(name, ABSENT), pusher or record.owner)
        _announce(Documents(store, store.address), record, "push", None, payload, pusher or record.owner)


def _push(store: Store, record: RepositoryRecord, name: str, old: str, new: str, pusher: Account) -> dict[str, Any]:
    git, html = store.git(record), f"{store.address}/{record.full_name}"
    added = [] if new == ABSENT else git.commits(new, *([f"^{old}"] if old != ABSENT else []), limit=20)[::-1]
    if old == ABSENT:
        added = added[-1:]

    def document(commit: Commit) -> dict[str, Any]:
        changes = git.changes(commit.parents[0], commit.sha, patches=False) if commit.parents else []
        return {
            "id": commit.sha,
            "tree_id": commit.tree,
            "distinct": True,
            "message": commit.message.strip(),
            "timestamp": commit.committer.when.isoformat(),
            "url": f"{html}/commit/{commit.sha}",
            **{
                role: {"name": person.name, "email": person.email, "username": _login(store, person.email)}
                for role, person in (("author", commit.author), ("committer", commit.committer))
            },
            "added": [change.path for change in changes if change.status == "added"],
            "removed": [change.path for change in changes if change.status == "removed"],
            "modified": [change.path for change in changes if change.status not in ("added", "removed")],
        }

    commits = [document(commit) for commit in added]
    return {
        "ref": name,
        "before": old,
        "after": new,
        "created": old == ABSENT,
        "deleted": new == ABSENT,
        "forced": ABSENT not in (old, new) and not git.is_ancestor(old, new),
        "base_ref": None,
        "compare": f"{html}/compare/{old[:12]}...{new[:12]}",
        "commits": commits,
        "head_commit": commits[-1] if commits else None,
        "pusher": {"name": pusher.login, "email": pusher.email},
    }


def _login(store: Store, email: str) -> str:
    account = store.account_by_email(email)
    return account.login if account else ""


def _is_wanted(store: Store, record: RepositoryRecord, event: str) -> bool:
    return any(hook.active and {event, "*"} & set(hook.events) for hook in hooks_of(store, record))


def _announce(
    documents: Documents,
    record: RepositoryRecord,
    event: str,
    action: str | None,
    payload: Mapping[str, Any],
    sender: Account,
    only: Hook | None = None,
) -> None:
    store = documents.store
    hooks = [only] if only else [hook for hook in hooks_of(store, record) if {event, "*"} & set(hook.events)]
    whole = {**payload, "repository": documents.repository(record), "sender": documents.account(sender)}
    guid = str(uuid.uuid4())
    with store.transaction() as connection:
        for hook in hooks:
            if hook.active:
                _enqueue(connection, hook.id, event, action, json.dumps(whole, ensure_ascii=False), guid=guid)


def _enqueue(
    connection: sqlite3.Connection, hook: int, event: str, action: str | None, payload: str, *, guid: str
) -> None:
    again = connection.execute("SELECT 1 FROM delivery WHERE guid = ? AND hook = ?", (guid, hook)).fetchone()
    values = {
        "guid": guid,
        "hook": hook,
        "event": event,
        "action": action,
        "payload": payload,
        "redelivery": again is not None,
        "attempts": 0,
        "due_at": time.time(),
        "delivered_at": now(),
        "duration": 0.0,
        "status": "pending",
        "status_code": 0,
        "answer": "",
    }
    insert(connection, "delivery", values)


# Delivering


def signature(secret: str, body: bytes) -> str:
    """``X-Hub-Signature-256``: by which a receiver that knows the secret knows who sent the body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Deliverer(threading.Thread):
    """Sends what is due, one after another, until it is stopped."""

    def __init__(self, store: Store) -> None:
        super().__init__(name="webhooks", daemon=True)
        self._store = store
        self._stop_asked = threading.Event()

    def run(self) -> None:
        """Deliver."""
        while not self._stop_asked.wait(0.1):
            try:
                for delivery, hook in _due(self._store):
                    if self._stop_asked.is_set():
                        return
                    _deliver(self._store, delivery, hook)
            except Exception:
                log.exception("webhooks are not delivered at the moment")
                self._stop_asked.wait(1)

    def stop(self) -> None:
        """End after what is being sent, if that is soon; otherwise it is sent again, under the same number, after a start."""
        self._stop_asked.set()
        self.join(STOP_SECONDS)


def _due(store: Store) -> list[tuple[Delivery, Hook]]:
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT * FROM delivery WHERE due_at IS NOT NULL AND due_at <= ? ORDER BY id LIMIT 50", (time.time(),)
        ).fetchall()
        hooks = {row["id"]: _hook(row) for row in connection.execute("SELECT * FROM hook")} if rows else {}
    return [(_delivery(row), hooks[row["hook"]]) for row in rows if row["hook"] in hooks]


def _deliver(store: Store, delivery: Delivery, hook: Hook) -> None:
    import requests

    body = delivery.payload.encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/embedded",
        "X-GitHub-Delivery": delivery.guid,
        "X-GitHub-Event": delivery.event,
        "X-GitHub-Hook-ID": str(hook.id),
        **({"X-Hub-Signature-256": signature(hook.secret, body)} if hook.secret else {}),
    }
    begun = time.monotonic()
    try:
        response = requests.post(hook.url, data=body, headers=headers, timeout=ANSWER_SECONDS, allow_redirects=False)
        code, status, answer = response.status_code, response.reason or "", response.text[:ANSWER_LIMIT]
    except requests.RequestException as error:
        code, status, answer = 0, f"failed to connect to host ({type(error).__name__})", ""
    attempts, fine = delivery.attempts + 1, 200 <= code < 300
    again = None if fine or attempts >= MAX_ATTEMPTS else time.time() + FIRST_RETRY_SECONDS * 2 ** (attempts - 1)
    with store.transaction() as connection:
        connection.execute(
            "UPDATE delivery SET attempts = ?, due_at = ?, delivered_at = ?, duration = ?, status = ?, status_code = ?,"
            " answer = ? WHERE id = ?",
            (attempts, again, now(), time.monotonic() - begun, status or str(code), code, answer, delivery.id),
        )


def _hook(row: sqlite3.Row) -> Hook:
    return Hook(**{**row, "events": tuple(json.loads(row["events"])), "active": bool(row["active"])})


def _delivery(row: sqlite3.Row) -> Delivery:
    return Delivery(**{**row, "redelivery": bool(row["redelivery"])})
