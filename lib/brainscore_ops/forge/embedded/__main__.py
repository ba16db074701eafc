"""``python -m brainscore_ops.forge.embedded --root DIR``: serve a forge until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from brainscore_ops.forge.embedded.server import RATE_LIMIT, serve
from brainscore_ops.forge.embedded.store import Store


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m brainscore_ops.forge.embedded", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the folder that keeps everything")
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1; 0 lets the system choose")
    parser.add_argument("--ready-file", type=Path, help="written as JSON (url, api_url, pid) when the forge listens")
    parser.add_argument("--rate-limit", type=int, default=RATE_LIMIT, help="requests an hour for each account")
    options = parser.parse_args()
    asyncio.run(
        serve(
            Store(options.root.resolve()),
            port=options.port,
            ready_file=options.ready_file,
            rate_limit=options.rate_limit,
        )
    )


if __name__ == "__main__":
    main()
