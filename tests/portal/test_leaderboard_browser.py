"""The public pages in a browser: without barriers in light and dark, quick with JavaScript, whole without it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.portal.test_leaderboard_pages import world
from tests.portal.visitors import Portal
from tests.scores.conftest import World

from brainscore_ops.portal.static_site import write_site

__all__ = ["world"]


def first_model(page: Page) -> str:
    return page.locator("tbody .model a").first.inner_text().replace("\n", "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_from_using_the_pages(
    world: World, portal: Portal, page: Page, barriers: Callable[[Page], list[str]], scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme)
    for address in ("/?rows=10", "/models/model-07", "/benchmarks/Choices2020-kappa", "/api"):
        page.goto(address)
        assert barriers(page) == [], address


def test_a_telephone_shows_model_and_score_without_scrolling_the_page(world: World, portal: Portal, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    for address in ("/", "/models/model-07", "/benchmarks/Areas2019-pls", "/benchmarks"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
    page.goto("/")
    # The model's name stays where it is while the columns go by.
    page.locator(".board").evaluate("board => board.scrollLeft = 300")
    assert page.locator("tbody .model").first.bounding_box()["x"] < 30


@pytest.mark.parametrize("width", [390, 1280])
def test_what_is_filled_in_and_what_is_pressed_stands_in_one_line(
    world: World, portal: Portal, page: Page, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/")
    found = page.locator(".toolbar :is(select, button, .button)").evaluate_all(
        "all => all.map(each => each.getBoundingClientRect()).map(box => [box.top, box.height])"
    )
    assert len(found) == 4
    assert found == [found[0]] * 4
    for link in page.get_by_role("navigation", name="Site").get_by_role("link").all():
        box = link.bounding_box()
        assert 0 <= box["x"] < box["x"] + box["width"] <= width, "the way to every part of the site is in sight"


def test_sorting_and_finding_need_no_new_page(world: World, portal: Portal, page: Page) -> None:
    page.goto("/")
    page.evaluate("window.kept = true")
    page.get_by_role("link", name=re.compile("Areas2019")).first.click()
    page.wait_for_url("**sort=Areas2019-pls*")
    expect(page.locator("[aria-sort=descending]")).to_contain_text("Areas2019")
    assert first_model(page) == "model-59"
    page.get_by_label("Find a model").press_sequentially("model-2")
    expect(page.locator("[data-count]")).to_have_text("10")
    expect(page.get_by_label("Find a model")).to_be_focused()
    page.go_back()
    page.go_back()
    expect(page.locator("[data-count]")).to_have_text("60")
    assert page.evaluate("window.kept"), "the page was never left"


def test_all_of_it_works_without_javascript(world: World, portal: Portal, browser: Browser) -> None:
    context = browser.new_context(base_url=portal.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Find a model").fill("model-1")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("[data-count]")).to_have_text("10")
    page.get_by_text("Hide columns").click()
    page.get_by_label("Words2014-pearson").check()
    page.get_by_role("button", name="Hide these").click()
    expect(page.locator(".says")).to_contain_text("1 hidden column")
    expect(page.locator("[data-count]")).to_have_text("10")
    page.get_by_role("link", name="neural").click()
    expect(page.locator("h1")).to_have_text("neural")
    context.close()


@pytest.fixture
def files(portal: Portal, tmp_path: Path) -> Iterator[str]:
    """The published site, behind a server that knows nothing but files."""
    found = write_site(portal.database, tmp_path / "site", library=portal.deployment.library)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(found.page.parent)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_site_of_files_sorts_and_finds_too(
    world: World, page: Page, barriers: Callable[[Page], list[str]], files: str
) -> None:
    page.goto(files)
    assert barriers(page) == []
    page.locator("th", has_text="Areas2019").get_by_role("button").click()
    assert first_model(page) == "model-59"
    page.get_by_label("Find a model").fill("model-2")
    expect(page.locator("[data-count]")).to_have_text("10")
    page.locator("tbody .model a:visible").first.click()
    expect(page.locator("h1")).to_contain_text("model-29")
    page.get_by_role("link", name="Leaderboard").first.click()
    expect(page.locator("h1")).to_have_text("Leaderboard")
