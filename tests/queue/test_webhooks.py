"""Webhooks: an event of the real forge leads by way of the portal, the queue and a worker to a merged pull request; whatever is
forged, sent again, too large or none of ours leads to nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.reconcile.conftest import Place, metric, of_library

from brainscore_ops import services
from brainscore_ops.events import WEBHOOKS
from brainscore_ops.forge.embedded.webhooks import add_hook, deliveries_of, redeliver
from brainscore_ops.queue.jobs import JobState, jobs
from brainscore_ops.settings import ForgeSecret, resolve_secret

COMMAND = Path(sys.executable).parent / "brainscore-ops"
REPOSITORY = {"full_name": "brain-score/example", "default_branch": "main"}


@pytest.fixture(scope="module")
def address(place: Place) -> Iterator[str]:
    """Where webhooks go, of a portal that is served."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [COMMAND, "serve", "--port", str(port)]
    with (place.folder / "portal.log").open("wb") as log:
        process = subprocess.Popen(command, env=place.environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/webhooks/github"
    for _ in range(300):
        try:
            requests.get(url, timeout=5)
            break
        except requests.ConnectionError:
            assert process.poll() is None, (place.folder / "portal.log").read_text()
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def secret(place: Place) -> str:
    forge = resolve_secret(place.deployment, place.deployment.forge.secret, ForgeSecret)
    return forge.webhook_secret.get_secret_value()


@pytest.fixture
def post(address: str, secret: str) -> Any:
    """Sends an event as the forge does, or almost."""

    def send(
        document: Any,
        *,
        event: str = "pull_request",
        delivery: str = "",
        key: str = "",
        body: bytes = b"",
        **headers: str,
    ) -> requests.Response:
        content = body or json.dumps(document).encode()
        signature = hmac.new((key or secret).encode(), content, hashlib.sha256).hexdigest()
        given = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
            "X-Hub-Signature-256": f"sha256={signature}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return requests.post(address, data=content, headers=given, timeout=30)

    return send


def opened(number: Any, **values: Any) -> dict[str, Any]:
    pull = {"number": number, "draft": False, "merged": False, "base": {"ref": "main"}, **values}
    return {"action": "opened", "repository": REPOSITORY, "pull_request": pull}


def waiting(place: Place) -> list[tuple[str, dict[str, Any]]]:
    return [(job.runbook, dict(job.parameters)) for job in jobs(place.deployment, states={JobState.WAITING})]


@pytest.mark.timeout(600)
def test_a_pull_request_on_the_forge_is_tested_merged_and_scored_by_a_worker(
    place: Place, address: str, secret: str
) -> None:
    store = services.forge_store(place.deployment)
    repository = store.repository(place.deployment.library.repository)
    hook = add_hook(store, repository, url=address, secret=secret, events=tuple(sorted(WEBHOOKS)))
    pull = place.by_hand(of_library(metric("by_webhook")))
    worker = subprocess.Popen([COMMAND, "worker"], env=place.environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 300
        while not any(job.runbook == "publish" and job.state.is_final for job in jobs(place.deployment)):
            assert time.monotonic() < deadline, jobs(place.deployment)
            time.sleep(0.5)
    finally:
        worker.terminate()
        worker.wait()
    assert place.context.forge.pull_request(pull.number).merged
    done = {job.runbook: job for job in reversed(jobs(place.deployment))}
    assert done.keys() == {"test_plugins", "merge", "score_plugins", "publish"}
    assert {job.state for job in done.values()} == {JobState.SUCCEEDED}
    assert done["test_plugins"].by == "webhook:pull_request"
    assert done["publish"].by == "queue"

    # The forge sends it once more, as its owner may ask it to: it is known, and nothing is run.
    delivered = [each for each in deliveries_of(store, hook) if each.event == "pull_request"]
    redeliver(store, delivered[-1])
    while any(each.status == "pending" for each in deliveries_of(store, hook)):
        time.sleep(0.1)
    assert json.loads(deliveries_of(store, hook)[0].answer)["known"]
    assert waiting(place) == []


def test_an_event_is_acted_on_once_whatever_number_its_replay_has(post: Any, place: Place) -> None:
    first = post(opened(4001), delivery="one")
    assert first.status_code == 202
    assert first.json()["jobs"]
    assert post(opened(4002), delivery="one").json() == {"event": "pull_request", "jobs": [], "known": True}
    assert post(opened(4001), delivery="two").json()["known"], "the number is not signed, and the body is"
    assert [given for _, given in waiting(place)].count({"pull_request": 4001}) == 1


def test_what_is_not_signed_with_the_secret_leads_to_nothing(post: Any, place: Place, address: str) -> None:
    before = waiting(place)
    assert post(opened(4100), key="guessed").status_code == 403
    assert post(opened(4100), X_Hub_Signature_256="").status_code == 403
    assert post(opened(4100), X_Hub_Signature_256="sha1=00").status_code == 403
    assert post(opened(4100), X_Hub_Signature_256="sha256=é".encode().decode("latin-1")).status_code == 403
    assert requests.get(address, timeout=10).status_code == 405
    assert waiting(place) == before


def test_what_is_too_large_or_no_event_is_refused(post: Any, place: Place) -> None:
    before = waiting(place)
    assert post(None, body=b"[" + b" " * 5 * 1024**2 + b"]").status_code == 413
    assert post(None, body=b"{").status_code == 422
    assert post(opened(4100), Content_Type="application/x-www-form-urlencoded").status_code == 415
    assert post(opened(4100), X_GitHub_Delivery="a b").status_code == 400
    assert post(opened("4100")).status_code == 400
    assert post([]).status_code == 400
    other = {**opened(4100), "repository": {**REPOSITORY, "full_name": "eve/example"}}
    assert post(other).status_code == 422
    assert waiting(place) == before


def test_each_event_asks_for_the_runbook_that_looks_at_what_happened(post: Any, place: Place) -> None:
    def asked(document: dict[str, Any], event: str = "pull_request") -> list[tuple[str, dict[str, Any]]]:
        found = post({**document, "unique": str(uuid.uuid4())}, event=event).json()["jobs"]
        return [
            (job.runbook, dict(job.parameters)) for job in jobs(place.deployment, limit=len(found)) if job.id in found
        ]

    assert asked({"zen": "Keep it logically awesome."}, "ping") == []
    assert asked({**opened(4200), "action": "synchronize"}) == [("test_plugins", {"pull_request": 4200})]
    assert asked(opened(4201, draft=True)) == []
    assert asked(opened(4201, base={"ref": "next"})) == []
    assert asked({**opened(4202), "action": "labeled"}) == [("merge", {"pull_request": 4202})]
    assert asked({**opened(4203, merged=True), "action": "closed"}) == [("score_plugins", {"pull_request": 4203})]
    assert asked({**opened(4204), "action": "submitted"}, "pull_request_review") == [("merge", {"pull_request": 4204})]
    status = {"repository": REPOSITORY, "sha": "0" * 40, "state": "success"}
    assert asked(status, "status") == [], "no pull request has that head"
    dispatch = {"repository": REPOSITORY, "action": "publish", "client_payload": {}}
    assert asked(dispatch, "repository_dispatch") == [("publish", {})]
    dispatch = {"repository": REPOSITORY, "action": "migrate", "client_payload": {"dry_run": False}}
    assert asked(dispatch, "repository_dispatch") == [], "a migration needs a person"
