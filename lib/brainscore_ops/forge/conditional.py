"""Conditional requests: what was read before is asked for with its ETag, and not sent again when it did not change.

A forge does not count an answer "304 Not Modified" against the rate limit, so that whoever looks often (the gate, the
scheduled repair) looks for free.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from github.Requester import Requester

KEPT_ANSWERS = 256
"""Answers that are remembered, the last used ones."""

KEPT_CHARACTERS = 1_000_000
"""The longest answer that is remembered."""

_Answer = tuple[int, dict[str, Any], str]


def make_conditional(requester: Requester) -> None:
    """Have every GET of a PyGithub requester asked conditionally.

    All of PyGithub's reading goes through `requestJson`; the object's own is replaced by one that remembers.
    """
    ask, kept = requester.requestJson, OrderedDict[tuple[Any, ...], _Answer]()

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
        known = kept.get(key)
        condition = {"If-None-Match": known[1]["etag"]} if known else {}
        status, answered, body = ask(verb, url, parameters, headers | condition, *more, **options)
        if status == 304 and known:
            kept.move_to_end(key)
            # What an answer says of the moment (the rate limit) is new, all else is as it was.
            return (
                known[0],
                known[1] | {name: answered[name] for name in answered if name.startswith("x-ratelimit")},
                known[2],
            )
        if status == 200 and "etag" in answered and len(body) <= KEPT_CHARACTERS:
            kept[key] = status, answered, body
            kept.move_to_end(key)
            while len(kept) > KEPT_ANSWERS:
                kept.popitem(last=False)
        return status, answered, body

    setattr(requester, "requestJson", request_json)  # noqa: B010 (mypy knows that methods are not assigned)
