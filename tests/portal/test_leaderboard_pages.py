"""The public pages as the server renders them: what they show to whom, sorted, filtered and paged by their address alone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from pandas.testing import assert_frame_equal
from tests.portal.visitors import Portal, Visitor
from tests.scores.conftest import World

from brainscore_ops import scores
from brainscore_ops.database.brainscore_tables import Model
from brainscore_ops.portal.boards import GRACE_SECONDS
from brainscore_ops.scores.score_data import ScoreData
from brainscore_ops.scores.sources.database import DatabaseSource


@pytest.fixture(scope="module")
def world(portal: Portal) -> Iterator[World]:
    """Sixty models on two groups of benchmarks in the portal's own domain."""
    made = World.make(portal.database, portal.deployment.library.domain)
    made.parent("neural", order=1)
    made.parent("behaviour", order=2)
    made.benchmark("Words2014-pearson", parent="neural", ceiling=0.928, ceiling_error=0.004, order=1)
    made.benchmark(
        "Areas2019-pls", parent="neural", versions=(1, 2), order=2, reference=("Ada", 1843, "https://example.org/ada")
    )
    made.benchmark("Choices2020-kappa", parent="behaviour")
    made.benchmark("secret-benchmark", parent="behaviour", visible=False)
    for number in range(60):
        made.model(
            f"model-{number:02}",
            model_family="cnn" if number % 2 else "vit",
            total_parameter_count=10**6 * (60 - number),
        )
        made.score(f"model-{number:02}", "Words2014-pearson", 0.9 - number / 100, error=0.02, raw=0.8, ceiling=0.928)
        made.score(f"model-{number:02}", "Areas2019-pls", number / 200, version=2)
    made.failure("model-07", "Choices2020-kappa", "RuntimeError: <b>out of memory</b>")
    made.model("private-model", public=False)
    made.score("private-model", "Words2014-pearson", 0.95)
    yield made
    made.remove()


