"""Where snapshots are kept: a folder each, with the dump, its manifest, and the proof that it can be restored."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from brainscore_ops.database.snapshots.contents import Contents
from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Fault, StepFailedError, UsageError
from brainscore_ops.planning import TO_BE_MADE

if TYPE_CHECKING:
    from pathlib import Path

    from brainscore_ops.settings import Deployment

DUMP = "database.dump"
REJECTION = "rejected.json"
MANIFEST = "manifest.json"
PROOF = "proof.json"
MANIFEST_VERSION = 1


class SnapshotDamagedError(StepFailedError):
    """A snapshot is not what its manifest says, or was never finished."""

    code = "snapshot-damaged"
    fault = Fault.OPERATOR


class NoSnapshotError(UsageError):
    """There is no such snapshot."""

    code = "no-snapshot"


@dataclass(frozen=True)
class Proof:
    """A snapshot was restored, and what came out was compared with what went in."""

    at: datetime
    seconds: float
    """Of the restore and the comparison."""
    dump_digest: str
    """Of the dump that was restored."""
    server: str
    """The version of the server that it was restored on."""


@dataclass(frozen=True)
class Snapshot(Shown):
    """A snapshot, or what is left of one: then ``problem`` says what is wrong, and nothing else can be relied on."""

    id: str
    """Sorts by time: ``20261124T083730Z-3f9a1c``."""
    folder: Path
    taken_at: datetime
    deployment: str = ""
    database: str = ""
    reason: str = ""
    server: str = ""
    """The server's version: ``18.4``."""
    client: str = ""
    """The version of the programs that dumped it."""
    contents: Contents = field(default_factory=lambda: Contents(revision=None))
    encoding: str = "UTF8"
    collation: str = "C"
    character_type: str = "C"
    database_bytes: int = 0
    dump_bytes: int = 0
    dump_digest: str = ""
    """SHA-256 of the dump."""
    seconds: float = 0.0
    """How long it took."""
    proof: Proof | None = None
    problem: str = ""
    is_finished: bool = True
    """Whether it has a manifest: what has none is under way, or was left by a killed run."""

    @property
    def is_good(self) -> bool:
        """Whether nothing is known against it."""
        return not self.problem

    @property
    def is_proven(self) -> bool:
        """Whether this very dump was restored and compared."""
        return self.is_good and self.proof is not None and self.proof.dump_digest == self.dump_digest

    @property
    def dump(self) -> Path:
        """``pg_dump``'s archive, in its custom format."""
        return self.folder / DUMP

    @property
    def revision(self) -> str | None:
        """Of the schema."""
        return self.contents.revision

    def check(self) -> Snapshot:
        """Read the whole dump: the same snapshot, or one whose ``problem`` says what is wrong with it."""
        if self.problem:
            return self
        found = file_digest(self.dump)
        if found == self.dump_digest:
            return self
        return replace(self, problem=f"the dump was changed: expected SHA-256 {self.dump_digest}, found {found}")

    def insist(self) -> None:
        """Read the whole dump.

        :raises SnapshotDamagedError: unless it is what the manifest says
        """
        checked = self.check()
        if checked.problem:
            raise SnapshotDamagedError(
                f"the snapshot {self.id} cannot be relied on: {checked.problem}",
                remedy="Choose another: `brainscore-ops db snapshots` lists them.",
            )

    def as_dict(self) -> dict[str, Any]:
        """The manifest, with the proof and the problem."""
        proof = self.proof and {**asdict(self.proof), "at": self.proof.at.isoformat()}
        return {**_manifest_of(self), "folder": str(self.folder), "proof": proof, "problem": self.problem}

    def table(self) -> Table:
        size = bytes_text(self.dump_bytes) if self.dump_digest else TO_BE_MADE
        return Table(
            f"Snapshot {self.id}",
            [
                ("problem", self.problem),
                ("deployment", self.deployment),
                ("database", self.database),
                ("reason", self.reason),
                ("schema revision", self.revision or "none"),
                ("rows", f"{self.contents.rows:,} in {len(self.contents.tables)} tables"),
                ("size", f"{size} (database: {bytes_text(self.database_bytes)})"),
                ("SHA-256", self.dump_digest),
                ("took", f"{self.seconds:.1f} s" if self.dump_digest else ""),
                ("server", f"PostgreSQL {self.server} (dumped by {self.client})"),
                (
                    "proven",
                    f"{self.proof.at:%Y-%m-%d %H:%M} UTC, by restoring it in {self.proof.seconds:.1f} s"
                    if self.proof
                    else "no",
                ),
                ("folder", self.folder),
            ],
        )


