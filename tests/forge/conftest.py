"""A real embedded forge in a process of its own, and a check of its every answer against GitHub's description."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from github import Auth, Github, InputGitTreeElement
from jsonschema import Draft7Validator, FormatChecker

from brainscore_ops.forge import retry
from brainscore_ops.forge.client import ForgeClient, Person
from brainscore_ops.forge.embedded import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = "brain-score/example"
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ADA = Person("Ada Example", "ada@example.org")


class Server:
    """The process of a forge over a store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.start()

    def start(self, *options: str) -> None:
        ready = self.root / "ready.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "brainscore_ops.forge.embedded", "--root", str(self.root / "store")]
        self.process = subprocess.Popen([*command, "--ready-file", str(ready), *options])
        deadline = time.monotonic() + 20
        while not ready.exists():
            assert self.process.poll() is None, "the forge ended before it listened"
            assert time.monotonic() < deadline, "the forge did not start"
            time.sleep(0.02)
        document = json.loads(ready.read_text())
        self.url, self.api_url = document["url"], document["api_url"]
        assert document["pid"] == self.process.pid

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=10)


@dataclass(frozen=True)
class Forge:
    """A repository of its own on the running server, and a bot's token for it."""

    server: Server
    store: Store
    repository: str
    token: str
    base: str
    """The first commit."""

    @property
    def clone_url(self) -> str:
        return f"{self.server.url}/{self.repository}.git"

    def client(self, **options: Any) -> ForgeClient:
        values = {"api_url": self.server.api_url, "repository": self.repository, "token": self.token, "patience": 5}
        return ForgeClient(**values | options)

    def git(self, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Real git as a person uses it, with the token as the password."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.server.root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _SOMEBODY},
        }
        result = subprocess.run(
            ["git", *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60
        )
        if result.returncode != 0:
            raise subprocess.CalledProcessError(result.returncode, arguments[0], result.stdout, result.stderr)
        return result.stdout.strip()

    def clone(self, folder: Path) -> Path:
        """A clone that can push."""
        self.git("clone", "--quiet", self.clone_url.replace("//", f"//x:{self.token}@"), folder)
        return folder


_SOMEBODY = (("NAME", "Somebody"), ("EMAIL", "somebody@example.org"))


@pytest.fixture(scope="session")
def forge_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("forge"))
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="session")
def forge_names() -> Iterator[str]:
    return (f"brain-score/example-{number}" for number in range(1_000))


