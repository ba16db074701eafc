"""Imports that would otherwise take three times as long."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

GRAMMAR = "rfc3987_syntax"


@contextmanager
def without_iri_grammar() -> Iterator[None]:
    """Import papermill, scrapbook or nbformat in this block.

    They import jsonschema, which builds a grammar of internationalized addresses if it can: more than a second in every
    kernel and command, for an optional check of a format that no notebook's schema has.
    """
    if GRAMMAR in sys.modules or "jsonschema" in sys.modules:
        yield
        return
    sys.modules[GRAMMAR] = None  # type: ignore[assignment]  # Python's own way to say: not to be had
    try:
        yield
    finally:
        del sys.modules[GRAMMAR]
