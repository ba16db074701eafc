"""``python -m brainscore_ops.forge.embedded --root DIR``: serve a forge until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from brainscore_ops.forge.embedded.api_http import Limits
from brainscore_ops.forge.embedded.server import serve
from brainscore_ops.forge.embedded.store import Store


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m brainscore_ops.forge.embedded", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the folder that keeps everything")
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1; 0 lets the system choose")
    parser.add_argument("--ready-file", type=Path, help="written as JSON (url, api_url, pid) when the forge listens")
    limits = Limits()
    parser.add_argument("--rate-limit", type=int, default=limits.requests, help="requests an hour for each account")
    parser.add_argument("--write-limit", type=int, default=limits.writes, help="writes a minute for each account")
    parser.add_argument("--limit-seconds", type=int, default=limits.seconds, help="how long the hour of the limit is")
    parser.add_argument("--write-limit-seconds", type=int, default=limits.write_seconds, help="… and the minute")
    parser.add_argument(
        "--token-seconds", type=int, default=limits.token_seconds, help="how long apps' tokens are good"
    )
    options = parser.parse_args()
    asyncio.run(
        serve(
            Store(options.root.resolve()),
            port=options.port,
            ready_file=options.ready_file,
            limits=Limits(
                requests=options.rate_limit,
                seconds=options.limit_seconds,
                writes=options.write_limit,
                write_seconds=options.write_limit_seconds,
                token_seconds=options.token_seconds,
            ),
        )
    )


if __name__ == "__main__":
    main()
