"""Apps: proofs by a key, tokens that end, and the client that renews them."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from brainscore_ops.errors import UsageError
from brainscore_ops.forge.client import ForgeClient
from brainscore_ops.forge.credentials import AppCredentials
from brainscore_ops.forge.embedded import Store
from brainscore_ops.forge.embedded.apps import AppKey, create_app
from brainscore_ops.forge.errors import ForgeRefusedError
from brainscore_ops.forge.mirror import Mirror

from .conftest import set_up


@pytest.fixture(scope="module")
def key(forge_server: Any) -> AppKey:
    return create_app(Store(forge_server.root / "store"), "brainscore-ops")


def credentials(key: AppKey, **changes: Any) -> AppCredentials:
    return AppCredentials(**{"app_id": key.app_id, "private_key": key.private_key} | changes)


def test_an_app_acts_under_its_bots_name(forge: Any, key: AppKey, answers: Any) -> None:
    client = forge.client(token="", app=credentials(key))
    status = client.set_status(forge.base, context="tests", state="success", description="passed")
    assert status.creator == client.login == key.login == "brainscore-ops[bot]"
    client.set_status(forge.base, context="tests", state="success", description="passed")
    assert len(forge.store.statuses(forge.store.repository(forge.repository), forge.base)) == 1
    asked = {operation for operation, _ in answers}
    assert asked >= {
        "get /app",
        "get /repos/{owner}/{repo}/installation",
        "post /app/installations/{installation_id}/access_tokens",
    }


def test_git_fetches_with_the_apps_token(forge: Any, key: AppKey, tmp_path: Any) -> None:
    client = forge.client(token="", app=credentials(key, installation_id=key.app_id))
    assert client.token().startswith("bsi_")
    mirror = Mirror(tmp_path / "mirror.git", clone_url=client.clone_url, token=client.token)
    mirror.fetch()
    assert (mirror.checkout(forge.base, tmp_path / "out") / "README.md").exists()


def test_a_token_is_renewed_before_it_ends(own_server: Any, tmp_path: Any) -> None:
    own_server.stop()
    own_server.start("--token-seconds", "22")  # PyGithub renews 20 s before the end
    forge = set_up(own_server, "brain-score/library", tmp_path / "library")
    client = forge.client(token="", app=credentials(create_app(forge.store, "ops")))
    first = client.token()
    assert client.token() == first
    time.sleep(3)
    assert client.token() != first
    assert client.default_branch()[1] == forge.base


def test_a_token_that_has_ended_is_refused(forge: Any, key: AppKey) -> None:
    from brainscore_ops.forge.embedded.apps import create_installation_token, prove_app

    proof = jwt.encode({"iat": time.time(), "exp": time.time() + 60, "iss": str(key.app_id)}, key.private_key, "RS256")
    token, _ends = create_installation_token(forge.store, prove_app(forge.store, proof), seconds=-1)
    with pytest.raises(ForgeRefusedError) as caught:
        forge.client(token=token).default_branch()
    assert caught.value.code == "forge-unauthorized"


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"iss": "12345"}, "Integration not found"),
        ({"iss": "not a number"}, "could not be decoded"),
        ({"exp": time.time() - 3600}, "could not be decoded"),
        ({"iat": time.time() + 3600}, "could not be decoded"),
        ({"exp": time.time() + 7200}, "too far in the future"),
    ],
)
def test_proofs_that_prove_nothing(call: Any, forge: Any, key: AppKey, claims: dict[str, Any], message: str) -> None:
    good = {"iat": time.time(), "exp": time.time() + 300, "iss": str(key.app_id)}
    proof = jwt.encode(good | claims, key.private_key, "RS256")
    answer = call("GET", f"{forge.server.api_url}/app", token=proof)
    assert (answer.status_code, message in answer.json()["message"]) == (401, True), answer.json()


def test_another_key_is_not_the_apps(call: Any, forge: Any, key: AppKey) -> None:
    other = create_app(forge.store, f"other-{forge.repository.split('/')[1]}")
    claims = {"iat": time.time(), "exp": time.time() + 300, "iss": str(key.app_id)}
    for proof in (jwt.encode(claims, other.private_key, "RS256"), jwt.encode(claims, 40 * "x", "HS256")):
        assert call("GET", f"{forge.server.api_url}/app", token=proof).status_code == 401
    assert call("GET", f"{forge.server.api_url}/app").status_code == 401, "a user's token is no app"
    installation = f"{forge.server.api_url}/app/installations/{key.app_id}/access_tokens"
    proof = jwt.encode(claims | {"iss": str(other.app_id)}, other.private_key, "RS256")
    assert call("POST", installation, token=proof).status_code == 404


def test_a_key_that_cannot_sign_is_named_and_not_shown(forge: Any, key: AppKey) -> None:
    broken = key.private_key[:200]
    with pytest.raises(UsageError, match="PEM") as caught:
        forge.client(token="", app=credentials(key, private_key=broken)).default_branch()
    assert broken[40:80] not in str(caught.value)
    assert key.private_key[40:80] not in repr(credentials(key))


def test_either_a_token_or_an_app(forge: Any, key: AppKey) -> None:
    for options in ({"token": ""}, {"token": "t", "app": credentials(key)}):
        with pytest.raises(UsageError, match="either"):
            ForgeClient(api_url="http://127.0.0.1/api/v3", repository="a/b", **options)
