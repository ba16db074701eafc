"""The locks of environments in the database, beside the scores that rest on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from brainscore_ops.database.ops_tables import EnvironmentLock, now
from brainscore_ops.scoring.locks import kept_lock

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from sqlalchemy.orm import Session


def record_locks(session: Session, state: Path, digests: Collection[str]) -> None:
    """Write the locks into the database that are not there yet: the state folder may be lost, the scores then say what of."""
    missing = set(digests) - set(
        session.scalars(select(EnvironmentLock.digest).where(EnvironmentLock.digest.in_(digests)))
    )
    for digest in sorted(missing):
        kept = kept_lock(state, digest)
        if kept is not None:
            row = {"digest": digest, "recorded_at": now(), **kept}
            session.execute(insert(EnvironmentLock).values(row).on_conflict_do_nothing())


def find_lock(session: Session, digest: str | None) -> str | None:
    """The text of a lock; None where it was never recorded."""
    row = session.get(EnvironmentLock, digest) if digest else None
    return row.text if row else None
