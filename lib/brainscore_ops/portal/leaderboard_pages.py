"""The public pages: leaderboard, models, benchmarks, and the leaderboard as a file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

from brainscore_ops.database.viewer import PUBLIC
from brainscore_ops.portal import templating
from brainscore_ops.portal.boards import Boards
from brainscore_ops.portal.handlers import PortalHandler
from brainscore_ops.portal.leaderboard_table import LeaderboardTable, Wish
from brainscore_ops.scores.leaderboard import RULE

if TYPE_CHECKING:
    from collections.abc import Callable

    from brainscore_ops.portal.boards import Board


class ScoresHandler(PortalHandler):
    """A page that shows scores: computed in a thread, and not at all where the visitor has it already."""

    @property
    def boards(self) -> Boards:
        """The leaderboards of this server."""
        if "boards" not in self.settings:
            self.settings["boards"] = Boards(self.database, self.deployment.library.domain)
        return cast("Boards", self.settings["boards"])

    async def answer(
        self, make: Callable[[Board], str | bytes], content_type: str = "text/html; charset=utf-8"
    ) -> None:
        """Answer with what ``make`` makes of the leaderboard, or that it is what the visitor has already."""
        board = await self.in_thread(self.boards.of, self.viewer)
        # The page's frame differs between visitors who see the same scores.
        seen = f"{board.revision} {self.viewer} {self.request.uri} {templating.revision()}"
        self.set_header("ETag", f'"{hashlib.sha256(seen.encode()).hexdigest()[:24]}"')
        self.set_header("Cache-Control", "no-cache" if self.viewer == PUBLIC else "private, no-cache")
        self.set_header("Vary", "Cookie, Accept-Encoding")
        self.set_header("Content-Type", content_type)
        if self.check_etag_header():
            self.set_status(304)
            await self.finish()
            return
        await self.finish(await self.in_thread(make, board))

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


class LeaderboardJson(ScoresHandler):
    """All of it as a JSON document."""

    async def get(self) -> None:
        await self.answer(lambda board: board.scores.to_json(), "application/json")


class LeaderboardCsv(ScoresHandler):
    """One line a model."""

    async def get(self) -> None:
        self.set_header(
            "Content-Disposition", f'attachment; filename="{self.deployment.library.domain}-leaderboard.csv"'
        )
        await self.answer(lambda board: board.scores.to_csv(), "text/csv; charset=utf-8")


def leaderboard_values(table: LeaderboardTable) -> dict[str, Any]:
    """What the template of the leaderboard asks for."""
    return {"table": table, "rule": RULE, "page_link": lambda number: table.wish.but(page=number)}


ROUTES: list[tuple[str, type[PortalHandler]]] = [
    (r"/", LeaderboardPage),
    (r"/leaderboard\.json", LeaderboardJson),
    (r"/leaderboard\.csv", LeaderboardCsv),
]
