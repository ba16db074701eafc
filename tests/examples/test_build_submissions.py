"""The example archives: built the same each time, and each the case that it is meant to be."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from brainscore_ops.plugins.archive import ArchiveRefusedError, inspect_archive
from brainscore_ops.plugins.catalogue import read_catalogue
from brainscore_ops.plugins.tree import DirectoryTree

if TYPE_CHECKING:
    from types import ModuleType

LIBRARY = Path(__file__).parents[2] / "examples" / "library"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


@pytest.fixture(scope="module")
def archives(builder: ModuleType, folder: Path) -> dict[str, dict[str, Any]]:
    return {archive["name"]: archive for archive in builder.build_all(folder)}


def test_archives_have_the_same_bytes_each_time(
    builder: ModuleType, archives: dict[str, dict[str, Any]], folder: Path, tmp_path: Path
) -> None:
    builder.build_all(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in folder.iterdir()}
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_manifest_describes_every_archive(archives: dict[str, dict[str, Any]], folder: Path) -> None:
    assert json.loads((folder / "manifest.json").read_text()) == list(archives.values())
    assert {archive["file"] for archive in archives.values()} == {path.name for path in folder.glob("*.zip")}
    for archive in archives.values():
        assert archive["email"].endswith("@example.org")
        assert archive["expect"]["state"] == "scored" or archive["expect"]["because"]


def test_good_submissions_come_first_and_the_benchmark_before_the_models(archives: dict[str, dict[str, Any]]) -> None:
    assert list(archives)[:4] == ["naming-times", "zipf-frequency", "minilm", "structural-profile"]


def test_some_can_be_built_alone(builder: ModuleType, tmp_path: Path) -> None:
    built = builder.build_all(tmp_path, only=["snooping", "zip-bomb"])
    assert [archive["name"] for archive in built] == ["snooping", "zip-bomb"]
    assert {path.name for path in tmp_path.iterdir()} == {"snooping.zip", "zip-bomb.zip", "manifest.json"}


def test_an_unknown_name_is_refused(builder: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such submission: nonsense; there are: naming-times"):
        builder.build_all(tmp_path, only=["nonsense", "minilm"])


def test_archives_are_packed_as_people_pack_them(archives: dict[str, dict[str, Any]], folder: Path) -> None:
    members = {
        name: zipfile.ZipFile(folder / archives[name]["file"]).namelist()
        for name in ("zipf-frequency", "minilm", "structural-profile")
    }
    assert any(path.startswith("__MACOSX/") for path in members["zipf-frequency"])
    assert any(path.endswith("/.DS_Store") for path in members["zipf-frequency"])
    assert not any(path.endswith("/") for path in members["minilm"])
    assert all(path.startswith("models/") for path in members["structural-profile"])


def test_hostile_archives_are_refused_for_their_one_fault_and_the_others_taken(
    archives: dict[str, dict[str, Any]], folder: Path
) -> None:
    existing = read_catalogue(DirectoryTree(LIBRARY), "brainscore_example")
    for archive in archives.values():
        codes = set()
        try:
            inspect_archive(folder / archive["file"], library="brainscore_example", existing=existing)
        except ArchiveRefusedError as refusal:
            codes = {problem.code for problem in refusal.problems}
        expected = {archive["expect"]["code"]} if archive["expect"]["state"] == "refused" else set()
        assert codes == expected, archive["name"]
