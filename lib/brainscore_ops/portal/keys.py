"""Secrets that are handed out: cookies, mailed links, tokens. Of each the database holds a digest, and the holder the rest."""

from __future__ import annotations

import hashlib
import secrets

BYTES = 32


def new_key(prefix: str = "") -> str:
    """A secret of 256 bits that fits into a link, a cookie and a header."""
    return prefix + secrets.token_urlsafe(BYTES)


def digest_of(key: str) -> str:
    """What is stored of a secret. It has too many bits to be guessed: one pass of SHA-256 is enough."""
    return hashlib.sha256(key.encode()).hexdigest()
