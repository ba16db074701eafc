"""Strangers' text in comments on pull requests."""

from __future__ import annotations

import re

from brainscore_ops.display import printable


def fenced(text: str) -> str:
    """Text that is shown as it is: in a fence longer than any in it, so that nothing in it is markdown, or calls people."""
    text = printable(text)
    fence = "`" * max(4, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"
