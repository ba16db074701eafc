"""The API: what the pages show and do, for programs. ``openapi.yaml`` beside it is its description."""

from __future__ import annotations

import asyncio
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import yaml
from sqlalchemy import select
from tornado.web import HTTPError, stream_request_body

from brainscore_ops.database.brainscore_tables import Model
from brainscore_ops.errors import OpsError, Problem, UnavailableError
from brainscore_ops.portal import submission_views
from brainscore_ops.portal.data_files import DataFiles
from brainscore_ops.portal.errors import BadRequestError, PageNotFoundError, TooManyRequestsError
from brainscore_ops.portal.handlers import PortalHandler, status_of
from brainscore_ops.portal.leaderboard_pages import ScoresHandler
from brainscore_ops.portal.submission_pages import UploadHandler
from brainscore_ops.scores.benchmark_tree import RULE
from brainscore_ops.scores.score_table import score_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from brainscore_ops.portal.boards import Board

ROOT = "/api/v1"
JSON = "application/json"
PROBLEM = "application/problem+json"
PARQUET, CSV = "application/vnd.apache.parquet", "text/csv; charset=utf-8"
MOST_MODELS, MODELS = 100, 20
"""Models whose scores are on a page: at most, and if nothing is said."""
MOST_ITEMS, ITEMS = 5000, 1000
MODELS_AT_ONCE = 3
_CHUNK = 256_000


class ApiMixin(PortalHandler):
    """Answers in JSON, errors included."""

    is_api = True

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A problem as RFC 9457 has it, with our own code, remedy and list of problems."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        status = status_of(error) if isinstance(error, OpsError) else status_code
        title = HTTPStatus(status).phrase
        problem: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": title}
        if isinstance(error, UnavailableError):
            problem |= {"code": error.code, "detail": "A service that this needs does not answer."}
            problem["remedy"] = "Try again in a minute."
            self.set_header("Retry-After", "60")
        elif isinstance(error, OpsError):
            problem |= {"code": error.code, "detail": error.message, "remedy": error.remedy}
            problem["problems"] = [vars(each) for each in error.problems]
            if isinstance(error, TooManyRequestsError):
                self.set_header("Retry-After", str(error.retry_after))
        elif isinstance(error, HTTPError) and error.log_message and status < 500:
            problem["detail"] = error.log_message % error.args if error.args else error.log_message
        if status == 401:
            self.set_header("WWW-Authenticate", "Bearer")
        self.set_status(status)
        self.set_header("Content-Type", PROBLEM)
        self.set_header("Cache-Control", "no-store")
        self.finish(_dumps(problem))

    def asked(self, name: str, default: str = "") -> str:
        """An argument of the address.

        :raises BadRequestError: it is there twice, or is no text
        """
        given = self.request.query_arguments.get(name, [])
        try:
            texts = [each.decode() for each in given]
        except UnicodeDecodeError:
            texts = ["\0"]
        if len(texts) > 1 or any("\0" in text for text in texts):
            raise _bad(name, "expected one text")
        return texts[0].strip() if texts else default

    def asked_number(self, name: str, default: int, most: int) -> int:
        """A whole number from 1.

        :raises BadRequestError: it is none
        """
        given = self.asked(name, str(default))
        if not (given.isascii() and given.isdigit() and len(given) < 10 and 1 <= int(given) <= most):
            raise _bad(name, f"expected a whole number from 1 to {most}, found {given[:50]!r}")
        return int(given)

    def link(self, rel: str, **changes: Any) -> str:
        """The address of this with other arguments, which is told in the header ``Link`` too."""
        given = {name: values[-1].decode("utf-8", "replace") for name, values in self.request.query_arguments.items()}
        address = f"{self.address.url}{self.request.path}?{urlencode({**given, **changes})}"
        self.add_header("Link", f'<{address}>; rel="{rel}"')
        return address

    def page_of(self, items: Sequence[Any], total: int, following: str | None) -> dict[str, Any]:
        """A page of a list."""
        return {"items": items, "total": total, "next": following}


