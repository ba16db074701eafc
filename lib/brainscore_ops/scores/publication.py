"""What is published of a leaderboard: which revision a folder shows, and whether two databases show the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from brainscore_ops.scores.leaderboard import leaderboard

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database

PAGE = "index.html"
DATA = "data"
"""The folder of a published site that holds what programs read."""
SITE_FILE = "site.json"
"""In it: whose scores the site shows, and which revision of them."""


def published_revision(folder: Path) -> str | None:
    """The revision of the scores that the site in a folder shows; None where there is none."""
    about = folder / DATA / SITE_FILE
    if not ((folder / PAGE).exists() and about.exists()):
        return None
    revision: str | None = json.loads(about.read_text(encoding="utf-8")).get("revision")
    return revision


def published_bytes(source: Database | Session, *, domain: str) -> bytes:
    """What the public sees of a domain, as one text: the table first. Equal bytes are equal sites."""
    board = leaderboard(source, domain=domain)
    return f"{board.to_csv()}\n{board.to_json()}".encode()
