"""The first page."""

from __future__ import annotations

from brainscore_ops.portal.handlers import PortalHandler


class Home(PortalHandler):
    """Where visitors begin."""

    async def get(self) -> None:
        await self.render("home.html")


ROUTES: list[tuple[str, type[PortalHandler]]] = [(r"/", Home)]
