"""The leaderboard: models in the order of their average, benchmarks in the order of their tree."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from brainscore_ops.database.brainscore_tables import BenchmarkInstance, BenchmarkType, Model, ModelMeta, Reference
from brainscore_ops.database.ops_tables import ScoreProvenance, SubmissionLife
from brainscore_ops.database.viewer import PUBLIC, Viewer
from brainscore_ops.display import Shown, Table, number, with_error
from brainscore_ops.scores.benchmark_tree import RULE, Benchmark, Node, mean_below
from brainscore_ops.scores.columns import FAILED, SCORED
from brainscore_ops.scores.score_table import counting_outcomes, read_quickly

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from brainscore_ops.database.connection import Database

MISSING = "missing"
STATES = (MISSING, SCORED, FAILED)
"""As :attr:`Leaderboard.states` numbers them."""
SHOWN_COLUMNS, SHOWN_ROWS = 30, 100
"""What a notebook shows of a leaderboard: more would make its record larger than what the record is of."""
BATCH = 5_000
"""Outcomes that are held at once while a leaderboard is computed."""


@dataclass(frozen=True)
class Group:
    """Benchmarks with the same parent."""

    path: tuple[str, ...]
    """The identifiers of the parents, from the top; empty for benchmarks without one."""
    benchmarks: tuple[Benchmark, ...]


@dataclass(frozen=True)
class Cell:
    """What came out of a model on a benchmark."""

    state: str
    """``scored``, ``failed`` or ``missing`` (not tried yet)."""
    value: float | None = None
    """Ceiled where there is a ceiling, raw elsewhere."""
    raw: float | None = None
    error: float | None = None
    reason: str = ""
    """Why it failed."""
    computed_at: str | None = None
    """ISO 8601, UTC."""


@dataclass(frozen=True)
class Failure:
    """A model that failed on a benchmark that has no column, because nothing has been scored on it yet."""

    model: str
    benchmark: str
    reason: str
    computed_at: str | None = None
    """ISO 8601, UTC."""


@dataclass(frozen=True)
class Branch:
    """A benchmark, or a parent of benchmarks, whose score is the mean over what is right below it: a column."""

    identifier: str
    path: tuple[str, ...]
    """The identifiers of its parents, from the top."""
    children: tuple[int, ...] = ()
    """Their places among :attr:`Leaderboard.nodes`."""
    benchmark: Benchmark | None = None
    """None for a parent."""
    instance_id: int | None = None
    """The row in ``brainscore_benchmarkinstance`` that is its newest version."""
    order: int = 0
    """Its place among its siblings; those with the same one stand by their names."""


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model beside its scores."""

    model: str
    family: str = ""
    architecture: str = ""
    parameters: int | None = None
    reference: str = ""
    """Author and year of the publication behind it."""
    url: str = ""
    public: bool = True
    """Whether everybody sees it."""


@dataclass(frozen=True)
class Row:
    """A model."""

    model: str
    rank: int | None
    """Models with the same average share a rank, and the next rank is left out. None without an average."""
    average: float | None
    means: tuple[float | None, ...]
    """Of the groups, in the order of :attr:`Leaderboard.groups`."""
    cells: tuple[Cell, ...]
    """In the order of :attr:`Leaderboard.benchmarks`."""
    family: str = ""
    architecture: str = ""
    parameters: int | None = None
    reference: str = ""
    url: str = ""