class ScoresApi(ApiMixin, ScoresHandler):
    """What is told of the scores, with an ETag that changes with them."""

    async def answer_json(self, make: Any) -> None:
        """Answer with the document that ``make`` makes of the leaderboard, in a thread."""
        await self.answer(lambda board: _dumps(make(board)), JSON)


class Description(ApiMixin):
    """What OpenAPI says of all of this."""

    async def get(self) -> None:
        self.set_header("Content-Type", JSON)
        self.set_header("Cache-Control", "public, max-age=300")
        self.finish(_dumps({**description(), "servers": [{"url": self.address.url + ROOT}]}))


class Site(ScoresApi):
    """Whose scores these are."""

    async def get(self) -> None:
        def about(board: Board) -> dict[str, Any]:
            return {
                "domain": board.scores.domain,
                "library": self.deployment.library.repository,
                "revision": board.scores.revision,
                "as_of": board.scores.as_of,
                "average": RULE,
                "models": len(board.scores.models),
                "benchmarks": len(board.scores.benchmarks),
            }

        await self.answer_json(about)


class Leaderboard(ScoresApi):
    """Models by their average, with their scores on the newest versions of benchmarks."""

    async def get(self) -> None:
        per_page = self.asked_number("per_page", MODELS, MOST_MODELS)
        number = self.asked_number("page", 1, 10**6)

        def page(board: Board) -> Iterator[str]:
            begin, total = (number - 1) * per_page, len(board.scores.models)
            places = range(begin, min(begin + per_page, total))
            following = self.link("next", page=number + 1) if begin + per_page < total else None
            if number > 1:
                self.link("prev", page=number - 1)
            return _parts((board.scores.document(place) for place in places), total=total, next=following)

        await self.answer(page, JSON)


class Models(ScoresApi):
    """The models that have an outcome, with rank and average."""

    async def get(self) -> None:
        per_page = self.asked_number("per_page", ITEMS, MOST_ITEMS)
        number = self.asked_number("page", 1, 10**6)

        def page(board: Board) -> dict[str, Any]:
            items = [_model(board, place) for place in range(len(board.scores.models))]
            begin = (number - 1) * per_page
            following = self.link("next", page=number + 1) if begin + per_page < len(items) else None
            return self.page_of(items[begin : begin + per_page], len(items), following)

        await self.answer_json(page)


class OneModel(ScoresApi):
    """A model with its scores on the newest versions of benchmarks."""

    async def get(self, name: str) -> None:
        def one(board: Board) -> dict[str, Any]:
            place = board.model_places.get(name)
            if place is None:
                raise PageNotFoundError("There is no model of that name that has an outcome.")
            return {"identifier": name, **board.scores.document(place)}

        await self.answer_json(one)


class Benchmarks(ScoresApi):
    """The tree of benchmarks: parents before what is in them."""

    async def get(self) -> None:
        def page(board: Board) -> dict[str, Any]:
            items = [
                {
                    "identifier": node.identifier,
                    "parent": node.path[-1] if node.path else None,
                    "order": node.order,
                    "version": node.benchmark and node.benchmark.version,
                    "ceiling": node.benchmark and node.benchmark.ceiling,
                    "ceiling_error": node.benchmark and node.benchmark.ceiling_error,
                    "reference": (node.benchmark and node.benchmark.reference) or None,
                    "url": (node.benchmark and node.benchmark.url) or None,
                }
                for node in board.scores.nodes
            ]
            return self.page_of(items, len(items), None)

        await self.answer_json(page)


