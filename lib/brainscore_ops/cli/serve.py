"""``serve``: the website."""

from __future__ import annotations

import click

from brainscore_ops.cli.services import deployment_option


@click.command()
@deployment_option
@click.option("--port", default=8000, show_default=True, help="Where it listens; 0 takes any that is free.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address that it listens on.")
def serve(deployment: str, port: int, host: str) -> None:
    """Serve the website of a deployment, until it is interrupted. Put a proxy with TLS before it; see the README.

    Its database is not started by this: `brainscore-ops up` does that where it is an embedded one.
    """
    from brainscore_ops.portal.app import Portal

    Portal.launch_instance([f"--deployment={deployment}", f"--port={port}", f"--host={host}"])  # type: ignore[no-untyped-call]
