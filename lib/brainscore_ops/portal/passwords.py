"""Passwords: stored as argon2 in Django's form, so that Brain-Score's own website can read what this one writes; those that it
wrote itself (PBKDF2, argon2) are accepted, and written anew when their owner signs in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from brainscore_ops.errors import Problem

SHORTEST = 12
"""Characters. Length is what makes a password hard to guess; no rule asks for signs or digits."""
LONGEST = 500
_DJANGO_ARGON2 = "argon2"
_DIGESTS = {"pbkdf2_sha256": "sha256", "pbkdf2_sha1": "sha1"}

# OWASP's recommendation for argon2id: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# However many visitors sign in at once: no more of them are hashed at a time than there is memory for.
_AT_ONCE = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """What is stored of a password."""
    with _AT_ONCE:
        return _DJANGO_ARGON2 + _HASHER.hash(password)


def verify_password(password: str, stored: str) -> bool:
    """Whether a password is the one that was stored. What no password fits (``!…``) takes as long as a wrong one."""
    kind = stored.partition("$")[0]
    with _AT_ONCE:
        if kind in _DIGESTS:
            return _fits_pbkdf2(password, stored)
        if kind != _DJANGO_ARGON2:
            stored = _DECOY
        try:
            return _HASHER.verify(stored.removeprefix(_DJANGO_ARGON2), password) and stored is not _DECOY
        except (VerificationError, InvalidHashError):
            return False


def needs_rehash(stored: str) -> bool:
    """Whether a stored password is of an older make than what is stored today."""
    if not stored.startswith(_DJANGO_ARGON2 + "$"):
        return True
    return _HASHER.check_needs_rehash(stored.removeprefix(_DJANGO_ARGON2))


def is_usable(stored: str) -> bool:
    """Whether there is any password that fits: users who never chose one have none."""
    return stored.partition("$")[0] in {*_DIGESTS, _DJANGO_ARGON2}


def problems_of_password(password: str, *, email: str, name: str) -> list[Problem]:
    """Everything that is wrong with a password that somebody wants."""
    found = []
    if len(password) < SHORTEST:
        found.append(f"Expected at least {SHORTEST} characters, found {len(password)}.")
    elif len(password) > LONGEST:
        found.append(f"Expected at most {LONGEST} characters, found {len(password)}.")
    elif len(set(password)) < SHORTEST // 3:
        found.append("Expected more than a few characters over and over.")
    known = {email.casefold(), email.partition("@")[0].casefold(), name.casefold()}
    if password.strip().casefold() in known - {""}:
        found.append("Expected something else than your name or address.")
    return [Problem("weak-password", message, "password", "Three or four words do well.") for message in found]


def _fits_pbkdf2(password: str, stored: str) -> bool:
    try:
        kind, rounds, salt, expected = stored.split("$")
        found = hashlib.pbkdf2_hmac(_DIGESTS[kind], password.encode(), salt.encode(), int(rounds))
    except ValueError:
        return False
    return hmac.compare_digest(base64.b64encode(found).decode(), expected)


# What is hashed where there is nothing to compare with: nobody learns from the time it takes.
_DECOY = _DJANGO_ARGON2 + _HASHER.hash(base64.b64encode(hashlib.sha256(b"decoy").digest()).decode())
