"""The client, and `brainscore-ops --server`, against the served site."""

from __future__ import annotations

import json
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.portal.conftest import COMMAND
from tests.portal.test_api import world
from tests.portal.test_uploads import archive as a_plugin
from tests.portal.visitors import Portal
from tests.scores.conftest import World

from brainscore_ops.client import (
    Client,
    NotAnApiError,
    ServerRefusedError,
    ServerUnavailableError,
    UnknownThereError,
)
from brainscore_ops.errors import UsageError
from brainscore_ops.portal.tokens import make_token

__all__ = ["world"]


@pytest.fixture
def token(portal: Portal) -> str:
    with portal.database.session() as session:
        return make_token(
            session, portal.user(portal.make_user()).id, name="client", scopes=("read", "submit"), days=None
        )


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A plugin that is in order."""
    path = tmp_path / "by-client.zip"
    path.write_bytes(a_plugin())
    return path


def command(portal: Portal, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), "--server", portal.url, *arguments],
        capture_output=True, text=True, timeout=60, check=False, cwd="/", env={**portal.environment, **variables},
    )  # fmt: skip


def test_scores_are_read_page_by_page(world: World, portal: Portal) -> None:
    with Client(portal.url) as site:
        assert [row["value"] for row in site.scores(model="api-one")] == [0.5]
        assert {each["identifier"] for each in site.models()} >= {"api-one", "api/three é"}
        assert site.site()["domain"] == world.domain
        assert any(row["model"] == "api/three é" for row in site.leaderboard())
        assert list(site.models()) == list(site.models()), "the second is what is known already"


def test_an_archive_is_sent_and_followed(portal: Portal, token: str, archive: Path) -> None:
    with Client(portal.url, token) as site:
        arrived = site.submit(archive, name="by client")
        assert not arrived["known"]
        assert site.submit(archive, name="by client")["known"]
        assert [each["name"] for each in site.submissions()] == ["by client"]
        found = site.submission(arrived["submission"])
        assert found["state"] == "accepted"
        assert found["events"]


def test_what_the_website_refuses_is_a_typed_error_with_all_problems(
    portal: Portal, token: str, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(bad, "w") as file:
        file.writestr("../outside", "")
    with Client(portal.url, token) as site, pytest.raises(ServerRefusedError) as refused:
        site.submit(bad)
    assert refused.value.problems
    with Client(portal.url) as stranger:
        with pytest.raises(ServerRefusedError, match="BRAINSCORE_OPS_TOKEN"):
            list(stranger.submissions())
        with pytest.raises(UnknownThereError):
            stranger.submission(999_999_999)


def test_a_token_is_not_sent_where_others_could_read_it() -> None:
    with pytest.raises(UsageError, match="https"):
        Client("http://brain-score.example.org", token="bso_secret")
    with pytest.raises(UsageError, match="address of a website"):
        Client("brain-score.example.org")


@pytest.fixture
def other_server() -> Iterator[str]:
    """A website of somebody else's: pages everywhere, a redirect at /moved, always busy at /busy."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = 302 if self.path.startswith("/moved") else 503 if self.path.startswith("/busy") else 200
            self.send_response(status)
            self.send_header("Location", "http://elsewhere.invalid/")
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_is_no_website_of_ours_is_told_from_one_that_is_away(other_server: str) -> None:
    for address in (other_server, f"{other_server}/moved"):
        with pytest.raises(NotAnApiError):
            Client(address, token="bso_secret").site()
    with pytest.raises(ServerUnavailableError):
        Client(f"{other_server}/busy").site()


def test_the_command_line_submits_and_follows(portal: Portal, token: str, archive: Path, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(token)
    file.chmod(0o600)
    done = command(portal, "submit", str(archive), "--json", BRAINSCORE_OPS_TOKEN_FILE=str(file))
    assert done.returncode == 0, done.stderr
    number = json.loads(done.stdout)["submission"]
    listed = command(portal, "status", BRAINSCORE_OPS_TOKEN=token)
    assert f"{number}" in listed.stdout
    assert "accepted" in listed.stdout
    one = command(portal, "status", str(number), BRAINSCORE_OPS_TOKEN=token)
    assert "what happened" in one.stdout
    assert token not in done.stdout + done.stderr + listed.stdout + one.stdout

    file.chmod(0o644)
    refused = command(portal, "status", BRAINSCORE_OPS_TOKEN_FILE=str(file))
    assert (refused.returncode, "chmod 600" in refused.stderr) == (2, True)


def test_the_command_line_prints_scores(world: World, portal: Portal) -> None:
    assert "api-one" in command(portal, "scores").stdout
    assert "0.500 ± 0.100" in command(portal, "scores", "--model", "api-one").stdout
    assert command(portal, "scores", "--model", "api-one", "--csv").stdout.startswith("model,benchmark,version")
    for misspelt in (("--model", "api-ome"), ("--benchmark", "nothing", "--csv")):
        unknown = command(portal, "scores", *misspelt)
        assert (unknown.returncode, unknown.stdout, "there is no" in unknown.stderr) == (2, "", True)
    refused = command(portal, "runs")
    assert (refused.returncode, "--server goes with" in refused.stderr) == (2, True)
