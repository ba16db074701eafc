"""The leaderboard as pages use it: computed once for each revision of the scores and each kind of viewer, kept in memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from brainscore_ops.portal.charts import Spread
from brainscore_ops.scores.leaderboard import leaderboard, ranks
from brainscore_ops.scores.revision import scores_revision

if TYPE_CHECKING:
    from brainscore_ops.database.connection import Database
    from brainscore_ops.database.viewer import Viewer
    from brainscore_ops.scores.leaderboard import Leaderboard

KEPT = 6
"""Leaderboards of different viewers at once; one of the vision library takes 10 MB."""
GRACE_SECONDS = 1.0
"""For so long the answer that nothing changed is believed: a hundred visitors at once ask the database once."""


@dataclass(frozen=True, eq=False)
class Board:
    """A leaderboard with what is looked up in it."""

    scores: Leaderboard
    revision: str
    """Another one for other content, or for another viewer."""

    _ranks: dict[int, tuple[int | None, ...]] = field(default_factory=dict)
    _spreads: dict[int, Spread] = field(default_factory=dict)

    @cached_property
    def model_places(self) -> dict[str, int]:
        """A model's name → its place among the models."""
        return {facts.model: place for place, facts in enumerate(self.scores.models)}

    @cached_property
    def node_places(self) -> dict[str, int]:
        """The identifier of a benchmark or of a parent → its place among the nodes."""
        return {node.identifier: place for place, node in enumerate(self.scores.nodes)}

    def ranks(self, node: int) -> tuple[int | None, ...]:
        """The models' places on a benchmark or in a group."""
        if node not in self._ranks:
            self._ranks[node] = ranks(self.scores.values[:, node])
        return self._ranks[node]

    def spread(self, node: int) -> Spread:
        """How the scores on a benchmark or in a group are distributed."""
        if node not in self._spreads:
            self._spreads[node] = Spread(self.scores.values[:, node])
        return self._spreads[node]


class Boards:
    """The leaderboards of a deployment. Its methods block: they are called in threads."""

    def __init__(self, database: Database, domain: str) -> None:
        self._database = database
        self._domain = domain
        self._kept: OrderedDict[str, Board] = OrderedDict()
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._revision = ""
        self._asked_at = -GRACE_SECONDS

    def of(self, viewer: Viewer) -> Board:
        """What a viewer sees, as it is in the database now.

        :raises DatabaseUnavailableError: the database cannot be asked
        """
        kind = _kind(viewer)
        with self._lock:
            lock = self._locks.setdefault(kind, threading.Lock())
        with lock:
            wanted = f"{self.revision()}-{kind}"
            board = self._kept.get(kind)
            if board is None or board.revision != wanted:
                board = Board(leaderboard(self._database, domain=self._domain, viewer=viewer), wanted)
            with self._lock:
                self._kept[kind] = board
                self._kept.move_to_end(kind)
                while len(self._kept) > KEPT:
                    self._locks.pop(self._kept.popitem(last=False)[0], None)
            return board

    def revision(self) -> str:
        """The revision of the scores, whoever looks at them."""
        with self._asking:
            if time.monotonic() - self._asked_at >= GRACE_SECONDS:
                asked_at = time.monotonic()
                with self._database.session() as session:
                    self._revision = scores_revision(session)
                self._asked_at = asked_at
            return self._revision


def _kind(viewer: Viewer) -> str:
    """Viewers of one kind see the same."""
    if viewer.sees_everything:
        return "staff"
    return "public" if viewer.user_id is None else f"user{viewer.user_id}"
