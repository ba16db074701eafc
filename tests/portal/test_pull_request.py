"""The pull request of a private submission: its owner and the team see it on the website, and nobody else does."""

from __future__ import annotations

import os
import re
import signal
from html import unescape
from typing import NamedTuple

import pytest
from tests.portal.test_submissions import sign_in
from tests.portal.visitors import Portal, Visitor
from tests.submissions.conftest import House, model_files

from brainscore_ops import services
from brainscore_ops.database.ops_tables import SubmissionLife
from brainscore_ops.portal.pull_request_view import MOST_LINES, passages
from brainscore_ops.submissions.context import Context
from brainscore_ops.submissions.plugin_tests import STATUS_CONTEXT

HOSTILE = "<img src=x onerror=alert(1)>"


class Mine(NamedTuple):
    """A private submission, whose it is, and where its pull request is."""

    owner: Visitor
    private: House
    submission: int
    number: int

    @property
    def page(self) -> str:
        return f"/submissions/{self.submission}/pull-request"


@pytest.fixture(scope="module")
def public(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> House:
    context = Context(deployment=portal.deployment, database=portal.database, run_id=None)
    return House(context, tmp_path_factory.mktemp("pull-request"))


@pytest.fixture(scope="module")
def mine(portal: Portal, public: House) -> Mine:
    owner, private = portal.member(), public.at_private()
    files = model_files("seen_by_me")
    files["models/seen_by_me/__init__.py"] += f"# {HOSTILE}\n"
    submission = private.accept(files, owner.address, public=False, name=f"Mine {HOSTILE}")
    number = private.propose(submission)
    private.set_status(number)
    private.context.forge.comment(number, key="a-word", body=f"Look:\n\n```text\n{HOSTILE}\n```\n\nand {HOSTILE}")
    private.review(number, "grace", "COMMENT")
    return Mine(owner, private, submission, number)


def test_its_owner_and_the_team_see_it_as_it_stands(portal, mine):
    assert mine.page in mine.owner.get(f"/submissions/{mine.submission}").text
    pull = mine.private.context.forge.pull_request(mine.number)
    for allowed in (mine.owner, portal.member(is_staff=True)):
        answer = allowed.get(mine.page)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "private, no-store")
        text = unescape(re.sub("<[^>]*>", "", answer.text))
        for there in (
            pull.title, "open", pull.head_ref, pull.base_ref, pull.head_sha, pull.base_sha, STATUS_CONTEXT, "by a test",
            "As I see it.", "grace", "brainscore_example/models/seen_by_me/__init__.py", "+def test_nothing():",
        ):  # fmt: skip
            assert there in text, there
        assert "brainscore-ops: a-word" not in text
    mine.private.set_status(mine.number, "failure")
    assert "failure" in mine.owner.get(mine.page).text


def test_to_everybody_else_it_is_not_there(portal, mine):
    for other in (portal.visitor(), portal.member()):
        answer = other.get(mine.page)
        assert answer.status_code == 404
        assert answer.text == other.get("/submissions/99999999/pull-request").text


def test_nothing_in_it_acts(portal, mine):
    text = mine.owner.get(mine.page).text
    assert HOSTILE not in text
    assert text.count("&lt;img src=x onerror=alert(1)&gt;") >= 4  # title, description or file, both of the comment


def test_hostile_names_are_text_and_long_differences_are_cut_with_a_word(portal, mine):
    name = f"brainscore_example/models/seen_by_me/{HOSTILE}.txt"
    files = {name: "one\n", "brainscore_example/models/long.txt": "a line\n" * (MOST_LINES + 50)}
    pull = mine.private.by_hand({**files, "binary.bin": "\0\1"})
    with portal.database.session() as session:  # as if that were the one: no archive would bring such names in
        session.get_one(SubmissionLife, mine.submission).pull_request = pull.number
    try:
        text = mine.owner.get(mine.page).text
    finally:
        with portal.database.session() as session:
            session.get_one(SubmissionLife, mine.submission).pull_request = mine.number
    assert HOSTILE not in text
    assert "seen_by_me/&lt;img src=x onerror=alert(1)&gt;.txt" in text
    assert re.search(r"\d+ more lines of this difference are not shown", text)
    assert text.count("+a line") < MOST_LINES
    assert "not text" in text
    assert f"/submissions/{mine.submission}/archive" in text


def test_that_the_forge_does_not_answer_is_said(portal, mine):
    forge = services._process(portal.deployment, "forge").pid
    os.kill(forge, signal.SIGSTOP)
    try:
        answer = mine.owner.get(mine.page)
    finally:
        os.kill(forge, signal.SIGCONT)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert "The forge does not answer." in answer.text
    assert portal.deployment.forge.secret not in answer.text
    assert mine.owner.get(mine.page).status_code == 200


def test_that_of_a_public_submission_is_on_the_forge(portal, public, mine):
    submission = public.accept(model_files("seen_by_all"), mine.owner.address)
    where = f"/submissions/{submission}/pull-request"
    assert mine.owner.get(where).status_code == 404, "there is none yet"
    number = public.propose(submission)
    answer = mine.owner.get(where)
    assert (answer.status_code, answer.headers["Location"]) == (302, public.context.forge.pull_request(number).url)
    assert portal.visitor().get(where).status_code == 404


def test_what_is_fenced_is_told_from_words_and_what_is_long_is_cut():
    found = passages("before\n````text\n```\ninside\n```\n````\nafter\t\x1b[31m" + "x" * 30_000)
    assert [one.fenced for one in found] == [False, True, False, False]
    assert [one.text[:6] for one in found] == ["before", "```\nin", "after ", "… and "]
    assert "\x1b" not in found[2].text


def test_it_keeps_nobody_from_using_it(portal, mine, page, barriers):
    sign_in(page, mine.owner.address)
    for width, scheme in ((1200, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.goto(mine.page)
        assert barriers(page) == []
        if folder := os.environ.get("SHOTS"):
            page.screenshot(path=f"{folder}/pull-request-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