class Rows(HTMLParser):
    """The rows of the first table of a page: each cell as (attributes, text)."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[tuple[dict[str, str | None], str]]] = []
        self.open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append((dict(attrs), ""))
            self.open = True
        elif self.open and "title" in dict(attrs):
            self.rows[-1][-1][0]["title"] = dict(attrs)["title"]

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self.open = False

    def handle_data(self, data: str) -> None:
        if self.open:
            attributes, text = self.rows[-1][-1]
            self.rows[-1][-1] = (attributes, text + data)


def models(page: str) -> list[str]:
    return re.findall(r'<th scope="row" class="model"><a href="/models/([^"]+)"', page)


def test_the_leaderboard_shows_groups_ceilings_versions_and_errors(world: World, portal: Portal) -> None:
    page = portal.visitor().get("/").text
    groups, names, ceilings, first = Rows(page).rows[:4]
    assert [(cell["colspan"], text) for cell, text in groups[3:]] == [("3", "neural"), ("1", "behaviour")]
    said = [" ".join(text.split()) for _, text in names]
    assert said[:4] == ["#Rank", "Model", "Average", "Mean"]
    assert "v2" in said[5], "only the newest version has a column"
    assert [text for _, text in ceilings][4:6] == ["0.928 ±0.004", "none"]
    assert [text for _, text in first[3:6]] == ["0.450", "0.900 ±0.020", "0.000"]
    assert first[4][0]["class"] == "s v90 e2"
    assert len({len(row) for row in (names, ceilings, first)}) == 1


def test_a_failed_cell_says_why_to_everybody(world: World, portal: Portal) -> None:
    page = portal.visitor().get("/?q=model-07").text
    failed = Rows(page).rows[3][-1]
    assert failed[0]["title"] == "RuntimeError: <b>out of memory</b>"
    assert failed[1] == "failed: RuntimeError: <b>out of memory</b>"
    assert 'href="/models/model-07#Choices2020-kappa"' in page


@pytest.mark.parametrize(
    ("address", "first", "last"),
    [
        ("/?sort=Areas2019-pls", "model-59", "model-10"),
        ("/?sort=Words2014-pearson&order=ascending", "model-59", "model-10"),
        ("/?sort=model", "model-59", "model-10"),
        ("/?sort=model&order=ascending&page=2", "model-50", "model-59"),
        ("/?sort=parameters&rows=2", "model-00", "model-01"),
        ("/?parent=behaviour", "model-07", "model-07"),
    ],
)
def test_it_is_sorted_and_paged_by_its_address(
    world: World, portal: Portal, address: str, first: str, last: str
) -> None:
    shown = models(portal.visitor().get(address).text)
    assert (shown[0], shown[-1]) == (first, last)
    assert "private-model" not in shown


def test_the_column_that_it_is_sorted_by_says_so(world: World, portal: Portal) -> None:
    page = portal.visitor().get("/?sort=Areas2019-pls&order=ascending").text
    assert page.count("aria-sort=") == 1
    assert re.search(r'aria-sort="ascending"><a href="\?sort=Areas2019-pls"', page), "a second click turns it round"


def test_models_are_found_by_name_and_family(world: World, portal: Portal) -> None:
    found = models(portal.visitor().get("/?q=model-1&family=cnn").text)
    assert sorted(found) == [f"model-{number}" for number in (11, 13, 15, 17, 19)]
    assert "No model fits" in portal.visitor().get("/?q=nothing-like-it").text


def test_columns_can_be_hidden_and_averages_stay(world: World, portal: Portal) -> None:
    page = portal.visitor().get("/?hide=Words2014-pearson&hide=neural").text
    assert "1 hidden" not in page
    assert "2 hidden columns" in page
    first = Rows(page).rows[3]
    assert len(first) == 5
    assert first[2][1] == Rows(portal.visitor().get("/").text).rows[3][2][1]


def test_a_visitor_who_has_the_page_already_is_told_so_until_a_score_changes(world: World, portal: Portal) -> None:
    visitor = portal.visitor()
    etag = visitor.get("/").headers["ETag"]
    again = visitor.get("/", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert visitor.get("/?page=2").headers["ETag"] != etag
    assert portal.member().get("/").headers["ETag"] != etag


def give(portal: Portal, model: str, owner: Visitor) -> None:
    """Make somebody the owner of a model; the site has learned of it when this returns."""
    with portal.database.session() as session:
        found = session.query(Model).filter_by(name=model).one()
        found.owner_id = portal.user(owner.address).id
    time.sleep(GRACE_SECONDS)


def test_pages_of_private_models_are_for_owner_and_staff(world: World, portal: Portal) -> None:
    for stranger in (portal.visitor(), portal.member()):
        assert stranger.get("/models/private-model").status_code == 404
        assert stranger.get("/benchmarks/secret-benchmark").status_code == 404
        for address in ("/", "/leaderboard.csv", "/leaderboard.json", "/benchmarks", "/benchmarks/Words2014-pearson"):
            text = stranger.get(address).text
            assert "private-model" not in text, address
            assert "secret-benchmark" not in text, address
    owner = portal.member()
    give(portal, "private-model", owner)
    assert "private-model" in owner.get("/").text
    assert "private-model" not in portal.member().get("/").text
    staff = portal.member(is_staff=True)
    assert "private" in staff.get("/models/private-model").text
    assert "private-model" in staff.get("/?q=private").text
    assert staff.get("/").headers["Cache-Control"].startswith("private")


def test_the_page_of_a_model_shows_it_against_all_others(world: World, portal: Portal) -> None:
    page = portal.visitor().get("/models/model-07").text
    assert "RuntimeError: &lt;b&gt;out of memory" in page
    assert page.count('class="this"') >= 3
    assert "git checkout " + "2" * 40 in page
    assert "53,000,000" in page


def test_the_page_of_a_benchmark_shows_versions_ceiling_and_who_was_scored(world: World, portal: Portal) -> None:
    page = portal.visitor().get("/benchmarks/Areas2019-pls").text
    assert "https://example.org/ada" in page
    assert "Version 2" in page
    assert "Version 1" in page
    rows = Rows(page).rows
    assert rows[1][1][1].startswith("model-59")
    assert "failed:" in portal.visitor().get("/benchmarks/Choices2020-kappa").text
    assert "What is in this group" in portal.visitor().get("/benchmarks/neural").text


def test_hostile_addresses_are_answered_in_words(world: World, portal: Portal) -> None:
    for address in (
        "/?page=x&rows=-3&hide=%00&sort=%ff",
        "/?page=99999999",
        "/?q=" + "a" * 5000,
        "/?columns=all&rows=999",
    ):
        assert portal.visitor().get(address).status_code == 200, address
    for address in ("/?parent=nothing", "/models/..%2f..%2fetc", "/models/%00", "/benchmarks/%ff"):
        assert portal.visitor().get(address).status_code in {400, 404}, address


def test_the_api_gives_the_data_frames_that_the_database_gives(portal: Portal, world: World) -> None:
    from_database = ScoreData(DatabaseSource(portal.database, world.domain, "the portal's database"))
    from_api = scores.connect(portal.url)
    for call in ("table", "matrix", "averages", "history", "runs", "canaries", "benchmarks", "models"):
        assert_frame_equal(getattr(from_api, call)(), getattr(from_database, call)(), check_exact=True)
    assert len(from_api.models()) >= 60
