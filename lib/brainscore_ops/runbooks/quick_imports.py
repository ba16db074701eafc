"""Imports that would otherwise take four times as long."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

UNUSED = ("rfc3987_syntax", "papermill.s3")
"""What papermill, scrapbook, nbclient and nbformat load where it is there, and nothing here has a use for.

The first builds a grammar of internationalized addresses for jsonschema, for an optional check of a format that no notebook's
schema has: more than a second. The second loads boto3, for notebooks that are kept in S3: half a second.
"""

USED_ELSEWHERE = ("github", "pyarrow.fs")
"""What papermill loads for notebooks that are kept on GitHub or in HDFS: a quarter of a second. Others import it in earnest."""


@contextmanager
def without_unused_options(*, alone: bool = False) -> Iterator[None]:
    """Import papermill, scrapbook, nbclient or nbformat in this block: it takes a quarter of the time.

    :param alone: whether no other thread can be importing :data:`USED_ELSEWHERE` meanwhile
    """
    hidden = [name for name in (*UNUSED, *(USED_ELSEWHERE if alone else ())) if name not in sys.modules]
    if "jsonschema" in sys.modules:
        hidden = [name for name in hidden if name != UNUSED[0]]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's own way to say: not to be had
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
