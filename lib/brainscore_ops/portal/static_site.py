"""The public pages as files that need no server and no JavaScript, with the data beside them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainscore_ops.database.record_chain import has_chain, read_head
from brainscore_ops.database.snapshots.store import file_digest
from brainscore_ops.database.viewer import PUBLIC
from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import UsageError
from brainscore_ops.planning import is_planning, named, planned
from brainscore_ops.portal import templating
from brainscore_ops.portal.benchmark_view import benchmark_entries, benchmark_view
from brainscore_ops.portal.boards import Board
from brainscore_ops.portal.data_files import data_files
from brainscore_ops.portal.leaderboard_table import LeaderboardTable, Wish, leaderboard_values
from brainscore_ops.portal.model_view import model_view
from brainscore_ops.portal.site import STATIC, Site, file_of
from brainscore_ops.scores.leaderboard import leaderboard
from brainscore_ops.scores.publication import DATA, PAGE, SITE_FILE
from brainscore_ops.scores.revision import scores_revision

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.orm import Session

    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.record_chain import Head
    from brainscore_ops.scores.leaderboard import Leaderboard
    from brainscore_ops.settings.deployment import LibrarySettings

FORMER_FILES = {PAGE, "leaderboard.csv", "leaderboard.json"}
"""What a site was, before it had more than one page."""
ASSETS = ("portal.css", "portal.js", "leaderboard.css", "leaderboard.js", "icon.svg")


class NotASiteError(UsageError):
    """The folder holds something that no site of ours is made of."""

    code = "not-a-site"


@dataclass(frozen=True)
class Published(Shown):
    """A site that was written, or found."""

    page: Path
    """The leaderboard's."""
    revision: str
    """Of the scores that it shows."""
    models: int
    benchmarks: int
    files: int
    """How many were written; 0 where it was of these scores already. In a plan, how many would be."""

    def table(self) -> Table:
        """What the runbook shows."""
        what = f"{self.files} files" if self.files else "nothing: it shows these scores already"
        what += " (only planned)" if self.files and is_planning() else ""
        rows = [("the leaderboard", self.page), ("revision", self.revision), ("models", self.models),
                ("benchmarks", self.benchmarks), ("written", what)]  # fmt: skip
        return Table("The site", rows)


def write_site(database: Database, folder: Path, *, library: LibrarySettings) -> Published:
    """Write the site into a folder: a symbolic link to one that is complete, replaced in one step when the next one is.

    Readers see the old site or the new one, never half of one. Where the folder shows the same scores by the same templates
    already, nothing is touched.

    :param folder: missing, empty, or a site that was written before
    :raises NotASiteError: there is something else in the folder
    """
    _insist_on_site(folder)
    if is_planning():
        return _plan_site(database, folder, library=library)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder), database.moment() as session:  # all pages are of one moment
        board = leaderboard(session, domain=library.domain)
        target = folder.parent / f".{folder.name}-{_edition(session, board)}"
        if _shows(folder, target):
            return Published(folder / PAGE, board.revision, len(board.models), len(board.benchmarks), 0)
        partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-partial-"))
        files = 0
        try:
            for name, content in site_files(session, board, library=library):
                _write(partial / name, content)
                files += 1
            head = read_head(session) if has_chain(session) else None
            for name, content in _data(database, board, head):
                _write(partial / DATA / name, content)
                files += 1
            partial.chmod(0o755)  # a web server of another user reads it
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        former = folder.resolve() if folder.exists() else None
        _point(folder, target)
        _remove_former(folder, keep={target.resolve(), former})
    return Published(folder / PAGE, board.revision, len(board.models), len(board.benchmarks), files)


def _plan_site(database: Database, folder: Path, *, library: LibrarySettings) -> Published:
    """Make the site, keep nothing of it, and write down which of its files are others than those that are published."""
    with database.moment() as session:
        board = leaderboard(session, domain=library.domain)
        edition = _edition(session, board)
        if _shows(folder, folder.parent / f".{folder.name}-{edition}"):
            return Published(folder / PAGE, board.revision, len(board.models), len(board.benchmarks), 0)
        made = {name: _digest(content) for name, content in site_files(session, board, library=library)}
        made |= {f"{DATA}/{name}": _digest(content) for name, content in _data(database, board, None)}
    there = (
        {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} if folder.exists() else set()
    )
    changes = {
        "add": sorted(made.keys() - there),
        "change": sorted(name for name in made.keys() & there if file_digest(folder / name) != made[name]),
        "remove": sorted(there - made.keys()),
    }
    for action, names in changes.items():
        if names:
            count = "1 file" if len(names) == 1 else f"{len(names)} files"
            planned("file", f"{action} {count}: {named(names)}", action=action, files=names)
    same = len(made) - len(changes["add"]) - len(changes["change"])
    planned(
        "site",
        f"put the new site in the place of {folder}, in one step: {len(board.models)} models, {len(board.benchmarks)} benchmarks",
        note=f"{same} of its {len(made)} files are as they are published",
        folder=str(folder),
        edition=edition,
    )
    return Published(folder / PAGE, board.revision, len(board.models), len(board.benchmarks), len(made))


