"""The website of a deployment, from a program: send submissions, follow them, read scores. It needs nothing but ``requests``.

::

    from brainscore_ops.client import Client

    site = Client("https://brain-score.example.org", token="bso_…")
    number = site.submit(Path("plugin.zip"))["submission"]
    for row in site.scores(model="my-model"):
        print(row["benchmark"], row["value"])
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

import requests

from brainscore_ops import __version__
from brainscore_ops.errors import Fault, OpsError, Problem, RefusedError, UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

API = "api/v1"
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
UPLOAD_SECONDS = 600.0
"""An archive is sent, and checked, while we wait."""
ATTEMPTS = 4
MOST_WAIT_SECONDS = 60.0


class ServerUnavailableError(UnavailableError):
    """The website does not answer, or says that it cannot at the moment."""

    code = "server-unavailable"


class ServerRefusedError(RefusedError):
    """The website says no: the archive is not in order, the quota is used, the token does not allow it."""

    code = "server-refused"


class UnknownThereError(UsageError):
    """The website has nothing of that name, or nothing that this token may see."""

    code = "unknown-there"


class NotAnApiError(UsageError):
    """What answers at the address is no website of this system."""

    code = "not-an-api"


class Client:
    """A website's API.

    Reading is tried again where the website is away for a moment; what was read before and is the same still is not sent again.

    :param address: of the website: ``https://brain-score.example.org``
    :param token: of one's account there; without one, everything is as a stranger sees it
    :raises UsageError: the address is none, or the token would go over a network unencrypted
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(f"expected the address of a website (https://…), found {address!r}")
        if token and parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
            raise UsageError(
                "expected an address that begins with https:// where a token is sent; found http://",
                remedy="Everybody on the way could read the token.",
            )
        self._base = f"{address.rstrip('/').removesuffix('/' + API)}/{API}"
        self._session = requests.Session()
        self._session.auth = _Bearer(token)  # also without a token: credentials from a .netrc are not for us
        self._session.headers["User-Agent"] = f"brainscore_ops/{__version__}"
        self._known: dict[str, tuple[str, Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def site(self) -> dict[str, Any]:
        """Whose scores these are: domain, revision, the rule of averages."""
        return dict(self._get("site"))

    def leaderboard(self) -> Iterator[dict[str, Any]]:
        """Models by their average, each with ``rank``, ``average``, ``means`` and ``scores``."""
        return self._pages("leaderboard")

    def models(self) -> Iterator[dict[str, Any]]:
        """The models that have an outcome."""
        return self._pages("models")

    def benchmarks(self) -> Iterator[dict[str, Any]]:
        """The tree of benchmarks, parents before what is in them."""
        return self._pages("benchmarks")

    def scores(self, *, model: str = "", benchmark: str = "") -> Iterator[dict[str, Any]]:
        """The tidy table of scores: a row is what came out of a model on a version of a benchmark."""
        return self._pages(
            "scores", {name: text for name, text in (("model", model), ("benchmark", benchmark)) if text}
        )

    def submissions(self) -> Iterator[dict[str, Any]]:
        """One's own submissions, the newest first. Needs a token with the scope ``read``."""
        return self._pages("submissions")

    def submission(self, number: int) -> dict[str, Any]:
        """Where a submission stands, and everything that happened to it."""
        return dict(self._get(f"submissions/{number}"))

    def submit(self, archive: Path, *, name: str = "", public: bool = True) -> dict[str, Any]:
        """Send a zip of plugins in; it is checked meanwhile. Needs a token with the scope ``submit``.

        The same archive from the same person is the same submission, so that this may be done again after it was cut off.

        :returns: ``submission`` (its number), ``known`` (whether it was there before), ``url`` and ``page``
        :raises ServerRefusedError: with everything that is wrong with it
        """
        fields = {"public": "true" if public else "false", **({"name": name} if name else {})}
        with archive.open("rb") as file:
            answer = self._ask(
                "POST",
                f"{self._base}/submissions",
                data=fields,
                files={"archive": (archive.name, file, "application/zip")},
                timeout=(CONNECT_SECONDS, UPLOAD_SECONDS),
            )
        return dict(_document(answer))

    def follow(self, number: int, *, pause: float = 5.0) -> Iterator[dict[str, Any]]:
        """The submission whenever something happened to it, until its state is final."""
        seen = ""
        while True:
            found = self.submission(number)
            if found["updated_at"] + found["state"] != seen:
                seen = found["updated_at"] + found["state"]
                yield found
            if found["is_final"]:
                return
            time.sleep(pause)

    def _pages(self, path: str, arguments: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        page = self._get(path, arguments)
        while True:
            yield from page["items"]
            if not page["next"]:
                return
            # The site's own idea of its address may differ from the one that leads to it from here: only the rest is taken.
            page = self._get(f"{path}?{urlsplit(page['next']).query}")

    def _get(self, path: str, arguments: Mapping[str, str] | None = None) -> Any:
        query = "&".join(f"{quote(name)}={quote(text, safe='')}" for name, text in (arguments or {}).items())
        address = f"{self._base}/{path}" + (f"?{query}" if query else "")
        etag, known = self._known.get(address, ("", None))
        headers = {"If-None-Match": etag} if etag else {}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._ask("GET", address, headers=headers, timeout=(CONNECT_SECONDS, ANSWER_SECONDS))
            except ServerUnavailableError as error:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(min(getattr(error, "retry_after", None) or 2.0**attempt / 4, MOST_WAIT_SECONDS))
            else:
                break
        if answer.status_code == 304:
            return known
        document = _document(answer)
        if new := answer.headers.get("ETag"):
            self._known[address] = (new, document)
        return document

    def _ask(self, method: str, address: str, **options: Any) -> requests.Response:
        try:
            # A redirect could lead elsewhere with the token.
            answer = self._session.request(method, address, allow_redirects=False, **options)
        except requests.RequestException as error:
            raise ServerUnavailableError(
                f"expected {self._base} to answer; {type(error).__name__}",
                remedy="Check the address, or try again later.",
            ) from error
        if answer.ok and not answer.is_redirect:
            return answer
        raise _refusal(answer, self._base)


class _Bearer(requests.auth.AuthBase):
    """Sends the token, and keeps it out of whatever is printed."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _document(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise NotAnApiError(
            f"expected JSON from {answer.url}, found {answer.headers.get('Content-Type', 'something else')}",
            remedy="Give the address of a website of this system.",
        ) from None


def _refusal(answer: requests.Response, base: str) -> OpsError:
    """What the website said, as an error of ours."""
    try:
        said = answer.json()
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    if answer.is_redirect or (not said and answer.status_code in {200, 404, 405}):
        return NotAnApiError(
            f"expected the API at {base}, found none ({answer.status_code} {answer.reason})",
            remedy="Give the address of the website itself.",
        )
    message = str(said.get("detail") or f"{base} answered {answer.status_code} {answer.reason}")
    remedy = str(said.get("remedy") or "")
    if answer.status_code in {429, 500, 502, 503, 504}:
        error: OpsError = ServerUnavailableError(message, remedy=remedy or "Try again later.")
        wait = answer.headers.get("Retry-After", "")
        if wait.isdigit():
            error.retry_after = float(wait)  # type: ignore[attr-defined]
        return error
    if answer.status_code == 401:
        remedy = "Put a token of your account page in BRAINSCORE_OPS_TOKEN."
    kinds: dict[int, type[OpsError]] = {404: UnknownThereError, 400: UsageError}
    found = kinds.get(answer.status_code, ServerRefusedError)
    problems = [
        Problem(*(str(each.get(name, "")) for name in ("code", "message", "where", "remedy")))
        for each in said.get("problems", ())
        if isinstance(each, dict)
    ]
    fault = Fault.SUBMISSION if found is ServerRefusedError else Fault.OPERATOR
    return found(message, remedy=remedy, code=str(said.get("code") or found.code), fault=fault, problems=problems)
