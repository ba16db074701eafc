"""Identifiers of models and benchmarks, as people read them."""

from __future__ import annotations

import re

_BREAKS = re.compile(r"(?<=[._/-])(?=\w)|(?<=[a-z0-9])(?=[A-Z])")


def parts(identifier: str) -> list[str]:
    """The parts between which a line may be broken: after punctuation, before a capital within a word."""
    return _BREAKS.split(identifier)
