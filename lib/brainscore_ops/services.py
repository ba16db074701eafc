"""The services that a deployment embeds: a PostgreSQL, a GitHub-compatible forge, a mailbox. Started, found again, stopped."""

from __future__ import annotations

import fcntl
import json
import secrets
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psutil

from brainscore_ops.database.connection import Database
from brainscore_ops.database.embedded import EmbeddedPostgres
from brainscore_ops.database.marker import mark
from brainscore_ops.database.schema import current_revision, upgrade
from brainscore_ops.errors import StepFailedError
from brainscore_ops.forge.client import Person
from brainscore_ops.forge.embedded.access import set_role
from brainscore_ops.forge.embedded.oauth import create_oauth_app
from brainscore_ops.forge.embedded.store import Store
from brainscore_ops.settings import Deployment, ForgeSecret, resolve_secret
from brainscore_ops.settings.errors import SecretError
from brainscore_ops.settings.secrets import write_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

FORGE_LOGIN = "brainscore-ops"
START_SECONDS = 30
STOP_SECONDS = 10


class ServiceError(StepFailedError):
    """An embedded service did not start or stop."""

    code = "embedded-service"


@dataclass(frozen=True)
class Service:
    """An embedded service, as it is found."""

    name: str
    running: bool
    where: str


def up(deployment: Deployment) -> list[Service]:
    """Start what the deployment embeds and is not running, write its secrets, and make the tables in an empty database.

    :raises ServiceError, EmbeddedPostgresError: with the end of the log of what did not start
    :raises SchemaUnknownError: where the database has tables that are not ours
    """
    deployment.state.mkdir(parents=True, exist_ok=True)
    deployment.outputs.mkdir(parents=True, exist_ok=True)
    with (deployment.state / "services.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two that start at once would start two of each
        _up(deployment)
    return status(deployment)


def _up(deployment: Deployment) -> None:
    if "database" in deployment.embedded:
        write_secret(deployment.secrets_file, deployment.database.secret, _postgres(deployment).start())
    database = Database.of(deployment)
    # A database that is not ours to start may hold what others rely on: only an empty one gets its tables just so.
    if "database" in deployment.embedded or current_revision(database) is None:
        upgrade(database)
        mark(database, deployment)
    database.close()
    if "forge" in deployment.embedded:
        token = _forge_token(deployment)
        make_private_repository(deployment)
        ready = _start(deployment, "forge", "brainscore_ops.forge.embedded", "--root", deployment.state / "forge")
        write_secret(
            deployment.secrets_file,
            deployment.forge.secret,
            {
                "api_url": f"{ready['url'].rstrip('/')}/api/v3",
                "token": token,
                "webhook_secret": _webhook_secret(deployment),
            },
        )
        if deployment.portal.github is not None:
            client_id, client_secret = create_oauth_app(forge_store(deployment), "Brain-Score")
            site = ready["url"].rstrip("/")
            write_secret(
                deployment.secrets_file,
                deployment.portal.github.secret,
                {
                    "client_id": client_id,
                    "client_secret": client_secret,
                    "authorize_url": f"{site}/login/oauth/authorize",
                    "token_url": f"{site}/login/oauth/access_token",
                    "api_url": f"{site}/api/v3",
                },
            )
    if "mail" in deployment.embedded:
        ready = _start(deployment, "mail", "brainscore_ops.notify.mailbox", "--folder", mail_folder(deployment))
        write_secret(
            deployment.secrets_file,
            deployment.mail.secret,
            {"host": ready["host"], "port": ready["port"], "tls": False},
        )


def down(deployment: Deployment, *, remove: bool = False) -> list[Service]:
    """Stop what the deployment embeds and is running.

    :param remove: also remove the database's data; otherwise nothing that the services hold is lost
    """
    for name in ("mail", "forge"):
        process = _process(deployment, name)
        if process is not None:
            _stop(process)
        _ready_file(deployment, name).unlink(missing_ok=True)
    if "database" in deployment.embedded:
        postgres = _postgres(deployment)
        if remove:
            postgres.destroy()
        else:
            postgres.stop()
    return status(deployment)


@contextmanager
def stopped_at_the_end(deployment: Deployment) -> Iterator[None]:
    """Stop the embedded services when the block ends, however it ends."""
    try:
        yield
    finally:
        down(deployment)


def status(deployment: Deployment) -> list[Service]:
    """What the deployment embeds, and whether it is running."""
    found = []
    for name in deployment.embedded:
        if name == "database":
            postgres = _postgres(deployment)
            found.append(Service(name, postgres.is_running(), f"PostgreSQL in {postgres.folder}"))
        else:
            ready = _ready(deployment, name)
            where = ready.get("url") or f"{ready.get('host', '')}:{ready.get('port', '')}".strip(":")
            found.append(Service(name, _process(deployment, name) is not None, str(where)))
    return found


def mail_folder(deployment: Deployment) -> Path:
    """Where the embedded mailbox keeps each mail as an .eml file."""
    return deployment.outputs / "mails"


def make_private_repository(deployment: Deployment) -> None:
    """Have the private repository on the embedded forge: our account alone reads it, and it begins with an empty package."""
    name = deployment.library.private_repository
    if name is None:
        return
    store = forge_store(deployment)
    record = store.create_repository(name, private=True)
    set_role(store, record, FORGE_LOGIN, "admin")
    with TemporaryDirectory() as folder:
        write_marker(Path(folder), deployment.library.package)
        store.import_folder(
            name,
            Path(folder),
            message="The place of private plugins",
            author=Person("Brain-Score", "library@brain-score.invalid"),
            when=datetime(2026, 1, 1, tzinfo=UTC),  # the same commit wherever it is made
        )


def write_marker(folder: Path, package: str) -> None:
    """Write what a private repository begins with."""
    (folder / package).mkdir()
    (folder / "README.md").write_text(
        "# Private plugins\n\nFor their owners and the maintainers alone. To be tested and scored, the plugins of one owner are\n"
        f"laid over the public library, `{package}`; nothing else of this repository is used. When its owner\n"
        "publishes a plugin, it moves to the public library by a pull request there, and is removed here.\n",
        encoding="utf-8",
    )
    (folder / package / "__init__.py").write_text(
        '"""The place of private plugins; what is used is the public package of this name."""\n', encoding="utf-8"
    )


def forge_store(deployment: Deployment) -> Store:
    """The embedded forge's repositories, for setting them up."""
    return Store(deployment.state / "forge")


def _postgres(deployment: Deployment) -> EmbeddedPostgres:
    return EmbeddedPostgres(deployment.state / "postgres")


def _forge_token(deployment: Deployment) -> str:
    try:
        return resolve_secret(deployment, deployment.forge.secret, ForgeSecret).token.get_secret_value()
    except SecretError:
        store = forge_store(deployment)
        store.create_user(FORGE_LOGIN, name="Brain-Score submissions", email=f"{FORGE_LOGIN}@brain-score.invalid")
        return store.create_token(FORGE_LOGIN, scopes=("repo", "repo:status"))


def _webhook_secret(deployment: Deployment) -> str:
    try:
        known = resolve_secret(deployment, deployment.forge.secret, ForgeSecret).webhook_secret.get_secret_value()
    except SecretError:
        known = ""
    return known or secrets.token_hex(32)


def _start(deployment: Deployment, name: str, module: str, *arguments: str | Path) -> dict[str, Any]:
    if _process(deployment, name) is not None:
        return _ready(deployment, name)
    ready_file, log = _ready_file(deployment, name), deployment.state / f"{name}.log"
    ready_file.unlink(missing_ok=True)
    # The same port as before where it is free, so that links in mails and on pull requests stay good.
    remembered = deployment.state / f"{name}.port"
    port = remembered.read_text(encoding="utf-8") if remembered.exists() else "0"
    for chosen in (port, "0"):
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *map(str, arguments), "--port", chosen, "--ready-file", str(ready_file)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C at a terminal reaches the whole group: services are stopped in order, after what uses them.
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if ready_file.exists():
                ready = _ready(deployment, name)
                remembered.write_text(
                    str(ready.get("port") or ready["url"].rpartition(":")[2].strip("/")), encoding="utf-8"
                )
                return ready
            time.sleep(0.02)
        process.kill()
        process.wait()
    raise ServiceError(
        f"the embedded {name} did not start within {START_SECONDS} s",
        log=log.read_text(encoding="utf-8", errors="replace")[-2000:],
    )


def _stop(process: psutil.Process) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()


def _process(deployment: Deployment, name: str) -> psutil.Process | None:
    """The service's process, if it is alive and still the one that wrote the ready file."""
    ready = _ready(deployment, name)
    try:
        process = psutil.Process(int(ready["pid"]))
        # A process number may be somebody else's by now: ours was there before it wrote its ready file.
        wrote = _ready_file(deployment, name).stat().st_mtime
        alive = process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= wrote + 1
        return process if alive and "brainscore_ops." in " ".join(process.cmdline()) else None
    except (KeyError, ValueError, FileNotFoundError, psutil.Error):
        return None


def _ready(deployment: Deployment, name: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(_ready_file(deployment, name).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return document


def _ready_file(deployment: Deployment, name: str) -> Path:
    return deployment.state / f"{name}.ready.json"
