"""Builds the zip archives that the demo and the tests send in: good ones, ones that fail on the way, and hostile ones.

    python examples/build_submissions.py DEST [--only NAME …]

The good and the failing ones are the folders of `submissions/`, packed as people's machines pack them; the malformed
ones are made by `hostile.py`. The same folders give the same bytes: order, timestamps and permissions are fixed.
Beside the archives stands `manifest.json`: what each is, who sends it, and what should become of it.

Needs the standard library and PyYAML.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # so that this file may also be loaded by its path

import hostile  # noqa: E402
from packing import pack  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

SUBMISSIONS = HERE / "submissions"
MANIFEST = "manifest.json"


class Expectation(TypedDict):
    """What should become of a submission."""

    state: str
    """`scored`, `tests-failed`, `scoring-failed` or `refused`."""
    because: NotRequired[str]
    """The reason in words, unless it is scored."""
    code: NotRequired[str]
    """The code of the problem that an archive is refused for."""


class Archive(TypedDict):
    """One built archive, as it stands in `manifest.json`."""

    file: str
    """Name of the zip beside the manifest."""
    name: str
    """Short name: the folder in `submissions/`, or the name of the recipe in `hostile.py`."""
    title: str
    """What the submitter calls the submission."""
    submitter: str
    email: str
    public: bool
    expect: Expectation
    description: str


def build_all(dest: Path | str, only: Sequence[str] | None = None) -> list[Archive]:
    """Write the archives and their manifest into `dest` (created if missing) and return the manifest's entries.

    `only` names the archives to build; an unknown name raises ValueError. Submissions that should be scored
    come first, in the order in which the demo sends them.
    """
    recipes = {folder.name: folder for folder in sorted(SUBMISSIONS.iterdir()) if (folder / "submission.yml").is_file()}
    names = [*sorted(recipes, key=_place_in_demo), *hostile.RECIPES]
    if unknown := sorted(set(only or []) - set(names)):
        raise ValueError(f"no such submission: {', '.join(unknown)}; there are: {', '.join(names)}")
    dest = Path(dest)
    dest.mkdir(parents=True, exist_ok=True)
    archives = [
        _build_folder(recipes[name], dest) if name in recipes else _build_hostile(name, dest)
        for name in names
        if only is None or name in only
    ]
    (dest / MANIFEST).write_text(json.dumps(archives, indent=2) + "\n")
    return archives


def _place_in_demo(name: str) -> tuple[bool, int, str]:
    meta = _metadata(SUBMISSIONS / name)
    return meta["expect"]["state"] != "scored", meta.get("order", 99), name


def _metadata(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((folder / "submission.yml").read_text(encoding="utf-8"))
    return loaded


def _build_folder(folder: Path, dest: Path) -> Archive:
    meta = _metadata(folder)
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "submission.yml" and "__pycache__" not in path.parts
    }
    file = f"{folder.name}.zip"
    (dest / file).write_bytes(pack(files, **meta.get("archive", {})))
    return Archive(
        file=file,
        name=folder.name,
        title=meta["title"],
        submitter=meta["submitter"],
        email=meta["email"],
        public=meta["public"],
        expect=meta["expect"],
        description=meta["description"],
    )


def _build_hostile(name: str, dest: Path) -> Archive:
    recipe = hostile.RECIPES[name]
    file = f"{name}.zip"
    (dest / file).write_bytes(recipe.build())
    return Archive(
        file=file,
        name=name,
        title=name.replace("-", " ").capitalize(),
        submitter="Mallory Example",
        email="mallory@example.org",
        public=True,
        expect={"state": "refused", "because": recipe.because, "code": recipe.code},
        description=recipe.description,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the example submissions as zip archives.")
    parser.add_argument("dest", type=Path, help="folder for the archives and their manifest.json")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="build these alone")
    arguments = parser.parse_args()
    try:
        archives = build_all(arguments.dest, arguments.only)
    except ValueError as error:
        parser.error(str(error))
    for archive in archives:
        sys.stdout.write(f"{archive['expect']['state']:15} {archive['file']}\n")


if __name__ == "__main__":
    main()
