"""The whole way in a browser: from signing up to the score, and what somebody does with their account afterwards."""

from __future__ import annotations

import io
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.portal.conftest import serving
from tests.portal.visitors import COMMAND, PASSWORD, Portal, eventually

SHOTS = os.environ.get("BRAINSCORE_OPS_SCREENSHOTS")
"""A folder for pictures of the pages, for whoever wants to look at them."""
MODEL = """
from brainscore_example import model_registry
from brainscore_example.model_interface import BrainModel, representation


class Vowels(BrainModel):
    identifier = "vowel-count"

    def represent(self, stimuli):
        return representation(stimuli, [[sum(letter in "aeiou" for letter in text)] for text in stimuli["text"]])


model_registry["vowel-count"] = Vowels
"""
TEST = """
import pandas as pd

from brainscore_example import load_model


def test_counts_vowels():
    stimuli = pd.DataFrame({"stimulus_id": ["a"], "text": ["apple"]})
    assert load_model("vowel-count").represent(stimuli).to_numpy().tolist() == [[2.0]]
"""


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A website of its own: what is scored here stands on its leaderboard for good."""
    with serving(tmp_path_factory.mktemp("journey")) as served:
        yield served


def model() -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as file:
        file.writestr("vowels/models/vowel_count/__init__.py", MODEL)
        file.writestr("vowels/models/vowel_count/test.py", TEST)
    return output.getvalue()


def shoot(page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def test_from_signing_up_to_the_score_and_back_out(portal, page):
    address, content = "grace@example.org", model()

    # Somebody signs up, and proves by the mail that the address is theirs.
    page.goto("/submit")
    page.wait_for_url("**/sign-in?next=*")
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("Your name").fill("Grace Example")
    page.get_by_label("E-mail address").fill(address)
    shoot(page, "sign-up")
    page.get_by_role("button", name="Sign up").click()
    page.get_by_role("heading", name="Look into your mail").wait_for()
    shoot(page, "mail-sent")
    page.goto(portal.link(address, "Finish signing up"))
    page.get_by_label("Password").fill(PASSWORD)
    shoot(page, "choose-password")
    page.get_by_role("button", name="Set the password").click()
    page.wait_for_url("**/account*")

    # A broken archive: all that is wrong is said at once.
    page.get_by_role("link", name="Submit", exact=True).click()
    page.get_by_label("Zip file").set_input_files(
        {"name": "broken.zip", "mimeType": "application/zip", "buffer": b"no zip"}
    )
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("This cannot be accepted as it is").wait_for()
    shoot(page, "refused")

    # A good one is accepted, and can be followed to its scores.
    page.get_by_label("What it is called").fill("Counting vowels")
    page.get_by_label("Zip file").set_input_files(
        {"name": "vowels.zip", "mimeType": "application/zip", "buffer": content}
    )
    shoot(page, "submit")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/submissions/*")
    shoot(page, "accepted")
    assert portal.mail(address, "Received: Counting vowels")
    worker = [COMMAND, "worker", "--drain"]
    done = subprocess.run(worker, env=portal.environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    page.get_by_text("Every score is in.").first.wait_for(timeout=20_000)  # the page finds out by itself
    shoot(page, "scored")
    page.get_by_role("listitem").filter(has_text="scores are in.").get_by_role("link", name="Record").click()
    page.locator("iframe").wait_for()
    expect(page.frame_locator("iframe").locator("body")).to_contain_text("Score")
    shoot(page, "record")
    page.go_back()

    # It stands on the leaderboard. Its owner hides the scores from others, and shows them again.
    stranger, submission = portal.visitor(), page.url
    assert eventually(lambda: "vowel-count" in stranger.get("/").text, seconds=15)
    page.get_by_role("button", name="Show them to me alone").click()
    page.get_by_text("You and the Brain-Score team alone see the scores now.").wait_for()
    assert eventually(lambda: "vowel-count" not in stranger.get("/").text, seconds=15)
    assert stranger.get("/models/vowel-count").status_code == 404
    page.get_by_role("link", name="Leaderboard", exact=True).click()
    page.get_by_role("link", name="vowel-count").first.wait_for()
    page.goto(submission)
    page.get_by_role("button", name="Show them to everybody").click()
    page.get_by_text("Everybody sees the scores now.").wait_for()
    assert eventually(lambda: "vowel-count" in stranger.get("/").text, seconds=15)
    page.get_by_role("link", name="My submissions").click()
    assert page.get_by_role("row", name=re.compile("Counting vowels")).get_by_text("scored").first.is_visible()
    shoot(page, "my-submissions")

    # A token for a program is made, shown once, and deleted.
    page.get_by_role("link", name="Account").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("laptop")
    page.get_by_role("button", name="Make a token").click()
    token = page.locator("#new-token").inner_text()
    shoot(page, "account")
    page.get_by_role("link", name="Account").click()
    assert token not in page.content()
    page.get_by_role("button", name="Delete the token laptop").click()
    page.get_by_text("The token was deleted.").wait_for()

    # They sign out, forget the password, and choose another.
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Choose a new password").click()
    page.get_by_label("E-mail address").fill(address)
    page.get_by_role("button", name="Send me a link").click()
    page.get_by_role("heading", name="Look into your mail").wait_for()
    page.goto(portal.link(address, "Choose a new password"))
    page.get_by_label("Password").fill("another password of chance")
    page.get_by_role("button", name="Set the password").click()
    page.get_by_text("You are signed in, and your password is set.").wait_for()


def test_what_the_team_sees(portal, page):
    """Pictures of the team's pages, with what the tests before have left."""
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(portal.make_user(is_staff=True, is_superuser=True))
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    for name in ("Staff", "Runs", "Submissions", "Accounts"):
        page.get_by_role("link", name=name, exact=True).click()
        page.get_by_role("heading", level=1).wait_for()
        shoot(page, f"staff-{name.lower()}")