@dataclass(frozen=True)
class SnapshotStore:
    """The folder of a deployment's snapshots; what is in it is for its owner alone."""

    folder: Path

    @classmethod
    def of(cls, deployment: Deployment) -> SnapshotStore:
        """The one that the deployment's settings name."""
        chosen = deployment.snapshots.folder
        return cls(deployment.state / "snapshots" if chosen is None else chosen.expanduser() / deployment.name)

    def begin(self, moment: datetime) -> Path:
        """Make the folder of a new snapshot; it is none until its manifest is there."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        folder = self.folder / f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        folder.mkdir(mode=0o700)
        return folder


def list_snapshots(store: SnapshotStore, *, check: bool = False) -> list[Snapshot]:
    """All snapshots, the newest first, with those that are damaged or half made: their ``problem`` says so.

    :param check: whether to read every dump, and not only to look at its size
    """
    if not store.folder.is_dir():
        return []
    folders = sorted(
        (path for path in store.folder.iterdir() if path.is_dir()), key=lambda path: path.name, reverse=True
    )
    found = [_read(folder) for folder in folders]
    return [snapshot.check() for snapshot in found] if check else found


def newest_snapshot(store: SnapshotStore, *, proven: bool = False) -> Snapshot | None:
    """The newest good snapshot, whose dump was read; None where there is none.

    :param proven: only one that was restored and compared
    """
    candidates = (snapshot for snapshot in list_snapshots(store) if snapshot.is_proven or not proven)
    return next((snapshot for snapshot in candidates if snapshot.check().is_good), None)


def find_snapshot(store: SnapshotStore, given: str = "") -> Snapshot:
    """A snapshot by its id or the start of it; by default the newest proven one.

    :raises NoSnapshotError: where there is none, or more than one
    :raises SnapshotDamagedError: where the one that is meant is not good
    """
    if not given:
        newest = newest_snapshot(store, proven=True)
        if newest is None:
            raise NoSnapshotError(
                f"expected a proven snapshot in {store.folder}, found none",
                remedy="Run `brainscore-ops run snapshot`, or name an unproven one: `brainscore-ops db snapshots` lists them.",
            )
        return newest
    found = [snapshot for snapshot in list_snapshots(store) if snapshot.id.startswith(given)]
    if len(found) != 1:
        raise NoSnapshotError(
            f"expected the id of one snapshot, or the start of it: {len(found)} in {store.folder} start with {given!r}",
            remedy="`brainscore-ops db snapshots` lists them.",
        )
    found[0].insist()
    return found[0]


def write_manifest(snapshot: Snapshot) -> None:
    """Make a dump a snapshot: its manifest is put in its place in one move, after the dump is on disk."""
    _write_document(snapshot.folder / MANIFEST, _manifest_of(snapshot))


def write_proof(snapshot: Snapshot, proof: Proof) -> Snapshot:
    """Record that a snapshot was restored and compared."""
    _write_document(snapshot.folder / PROOF, {**asdict(proof), "at": proof.at.isoformat()})
    return replace(snapshot, proof=proof)


def reject(snapshot: Snapshot, problem: str) -> None:
    """Record that a snapshot is no good: it stays where it is, is shown with the problem, and is never relied on."""
    _write_document(snapshot.folder / REJECTION, {"problem": problem, "at": datetime.now(UTC).isoformat()})


def remove_snapshot(snapshot: Snapshot) -> None:
    """Remove a snapshot or what is left of one; killed in the middle, what is left has no manifest and is none."""
    (snapshot.folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(snapshot.folder)


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bytes_text(count: int) -> str:
    """A number of bytes for people: ``3.2 MB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


_NOT_IN_MANIFEST = {"folder", "proof", "problem", "contents", "is_finished"}


def _manifest_of(snapshot: Snapshot) -> dict[str, Any]:
    names = [item.name for item in fields(Snapshot) if item.name not in _NOT_IN_MANIFEST]
    values = {name: getattr(snapshot, name) for name in names}
    return {
        "version": MANIFEST_VERSION,
        **values,
        "taken_at": snapshot.taken_at.isoformat(),
        "contents": asdict(snapshot.contents),
    }


def _read(folder: Path) -> Snapshot:
    try:
        document = json.loads((folder / MANIFEST).read_bytes())
        if document["version"] != MANIFEST_VERSION:
            raise ValueError(f"version {document['version']}")
        values = {item.name: document[item.name] for item in fields(Snapshot) if item.name not in _NOT_IN_MANIFEST}
        values |= {"taken_at": datetime.fromisoformat(values["taken_at"]), "folder": folder}
        snapshot = Snapshot(**values, contents=Contents.from_dict(document["contents"]))
        if snapshot.id != folder.name:
            raise ValueError(f"the id {snapshot.id}")
    except FileNotFoundError:
        return replace(_broken(folder, "it was never finished: there is no manifest"), is_finished=False)
    except (ValueError, KeyError, TypeError, OSError) as error:
        return _broken(folder, f"its manifest cannot be read: {error!r}")
    if not snapshot.dump.is_file():
        return replace(snapshot, problem="the dump is missing")
    size = snapshot.dump.stat().st_size
    if size != snapshot.dump_bytes:
        return replace(snapshot, problem=f"the dump was changed: expected {snapshot.dump_bytes} bytes, found {size}")
    rejection = _read_document(folder / REJECTION)
    if rejection is not None:
        return replace(snapshot, problem=str(rejection.get("problem")))
    return replace(snapshot, proof=_read_proof(folder))


def _read_proof(folder: Path) -> Proof | None:
    document = _read_document(folder / PROOF) or {}
    try:
        return Proof(**{**document, "at": datetime.fromisoformat(document["at"])})
    except (ValueError, KeyError, TypeError):
        return None  # it can be proven again


def _read_document(path: Path) -> dict[str, Any] | None:
    """None where there is none; an empty one where it cannot be read."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _broken(folder: Path, problem: str) -> Snapshot:
    taken = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    return Snapshot(id=folder.name, folder=folder, taken_at=taken, problem=problem)


def _write_document(path: Path, document: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
