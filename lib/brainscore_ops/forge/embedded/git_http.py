"""Git over HTTP: clone, fetch and push through ``git http-backend``, streamed both ways."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler, stream_request_body

from brainscore_ops.forge.embedded.access import may_push, may_read, protections
from brainscore_ops.forge.embedded.api_http import read_token
from brainscore_ops.forge.embedded.pulls import refresh
from brainscore_ops.forge.embedded.webhooks import announce_pushes
from brainscore_ops.forge.git import git_environment

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from brainscore_ops.forge.embedded.records import RepositoryRecord, Visitor
    from brainscore_ops.forge.embedded.store import Store

PATHS = r"/([\w.-]+/[\w.-]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)"
"""What this handler answers, with and without ``.git``; nothing else of a repository's folder is served."""

MAX_PUSH = 2 * 1024**3
"""Bytes of one push (GitHub's limit)."""

HOOKS = Path(__file__).parent / "git_hooks"
"""The hooks that pushes pass."""

_CHUNK = 1 << 16
_WAITING_CHUNKS = 64


@stream_request_body
class GitHandler(RequestHandler):
    """One request of git: the body goes to the back end as it comes, and its output to the client likewise."""

    def initialize(self, store: Store, executor: Executor) -> None:
        """Take what all requests share."""
        self.store = store
        self.executor = executor
        self.process: asyncio.subprocess.Process | None = None
        self.pushes = False
        self.has_body = False

    async def prepare(self) -> None:
        """Decide whether the visitor may, and start the back end before the body arrives."""
        if isinstance(self.request.connection, HTTP1Connection):
            self.request.connection.set_max_body_size(MAX_PUSH)
        full_name, action = re.fullmatch(PATHS, self.request.path).groups()  # type: ignore[union-attr]
        service = self.get_query_argument("service", "") if action == "info/refs" else action
        self.pushes = service == "git-receive-pack"
        self.repository = self._admit(full_name, service)
        if self.repository is None:
            return
        self.output: asyncio.Queue[bytes] = asyncio.Queue(_WAITING_CHUNKS)
        self.process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment(self.repository, action),
            start_new_session=True,
        )
        # Read from the start: git may answer while it still takes questions, and would wait for a full pipe.
        self.reader = asyncio.create_task(self._read(self.process))

    async def data_received(self, chunk: bytes) -> None:
        """Pass a part of the body on."""
        if self.process and self.process.stdin:
            # A back end that refused early reads no further; its answer says why.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.process.stdin.write(chunk)
                await self.process.stdin.drain()

    async def get(self, *_parts: str) -> None:
        """Answer with what the back end says."""
        self.has_body = True
        if self.process is None or self.process.stdin is None:
            return
        self.process.stdin.close()
        head, rest = await self._head()
        self._write_head(head)
        self.write(rest)
        # A client that is gone must not keep the records from following what it pushed.
        with contextlib.suppress(StreamClosedError):
            await self.flush()
            while chunk := await self.output.get():
                self.write(chunk)
                await self.flush()
        await self.process.wait()
        if self.pushes and self.request.method == "POST":
            await asyncio.get_running_loop().run_in_executor(self.executor, self._after_push)

    post = get

    def on_finish(self) -> None:
        """Leave no process behind."""
        self._stop()

    def on_connection_close(self) -> None:
        """Stop what nobody waits for, except a push that has come whole: that is finished.

        Without the rest of its input the back end would not end by itself: it asks for it in a loop, for ever.
        """
        super().on_connection_close()
        if not (self.pushes and self.has_body):
            self._stop()

    def _stop(self) -> None:
        if self.process and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def _admit(self, full_name: str, service: str) -> RepositoryRecord | None:
        """The repository if the visitor may use the service; otherwise None, and the refusal is the answer."""
        token = read_token(self.request)
        visitor = self.store.visitor(token) if token else None
        record = self.store.repository(full_name)
        status = _refusal(self.store, record, visitor, service, has_token=bool(token))
        pushes = service == "git-receive-pack"
        if status is None and pushes and record and visitor and not may_push(self.store, record, visitor.account):
            status = HTTPStatus.FORBIDDEN
        if status is None:
            self.visitor = visitor
            return record
        if status == HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", 'Basic realm="forge"')
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status.phrase}\n")
        return None

    def _environment(self, record: RepositoryRecord, action: str) -> dict[str, str]:
        headers = self.request.headers
        values = {
            "GIT_PROJECT_ROOT": str(self.store.root / "repositories"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{record.full_name}.git/{action}",
            "REQUEST_METHOD": self.request.method or "GET",
            "QUERY_STRING": self.request.query,
            "CONTENT_TYPE": headers.get("Content-Type", ""),
            "CONTENT_LENGTH": headers.get("Content-Length", ""),
            "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": self.request.remote_ip or "",
            "REMOTE_USER": self.visitor.account.login if self.visitor else "",
        }
        if self.pushes:
            # A hook of ours refuses what would move a protected branch; no hook of the repository's own is ever run.
            protected = "".join(f"refs/heads/{branch}\n" for branch in protections(self.store, record))
            values |= {
                "FORGE_PROTECTED": protected,
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "core.hooksPath",
                "GIT_CONFIG_VALUE_0": str(HOOKS),
            }
        return git_environment() | {name: value for name, value in values.items() if value}

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        while chunk := await process.stdout.read(_CHUNK):
            await self.output.put(chunk)
        await self.output.put(b"")

    async def _head(self) -> tuple[bytes, bytes]:
        """The CGI header, and what of the body came with it."""
        text = b""
        while b"\r\n\r\n" not in text:
            chunk = await self.output.get()
            if not chunk:
                await self.output.put(b"")
                break
            text += chunk
        head, _, rest = text.partition(b"\r\n\r\n")
        return head, rest

    def _write_head(self, head: bytes) -> None:
        if not head:
            self.set_status(HTTPStatus.INTERNAL_SERVER_ERROR)
        for line in head.decode("latin-1").splitlines():
            name, _, value = line.partition(":")
            if name.lower() == "status":
                self.set_status(int(value.split()[0]))
            else:
                self.set_header(name, value.strip())

    def _after_push(self) -> None:
        if self.repository:
            self.store.note_push(self.repository)
            announce_pushes(self.store, self.repository, self.visitor.account if self.visitor else None)
            refresh(self.store, self.repository)


def _refusal(
    store: Store, record: RepositoryRecord | None, visitor: Visitor | None, service: str, *, has_token: bool
) -> HTTPStatus | None:
    if has_token and visitor is None:
        return HTTPStatus.UNAUTHORIZED
    if service not in ("git-upload-pack", "git-receive-pack"):
        return HTTPStatus.FORBIDDEN  # the protocol without git's own services serves files as they lie there
    if service == "git-upload-pack" and record and not record.private:
        return None
    if visitor is None:
        return HTTPStatus.UNAUTHORIZED  # whether the repository exists is not a stranger's business
    if record is None or not may_read(store, record, visitor):
        return HTTPStatus.NOT_FOUND
    return None if service == "git-upload-pack" or visitor.may("repo") else HTTPStatus.FORBIDDEN