@dataclass(frozen=True, eq=False)
class Leaderboard(Shown):
    """A domain's leaderboard: arrays of models × nodes, and the same in rows and cells for those who want them so."""

    domain: str
    nodes: tuple[Branch, ...]
    """The tree of benchmarks in the order of its columns: each parent before what is below it."""
    models: tuple[ModelFacts, ...]
    """By average, the best first; those without one at the end, by name."""
    values: NDArray[np.float64]
    """models × nodes: scores, and the means of parents; NaN where there is none."""
    raws: NDArray[np.float64]
    errors: NDArray[np.float64]
    states: NDArray[np.uint8]
    """models × nodes: what came out, a number of :data:`STATES`; a parent is scored where it has a mean."""
    moments: NDArray[np.int64]
    """models × nodes: when it was computed, in microseconds since 1970, UTC; 0 where it is not known."""
    reasons: Mapping[tuple[int, int], str]
    """Why it failed: (model, node) → reason, where there is one."""
    averages: NDArray[np.float64]
    """Of the models; NaN where there is none."""
    failures: tuple[Failure, ...] = ()
    """Those that stand in no cell."""

    @cached_property
    def ranks(self) -> tuple[int | None, ...]:
        """Of the models: those with the same average share a rank, and the next is left out. None without an average."""
        return ranks(self.averages)

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """The places of the benchmarks among the nodes, in the order of :attr:`benchmarks`."""
        return tuple(
            self._places[(*group.path, benchmark.identifier)] for group in self.groups for benchmark in group.benchmarks
        )

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Benchmarks by their parent, in the order of the tree."""
        grouped: dict[tuple[str, ...], list[Benchmark]] = {
            path: [] for path in [(), *((*node.path, node.identifier) for node in self.nodes if node.benchmark is None)]
        }
        for node in self.nodes:
            if node.benchmark is not None:
                grouped[node.path].append(node.benchmark)
        return tuple(Group(path, tuple(benchmarks)) for path, benchmarks in grouped.items() if benchmarks)

    @cached_property
    def benchmarks(self) -> tuple[Benchmark, ...]:
        """The columns."""
        return tuple(benchmark for group in self.groups for benchmark in group.benchmarks)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The models with their cells, by average; made when they are asked for, and not kept."""
        return tuple(self.row(place) for place in range(len(self.models)))

    def row(self, model: int) -> Row:
        """A model with its cells, by its place."""
        places = [self._places.get(group.path) for group in self.groups]
        return Row(
            rank=self.ranks[model],
            average=_finite(self.averages[model]),
            means=tuple(None if place is None else _finite(self.values[model, place]) for place in places),
            cells=tuple(self.cell(model, place) for place in self.columns),
            **{name: value for name, value in vars(self.models[model]).items() if name != "public"},
        )

    @cached_property
    def _places(self) -> dict[tuple[str, ...], int]:
        return {(*node.path, node.identifier): place for place, node in enumerate(self.nodes)}

    def cell(self, model: int, node: int) -> Cell:
        """What came out of a model on a benchmark, by their places."""
        at = self.moments[model, node]
        return Cell(
            state=STATES[self.states[model, node]],
            value=_finite(self.values[model, node]),
            raw=_finite(self.raws[model, node]),
            error=_finite(self.errors[model, node]),
            reason=self.reasons.get((model, node), ""),
            computed_at=_moment(int(at)) if at else None,
        )

    @cached_property
    def as_of(self) -> str | None:
        """When the newest of its scores was computed: ISO 8601, UTC. None without scores."""
        newest = int(self.moments.max(initial=0))
        return _moment(newest) if newest else None

    @cached_property
    def revision(self) -> str:
        """A digest of the content: the same scores have the same revision."""
        digest = hashlib.sha256()
        for array in (self.values, self.raws, self.errors, self.states, self.moments):
            digest.update(np.ascontiguousarray(array).data)
        facts = {
            "domain": self.domain,
            "nodes": [[node.path, node.identifier, node.benchmark and vars(node.benchmark)] for node in self.nodes],
            "models": [vars(facts) for facts in self.models],
            "reasons": [[*place, reason] for place, reason in sorted(self.reasons.items())],
            "failures": [vars(failure) for failure in self.failures],
        }
        digest.update(_json(facts).encode())
        return digest.hexdigest()[:16]

    def table(self) -> Table:
        """The leaderboard as a notebook shows it; of a large one the means of its groups, and the best models."""
        whole = len(self.benchmarks) <= SHOWN_COLUMNS
        if whole:
            columns = [f"{benchmark.identifier} v{benchmark.version}" for benchmark in self.benchmarks]
        else:
            columns = [" / ".join(group.path) or "others" for group in self.groups]
        rows = [self.row(place) for place in range(min(len(self.models), SHOWN_ROWS))]
        left_out = f", the first {len(rows)} of {len(self.models)} models" if len(rows) < len(self.models) else ""
        return Table(
            f"Leaderboard: {self.domain}, revision {self.revision}{left_out}",
            [
                [
                    row.rank,
                    row.model,
                    number(row.average),
                    *(_shown(cell) for cell in row.cells if whole),
                    *(number(mean) for mean in row.means if not whole),
                ]
                for row in rows
            ],
            ["", "model", "average", *columns],
        )

    def to_json(self) -> str:
        """The whole leaderboard as a JSON document, the same to the byte for the same content.

        A pair that is not in ``scores`` has not been tried yet.
        """
        return "".join(self.json_parts())

    def json_parts(self) -> Iterator[str]:
        """:meth:`to_json`, in parts: of a large library it takes 30 MB."""
        head = {
            "revision": self.revision,
            "domain": self.domain,
            "as_of": self.as_of,
            "average": RULE,
            "groups": [
                {"path": group.path, "benchmarks": [vars(each) for each in group.benchmarks]} for group in self.groups
            ],
            "failures": [asdict(failure) for failure in self.failures],
        }
        yield _json(head)[:-1] + ',"models":['
        for place in range(len(self.models)):
            yield ("," if place else "") + _json(self.document(place))
        yield "]}\n"

    def document(self, model: int) -> dict[str, Any]:
        """A model with its scores, by its place, as a JSON document has it."""
        row = self.row(model)
        means = zip(self.groups, row.means, strict=True)
        cells = zip(self.benchmarks, row.cells, strict=True)
        facts = {name: value for name, value in vars(row).items() if name not in {"means", "cells"}}
        return {
            **facts,
            "means": {"/".join(group.path): mean for group, mean in means if group.path},
            "scores": {benchmark.identifier: vars(cell) for benchmark, cell in cells if cell.state != MISSING},
        }

    def to_csv(self) -> str:
        """One line a model, for spreadsheets: a benchmark's score and its error; empty where there is none."""
        return "".join(self.csv_parts())

    def csv_parts(self) -> Iterator[str]:
        """:meth:`to_csv`, line by line."""
        names = [_titled(benchmark) for benchmark in self.benchmarks]
        yield _csv_line(["rank", "model", "average", *(column for name in names for column in (name, f"{name} error"))])
        columns = list(self.columns)
        for row, facts in enumerate(self.models):
            pairs = zip(self.values[row, columns].tolist(), self.errors[row, columns].tolist(), strict=True)
            cells = [_finite(each) for pair in pairs for each in pair]
            yield _csv_line([self.ranks[row], facts.model, _finite(self.averages[row]), *cells])


