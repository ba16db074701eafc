"""The client and what a forge puts in its way: limits, many pages, answers that are lost, a process that is killed meanwhile."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from brainscore_ops.forge.errors import ForgeUnavailableError
from brainscore_ops.forge.retry import SECONDARY_LIMIT_DELAY

from .conftest import Proxy, branch, set_up


@pytest.fixture
def limited(own_server: Any, tmp_path: Any) -> Any:
    """A repository on a forge with limits, which count from now on."""

    def limited(*options: str) -> Any:
        forge = set_up(own_server, "brain-score/library", tmp_path / "library")
        own_server.stop()
        own_server.start(*options)
        return forge

    return limited


def status(client: Any, sha: str, context: str) -> None:
    client.set_status(sha, context=context, state="success", description="passed")


def test_a_rate_limit_that_soon_ends_is_waited_for_and_told(limited: Any, caplog: pytest.LogCaptureFixture) -> None:
    forge = limited("--rate-limit", "4", "--limit-seconds", "7")
    client = forge.client(patience=30)
    begun = time.monotonic()
    for number in range(3):
        status(client, forge.base, f"context {number}")
    assert time.monotonic() - begun > 5
    assert len(client.statuses(forge.base)) == 3
    assert "rate limit is used up for another" in caplog.text


def test_a_secondary_limit_is_waited_for_as_long_as_it_says(limited: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    forge = limited("--write-limit", "2", "--write-limit-seconds", "4")
    client = forge.client(patience=30)
    begun = time.monotonic()
    for number in range(3):
        status(client, forge.base, f"context {number}")
    assert 2 < time.monotonic() - begun < 20
    assert len(client.statuses(forge.base)) == 3


def test_patience_with_a_limit_has_an_end(limited: Any) -> None:
    forge = limited("--write-limit", "1", "--write-limit-seconds", "600")
    client = forge.client(patience=5)
    status(client, forge.base, "one")
    begun = time.monotonic()
    with pytest.raises(ForgeUnavailableError, match="rate limit") as caught:
        status(client, forge.base, "two")
    assert time.monotonic() - begun < 5, "a wait that is too long is not begun"
    assert (caught.value.code, caught.value.exit_code) == ("forge-rate-limit", 4)


def test_a_limit_that_names_no_time_is_given_a_minute(forge: Any) -> None:
    """GitHub's advice; the embedded forge always names a time, so the answer is made here."""
    from github import GithubException

    from brainscore_ops.forge.retry import _limit_delay

    message = {"message": "You have exceeded a secondary rate limit."}
    assert _limit_delay(GithubException(403, message, {})) == SECONDARY_LIMIT_DELAY
    assert _limit_delay(GithubException(403, {"message": "Resource not accessible"}, {})) is None
    assert _limit_delay(GithubException(429, {"message": "?"}, {"Retry-After": "7"})) == 7


def test_what_did_not_change_costs_nothing(forge: Any, answers: Any) -> None:
    client = forge.client()
    status(client, forge.base, "one")

    def used() -> int:
        headers = {"Authorization": f"Bearer {forge.token}"}
        url = f"{forge.server.api_url}/rate_limit"
        return int(requests.get(url, headers=headers, timeout=10).json()["rate"]["used"])

    first = client.statuses(forge.base), client.pull_requests(), client.default_branch()
    before = used()
    answers.clear()
    assert (client.statuses(forge.base), client.pull_requests(), client.default_branch()) == first
    assert {code for _, code in answers} == {304}
    assert used() == before
    status(client, forge.base, "two")
    assert set(client.statuses(forge.base)) == {"one", "two"}, "what changed is seen"


def test_a_page_that_follows_a_full_one_is_not_missed(forge: Any) -> None:
    record, bot = forge.store.repository(forge.repository), forge.store.account("ops-bot")
    client = forge.client()

    def add(number: int) -> None:
        facts = {"state": "success", "description": None, "target_url": None}
        forge.store.add_status(record, bot, sha=forge.base, context=f"context {number}", **facts)

    pulls = {"head_sha": forge.base, "base_ref": "main", "base_sha": forge.base}
    for number in range(101):
        add(number)
        forge.store.git(record).update_reference(f"refs/heads/{number}", forge.base)
        forge.store.add_pull(record, bot, title="T", body="", draft=False, head_ref=f"{number}", **pulls)
        if number > 97:
            assert len(client.statuses(forge.base)) == number + 1
            # Oldest first: a full page stays as it is when another one follows it.
            assert len(client.pull_requests()) == number + 1