class Scores(ScoresApi):
    """The tidy table of scores: a row is what came out of a model on a version of a benchmark. A page holds whole models."""

    async def get(self) -> None:
        model, benchmark = self.asked("model"), self.asked("benchmark")
        after, per_page = self.asked("after"), self.asked_number("models", MODELS, MOST_MODELS)

        def page(board: Board) -> Iterator[str]:
            names = sorted(facts.model for facts in board.scores.models)
            wanted = [name for name in names if (not model or name == model) and name > after]
            shown = wanted[:per_page]
            following = self.link("next", after=shown[-1]) if len(wanted) > per_page else None
            return _parts(self._rows(board.scores.domain, shown, benchmark), models=len(names), next=following)

        await self.answer(page, JSON)

    def _rows(self, domain: str, names: list[str], benchmark: str) -> Iterator[dict[str, Any]]:
        """A few models at a time: the rows of a page would take a hundred megabytes at once."""
        for begin in range(0, len(names), MODELS_AT_ONCE):
            some = names[begin : begin + MODELS_AT_ONCE]
            with self.database.session() as session:
                seen = (Model.domain == domain, Model.name.in_(some), self.viewer.sees_model())
                rows = session.scalars(select(Model.id).where(*seen)).all()
                records = score_records(session, domain=domain, models=rows, viewer=self.viewer, benchmark=benchmark)
            yield from records


class DataFile(ScoresApi):
    """The whole as a file."""

    async def get(self, name: str) -> None:
        board = await self.in_thread(self.boards.of, self.viewer)
        if self.told_before(board, PARQUET if name.endswith("parquet") else CSV):
            await self.finish()
            return
        files = self.settings.setdefault("data_files", DataFiles(self.deployment))
        # In a thread of its own: whoever waits for files to be made takes none from other visitors.
        making = self.settings.setdefault("exporting", ThreadPoolExecutor(1, thread_name_prefix="exports"))
        find = partial(files.path, name, self.viewer, board.revision)
        path = await asyncio.get_running_loop().run_in_executor(making, find)
        self.set_header("Content-Disposition", f'attachment; filename="{board.scores.domain}-{name}"')
        self.set_header("Content-Length", str(path.stat().st_size))
        with path.open("rb") as file:
            while part := await self.in_thread(file.read, _CHUNK):
                self.write(part)
                await self.flush()
        await self.finish()


@stream_request_body
class Submissions(ApiMixin, UploadHandler):
    """One's own submissions; and a new one."""

    async def get(self) -> None:
        person = self.signed_in("read")
        per_page, number = self.asked_number("per_page", ITEMS, MOST_ITEMS), self.asked_number("page", 1, 10**6)

        def gather() -> list[dict[str, Any]]:
            with self.database.session() as session:
                return [_line(self.address.url, line) for line in submission_views.of_person(session, person.user_id)]

        items, begin = await self.in_thread(gather), (number - 1) * per_page
        following = self.link("next", page=number + 1) if begin + per_page < len(items) else None
        _answer_once(self, self.page_of(items[begin : begin + per_page], len(items), following))

    async def post(self) -> None:
        upload = self.receive()
        person, fields = self.signed_in("submit"), upload.fields
        public = fields.get("public", "true").lower()
        if public not in {"true", "false"}:
            raise _bad("public", f"expected true or false, found {public[:50]!r}")
        arrived = await self.accept(upload, person, name=fields.get("name", ""), public=public == "true")
        here = f"{self.address.url}{ROOT}/submissions/{arrived.submission}"
        self.set_status(200 if arrived.known else 201)
        self.set_header("Location", here)
        self.set_header("Content-Type", JSON)
        page = f"{self.address.url}/submissions/{arrived.submission}"
        self.finish(_dumps({"submission": arrived.submission, "known": arrived.known, "url": here, "page": page}))


class OneSubmission(ApiMixin):
    """Where a submission stands, and everything that happened to it."""

    async def get(self, number: str) -> None:
        view = await self.in_thread(submission_views.look, self.database, self.viewer, self.deployment, int(number))
        _answer_once(self, _submission(self.address.url, view))


class NoSuchPath(ApiMixin):
    """What the API does not have."""

    async def prepare(self) -> None:
        raise PageNotFoundError(f"The API has no {self.request.path}.", remedy=f"{ROOT}/openapi.json says what it has.")


