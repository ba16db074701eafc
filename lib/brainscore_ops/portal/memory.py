"""The server's memory: what threads let go of is used again by the others, and given back."""

from __future__ import annotations

import ctypes

_ARENA_MAX, _TRIM_THRESHOLD = -8, -1  # as glibc's malloc.h numbers them


def keep_small() -> None:
    """Have the C library keep one heap for all threads, and give back what is free at its end.

    By default each thread has a heap of its own, up to eight a core, and each keeps what its largest page took. Another C library
    than glibc goes on as it does.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_TRIM_THRESHOLD, 1_000_000)