def test_conditions_of_one_client_are_not_anothers(forge: Any) -> None:
    first, second = forge.client(), forge.client()
    assert first.pull_requests() == second.pull_requests() == []
    forge.store.create_user("stranger", "Stranger", "stranger@example.org")
    stranger = forge.client(token=forge.store.create_token("stranger", ["read:user"]))
    assert (first.login, stranger.login) == ("ops-bot", "stranger")


def test_every_listing_is_read_to_its_end(forge: Any, repository: Any) -> None:
    """More than the hundred that a page holds, of everything that the client lists."""
    store, record = forge.store, forge.store.repository(forge.repository)
    bot, git = store.account("ops-bot"), forge.store.git(record)
    head = branch(repository, "first").sha
    for number in range(103):
        git.update_reference(f"refs/heads/many/{number}", head)
        refs = {"head_ref": f"many/{number}", "head_sha": head, "base_ref": "main", "base_sha": forge.base}
        store.add_pull(record, bot, title=f"Pull {number}", body="", draft=False, **refs)
    client = forge.client()
    pulls = client.pull_requests()
    assert [pull.number for pull in pulls] == list(range(1, 104))
    assert len(client.pull_requests_since(datetime.now(UTC) - timedelta(hours=1))) == 103
    assert client.pull_requests_since(datetime.now(UTC) + timedelta(hours=1)) == []
    pull = store.pull(record, 1)
    for number in range(103):
        store.add_comment(pull, bot, f"Comment {number}")
        store.set_pull_labels(record, pull, [f"label {index}" for index in range(103)]) if number == 0 else None
    client.comment(1, key="last", body="one")
    client.comment(1, key="last", body="two")
    assert [comment.body.split("\n")[0] for comment in store.comments(pull)][-1] == "two"
    assert len(store.comments(pull)) == 104, "the comment behind the first page is found again"
    from brainscore_ops.forge.embedded.reviews import add_review

    for _ in range(103):
        add_review(store, pull, bot, state="COMMENTED", body="x", sha=head)
    assert len(client.reviews(1)) == 103
    assert len(client.pull_request(1).labels) == 103


# A process that is killed between its request and the answer


WAY = """
import os, sys
from datetime import UTC, datetime
from brainscore_ops.forge.client import ForgeClient, Person
api_url, repository, token, base = sys.argv[1:]
client = ForgeClient(api_url=api_url, repository=repository, token=token, patience=20)
head = client.propose(
    branch="submission/7",
    base_sha=base,
    files={"library/new.py": b"1", "library/image.dat": bytes(range(256))},
    message="Add",
    author=Person("Ada", "ada@example.org"),
    when=datetime(2026, 1, 1, tzinfo=UTC),
)
pull = client.open_pull_request(branch="submission/7", title="Add", body="Please.", labels=["submission"])
client.set_status(head, context="tests", state="pending", description="running") if not pull.merged else None
client.set_status(head, context="tests", state="success", description="passed")
client.comment(pull.number, key="tests", body="All is well.")
print(client.squash_merge(pull.number, head_sha=head, title="Add (#1)", message=""))
"""


def go_until_killed(forge: Any, kill_at: int) -> subprocess.CompletedProcess[str]:
    """The way in a process that is killed when the forge has acted on that write, and before it has the answer."""
    writes, children = 0, []

    def kill_after_acting(method: str, _path: str) -> str:
        nonlocal writes
        writes += method != "GET"
        return "lose" if method != "GET" and writes == kill_at else ""

    proxy = Proxy(forge.server.url, kill_after_acting, when_lost=lambda: os.kill(children[0].pid, signal.SIGKILL))
    arguments = [f"{proxy.url}/api/v3", forge.repository, forge.token, forge.base]
    children.append(subprocess.Popen([sys.executable, "-c", WAY, *arguments], stdout=subprocess.PIPE, text=True))
    said = children[0].communicate(timeout=60)[0]
    proxy.close()
    return subprocess.CompletedProcess(arguments, children[0].returncode, said)


@pytest.mark.timeout(200)
def test_a_process_that_is_killed_at_any_write_is_gone_on_from(forge: Any) -> None:
    for kill_at in range(1, 30):
        ended = go_until_killed(forge, kill_at)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
    assert kill_at > 5, "hardly anything was interrupted"
    record = forge.store.repository(forge.repository)
    (pull,) = forge.store.pulls(record)
    assert (pull.merged, pull.merge_sha) == (True, ended.stdout.strip())
    assert [label.name for label in pull.labels] == ["submission"]
    assert len(forge.store.comments(pull)) == 1
    assert forge.client().statuses(pull.head_sha)["tests"].state == "success"
    assert forge.store.git(record).read_commit(pull.merge_sha).parents == (forge.base,)
    assert forge.client().default_branch()[1] == pull.merge_sha
