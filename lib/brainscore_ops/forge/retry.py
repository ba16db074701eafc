"""Patience with a forge: what is tried again, for how long, and what is said in the end.

The retries stand around whole operations that look before they act, not around single HTTP requests: when the answer to
a write was lost, the next try finds what it wrote.
"""

from __future__ import annotations

import logging
import random
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from brainscore_ops.forge.errors import ForgeRefusedError, ForgeUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from github import GithubException

MAX_ATTEMPTS = 6
"""Tries of one operation, rate limits included."""

FIRST_DELAY = 0.5
"""Seconds: the upper bound of the first random wait; it doubles with each try."""

SECONDARY_LIMIT_DELAY = 60.0
"""Seconds to wait after a secondary rate limit that names no time (GitHub's best practices for integrators)."""

WORTH_A_WORD = 5.0
"""Seconds; whoever looks on is told of a longer wait."""

Result = TypeVar("Result")

log = logging.getLogger(__name__)


def with_patience(operation: Callable[[], Result], *, what: str, patience: float) -> Result:
    """Do an idempotent operation; again after lost connections, faults of the server and rate limits.

    :param what: the operation in words, for the error: "open the pull request of submission/7"
    :param patience: seconds that may be waited in all
    :raises ForgeUnavailableError: it still does not work after `MAX_ATTEMPTS` tries, or the forge wants a longer wait
    :raises ForgeRefusedError: the forge said no
    """
    from github import GithubException
    from requests import RequestException

    waited = 0.0
    for attempt in range(1, MAX_ATTEMPTS + 1):
        # What PyGithub and requests raise is replaced, not chained: their objects hold whole requests and responses.
        try:
            return operation()
        except GithubException as error:
            failure, wait = _judge(error, what)
        except RequestException as error:
            failure, wait = _unavailable(what, f"the connection failed ({type(error).__name__})"), 0.0
        wait = max(wait, random.uniform(0, FIRST_DELAY * 2 ** (attempt - 1)))  # noqa: S311 (jitter, not a secret)
        if isinstance(failure, ForgeRefusedError) or attempt == MAX_ATTEMPTS or waited + wait > patience:
            raise failure from None
        if wait > WORTH_A_WORD:
            log.warning("%s It is tried again in %.0f s.", failure.message, wait)
        time.sleep(wait)
        waited += wait
    raise AssertionError("the last attempt returns or raises")


def _judge(error: GithubException, what: str) -> tuple[ForgeRefusedError | ForgeUnavailableError, float]:
    """The error to raise if no patience is left, and the seconds that the forge asks to wait."""
    limit = _limit_delay(error)
    if limit is not None:
        said = f"its rate limit is used up for another {limit:.0f} s"
        return _unavailable(what, said, code="forge-rate-limit"), limit
    if base_was_modified(error) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unavailable(what, f"it answered {error.status}"), 0.0
    return _refusal(error, what), 0.0


def _refusal(error: GithubException, what: str) -> ForgeRefusedError:
    """A forge's "no" with its own words, and what usually helps."""
    code, remedy = _REFUSALS.get(error.status, (None, ""))
    return ForgeRefusedError(f"The forge refused to {what}: {error.status} {said_by(error)}", remedy=remedy, code=code)


_REFUSALS: dict[int, tuple[str, str]] = {
    401: ("forge-unauthorized", "The token is wrong, revoked or expired: renew it."),
    403: ("forge-forbidden", "The token lacks a permission for this: look at its scopes and the branch's protection."),
    404: ("forge-not-found", "It does not exist, or the token may not see it: check the repository and the token."),
    422: ("forge-invalid", "What was sent is not valid there: correct it before trying again."),
}


def base_was_modified(error: GithubException) -> bool:
    """Whether a merge lost a race with another merge into the same base; the next try sees the new base."""
    return error.status == HTTPStatus.METHOD_NOT_ALLOWED and said_by(error).startswith("Base branch was modified")


def said_by(error: GithubException) -> str:
    """The message of an error answer, with the details that a 422 carries."""
    data = error.data if isinstance(error.data, dict) else {}
    details = [
        str(detail.get("message") or " ".join(str(detail.get(key, "")) for key in ("resource", "field", "code")))
        if isinstance(detail, dict)
        else str(detail)
        for detail in data.get("errors") or ()
    ]
    return " ".join([str(data.get("message") or error.message or "without a message"), *details])


def _limit_delay(error: GithubException) -> float | None:
    """Seconds until a rate limit lets requests through again; None when the error is no rate limit."""
    headers = {key.lower(): value for key, value in (error.headers or {}).items()}
    message = said_by(error).lower()
    limited = error.status == HTTPStatus.TOO_MANY_REQUESTS or "rate limit" in message
    if error.status not in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
        return None
    if headers.get("retry-after", "").isdigit():
        return float(headers["retry-after"])
    if limited and headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdigit():
        return max(0.0, float(headers["x-ratelimit-reset"]) - time.time()) + 1
    return SECONDARY_LIMIT_DELAY if limited else None


def _unavailable(what: str, why: str, code: str | None = None) -> ForgeUnavailableError:
    return ForgeUnavailableError(
        f"The forge could not {what}: {why}.", remedy="Run it again later: it goes on from here.", code=code
    )
