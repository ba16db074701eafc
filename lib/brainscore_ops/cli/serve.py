"""``serve``: the website."""

from __future__ import annotations

import socket

import click

from brainscore_ops.cli.services import deployment_option
from brainscore_ops.errors import UsageError


@click.command()
@deployment_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Where it listens; 0 takes any that is free.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address that it listens on.")
def serve(deployment: str, port: int, host: str) -> None:
    """Serve the website of a deployment, until it is interrupted. Put a proxy with TLS before it; see the README.

    Its database is not started by this: `brainscore-ops up` does that where it is an embedded one.
    """
    _insist_on_address(host)
    from brainscore_ops.runbooks.quick_imports import without_unused_options

    with without_unused_options():
        from brainscore_ops.portal.app import Portal

    Portal.launch_instance([f"--deployment={deployment}", f"--port={port}", f"--host={host}"])  # type: ignore[no-untyped-call]


def _insist_on_address(host: str) -> None:
    """It can be listened on there; the server itself would find out when everything else is done, with a traceback."""
    try:
        found = socket.getaddrinfo(
            host if host not in ("", "*") else None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, *_, address = found[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        raise UsageError(
            f"expected an address of this machine to listen on, found {host!r}: {error.strerror or error}",
            remedy="127.0.0.1 is for a proxy on this machine, 0.0.0.0 for others.",
        ) from None
