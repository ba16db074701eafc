"""A forge of one's own: GitHub's REST API, git over HTTP and a few pages, over real bare repositories.

`store` holds what is kept (one SQLite file and the repositories beside it) and can be used without a server;
`server` answers over HTTP. ``python -m brainscore_ops.forge.embedded --root DIR`` serves until it is told to stop.
"""

from __future__ import annotations

from brainscore_ops.forge.embedded.store import Store

__all__ = ["Store"]
