"""Webhooks: what is sent, how it is signed, what happens when nobody listens; each payload held against GitHub's description."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from .conftest import branch, check_payload

SECRET = "a secret that both sides know"


class Receiver:
    """What somebody's web server got; it answers what it is told to."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 202)
                self.end_headers()
                self.wfile.write(b"heard")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def payloads(self, event: str) -> list[Any]:
        return [json.loads(body) for headers, body in list(self.got) if headers["X-GitHub-Event"] == event]

    def wait(self, event: str, count: int = 1) -> list[Any]:
        wait_for(lambda: len(self.payloads(event)) >= count)
        return self.payloads(event)


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def hook(repository: Any, receiver: Receiver) -> Any:
    return repository.create_hook("web", {"url": receiver.url, "secret": SECRET, "content_type": "json"}, ["*"], True)


def test_the_way_of_a_pull_request_is_told(repository: Any, receiver: Receiver, hook: Any, forge: Any) -> None:
    check_payload("ping", receiver.wait("ping")[0])
    commit = branch(repository, "feature")
    (push,) = receiver.wait("push")
    check_payload("push", push)
    assert (push["ref"], push["after"], push["created"], push["forced"]) == (
        "refs/heads/feature",
        commit.sha,
        True,
        False,
    )
    assert push["head_commit"]["added"] == ["library/new.py"]

    pull = repository.create_pull(base="main", head="feature", title="T", body="B")
    pull.add_to_labels("bug")
    repository.get_commit(commit.sha).create_status("success", "https://example.org/1", "passed", "tests")
    pull.create_issue_comment("A word.")
    pull.create_review(body="Hm.", event="COMMENT")
    later = branch(repository, "more", "library/more.py")
    repository.get_git_ref("heads/feature").edit(later.sha, force=True)
    merged = repository.get_pull(pull.number).merge(merge_method="squash")

    receiver.wait("pull_request", 4)
    told = receiver.payloads("pull_request")
    assert [payload["action"] for payload in told] == ["opened", "labeled", "synchronize", "closed"]
    for payload in told:
        check_payload(f"pull-request-{payload['action']}", payload)
    assert told[1]["label"]["name"] == "bug"
    assert (told[2]["before"], told[2]["after"]) == (commit.sha, later.sha)
    assert (told[3]["pull_request"]["merged"], told[3]["pull_request"]["merge_commit_sha"]) == (True, merged.sha)
    (status,) = receiver.wait("status")
    check_payload("status", status)
    assert (status["context"], status["state"], status["sha"]) == ("tests", "success", commit.sha)
    (review,) = receiver.wait("pull_request_review")
    check_payload("pull-request-review-submitted", review)
    assert receiver.wait("issue_comment")[0]["comment"]["body"] == "A word."
    wait_for(lambda: "refs/heads/main" in [payload["ref"] for payload in receiver.payloads("push")])


def test_a_delivery_is_signed(receiver: Receiver, hook: Any) -> None:
    receiver.wait("ping")
    headers, body = receiver.got[0]
    expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] == expected
    assert headers["X-GitHub-Hook-ID"] == str(hook.id)
    assert SECRET not in body.decode()
    assert SECRET not in str(hook.raw_data)


def test_a_push_by_git_is_told_with_who_pushed(forge: Any, receiver: Receiver, hook: Any, tmp_path: Any) -> None:
    clone = forge.clone(tmp_path / "clone")
    forge.git("commit", "--quiet", "--allow-empty", "--message", "One", cwd=clone)
    forge.git("push", "--quiet", "origin", "HEAD:main", "HEAD:another", cwd=clone)
    pushes = receiver.wait("push", 2)
    assert sorted(push["ref"] for push in pushes) == ["refs/heads/another", "refs/heads/main"]
    assert {push["pusher"]["name"] for push in pushes} == {"ops-bot"}
    forge.git("push", "--quiet", "origin", ":another", cwd=clone)
    assert receiver.wait("push", 3)[2]["deleted"]


def test_what_fails_is_tried_again_and_recorded(repository: Any, receiver: Receiver, hook: Any) -> None:
    receiver.wait("ping")
    receiver.answers = [500, 503]
    repository.create_repository_dispatch("score", {"pull_request": 3})
    told = receiver.wait("repository_dispatch", 3)
    assert [payload["client_payload"] for payload in told] == [{"pull_request": 3}] * 3
    wait_for(lambda: repository.get_hook_deliveries(hook.id)[0].status_code == 202)
    delivery = repository.get_hook_delivery(hook.id, repository.get_hook_deliveries(hook.id)[0].id)
    assert (delivery.event, delivery.action, delivery.redelivery) == ("repository_dispatch", "score", False)
    assert delivery.response.payload == "heard"
    assert delivery.request.payload["client_payload"] == {"pull_request": 3}


def test_a_delivery_can_be_asked_for_again(repository: Any, receiver: Receiver, hook: Any, call: Any) -> None:
    receiver.wait("ping")
    wait_for(lambda: repository.get_hook_deliveries(hook.id)[0].status_code == 202)
    first = repository.get_hook_deliveries(hook.id)[0]
    assert call("POST", f"/hooks/{hook.id}/deliveries/{first.id}/attempts").status_code == 202
    receiver.wait("ping", 2)
    wait_for(lambda: [entry.status_code for entry in repository.get_hook_deliveries(hook.id)] == [202, 202])
    again = repository.get_hook_deliveries(hook.id)[0]
    assert (again.guid, again.redelivery) == (first.guid, True)


def test_what_a_killed_forge_still_had_to_tell_is_told(own_server: Any, receiver: Receiver, tmp_path: Any) -> None:
    from brainscore_ops.forge.embedded.webhooks import add_hook

    from .conftest import set_up

    forge = set_up(own_server, "brain-score/library", tmp_path / "library")
    add_hook(forge.store, forge.store.repository(forge.repository), url=receiver.url, secret=SECRET, events=("push",))
    own_server.kill()
    git = forge.store.git(forge.store.repository(forge.repository))
    git.update_reference("refs/heads/moved-meanwhile", forge.base)
    own_server.start()
    assert receiver.wait("push")[0]["ref"] == "refs/heads/moved-meanwhile"


def test_only_what_was_asked_for_is_sent(repository: Any, receiver: Receiver, hook: Any) -> None:
    hook.edit("web", {"url": receiver.url}, events=["status"])
    branch(repository, "feature")
    repository.get_commit("feature").create_status("pending")
    receiver.wait("status")
    assert receiver.payloads("push") == []
    hook.edit("web", {"url": receiver.url}, active=False)
    repository.get_commit("feature").create_status("success")
    hook.delete()
    assert list(repository.get_hooks()) == []
    assert len(receiver.payloads("status")) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"config": {"url": "file:///etc/passwd"}},
        {"config": {}},
        {"config": {"url": "http://127.0.0.1/x"}, "events": ["everything"]},
        {"config": {"url": "http://127.0.0.1/x"}, "events": []},
        {},
    ],
)
def test_hooks_that_are_refused(call: Any, body: Any) -> None:
    assert call("POST", "/hooks", json=body).status_code == 422


def test_dispatches_that_are_refused(call: Any) -> None:
    assert call("POST", "/dispatches", json={"event_type": "x" * 101}).status_code == 422
    too_many = {"event_type": "x", "client_payload": {str(number): 1 for number in range(11)}}
    assert call("POST", "/dispatches", json=too_many).status_code == 422
