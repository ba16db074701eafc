"""The public pages: leaderboard, models, benchmarks, and the leaderboard as a file."""

from __future__ import annotations

import asyncio
import hashlib
import os
import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, cast

from brainscore_ops.portal import templating
from brainscore_ops.portal.benchmark_view import benchmark_entries, benchmark_view
from brainscore_ops.portal.boards import Boards
from brainscore_ops.portal.errors import PageNotFoundError
from brainscore_ops.portal.handlers import PortalHandler
from brainscore_ops.portal.leaderboard_table import LeaderboardTable, Wish, leaderboard_values
from brainscore_ops.portal.model_view import model_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from brainscore_ops.portal.boards import Board


HTML = "text/html; charset=utf-8"
_PART_BYTES = 256_000
_KEPT, _LARGEST_KEPT = 100, 100_000  # pages, bytes: 10 MB at the most
_LEVEL = 5  # of compression: half the time of the usual 6, and a twentieth more bytes


class KeptPages:
    """The newest of the pages that strangers asked for, as they were sent; those that are small."""

    def __init__(self) -> None:
        self._pages: OrderedDict[str, bytes] = OrderedDict()

    def get(self, key: str) -> bytes:
        """A page, or nothing."""
        return self._pages.get(key, b"")

    def keep(self, key: str, page: bytes) -> None:
        """Keep a page."""
        if len(page) <= _LARGEST_KEPT:
            self._pages[key] = page
            self._pages.move_to_end(key)
        while len(self._pages) > _KEPT:
            self._pages.popitem(last=False)


class ScoresHandler(PortalHandler):
    """A page that shows scores: computed in a thread, and not at all where the visitor has it already."""

    @property
    def boards(self) -> Boards:
        """The leaderboards of this server."""
        if "boards" not in self.settings:
            self.settings["boards"] = Boards(self.database, self.deployment.library.domain)
        return cast("Boards", self.settings["boards"])

    async def answer(self, make: Callable[[Board], str | Iterable[str]], content_type: str = HTML) -> None:
        """Answer with what ``make`` makes of the leaderboard, or that it is what the visitor has already.

        :param make: called in a thread; what is large comes in parts, and is sent as it comes
        """
        board = await self.in_thread(self.boards.of, self.viewer)
        if self.told_before(board, content_type):
            await self.finish()
            return
        zipped = "gzip" in self.request.headers.get("Accept-Encoding", "")
        parts = packed(make, board, zipped=zipped)
        # What everybody sees is made once, also where a hundred ask for it at the same moment.
        is_everybodys = zipped and self.person is None and content_type == HTML
        part = await self._next(parts, self.seen(board) if is_everybodys else "")
        if zipped:
            self.set_header("Content-Encoding", "gzip")
        while part:
            self.write(part)
            await self.flush()
            part = b"" if is_everybodys else await self._next(parts)
        await self.finish()

    async def _next(self, parts: Iterator[bytes], key: str = "") -> bytes:
        """The next part; with a key all of them, which are kept by it. Nothing at the end.

        Not more are made at once than there are cores: they would only take more memory.
        """
        making = self.settings.setdefault("making", asyncio.Semaphore(os.cpu_count() or 1))
        kept: KeptPages = self.settings.setdefault("kept_pages", KeptPages())
        async with making:
            if not key:
                return await self.in_thread(next, parts, b"")
            page = kept.get(key) or await self.in_thread(b"".join, parts)
            kept.keep(key, page)
            return page

    def seen(self, board: Board) -> str:
        """What a page is of: another text where it may be another page."""
        # The frame differs between visitors who see the same scores.
        whose = f"{self.viewer} {self.person and self.person.user_id}"
        return f"{board.revision} {whose} {self.request.uri} {templating.revision()}"

    def told_before(self, board: Board, content_type: str) -> bool:
        """Whether the visitor has this already; sets the headers that say what it is."""
        self.set_header("ETag", f'W/"{hashlib.sha256(self.seen(board).encode()).hexdigest()[:24]}"')
        self.set_header("Cache-Control", "no-cache" if self.person is None else "private, no-cache")
        self.set_header("Vary", "Cookie, Authorization, Accept-Encoding")
        self.set_header("Content-Type", content_type)
        if self.check_etag_header():
            self.set_status(304)
            return True
        return False

    def compute_etag(self) -> str | None:
        """It is told by what the page shows, before there is a page."""
        return None

    def page(self, template: str, **values: Any) -> str:
        """A page as text."""
        return templating.render(template, site=self.site, viewer=self.viewer, **values)

    def arguments(self) -> dict[str, list[str]]:
        """The arguments of the address."""
        return {
            name: [text.decode("utf-8", "replace") for text in texts]
            for name, texts in self.request.query_arguments.items()
        }


