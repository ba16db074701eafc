"""Reviews of pull requests on the embedded forge: given, looked up, dismissed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_ops.forge.embedded.records import Review
from brainscore_ops.forge.embedded.store import account_of, insert, now, require

if TYPE_CHECKING:
    import sqlite3

    from brainscore_ops.forge.embedded.records import Account, Pull
    from brainscore_ops.forge.embedded.store import Store

STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
"""What somebody does → what the review is then."""


def add_review(store: Store, pull: Pull, author: Account, *, state: str, body: str, sha: str) -> Review:
    """Add a review of one head of a pull request."""
    values = {"pull": pull.id, "author": author.id, "body": body, "state": state, "sha": sha, "submitted_at": now()}
    with store.transaction() as connection:
        identity = insert(connection, "review", values)
        return _review(connection, connection.execute("SELECT * FROM review WHERE id = ?", (identity,)).fetchone())


def reviews_of(store: Store, pull: Pull) -> list[Review]:
    """The reviews of a pull request, oldest first."""
    with store.reading() as connection:
        rows = connection.execute("SELECT * FROM review WHERE pull = ? ORDER BY id", (pull.id,)).fetchall()
        return [_review(connection, row) for row in rows]


def dismiss_review(store: Store, review: Review) -> None:
    """Take the weight from a review; it stays to be read."""
    with store.transaction() as connection:
        connection.execute("UPDATE review SET state = 'DISMISSED' WHERE id = ?", (review.id,))


def standing_reviews(reviews: list[Review]) -> dict[str, Review]:
    """Login → the review that counts: the last that approves, asks for changes or was dismissed."""
    return {review.author.login: review for review in reviews if review.state != "COMMENTED"}


def _review(connection: sqlite3.Connection, row: sqlite3.Row) -> Review:
    number = connection.execute("SELECT number FROM pull WHERE id = ?", (row["pull"],)).fetchone()["number"]
    author = require(account_of(connection, "id = ?", row["author"]))
    return Review(row["id"], number, author, row["body"], row["state"], row["sha"], row["submitted_at"])
