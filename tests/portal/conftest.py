"""The website of a deployment of its own, served as `brainscore-ops serve` does; visitors with and without a browser."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from tests.portal.visitors import COMMAND, NUMBERS, Portal

from brainscore_ops import services
from brainscore_ops.database.connection import Database
from brainscore_ops.forge.client import Person
from brainscore_ops.settings import Workspace, load_deployment

ROOT = Path(__file__).parents[2]
ARCHIVE_BYTES = 2_000_000
UPLOAD_SECONDS = 4
QUOTA = 3


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with serving(tmp_path_factory.mktemp("portal")) as served:
        yield served


@contextmanager
def serving(folder: Path) -> Iterator[Portal]:
    """A deployment of its own with the example library, and its website; nothing is left of them afterwards."""
    root = folder / "workspace"
    (root / "params").mkdir(parents=True)
    for name in ("notebooks", "examples"):
        (root / name).symlink_to(ROOT / name)
    url = f"http://127.0.0.1:{free_port()}"
    settings = yaml.safe_load((ROOT / "params" / "local.yaml").read_text())
    settings["mail"]["website"] = url
    settings["archives"] = {"archive_bytes": ARCHIVE_BYTES}
    settings["portal"] = {
        "github": {"secret": "local/github-login"},
        "trusted_proxies": ["127.0.0.1"],
        "quota": QUOTA,
        "upload_seconds": UPLOAD_SECONDS,
    }
    (root / "params" / "local.yaml").write_text(yaml.safe_dump(settings))
    deployment = load_deployment("local", Workspace(root, folder / "state", folder / "outputs"))
    services.up(deployment)
    try:
        store = services.forge_store(deployment)
        store.create_repository(deployment.library.repository, default_branch="main")
        store.import_folder(
            deployment.library.repository,
            ROOT / "examples" / "library",
            message="The library",
            author=Person("Brain-Score", "library@brain-score.invalid"),
            when=datetime(2026, 1, 1, tzinfo=UTC),
        )
        environment = {
            **os.environ,
            "BRAINSCORE_OPS_WORKSPACE": str(root),
            "BRAINSCORE_OPS_STATE": str(folder / "state"),
            "BRAINSCORE_OPS_OUTPUTS": str(folder / "outputs"),
        }
        database = Database.of(deployment)
        log = folder / "serve.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(COMMAND), "serve", "--port", url.rpartition(":")[2]],
                env=environment,
                cwd=folder,
                stdout=output,
                stderr=output,
            )
        try:
            served = Portal(url, deployment, database, process, log, environment)
            wait_for(served)
            yield served
        finally:
            process.terminate()
            process.wait(10)
            database.close()
    finally:
        services.down(deployment, remove=True)


def wait_for(portal: Portal, seconds: float = 30) -> None:
    """Until the site answers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and portal.process.poll() is None:
        try:
            requests.get(portal.url + "/sign-in", timeout=5).raise_for_status()
        except requests.RequestException:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the portal did not start: {portal.log.read_text()}")


def free_port() -> int:
    """A port that nobody has, from below those that systems give to whoever asks for any: it stays free for a while."""
    while True:
        number = random.randint(20_000, 32_000)  # noqa: S311 - nobody gains by guessing it
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", number))
            return number


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of a module, not of the session: while it is there an event loop runs in this thread, where other tests have theirs."""
    chromium = shutil.which("chromium")
    assert chromium, "pages are tested in Debian's chromium: apt-get install chromium"
    flags = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=chromium, args=[*flags.split(), "--disable-component-update", "--disable-sync"]
        )
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser, portal: Portal) -> Iterator[Page]:
    """A page in a browser of its own; what its console says of errors makes the test fail."""
    number = next(NUMBERS)
    context = browser.new_context(
        base_url=portal.url, extra_http_headers={"X-Forwarded-For": f"203.0.{number // 250}.{number % 250 + 1}"}
    )
    context.set_default_timeout(15_000)
    found = context.new_page()
    complaints: list[str] = []
    found.on("pageerror", lambda error: complaints.append(str(error)))
    found.on(
        "console",
        # What the server answers with an error is what some tests want to see.
        lambda said: complaints.append(said.text) if said.type == "error" and "status of" not in said.text else None,
    )
    yield found
    context.close()
    assert complaints == []


@pytest.fixture
def barriers() -> Callable[[Page], list[str]]:
    """What keeps people from using a page: axe-core's findings that are serious or critical."""

    def find(page: Page) -> list[str]:
        results = Axe().run(page).response
        return [
            f"{found['id']} ({found['impact']}): {node['html'][:200]}"
            for found in results["violations"]
            if found["impact"] in {"serious", "critical"}
            for node in found["nodes"]
        ]

    return find


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beside what a test says stands what the server said while it ran."""
    report = yield
    served = getattr(item, "funcargs", {}).get("portal")
    if served is not None and report.failed:
        report.sections.append(("what the portal logged", served.log.read_text()[-6000:]))
    return report