class LeaderboardPage(ScoresHandler):
    """Models × benchmarks."""

    async def get(self) -> None:
        wish = Wish.of(self.arguments())
        await self.answer(
            lambda board: self.page("leaderboard.html", **leaderboard_values(LeaderboardTable(board, wish, self.site)))
        )


class ModelPage(ScoresHandler):
    """A model: its scores against those of all others."""

    async def get(self, name: str) -> None:
        refuse_odd(name)

        def make(board: Board) -> str:
            with self.database.session() as session:
                view = model_view(session, board, name, self.viewer, self.deployment.library)
                return self.page("model.html", model=view)

        await self.answer(make)


class BenchmarksPage(ScoresHandler):
    """All benchmarks, in the order of their tree."""

    async def get(self) -> None:
        await self.answer(lambda board: self.page("benchmarks.html", entries=benchmark_entries(board)))


class BenchmarkPage(ScoresHandler):
    """A benchmark: how the scores on it are distributed, and whose they are."""

    async def get(self, identifier: str) -> None:
        refuse_odd(identifier)

        def make(board: Board) -> str:
            with self.database.session() as session:
                view = benchmark_view(session, board, identifier, self.viewer, self.deployment.library.domain)
                return self.page("benchmark.html", benchmark=view)

        await self.answer(make)


class LeaderboardJson(ScoresHandler):
    """All of it as a JSON document."""

    async def get(self) -> None:
        await self.answer(lambda board: board.scores.json_parts(), "application/json")


class LeaderboardCsv(ScoresHandler):
    """One line a model."""

    async def get(self) -> None:
        self.set_header(
            "Content-Disposition", f'attachment; filename="{self.deployment.library.domain}-leaderboard.csv"'
        )
        await self.answer(lambda board: board.scores.csv_parts(), "text/csv; charset=utf-8")


def refuse_odd(identifier: str) -> None:
    """PostgreSQL takes no text with this character in it.

    :raises PageNotFoundError: so nothing has such a name
    """
    if "\0" in identifier:
        raise PageNotFoundError("There is nothing of that name.", remedy="Begin at the leaderboard.")


def packed(make: Callable[[Board], str | Iterable[str]], board: Board, *, zipped: bool) -> Iterator[bytes]:
    """What is sent, in parts that are not empty."""
    made = make(board)
    zipper = zlib.compressobj(_LEVEL, wbits=31) if zipped else None
    waiting = b""
    for part in [made] if isinstance(made, str) else made:
        waiting += zipper.compress(part.encode()) if zipper else part.encode()
        if len(waiting) >= _PART_BYTES:
            yield waiting
            waiting = b""
    if rest := waiting + (zipper.flush() if zipper else b""):
        yield rest


ROUTES: list[tuple[str, type[PortalHandler]]] = [
    (r"/", LeaderboardPage),
    (r"/models/(.+)", ModelPage),
    (r"/benchmarks", BenchmarksPage),
    (r"/benchmarks/(.+)", BenchmarkPage),
    (r"/leaderboard\.json", LeaderboardJson),
    (r"/leaderboard\.csv", LeaderboardCsv),
]