def ranks(values: NDArray[np.float64]) -> tuple[int | None, ...]:
    """Places of values, the greatest first: equal ones share a place, and the next is left out. None for NaN."""
    known = np.sort(values[~np.isnan(values)])
    better = len(known) - np.searchsorted(known, values, side="right")
    return tuple(None if np.isnan(value) else int(place) + 1 for value, place in zip(values, better, strict=True))


def leaderboard(source: Database | Session, *, domain: str, viewer: Viewer = PUBLIC) -> Leaderboard:
    """What somebody may see of a domain: by default public models, and visible benchmarks in their newest version.

    Averages are by :data:`RULE`.

    :param source: a session is read as it is
    :param domain: what the database calls it: ``vision``
    :param viewer: who is going to see it
    """
    # All of it from one moment: a score that is recorded meanwhile is whole in the next leaderboard.
    with nullcontext(source) if isinstance(source, Session) else source.moment() as session:
        read_quickly(session)
        tree = _branches(read_tree(session, domain, viewer))
        facts = model_facts(session, domain, viewer)
        found = _outcomes(session, tree, list(facts), domain, viewer)
        failures = _failures_without_column(session, domain, viewer)
    _fill_means(tree, found.values, found.states)
    averages = mean_below(found.values[:, [place for place, node in enumerate(tree) if not node.path]])
    known = list(facts.values())
    scored = (found.states != 0).any(axis=1)
    order = sorted(
        np.flatnonzero(scored),
        key=lambda row: (
            np.isnan(averages[row]),
            -averages[row] if averages[row] == averages[row] else 0.0,
            known[row].model,
        ),
    )
    new_place = {int(row): place for place, row in enumerate(order)}
    return Leaderboard(
        domain=domain,
        nodes=tuple(
            replace(node, benchmark=node.benchmark and with_ceiling(node.benchmark, found.ceilings.get(place)))
            for place, node in enumerate(tree)
        ),
        models=tuple(known[row] for row in order),
        values=found.values[order],
        raws=found.raws[order],
        errors=found.errors[order],
        states=found.states[order],
        moments=found.moments[order],
        reasons={(new_place[row], node): reason for (row, node), reason in found.reasons.items()},
        averages=averages[order],
        failures=failures,
    )


