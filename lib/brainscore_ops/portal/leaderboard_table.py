"""The leaderboard as a table of a page: which columns, which rows, in which order, as the page's address asks for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import numpy as np
from markupsafe import Markup

from brainscore_ops.portal.errors import PageNotFoundError
from brainscore_ops.portal.templating import number, scale
from brainscore_ops.scores.benchmark_tree import RULE
from brainscore_ops.scores.columns import FAILED, SCORED
from brainscore_ops.scores.leaderboard import STATES, ranks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brainscore_ops.portal.boards import Board
    from brainscore_ops.portal.site import Site
    from brainscore_ops.scores.leaderboard import Leaderboard, ModelFacts

MOST_COLUMNS = 30
"""Groups are opened, level by level, as long as there are no more columns than this; the whole is asked for by a link."""
PAGE_ROWS = 50
MOST_ROWS = 200
AVERAGE, MODEL, PARAMETERS = "average", "model", "parameters"
_LONGEST_REASON = 200


@dataclass(frozen=True)
class Wish:
    """What the address of a leaderboard's page asks for."""

    parent: str = ""
    """Only what is below this parent of benchmarks."""
    sort: str = ""
    """``average``, ``model``, ``parameters`` or the identifier of a column; empty for the page's own order."""
    ascending: bool = False
    q: str = ""
    """A part of the model's name, family or architecture."""
    family: str = ""
    hide: tuple[str, ...] = ()
    """Identifiers of columns that are left out."""
    all: bool = False
    """Every column, however many there are."""
    page: int = 1
    rows: int = PAGE_ROWS

    @classmethod
    def of(cls, arguments: Mapping[str, Sequence[str]]) -> Wish:
        """From the arguments of an address. What is no number there is taken for the default."""

        def last(name: str) -> str:
            return (list(arguments.get(name, ())) or [""])[-1].strip()[:255]

        def whole(name: str, default: int, most: int) -> int:
            given = last(name)
            return min(max(int(given), 1), most) if given.isascii() and given.isdigit() and len(given) < 7 else default

        return cls(
            parent=last("parent"),
            sort=last("sort"),
            ascending=last("order") == "ascending",
            q=last("q"),
            family=last("family"),
            hide=tuple(dict.fromkeys(each[:255] for each in arguments.get("hide", ())))[:MOST_ROWS],
            all=last("columns") == "all",
            page=whole("page", 1, 10**6),
            rows=whole("rows", PAGE_ROWS, MOST_ROWS),
        )

    def query(self) -> str:
        """The arguments of an address that asks for this; empty for the plain page."""
        plain = Wish()
        named = (("parent", self.parent), ("sort", self.sort), ("q", self.q), ("family", self.family))
        given = [(name, value) for name, value in named if value]
        given += [("order", "ascending")] if self.ascending else []
        given += [("hide", each) for each in self.hide]
        given += [("columns", "all")] if self.all else []
        given += [("page", str(self.page))] if self.page != plain.page else []
        given += [("rows", str(self.rows))] if self.rows != plain.rows else []
        return f"?{urlencode(given, quote_via=quote)}" if given else ""

    def but(self, **changes: object) -> str:
        """The address, seen from the page itself, of the same page with something else; from its first rows on."""
        return replace(self, **{"page": 1, **changes}).query() or "?"  # type: ignore[arg-type]


@dataclass(frozen=True)
class Column:
    """A column: a benchmark, or the mean of a parent."""

    place: int
    """Among the leaderboard's nodes."""
    identifier: str
    label: str
    path: tuple[str, ...]
    """The group that it stands in."""
    is_mean: bool
    version: int | None = None
    ceiling: float | None = None
    ceiling_error: float | None = None
    first: bool = False
    """Whether its group begins here."""


@dataclass(frozen=True)
class Line:
    """A row of the table."""

    rank: int | None
    facts: ModelFacts
    average: Markup
    """Its cell."""
    cells: Markup
    """The cells of the columns."""


