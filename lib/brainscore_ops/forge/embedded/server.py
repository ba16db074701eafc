"""The embedded forge as a server: the API, git over HTTP, and the pages, on one port."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from brainscore_ops.forge.embedded import git_http, oauth, pages
from brainscore_ops.forge.embedded.api_http import ApiHandler, Limits, RateLimits
from brainscore_ops.forge.embedded.documents import API_PREFIX
from brainscore_ops.forge.embedded.pulls import refresh
from brainscore_ops.forge.embedded.webhooks import Deliverer, announce_pushes

if TYPE_CHECKING:
    from pathlib import Path

    from brainscore_ops.forge.embedded.store import Store

ADDRESS = "127.0.0.1"
"""The only address that is ever listened on: this forge is for one machine."""

MAX_BODY = 100 * 1024**2
"""Bytes of one request to the API (a blob in Base64)."""


async def serve(
    store: Store,
    *,
    port: int = 0,
    ready_file: Path | None = None,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
) -> None:
    """Answer until SIGTERM or SIGINT.

    :param port: 0 lets the system choose
    :param ready_file: written when the server listens: ``{"url": …, "api_url": …, "pid": …}``
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="forge") as executor:
        server = HTTPServer(make_application(store, executor, limits), max_body_size=MAX_BODY)
        sockets = bind_sockets(port, ADDRESS)
        server.add_sockets(sockets)
        url = f"http://{ADDRESS}:{sockets[0].getsockname()[1]}"
        store.address = url
        for repository in store.repositories():  # what a killed process left half done
            announce_pushes(store, repository)
            refresh(store, repository)
        deliverer = Deliverer(store)
        deliverer.start()
        if ready_file:
            _announce(ready_file, url)
        print(f"The forge is at {url}", flush=True)  # noqa: T201 (what a person who starts it looks for)
        await stop.wait()
        server.stop()
        deliverer.stop()
        await server.close_all_connections()


def make_application(store: Store, executor: ThreadPoolExecutor, limits: Limits) -> Application:
    """The routes of the whole server."""
    shared = {"store": store, "executor": executor}
    return Application(
        [
            (API_PREFIX + "/.*", ApiHandler, shared | {"rates": RateLimits(limits)}),
            (git_http.PATHS, git_http.GitHandler, shared),
            *oauth.routes(store),
            *pages.routes(shared),
        ],
        log_function=lambda _handler: None,
    )


def _announce(ready_file: Path, url: str) -> None:
    document = {"url": url, "api_url": url + API_PREFIX, "pid": os.getpid()}
    partial = ready_file.with_name(ready_file.name + ".partial")
    partial.write_text(json.dumps(document))
    partial.replace(ready_file)