def read_tree(session: Session, domain: str, viewer: Viewer) -> tuple[Node, ...]:
    """The visible benchmarks of a domain that have a version, under their parents, in the order that the database gives them."""
    newest = {
        instance.benchmark_type_id: instance
        for instance in session.scalars(
            select(BenchmarkInstance).order_by(
                BenchmarkInstance.benchmark_type_id,
                BenchmarkInstance.version.asc().nulls_first(),
                BenchmarkInstance.id,
            )
        )
    }
    rows = session.execute(
        select(BenchmarkType, Reference, viewer.sees_benchmark())
        .outerjoin(Reference, Reference.id == BenchmarkType.reference_id)
        .where(BenchmarkType.domain == domain)
        .order_by(BenchmarkType.order, BenchmarkType.identifier)
    ).all()
    known = {kind.identifier for kind, _, _ in rows}
    below: dict[str | None, list[tuple[BenchmarkType, Reference | None, bool]]] = defaultdict(list)
    for kind, reference, visible in rows:
        below[kind.parent_id if kind.parent_id in known else None].append((kind, reference, visible))

    def nodes(parent: str | None) -> tuple[Node, ...]:
        return tuple(
            found
            for kind, reference, visible in below[parent]
            if visible and (found := node(kind, reference)) is not None
        )

    def node(kind: BenchmarkType, reference: Reference | None) -> Node | None:
        if below.get(kind.identifier):
            children = nodes(kind.identifier)
            return Node(kind.identifier, children, order=kind.order) if children else None
        instance = newest.get(kind.identifier)
        if instance is None:
            return None
        text, url = _cited(reference)
        benchmark = Benchmark(
            kind.identifier, instance.version, instance.ceiling, instance.ceiling_error, reference=text, url=url
        )
        return Node(kind.identifier, (), benchmark, instance.id, kind.order)

    return nodes(None)


def _branches(tree: tuple[Node, ...]) -> list[Branch]:
    """The tree as columns: parents first, each knowing the places of its children."""
    found: list[Branch] = []

    def take(nodes: tuple[Node, ...], path: tuple[str, ...]) -> tuple[int, ...]:
        places = []
        for node in nodes:
            place = len(found)
            places.append(place)
            found.append(Branch(node.identifier, path, (), node.benchmark, node.instance_id, node.order))
            found[place] = replace(found[place], children=take(node.children, (*path, node.identifier)))
        return tuple(places)

    take(tree, ())
    return found


@dataclass(frozen=True)
class _Outcomes:
    """What came out, in arrays of models × nodes."""

    values: NDArray[np.float64]
    raws: NDArray[np.float64]
    errors: NDArray[np.float64]
    states: NDArray[np.uint8]
    moments: NDArray[np.int64]
    reasons: dict[tuple[int, int], str]
    ceilings: dict[int, tuple[float, float | None]]
    """Node → the newest ceiling that a score was computed with, where the benchmark itself has none."""


def _outcomes(session: Session, tree: list[Branch], models: list[int], domain: str, viewer: Viewer) -> _Outcomes:
    shape = (len(models), len(tree))
    values, raws, errors = (np.full(shape, np.nan) for _ in range(3))
    states, moments = np.zeros(shape, np.uint8), np.zeros(shape, np.int64)
    found = _Outcomes(values, raws, errors, states, moments, {}, {})
    row_of = {model: row for row, model in enumerate(models)}
    place_of = {node.instance_id: place for place, node in enumerate(tree) if node.benchmark}
    without = {place for place, node in enumerate(tree) if node.benchmark and node.benchmark.ceiling is None}
    newest: dict[int, int] = {}
    columns = (
        "model_id",
        "benchmark_id",
        "value",
        "raw",
        "error",
        "microseconds",
        "reason",
        "ceiling",
        "ceiling_error",
    )
    for batch in _batches(session, counting_outcomes(*columns, domain=domain, viewer=viewer)):
        rows = [row for row in batch if row[0] in row_of and row[1] in place_of]
        if not rows:
            continue
        of_model, of_benchmark, value, raw, error, moment, reason, ceiling, ceiling_error = zip(*rows, strict=True)
        row, place = [row_of[model] for model in of_model], [place_of[benchmark] for benchmark in of_benchmark]
        values[row, place], raws[row, place], errors[row, place] = _numbers(value), _numbers(raw), _numbers(error)
        moments[row, place] = [at or 0 for at in moment]
        states[row, place] = np.where(np.isnan(values[row, place]), STATES.index(FAILED), STATES.index(SCORED))
        for each in np.flatnonzero(np.isnan(values[row, place])):
            if reason[each]:
                found.reasons[row[each], place[each]] = reason[each]
        for at, limit, limit_error, here in zip(moment, ceiling, ceiling_error, place, strict=True):
            if limit is not None and here in without and (at or 0) >= newest.get(here, 0) and np.isfinite(limit):
                newest[here] = at or 0
                found.ceilings[here] = (limit, limit_error)
    return found


