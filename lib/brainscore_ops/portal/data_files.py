"""The scores as files for programs: what a published site has in its folder ``data``, and what the API hands out whole.

A server makes them in a process of its own (``python -m brainscore_ops.portal.data_files``): data frames of a large library
take more memory than the server may.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainscore_ops.database.viewer import Viewer
from brainscore_ops.errors import UnavailableError
from brainscore_ops.scores.sources.published import FILES, SITE_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brainscore_ops.database.connection import Database
    from brainscore_ops.settings import Deployment

SCORES_CSV, SCORES_JSON = "scores.csv", "scores.json"
NAMES = (*FILES.values(), SCORES_CSV, SCORES_JSON, SITE_FILE)
KEPT = 4
"""Sets of files, of different revisions and viewers."""
MOST_SECONDS = 300


class ExportFailedError(UnavailableError):
    """The files could not be made."""

    code = "export-failed"


def data_files(database: Database, domain: str, viewer: Viewer) -> Iterator[tuple[str, bytes]]:
    """Name and content of each, as somebody may see it.

    ``scores.parquet``, ``history.parquet``, ``runs.parquet`` and ``canaries.parquet``, ``benchmarks.json`` and ``models.json``
    are what :class:`~brainscore_ops.scores.sources.published.PublishedSource` reads; ``scores.csv`` and ``scores.json`` (its
    columns, and a list for each row) hold the same rows as ``scores.parquet``.
    """
    from brainscore_ops.scores.columns import SCORES
    from brainscore_ops.scores.sources.database import DatabaseSource
    from brainscore_ops.scores.sources.published import published_files

    source = DatabaseSource(database, domain, domain, viewer)
    yield from published_files(source).items()
    table = source.read("table")
    texts = [name for name, dtype in SCORES.dtypes.items() if dtype == "str"]
    # A spreadsheet takes a text that begins so for a formula.
    safe = table.assign(**{name: table[name].str.replace(r"^(?=[=+\-@\t\r])", "'", regex=True) for name in texts})
    yield SCORES_CSV, safe.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S.%fZ").encode()
    yield SCORES_JSON, table.to_json(orient="split", index=False, date_format="iso", double_precision=15).encode()


class DataFiles:
    """The files of a running server: made when somebody asks for one, and kept until the scores change. Its methods block."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment.name
        self._folder = deployment.state / "exports"
        self._lock = threading.Lock()

    def path(self, name: str, viewer: Viewer, revision: str) -> Path:
        """Where one of :data:`NAMES` is.

        :param revision: of the scores as the viewer sees them
        :raises ExportFailedError: it could not be made
        """
        made = self._folder / revision
        with self._lock:
            if not made.exists():
                self._make(made, viewer)
        return made / name

    def _make(self, made: Path, viewer: Viewer) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        former = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in former[: -KEPT + 1]:
            shutil.rmtree(path, ignore_errors=True)
        partial = tempfile.mkdtemp(dir=self._folder, prefix=".partial-")
        command = [sys.executable, "-m", __name__, self._deployment, json.dumps(_as_json(viewer)), partial]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=MOST_SECONDS, check=False)
            if done.returncode:
                raise ExportFailedError("The files of the scores could not be made.", log=done.stderr[-2000:])
            Path(partial).rename(made)
        except subprocess.TimeoutExpired:
            raise ExportFailedError(f"The files of the scores took more than {MOST_SECONDS} s to make.") from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _as_json(viewer: Viewer) -> dict[str, Any]:
    return {**asdict(viewer), "scopes": sorted(viewer.scopes)}


def main() -> None:
    """Write the files of a deployment: its name, the viewer as JSON, a folder."""
    from brainscore_ops.database.connection import Database
    from brainscore_ops.settings import load_deployment

    name, of, folder = sys.argv[1:]
    viewer = Viewer(**{**json.loads(of), "scopes": frozenset(json.loads(of)["scopes"])})
    deployment = load_deployment(name)
    for file, content in data_files(Database.of(deployment), deployment.library.domain, viewer):
        (Path(folder) / file).write_bytes(content)


if __name__ == "__main__":
    main()
