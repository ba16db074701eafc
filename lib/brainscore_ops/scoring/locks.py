"""The locks of environments: kept in files by whoever builds them, and in the database with the scores that rest on them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from brainscore_ops.database.ops_tables import EnvironmentLock, now
from brainscore_ops.plugins.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from sqlalchemy.orm import Session


def keep_lock(state: Path, text: str, digest: str, requirements_digest: str) -> None:
    """Keep an environment's lock in a file of the deployment's state, which compute nodes can write to."""
    path = _path(state, digest)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"text": text, "requirements_digest": requirements_digest}).encode())


def record_locks(session: Session, state: Path, digests: Collection[str]) -> None:
    """Write the locks into the database that are not there yet: the state folder may be lost, the scores then say what of."""
    missing = set(digests) - set(
        session.scalars(select(EnvironmentLock.digest).where(EnvironmentLock.digest.in_(digests)))
    )
    for digest in sorted(missing):
        path = _path(state, digest)
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            row = {"digest": digest, "recorded_at": now(), **kept}
            session.execute(insert(EnvironmentLock).values(row).on_conflict_do_nothing())


def find_lock(session: Session, digest: str | None) -> str | None:
    """The text of a lock; None where it was never recorded."""
    row = session.get(EnvironmentLock, digest) if digest else None
    return row.text if row else None


def _path(state: Path, digest: str) -> Path:
    return state / "locks" / f"{digest}.json"