def _batches(session: Session, statement: Select[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a statement, some at a time, as the driver has them: SQLAlchemy's own rows take twice the time."""
    compiled = statement.compile(dialect=session.get_bind().dialect)
    connection: Any = session.connection().connection  # psycopg2's, which has cursors on the server
    with connection.cursor(name="outcomes") as cursor:
        cursor.execute(str(compiled), compiled.params)
        while batch := cursor.fetchmany(BATCH):
            yield batch


def _numbers(column: tuple[float | None, ...]) -> NDArray[np.float64]:
    """Whatever an old database holds: a number that is not finite is none."""
    numbers = np.array(column, dtype=np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def _fill_means(tree: list[Branch], values: NDArray[np.float64], states: NDArray[np.uint8]) -> None:
    """The scores of parents, those that are deepest first."""
    for place in reversed(range(len(tree))):
        children = tree[place].children
        if children:
            values[:, place] = mean_below(values[:, list(children)])
            states[~np.isnan(values[:, place]), place] = STATES.index(SCORED)


def with_ceiling(benchmark: Benchmark, found: tuple[float, float | None] | None) -> Benchmark:
    """The benchmark with its own ceiling, or else with the one that its scores were computed with."""
    if benchmark.ceiling is not None or found is None:
        return benchmark
    ceiling, error = found
    return replace(benchmark, ceiling=ceiling, ceiling_error=_finite(error))


def _failures_without_column(session: Session, domain: str, viewer: Viewer) -> tuple[Failure, ...]:
    """Models that failed on benchmarks of which no version is known: they failed before it was told."""
    source = ScoreProvenance
    known = select(BenchmarkInstance.id).where(BenchmarkInstance.benchmark_type_id == source.benchmark).exists()
    # A benchmark that is not known yet is as private as the submission that it came with.
    of_whoever = or_(SubmissionLife.submission_id.is_(None), viewer.sees_submission_row())
    rows = session.execute(
        select(source.model, source.benchmark, source.reason, source.recorded_at)
        .join(Model, (Model.name == source.model) & (Model.domain == domain))
        .outerjoin(SubmissionLife, SubmissionLife.submission_id == source.submission_id)
        .where(source.state == FAILED, viewer.sees_model(), of_whoever, ~known)
        .order_by(source.model, source.benchmark, source.recorded_at)
    )
    newest = {(model, benchmark): (reason, at) for model, benchmark, reason, at in rows}
    return tuple(
        Failure(model, benchmark, reason or "", _moment(at)) for (model, benchmark), (reason, at) in newest.items()
    )


def model_facts(session: Session, domain: str, viewer: Viewer) -> dict[int, ModelFacts]:
    """What is known of every model that somebody may see, by its row's number."""
    rows = session.execute(
        select(
            Model.id,
            Model.name,
            Model.public,
            ModelMeta.model_family,
            ModelMeta.architecture,
            ModelMeta.total_parameter_count,
            Reference,
        )
        .outerjoin(ModelMeta, ModelMeta.model_id == Model.id)
        .outerjoin(Reference, Reference.id == Model.reference_id)
        .where(Model.domain == domain, viewer.sees_model())
        .order_by(Model.id)
    )
    facts = {}
    for model_id, name, public, family, architecture, parameters, reference in rows:
        text, url = _cited(reference)
        facts[model_id] = ModelFacts(name, family or "", architecture or "", parameters, text, url, public)
    return facts


def _cited(reference: Reference | None) -> tuple[str, str]:
    """Author and year, and the address if it is one of the web."""
    if reference is None:
        return "", ""
    url = reference.url if reference.url.startswith(("https://", "http://")) else ""
    return f"{reference.author}, {reference.year}", url


def _shown(cell: Cell) -> str:
    return with_error(cell.value, cell.error) if cell.value is not None else cell.state


def _csv_line(cells: list[Any]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow([_plain(each) if isinstance(each, str) else each for each in cells])
    return file.getvalue()


def _titled(benchmark: Benchmark) -> str:
    return benchmark.identifier if benchmark.version is None else f"{benchmark.identifier} v{benchmark.version}"


def _plain(text: str) -> str:
    # A spreadsheet takes text that begins so for a formula.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _moment(at: datetime | int | None) -> str | None:
    """A moment, or microseconds since 1970, as ISO 8601 in UTC."""
    if at is None:
        return None
    moment = datetime.fromtimestamp(at // 10**6, UTC) if isinstance(at, int) else at
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _finite(number: float | None) -> float | None:
    """A Python number; None for what is none."""
    return None if number is None or not math.isfinite(number) else float(number)


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
