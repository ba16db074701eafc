"""Looks for what a stranger's test must not find, and fails with a report: what was reached, and what was not.

It names what it finds; it neither reads nor shows the contents.
"""

import os
import pwd
import re
import socket
import tempfile
from pathlib import Path

import pytest

SECRET = re.compile(r"PASS|TOKEN|SECRET|CREDENTIAL|API_?KEY|^PG|^AWS_|DATABASE_URL|DSN", re.IGNORECASE)
HOSTS = [("example.org", 80), ("192.0.2.1", 443), ("127.0.0.1", 5432), ("127.0.0.1", 22)]
HOMES = {Path.home(), *(Path(user.pw_dir) for user in pwd.getpwall() if user.pw_uid == 0 or user.pw_uid >= 1000)}
FILES = [".ssh", ".aws", ".netrc", ".pgpass", ".git-credentials", ".config", ".bash_history"]
SOCKETS = ["/var/run/docker.sock", "/var/run/postgresql", "/run/user"]


def test_snoop():
    found, missed = [], []
    for what, reached in [*network(), *environment(), *other_processes(), *files(), *writing()]:
        (found if reached else missed).append(what)
    report = ["REACHED:", *(found or ["nothing"]), "", "NOT REACHED:", *(missed or ["nothing"])]
    pytest.fail("\n".join(report), pytrace=False)


def network():
    for host, port in HOSTS:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError as error:
            yield f"network: {host}:{port} ({error})", False
        else:
            yield f"network: {host}:{port}", True


def environment():
    names = [name for name in os.environ if SECRET.search(name)]
    yield f"secrets in the environment: {', '.join(names) or 'none'}", bool(names)


def other_processes():
    """Whether the environments of processes that did not start this one lie open. They are not read."""
    environments = Path("/proc").glob("[0-9]*/environ")
    own = {str(os.getpid()), str(os.getppid())}
    open_ones = [path.parent.name for path in environments if path.parent.name not in own and os.access(path, os.R_OK)]
    yield f"environments of other processes: {len(open_ones)}", bool(open_ones)


def files():
    for path in [home / name for home in sorted(HOMES) for name in FILES] + [Path(name) for name in SOCKETS]:
        try:
            reached = path.exists() and os.access(path, os.R_OK)
        except OSError:
            reached = False
        yield f"file: {path}", reached


def writing():
    for folder in (Path.home(), Path(__file__).parent, Path("/usr/local"), Path("/etc")):
        try:
            with tempfile.TemporaryFile(dir=folder):
                reached = True
        except OSError:
            reached = False
        yield f"writing to: {folder}", reached