@pytest.fixture
def forge(forge_server: Server, forge_names: Iterator[str], tmp_path: Path) -> Forge:
    """A fresh repository with one commit on the session's server."""
    return set_up(forge_server, next(forge_names), tmp_path / "library")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that the test may kill."""
    root = tmp_path / "own"
    root.mkdir()
    server = Server(root)
    yield server
    server.kill()


def set_up(server: Server, repository: str, folder: Path) -> Forge:
    store = Store(server.root / "store")
    store.create_user("ops-bot", "Ops Bot", "ops-bot@example.org")
    store.create_repository(repository)
    (folder / "library/models/random").mkdir(parents=True)
    (folder / "README.md").write_text("A library.\n")
    (folder / "library/models/random/__init__.py").write_text("MODEL = 'random'\n")
    base = store.import_folder(repository, folder, message="First", author=ADA, when=WHEN)
    return Forge(server, store, repository, store.create_token("ops-bot", ["repo"]), base)


UNPACED: Any = {"seconds_between_requests": None, "seconds_between_writes": None}
"""PyGithub waits between its requests by default, to spare GitHub."""


@pytest.fixture
def repository(forge: Any) -> Any:
    """The repository as plain PyGithub sees it."""
    with Github(base_url=forge.server.api_url, auth=Auth.Token(forge.token), **UNPACED) as github:
        yield github.get_repo(forge.repository)


@pytest.fixture
def call(forge: Any) -> Any:
    """One bare request to the repository's part of the API."""

    def call(method: str, path: str, *, token: str | None = forge.token, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = path if path.startswith("http") else f"{forge.server.api_url}/repos/{forge.repository}{path}"
        return requests.request(method, url, headers=headers | options.pop("headers", {}), timeout=30, **options)

    return call


def branch(repository: Any, name: str, path: str = "library/new.py", content: str = "1\n") -> Any:
    """A branch with one new commit, as PyGithub makes it."""
    base = repository.get_git_commit(repository.get_branch("main").commit.sha)
    tree = repository.create_git_tree([InputGitTreeElement(path, "100644", "blob", content=content)], base.tree)
    commit = repository.create_git_commit(f"Add {path}", tree, [base])
    repository.create_git_ref(f"refs/heads/{name}", commit.sha)
    return commit


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Check every answer that a test gets from the API against GitHub's description; the list says what was checked."""
    checked: list[tuple[str, int]] = []
    send = requests.Session.send

    def send_and_check(session: requests.Session, request: Any, **options: Any) -> requests.Response:
        response = send(session, request, **options)
        if "/api/v3/" in response.url and "X-GitHub-Request-Id" in response.headers:
            checked.append(check_answer(response))
        return response

    monkeypatch.setattr(requests.Session, "send", send_and_check)
    return checked


def check_answer(response: requests.Response) -> tuple[str, int]:
    """Hold one answer against the description; the operation and the status that it was held against."""
    path = response.url.split("/api/v3", 1)[1].split("?")[0]
    # PyGithub reads statuses at an old address that GitHub answers like the documented one.
    if response.request.method == "GET":
        path = re.sub(r"/statuses/(.+)$", r"/commits/\1/statuses", path)
    method, status = str(response.request.method).lower(), str(response.status_code)
    operations = _contract()["operations"]
    known = (
        template for template, pattern in _templates() if pattern.fullmatch(path) and method in operations[template]
    )
    template = next(known, path)
    # The description lists these only where they are likely; they may come from anywhere, and all look the same.
    errors = dict.fromkeys(("400", "401", "403", "404"), "basic-error") | {"422": "validation-error"}
    described = _contract()["operations"].get(template, {}).get(method, {}).get(status, {}).get("schema", {})
    if described.get("$ref", "").endswith("/validation-error-simple"):
        validate(described, response.json())
    elif status == "304":  # nothing at all, to whom asks under a condition; described for some of the readings only
        assert not response.content
        assert (method, "If-None-Match" in response.request.headers) == ("get", True)
    elif status in errors:
        validate({"$ref": f"#/components/schemas/{errors[status]}"}, response.json())
    elif path.startswith("/users/"):
        validate({"$ref": "#/components/schemas/private-user"}, response.json())
    else:
        assert template in operations, f"{method} {path} is not in the description"
        operation = operations[template][method]
        assert status in operation, f"{method} {template} answers {status}; the description knows {sorted(operation)}"
        if "schema" in operation[status]:
            validate(operation[status]["schema"], response.json())
    assert all(f"X-RateLimit-{name}" in response.headers for name in ("Limit", "Remaining", "Used", "Reset"))
    return f"{method} {template}", response.status_code


def validate(schema: dict[str, Any], document: Any) -> None:
    """Raise what differs from a schema of the description."""
    validator = Draft7Validator({**schema, "components": _contract()["components"]}, format_checker=FormatChecker())
    problems = [f"{'/'.join(map(str, error.path))}: {error.message[:200]}" for error in validator.iter_errors(document)]
    assert not problems, "\n".join(problems)


@cache
def _contract() -> dict[str, Any]:
    text = (Path(__file__).parent / "github_openapi_subset.json").read_text()
    return _as_json_schema(json.loads(text))


def _as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0's ``nullable`` in the words of JSON Schema."""
    if isinstance(node, list):
        return [_as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {key: _as_json_schema(value) for key, value in node.items()}
    if schema.pop("nullable", None) is True:
        return {"anyOf": [{"type": "null"}, schema]}
    return schema


@cache
def _templates() -> list[tuple[str, re.Pattern[str]]]:
    """The described paths, those with the fewest variable parts first; a ref or branch may hold slashes."""
    many = re.compile(r"\\\{(ref|branch|tree_sha)\\\}")
    one = re.compile(r"\\\{\w+\\\}")
    templates = sorted(_contract()["operations"], key=lambda path: (path.count("{"), -len(path)))
    return [(path, re.compile(one.sub("[^/]+", many.sub(".+", re.escape(path))))) for path in templates]


def check_payload(name: str, payload: Any) -> None:
    """Hold what a webhook sent against the description: ``push``, ``pull-request-opened`` …"""
    validate(_contract()["webhooks"][name], payload)


# Faults of the network and of the server cannot be provoked on the embedded forge: a proxy makes them.


class Proxy:
    """Passes requests on to a forge and spoils some answers.

    `faults` is asked for every request with its method and path and says what to do: "" passes it on, "lose" passes it on and
    hangs up instead of answering (after `when_lost`), a number answers with that status at once.
    """

    def __init__(
        self, target: str, faults: Callable[[str, str], str], when_lost: Callable[[], None] = lambda: None
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                fault = faults(self.command, self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if fault.isdigit():
                    self.answer(int(fault), {"Retry-After": "0"}, b'{"message": "no"}')
                    return
                response = requests.request(
                    self.command, target + self.path, data=body, headers=dict(self.headers), timeout=30
                )
                if fault == "lose":
                    when_lost()
                    self.close_connection = True
                    self.connection.close()
                    return
                self.answer(response.status_code, {"Content-Type": "application/json"}, response.content)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 (the base class's names)

            def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def spoiled(forge: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[str, str], str]], Any]]:
    """A client behind a proxy with the given faults."""
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.02)
    proxies = []

    def make(faults: Callable[[str, str], str]) -> Any:
        proxies.append(Proxy(forge.server.url, faults))
        return forge.client(api_url=proxies[-1].url + "/api/v3", patience=60)

    yield make
    for proxy in proxies:
        proxy.close()
