"""The locks of environments, kept in files by whoever builds them. Workers do, and load no database for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from brainscore_ops.plugins.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path


def keep_lock(state: Path, text: str, digest: str, requirements_digest: str) -> None:
    """Keep an environment's lock in a file of the deployment's state, which compute nodes can write to."""
    path = _path(state, digest)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"text": text, "requirements_digest": requirements_digest}).encode())


def kept_lock(state: Path, digest: str) -> dict[str, str] | None:
    """What :func:`keep_lock` kept: ``text`` and ``requirements_digest``; None where there is no such file."""
    path = _path(state, digest)
    if not path.exists():
        return None
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def _path(state: Path, digest: str) -> Path:
    return state / "locks" / f"{digest}.json"
