"""Webhooks: each event asks for the runbook that looks at what happened; whatever is forged, sent again, too large or none of
ours leads to nothing. That the real forge's events lead to a merged pull request is in ``tests/reconcile``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from typing import Any

import pytest
import requests
from tests.reconcile.conftest import Place

from brainscore_ops.queue.jobs import JobState, jobs
from brainscore_ops.settings import ForgeSecret, resolve_secret

REPOSITORY = {"full_name": "brain-score/example", "default_branch": "main"}


@pytest.fixture(scope="module")
def secret(place: Place) -> str:
    forge = resolve_secret(place.deployment, place.deployment.forge.secret, ForgeSecret)
    return forge.webhook_secret.get_secret_value()


@pytest.fixture
def post(portal_url: str, secret: str) -> Any:
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
        return requests.post(f"{portal_url}/webhooks/github", data=content, headers=given, timeout=30)

    return send


def opened(number: Any, **values: Any) -> dict[str, Any]:
    pull = {"number": number, "draft": False, "merged": False, "base": {"ref": "main"}, **values}
    return {"action": "opened", "repository": REPOSITORY, "pull_request": pull}


def waiting(place: Place) -> list[tuple[str, dict[str, Any]]]:
    return [(job.runbook, dict(job.parameters)) for job in jobs(place.deployment, states={JobState.WAITING})]


def test_an_event_is_acted_on_once_whatever_number_its_replay_has(post: Any, place: Place) -> None:
    first = post(opened(4001), delivery="one")
    assert first.status_code == 202
    assert first.json()["jobs"]
    assert post(opened(4002), delivery="one").json() == {"event": "pull_request", "jobs": [], "known": True}
    assert post(opened(4001), delivery="two").json()["known"], "the number is not signed, and the body is"
    assert [given for _, given in waiting(place)].count({"pull_request": 4001}) == 1


def test_what_is_not_signed_with_the_secret_leads_to_nothing(post: Any, place: Place, portal_url: str) -> None:
    before = waiting(place)
    assert post(opened(4100), key="guessed").status_code == 403
    assert post(opened(4100), X_Hub_Signature_256="").status_code == 403
    assert post(opened(4100), X_Hub_Signature_256="sha1=00").status_code == 403
    assert post(opened(4100), X_Hub_Signature_256="sha256=é".encode().decode("latin-1")).status_code == 403
    assert requests.get(f"{portal_url}/webhooks/github", timeout=10).status_code == 405
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
        return [(job.runbook, dict(job.parameters)) for job in jobs(place.deployment) if job.id in found]

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