class LeaderboardTable:
    """The part of a leaderboard that a page shows.

    :raises PageNotFoundError: there is no such parent
    """

    def __init__(self, board: Board, wish: Wish, site: Site) -> None:
        self.board = board
        self.scores: Leaderboard = board.scores
        self.wish = wish
        self.site = site
        self.parent: int | None = None
        if wish.parent:
            self.parent = board.node_places.get(wish.parent)
            if self.parent is None or not self.scores.nodes[self.parent].children:
                raise PageNotFoundError(
                    f"There is no group of benchmarks that is called {wish.parent!r}.",
                    remedy="Begin at the leaderboard.",
                )

    @cached_property
    def all_columns(self) -> tuple[Column, ...]:
        """Those of this part of the tree, hidden ones included."""
        nodes = self.scores.nodes
        tops = [place for place, node in enumerate(nodes) if not node.path] if self.parent is None else [self.parent]
        opened = _opened(self.scores, tops, None if self.wish.all else MOST_COLUMNS)
        found: list[Column] = []

        def take(place: int) -> None:
            node = nodes[place]
            if node.benchmark is not None:
                of = node.benchmark
                found.append(
                    Column(place, node.identifier, node.identifier, node.path, is_mean=False, version=of.version,
                           ceiling=of.ceiling, ceiling_error=of.ceiling_error)
                )  # fmt: skip
            elif place in opened:
                if len(node.children) > 1:
                    found.append(Column(place, node.identifier, "Mean", (*node.path, node.identifier), is_mean=True))
                for child in node.children:
                    take(child)
            else:
                found.append(Column(place, node.identifier, node.identifier, node.path, is_mean=True))

        for top in tops:
            take(top)
        return tuple(found)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Those that are shown."""
        shown = [column for column in self.all_columns if column.identifier not in self.wish.hide]
        return tuple(
            replace(column, first=number == 0 or shown[number - 1].path != column.path)
            for number, column in enumerate(shown)
        )

    @property
    def hidden(self) -> tuple[Column, ...]:
        """Those that were hidden by the reader."""
        return tuple(column for column in self.all_columns if column.identifier in self.wish.hide)

    @property
    def groups(self) -> list[tuple[str, str, int]]:
        """The headings over the columns: title, the parent's identifier (empty at the top), how many columns."""
        found: list[tuple[str, str, int]] = []
        for column in self.columns:
            if column.first:
                found.append((" › ".join(column.path), column.path[-1] if column.path else "", 0))
            title, parent, width = found[-1]
            found[-1] = (title, parent, width + 1)
        return found

    @property
    def closed(self) -> int:
        """How many benchmarks have no column of their own, because their group is not open."""
        below = {column.place for column in self.all_columns}
        part = self.wish.parent
        return sum(
            node.benchmark is not None and place not in below and (not part or part in node.path)
            for place, node in enumerate(self.scores.nodes)
        )

    @property
    def inside(self) -> int:
        """How many benchmarks are in this part of the tree."""
        part = self.wish.parent
        return sum(node.benchmark is not None and part in node.path for node in self.scores.nodes)

    @cached_property
    def families(self) -> tuple[str, ...]:
        """What can be chosen as a family."""
        return tuple(sorted({facts.family for facts in self.scores.models if facts.family}, key=str.casefold))

    @cached_property
    def order(self) -> list[int]:
        """The places of the models that fit, in the order of the page."""
        fitting = [place for place, facts in enumerate(self.scores.models) if self._fits(place, facts)]
        return self._sorted(fitting)

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return 1 if self.site.static else max(-(-len(self.order) // self.wish.rows), 1)

    @property
    def page(self) -> int:
        """Which of them this is."""
        return min(self.wish.page, self.pages)

    @cached_property
    def lines(self) -> list[Line]:
        """The rows of the page."""
        begin = (self.page - 1) * self.wish.rows
        shown = self.order if self.site.static else self.order[begin : begin + self.wish.rows]
        return [
            Line(self.ranks[place], self.scores.models[place], self._average(place), self._cells(place))
            for place in shown
        ]

    @cached_property
    def ranks(self) -> Sequence[int | None]:
        """Of the models: by their average, or by the mean of the part that is shown."""
        return self.scores.ranks if self.parent is None else ranks(self.scores.values[:, self.parent])

    @property
    def sorted_by(self) -> str:
        """The name of what the rows are sorted by."""
        known = {AVERAGE, MODEL, PARAMETERS, *(column.identifier for column in self.all_columns)}
        return self.wish.sort if self.wish.sort in known else (self.wish.parent or AVERAGE)

    def direction(self, name: str) -> str:
        """For ``aria-sort``: how the rows are sorted by a column; empty if they are not."""
        return ("ascending" if self.wish.ascending else "descending") if name == self.sorted_by else ""

    def sort_link(self, name: str) -> str:
        """The address of the page sorted by a column; in the other direction where it is."""
        first_ascending = name == MODEL
        is_sorted = name == self.sorted_by
        return self.wish.but(sort=name, ascending=not self.wish.ascending if is_sorted else first_ascending)

    def _fits(self, place: int, facts: ModelFacts) -> bool:
        if self.parent is not None:
            below = [column.place for column in self.all_columns]
            if not self.scores.states[place, below].any():
                return False
        if self.wish.family and facts.family != self.wish.family:
            return False
        text = f"{facts.model} {facts.family} {facts.architecture}".casefold()
        return all(word in text for word in self.wish.q.casefold().split())

    def _sorted(self, places: list[int]) -> list[int]:
        name, models = self.sorted_by, self.scores.models
        if name == MODEL:
            return sorted(places, key=lambda place: models[place].model.casefold(), reverse=not self.wish.ascending)
        if name == PARAMETERS:
            keys = np.array([np.nan if m.parameters is None else float(m.parameters) for m in models])
        elif name == AVERAGE:
            keys = self.scores.averages
        else:
            keys = self.scores.values[:, self.board.node_places[name]]
        sign = 1.0 if self.wish.ascending else -1.0
        # What has no number stays at the end in both directions; equal ones stand in the order of their averages.
        return sorted(
            places, key=lambda place: (bool(np.isnan(keys[place])), sign * _or_zero(float(keys[place])), place)
        )

    def _average(self, place: int) -> Markup:
        return _scored(self.scores.averages[place], np.nan, "average") or Markup('<td class="average none">–</td>')

    def _cells(self, place: int) -> Markup:
        return Markup("").join(self._cell(place, column) for column in self.columns)

    def _cell(self, model: int, column: Column) -> Markup:
        kind = ("mean " if column.is_mean else "") + ("first" if column.first else "")
        state = STATES[self.scores.states[model, column.place]]
        if state == SCORED:
            return _scored(self.scores.values[model, column.place], self.scores.errors[model, column.place], kind)
        if state == FAILED:
            said = self.scores.reasons.get((model, column.place), "") or "no reason was recorded"
            brief = said if len(said) <= _LONGEST_REASON else said[: _LONGEST_REASON - 1] + "…"
            there = f"{self.site.page('models/' + self.scores.models[model].model)}#{quote(column.identifier)}"
            return Markup(
                '<td class="failed {}"><a href="{}" title="{}">failed<span class="hidden">: {}</span></a></td>'
            ).format(kind.strip(), there, brief, brief)
        return _NOTHING[kind.strip()] if kind.strip() in _NOTHING else _nothing(kind)


def leaderboard_values(table: LeaderboardTable) -> dict[str, Any]:
    """What the template of the leaderboard asks for."""
    return {"table": table, "rule": RULE, "page_link": lambda number: table.wish.but(page=number)}


def _opened(scores: Leaderboard, tops: Sequence[int], most: int | None) -> set[int]:
    """The parents whose children have columns of their own."""
    opened: set[int] = set()
    level, columns = list(tops), len(tops)
    while level:
        below: list[int] = []
        # The small ones first: a group with a hundred benchmarks does not keep the others closed.
        for place in sorted(level, key=lambda place: len(scores.nodes[place].children)):
            children = scores.nodes[place].children
            asked_for = level == list(tops) and len(tops) == 1
            if children and (most is None or asked_for or columns + len(children) <= most):
                opened.add(place)
                columns += len(children)
                below += children
        level = below
    return opened


def _or_zero(value: float) -> float:
    return 0.0 if np.isnan(value) else value


def _scored(value: float, error: float, kind: str) -> Markup:
    if np.isnan(value):
        return Markup("")
    classes = f"{kind} {scale(value, error)}".strip()
    said = number(value) if np.isnan(error) else f"{number(value)} <small>±{number(error)}</small>"
    return Markup(f'<td class="{classes}">{said}</td>')  # noqa: S704 - numbers, and names of ours


def _nothing(kind: str) -> Markup:
    return Markup('<td class="none {}"><span aria-hidden="true">–</span><span class="hidden">{}</span></td>').format(
        kind.strip(), "not scored yet"
    )


_NOTHING = {kind: _nothing(kind) for kind in ("", "first", "mean", "mean first")}