def _edition(session: Session, board: Leaderboard) -> str:
    """Of a site: the same scores by the same templates make the same."""
    # The leaderboard's revision says nothing of what the pages of models and benchmarks show beside the scores.
    return f"{board.revision}-{scores_revision(session)}-{templating.revision()}"


def _shows(folder: Path, target: Path) -> bool:
    return folder.is_symlink() and folder.resolve() == target.resolve() and (target / PAGE).exists()


def _digest(content: bytes | Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in [content] if isinstance(content, bytes) else content:
        digest.update(part if isinstance(part, bytes) else part.encode())
    return digest.hexdigest()


def site_files(
    session: Session, board: Leaderboard, *, library: LibrarySettings
) -> Iterator[tuple[str, bytes | Iterable[str]]]:
    """Every file of a site, with its name."""
    for name in ASSETS:
        yield f"static/{name}", (STATIC / name).read_bytes()
    shown = Board(board, board.revision)
    pages = _Pages(library.domain)
    table = LeaderboardTable(shown, Wish(), pages.site(""))
    yield pages.page("", "leaderboard.html", **leaderboard_values(table))
    for node in board.nodes:
        if node.children:
            path = f"leaderboard/{node.identifier}"
            table = LeaderboardTable(shown, Wish(parent=node.identifier), pages.site(path))
            yield pages.page(path, "leaderboard.html", **leaderboard_values(table))
    yield pages.page("benchmarks", "benchmarks.html", entries=benchmark_entries(shown))
    for node in board.nodes:
        of_benchmark = benchmark_view(session, shown, node.identifier, PUBLIC, library.domain)
        yield pages.page(f"benchmarks/{node.identifier}", "benchmark.html", benchmark=of_benchmark)
    for facts in board.models:
        of_model = model_view(session, shown, facts.model, PUBLIC, library)
        yield pages.page(f"models/{facts.model}", "model.html", model=of_model)
    yield f"{DATA}/leaderboard.csv", board.csv_parts()
    yield f"{DATA}/leaderboard.json", board.json_parts()


def _data(database: Database, board: Leaderboard, head: Head | None) -> Iterator[tuple[str, bytes]]:
    for name, content in data_files(database, board.domain, PUBLIC):
        if name == SITE_FILE:
            made_at = datetime.now(UTC).isoformat(timespec="seconds")
            about = {**json.loads(content), "revision": board.revision, "made_at": made_at}
            # Whoever has a copy of the site can prove that no record was taken back since: it stands outside of the database.
            about["records_head"] = head and str(head)
            yield name, (json.dumps(about, ensure_ascii=False, indent=1) + "\n").encode()
        else:
            yield name, content


class _Pages:
    """The pages of a site, each with links as they are seen from it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def site(self, path: str) -> Site:
        """The site, seen from a page."""
        return Site(self._name, "../" * file_of(path).count("/"), static=True)

    def page(self, path: str, template: str, **values: Any) -> tuple[str, bytes]:
        """A page's file and its content."""
        return file_of(path), templating.render(template, site=self.site(path), **values).encode()


def _insist_on_site(folder: Path) -> None:
    if folder.is_symlink() or not folder.exists():
        return
    found = sorted({path.name for path in folder.iterdir()} - FORMER_FILES) if folder.is_dir() else ["a file"]
    if found:
        raise NotASiteError(
            f"expected {folder} to be empty, or a site that was published before; found {', '.join(found[:5])}",
            remedy="Name another folder, or empty this one: what is published takes its place as a whole.",
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One writer at a time; the lock is let go when the process ends, however it does."""
    with (folder.parent / f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _point(folder: Path, target: Path) -> None:
    link = folder.parent / f".{folder.name}-link"
    link.unlink(missing_ok=True)
    link.symlink_to(target.name)
    if folder.is_dir() and not folder.is_symlink():
        # A folder gives way to a link in two steps; a site that was written by this is a link already.
        folder.rename(folder.parent / f".{folder.name}-former")
    link.replace(folder)


def _remove_former(folder: Path, keep: set[Path | None]) -> None:
    """Sites that nobody looks at any more, and what writers that were killed left. The one before stays: its readers may be in
    the middle of it.
    """
    for path in folder.parent.glob(f".{folder.name}-*"):
        if path.is_dir() and not path.is_symlink() and path.resolve() not in keep:
            shutil.rmtree(path, ignore_errors=True)


def _write(path: Path, content: bytes | Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            file.writelines(part.encode() for part in content)
        file.flush()
        os.fchmod(file.fileno(), 0o644)
