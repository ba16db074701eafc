"""Conditional requests: what was read before is asked for with its ETag, and not sent again when it did not change.

A forge does not count an answer "304 Not Modified" against the rate limit, so that whoever looks often (the gate, the
scheduled repair) looks for free.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from github.Requester import Requester

KEPT_ANSWERS = 256
"""Answers that are remembered, the newest ones."""

KEPT_CHARACTERS = 1_000_000
"""The longest answer that is remembered."""

FULL_PAGES = (30, 100)
"""Items of a full page: where nothing was asked for, and at most."""

_Answer = tuple[int, dict[str, Any], str]


def make_conditional(requester: Requester) -> None:
    """Have every GET of a PyGithub requester asked conditionally.

    All of PyGithub's reading goes through `requestJson`; the object's own is replaced by one that remembers.
    """
    ask, kept, lock = requester.requestJson, OrderedDict[tuple[Any, ...], _Answer](), threading.Lock()

    def request_json(
        verb: str,
        url: str,
        parameters: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        *more: Any,
        **options: Any,
    ) -> _Answer:
        headers = headers or {}
        if verb != "GET" or "If-None-Match" in headers:
            return ask(verb, url, parameters, headers, *more, **options)
        key = (url, tuple(sorted((parameters or {}).items())), tuple(sorted(headers.items())))
        with lock:
            known = kept.get(key)
        condition = {"If-None-Match": known[1]["etag"]} if known else {}
        status, answered, body = ask(verb, url, parameters, headers | condition, *more, **options)
        if status == 304 and known:
            # What an answer says of the moment (the rate limit, the next page) is new, all else is as it was.
            return known[0], known[1] | {name: answered[name] for name in answered if _is_of_the_moment(name)}, known[2]
        if (
            status == 200
            and "etag" in answered
            and len(body) <= KEPT_CHARACTERS
            and not _may_get_a_next(answered, body)
        ):
            with lock:
                kept[key] = status, answered, body
                kept.move_to_end(key)
                while len(kept) > KEPT_ANSWERS:
                    kept.popitem(last=False)
        return status, answered, body

    setattr(requester, "requestJson", request_json)  # noqa: B010 (mypy knows that methods are not assigned)


def _is_of_the_moment(header: str) -> bool:
    return header == "link" or header.startswith("x-ratelimit")


def _may_get_a_next(headers: dict[str, Any], body: str) -> bool:
    """Whether this is the last page of a listing, and full: its items stay the same when another page follows it."""
    if not body.startswith("[") or 'rel="next"' in headers.get("link", ""):
        return False
    return len(json.loads(body)) in FULL_PAGES
