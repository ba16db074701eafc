"""The public pages as files: complete, replaced in one step, and not touched without a reason."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from tests.planned import effects_of
from tests.scores.conftest import World, scores_database, world

from brainscore_ops import scores
from brainscore_ops.database.ops_tables import Run
from brainscore_ops.database.record_chain import Head, append_links, read_head
from brainscore_ops.planning import Effects
from brainscore_ops.portal import static_site
from brainscore_ops.portal.static_site import NotASiteError, Published, write_site
from brainscore_ops.scores.publication import published_revision
from brainscore_ops.settings.deployment import LibrarySettings

__all__ = ["scores_database", "world"]


@pytest.fixture
def filled(world: World) -> World:
    """Two models, of which one failed on a benchmark; names that are no file names."""
    domain = world.domain
    world.parent(f"{domain}.neural")
    world.benchmark(
        f"{domain}.a/b-pls", parent=f"{domain}.neural", ceiling=0.9, reference=("Ada", 1843, "https://example.org/a")
    )
    world.benchmark(f"{domain}.words")
    world.model("../../etc/passwd", model_family="cnn", total_parameter_count=40)
    world.model('"><script>alert(1)</script>')
    world.model("private", public=False)
    world.score("../../etc/passwd", f"{domain}.a/b-pls", 0.5, error=0.1, raw=0.45, ceiling=0.9)
    world.failure("../../etc/passwd", f"{domain}.words", "KeyError: <regions>")
    world.score('"><script>alert(1)</script>', f"{domain}.words", 0.25)
    world.score("private", f"{domain}.words", 0.99)
    return world


def publish(world: World, folder: Path) -> Published:
    library = LibrarySettings(package="brainscore_example", repository="brain-score/example", domain=world.domain)
    return write_site(world.database, folder, library=library)


def files_of(folder: Path) -> dict[str, bytes]:
    real = folder.resolve()
    return {str(path.relative_to(real)): path.read_bytes() for path in sorted(real.rglob("*")) if path.is_file()}


def test_every_link_within_the_site_leads_to_one_of_its_files(filled: World, tmp_path: Path) -> None:
    publish(filled, tmp_path / "site")
    pages = {name: content for name, content in files_of(tmp_path / "site").items() if name.endswith(".html")}
    assert len(pages) == 1 + 1 + 1 + 3 + 2, "leaderboard, its group, the list of benchmarks, benchmarks, models"
    for name, content in pages.items():
        for address in re.findall(r'(?:href|src)="([^"#]+)', content.decode()):
            if not urlsplit(address).scheme:
                where = unquote(urljoin(f"http://site/{name}", address.replace("&amp;", "&"))).removeprefix(
                    "http://site/"
                )
                assert (tmp_path / "site" / where).is_file(), f"{address} in {name}"


def test_nothing_private_and_nothing_of_an_account_is_in_it(filled: World, tmp_path: Path) -> None:
    publish(filled, tmp_path / "site")
    for name, content in files_of(tmp_path / "site").items():
        assert b"0.99" not in content, name
        assert b"Sign in" not in content, name
    assert not [name for name in files_of(tmp_path / "site") if "private" in name]


def test_names_of_strangers_are_neither_markup_nor_paths(filled: World, tmp_path: Path) -> None:
    publish(filled, tmp_path / "site")
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {"site"}
    for name, content in files_of(tmp_path / "site").items():
        if name.endswith(".html"):
            assert b"<script>alert" not in content, name
            assert b"style=" not in content, name


def test_the_same_scores_touch_nothing_and_others_replace_the_whole(filled: World, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    first = publish(filled, folder)
    assert published_revision(folder) == first.revision
    former, content = folder.resolve(), files_of(folder)
    assert publish(filled, folder).files == 0
    assert (folder.resolve(), files_of(folder)) == (former, content)

    filled.score("../../etc/passwd", f"{filled.domain}.words", 0.6)
    second = publish(filled, folder)
    assert second.revision != first.revision
    assert b"0.600" in (folder / "index.html").read_bytes()
    assert {str(p.relative_to(former)): p.read_bytes() for p in former.rglob("*") if p.is_file()} == content, (
        "whoever reads the old site goes on reading it"
    )


def test_a_site_is_planned_with_the_files_that_would_be_others(filled: World, tmp_path: Path) -> None:
    folder = tmp_path / "site"

    def plan() -> Effects:
        before = sorted(tmp_path.rglob("*")), files_of(folder)
        effects = effects_of(lambda: publish(filled, folder))
        assert (sorted(tmp_path.rglob("*")), files_of(folder)) == before
        return effects

    first = plan()
    assert [(effect.kind, effect.details.get("action")) for effect in first.effects] == [
        ("file", "add"),
        ("site", None),
    ]
    assert f"add {publish(filled, folder).files} files: benchmarks" in first.effects[0].what
    assert plan().effects == (), "it shows these scores"

    filled.score("../../etc/passwd", f"{filled.domain}.words", 0.6)
    second = plan()
    changed = second.effects[0].details["files"]
    assert {"index.html", "data/scores.csv"} <= set(changed)
    assert not [name for name in changed if name.startswith("static/")]
    assert plan().digest == second.digest
    filled.model("late")
    filled.score("late", f"{filled.domain}.words", 0.7)
    third = plan()
    assert [effect.details.get("action") for effect in third.effects] == ["add", "change", None]
    assert third.effects[0].what == "add 1 file: models/late.html"
    assert third.digest != second.digest
    publish(filled, folder)
    assert plan().effects == ()


def test_it_holds_the_head_of_the_chain_of_records(filled: World, tmp_path: Path) -> None:
    with filled.database.session() as session:
        session.add(a_closed_run())
        append_links(session, ["20261124T120000-toy-000001"])
        head = read_head(session)
    publish(filled, tmp_path / "site")
    about = json.loads((tmp_path / "site" / "data" / "site.json").read_bytes())
    assert about["records_head"] == str(head)
    assert Head.parse(about["records_head"]) == head


def a_closed_run() -> Run:
    moment = datetime(2026, 11, 24, 12, tzinfo=UTC)
    return Run(
        id="20261124T120000-toy-000001", deployment="test", runbook="toy", runbook_digest="0" * 64, code_version="1",
        parameters={}, triggered_by="test", host="here", process=1, started_at=moment, ended_at=moment, state="succeeded",
    )  # fmt: skip


def test_what_fails_in_the_middle_leaves_the_old_site(
    filled: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site"
    publish(filled, folder)
    former = files_of(folder)
    filled.score("../../etc/passwd", f"{filled.domain}.words", 0.6)

    def full(path: Path, content: object) -> None:
        """Named mock: a disk that is full by the third file."""
        if len(list(path.parent.parent.rglob("*.html"))) > 2:
            raise OSError(28, "No space left on device")
        written(path, content)

    written = static_site._write
    monkeypatch.setattr(static_site, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        publish(filled, folder)
    assert files_of(folder) == former
    assert not list(tmp_path.glob(".site-partial*"))


def test_a_site_from_before_is_replaced_and_any_other_folder_is_not(filled: World, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for name in ("index.html", "leaderboard.csv", "leaderboard.json"):
        (old / name).write_text("old")
    publish(filled, old)
    assert b"Leaderboard" in (old / "index.html").read_bytes()

    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.tex").write_text("all of it")
    with pytest.raises(NotASiteError, match=r"thesis\.tex"):
        publish(filled, theirs)
    assert (theirs / "thesis.tex").read_text() == "all of it"


def test_an_empty_leaderboard_has_a_page_that_says_so(world: World, tmp_path: Path) -> None:
    publish(world, tmp_path / "site")
    assert "There are no scores yet" in (tmp_path / "site" / "index.html").read_text()


def test_the_data_beside_the_pages_are_those_of_the_leaderboard(filled: World, tmp_path: Path) -> None:
    publish(filled, tmp_path / "site")
    data = tmp_path / "site" / "data"
    board = json.loads((data / "leaderboard.json").read_text())
    about = json.loads((data / "site.json").read_text())
    assert (about["domain"], about["revision"]) == (filled.domain, board["revision"])
    assert len(board["models"]) == 2

    read = scores.connect(data)
    table = read.table()
    assert len(table) == 3
    lines = list(csv.DictReader((data / "scores.csv").read_text().splitlines()))
    assert [line["model"] for line in lines] == list(table["model"])
    document = json.loads((data / "scores.json").read_text())
    assert [row[document["columns"].index("value")] for row in document["data"]] == [0.25, 0.5, None]