class ApiPage(ScoresHandler):
    """What the API has, for people."""

    async def get(self) -> None:
        await self.render("api.html", api=description(), root=f"{self.address.url}{ROOT}")


@cache
def description() -> dict[str, Any]:
    """The OpenAPI document, without its servers."""
    document: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "openapi.yaml").read_text(encoding="utf-8"))
    return document


def _answer_once(handler: PortalHandler, document: Any) -> None:
    """A document that is made before it is known whether the visitor has it."""
    body = _dumps(document)
    handler.set_header("Content-Type", JSON)
    handler.set_header("Cache-Control", "private, no-cache")
    handler.set_header("Vary", "Cookie, Authorization")
    handler.set_header("ETag", f'"{hashlib.sha256(body.encode()).hexdigest()[:24]}"')
    if handler.check_etag_header():
        handler.set_status(304)
        handler.finish()
    else:
        handler.finish(body)


def _parts(items: Iterator[Any], **rest: Any) -> Iterator[str]:
    """A page of a list that is long, in parts."""
    yield '{"items":['
    for number, item in enumerate(items):
        yield ("," if number else "") + _dumps(item)
    yield "]," + _dumps(rest)[1:]


def _model(board: Board, place: int) -> dict[str, Any]:
    facts, average = board.scores.models[place], float(board.scores.averages[place])
    return {
        "identifier": facts.model,
        "rank": board.scores.ranks[place],
        "average": None if average != average else average,
        "family": facts.family or None,
        "architecture": facts.architecture or None,
        "parameters": facts.parameters,
        "reference": facts.reference or None,
        "url": facts.url or None,
        "public": facts.public,
    }


def _line(site: str, line: submission_views.Line) -> dict[str, Any]:
    return {
        "submission": line.number,
        "name": line.name,
        "state": line.state.replace(" ", "-"),
        "says": line.says,
        "public": line.public,
        "created_at": line.created_at.isoformat(),
        "updated_at": line.updated_at.isoformat(),
        "page": f"{site}/submissions/{line.number}",
    }


def _submission(site: str, view: submission_views.View) -> dict[str, Any]:
    return {
        **_line(site, view.line),
        "submitter": view.submitter,
        "is_final": view.is_final,
        "next": view.next or None,
        "reason": view.reason or None,
        "fault": view.fault or None,
        "plugins": list(view.plugins),
        "models": list(view.models),
        "benchmarks": list(view.benchmarks),
        "pull_request": view.pull_request,
        "pull_request_url": f"{site}{url}" if (url := view.pull_request_url).startswith("/") else url or None,
        "events": [
            {
                "at": step.at.isoformat(),
                "state": step.state.replace(" ", "-"),
                "message": step.message,
                "log": step.log or None,
                "run": step.run_id or None,
            }
            for step in view.steps
        ],
    }


def _bad(name: str, message: str) -> BadRequestError:
    problem = Problem("bad-argument", message, name)
    return BadRequestError(f"{name}: {message}", problems=[problem])


def _dumps(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


ROUTES: list[tuple[str, type[PortalHandler]]] = [
    (r"/api", ApiPage),
    (rf"{ROOT}/openapi\.json", Description),
    (rf"{ROOT}/site", Site),
    (rf"{ROOT}/leaderboard", Leaderboard),
    (rf"{ROOT}/models", Models),
    (rf"{ROOT}/models/(.+)", OneModel),
    (rf"{ROOT}/benchmarks", Benchmarks),
    (rf"{ROOT}/scores", Scores),
    (rf"{ROOT}/((?:scores|history|runs|canaries)\.parquet|scores\.csv)", DataFile),
    (rf"{ROOT}/submissions", Submissions),
    (rf"{ROOT}/submissions/([0-9]{{1,9}})", OneSubmission),
    (rf"{ROOT}/.*", NoSuchPath),
]
