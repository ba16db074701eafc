"""The leaderboard: models in the order of their average, benchmarks in the order of their tree."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from brainscore_ops.database.brainscore_tables import BenchmarkInstance, BenchmarkType, Model, ModelMeta, Reference
from brainscore_ops.database.ops_tables import ScoreProvenance, SubmissionLife
from brainscore_ops.database.viewer import PUBLIC, Viewer
from brainscore_ops.display import Shown, Table, number, with_error
from brainscore_ops.scores.table import FAILED, score_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd

    from brainscore_ops.database.connection import Database

MISSING = "missing"

RULE = (
    "The average of a model is the mean over the groups of benchmarks at the top; the mean of a group is that over the "
    "benchmarks and groups right below it. A benchmark on which the model failed, or has not been scored yet, counts as 0 in "
    "it. A model without any score has no average and no rank."
)
"""How a model's average is computed, in the words of the page: Brain-Score's own rule.

Brain-Score's website computes it so (``benchmarks/sql/mv.sql``, ``populate_final_agg_scores``: the sum of the children's
scores, NaN and NULL as 0, over the number of children; NaN or NULL where no child has a number), over the newest version of
each visible benchmark.
"""


@dataclass(frozen=True)
class Benchmark:
    """A column: the newest version of a benchmark."""

    identifier: str
    version: int | None
    ceiling: float | None
    """Of the raw score; None where the benchmark has none, and its scores are raw."""
    ceiling_error: float | None
    reference: str = ""
    """Author and year of the publication behind it."""
    url: str = ""


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


@dataclass(frozen=True)
class Leaderboard(Shown):
    """A domain's leaderboard."""

    domain: str
    groups: tuple[Group, ...]
    rows: tuple[Row, ...]
    """By average, the best first; those without one at the end, by name."""
    as_of: str | None = None
    """When the newest of its scores was computed: ISO 8601, UTC. None without scores."""
    failures: tuple[Failure, ...] = ()
    """Those that stand in no cell."""

    @cached_property
    def benchmarks(self) -> tuple[Benchmark, ...]:
        """The columns."""
        return tuple(benchmark for group in self.groups for benchmark in group.benchmarks)

    @cached_property
    def revision(self) -> str:
        """A digest of the content: the same scores have the same revision."""
        return hashlib.sha256(_json(self._content()).encode()).hexdigest()[:16]

    def table(self) -> Table:
        """The leaderboard as a notebook shows it."""
        columns = [f"{benchmark.identifier} v{benchmark.version}" for benchmark in self.benchmarks]
        return Table(
            f"Leaderboard: {self.domain}, revision {self.revision}",
            [
                [
                    row.rank,
                    row.model,
                    number(row.average),
                    *(
                        with_error(cell.value, cell.error) if cell.value is not None else cell.state
                        for cell in row.cells
                    ),
                ]
                for row in self.rows
            ],
            ["", "model", "average", *columns],
        )

    def to_json(self) -> str:
        """The whole leaderboard as a JSON document, the same to the byte for the same content.

        A pair that is not in ``scores`` has not been tried yet.
        """
        return _json({"revision": self.revision, **self._content()})

    def _content(self) -> dict[str, Any]:
        return {
            "domain": self.domain,
            "as_of": self.as_of,
            "average": RULE,
            "groups": [asdict(group) for group in self.groups],
            "models": [self._model(row) for row in self.rows],
            "failures": [asdict(failure) for failure in self.failures],
        }

    def _model(self, row: Row) -> dict[str, Any]:
        means = zip(self.groups, row.means, strict=True)
        cells = zip(self.benchmarks, row.cells, strict=True)
        return {
            "model": row.model,
            "rank": row.rank,
            "average": row.average,
            "family": row.family,
            "architecture": row.architecture,
            "parameters": row.parameters,
            "reference": row.reference,
            "url": row.url,
            "means": {"/".join(group.path): mean for group, mean in means if group.path},
            "scores": {benchmark.identifier: vars(cell) for benchmark, cell in cells if cell.state != MISSING},
        }


def leaderboard(source: Database | Session, *, domain: str, viewer: Viewer = PUBLIC) -> Leaderboard:
    """What somebody may see of a domain: by default public models, and visible benchmarks in their newest version.

    Averages are by :data:`RULE`.

    :param source: a session is read as it is
    :param domain: what the database calls it: ``vision``
    :param viewer: who is going to see it
    """
    with nullcontext(source) if isinstance(source, Session) else source.session() as session:
        if source is not session:
            # All of it from one moment: a score that is recorded meanwhile is whole in the next leaderboard.
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        tree = _tree(session, domain, viewer)
        facts = _model_facts(session, domain)
        scores = score_table(session, domain=domain, viewer=viewer)
        failures = _failures_without_column(session, domain, viewer)
    columns = {node.instance_id for node in _leaves(tree)}
    scores = scores[scores["benchmark_id"].isin(columns)]
    groups = tuple(_groups(tree, (), _ceilings(scores)))
    cells: dict[int, dict[str, Cell]] = defaultdict(dict)
    score: Any  # pandas' own types say little of a row
    for score in scores.itertuples():
        cells[score.model_id][score.benchmark] = _cell(score)
    rows = [_row(tree, groups, cells[model_id], facts[model_id]) for model_id in cells]
    as_of = _moment(scores["computed_at"].max())
    return Leaderboard(domain=domain, groups=groups, rows=_ranked(rows), as_of=as_of, failures=failures)


@dataclass(frozen=True)
class _Node:
    """A benchmark, or a parent of benchmarks."""

    identifier: str
    children: tuple[_Node, ...] = ()
    benchmark: Benchmark | None = None
    instance_id: int | None = None


def _tree(session: Session, domain: str, viewer: Viewer) -> tuple[_Node, ...]:
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

    def nodes(parent: str | None) -> tuple[_Node, ...]:
        return tuple(
            found
            for kind, reference, visible in below[parent]
            if visible and (found := node(kind, reference)) is not None
        )

    def node(kind: BenchmarkType, reference: Reference | None) -> _Node | None:
        if below.get(kind.identifier):
            children = nodes(kind.identifier)
            return _Node(kind.identifier, children) if children else None
        instance = newest.get(kind.identifier)
        if instance is None:
            return None
        text, url = _cited(reference)
        benchmark = Benchmark(
            kind.identifier, instance.version, instance.ceiling, instance.ceiling_error, reference=text, url=url
        )
        return _Node(kind.identifier, (), benchmark, instance.id)

    return nodes(None)


def _leaves(nodes: Iterable[_Node]) -> Iterator[_Node]:
    for node in nodes:
        if node.benchmark is not None:
            yield node
        yield from _leaves(node.children)


def _groups(
    nodes: Iterable[_Node], path: tuple[str, ...], ceilings: Mapping[str, tuple[float, float | None]]
) -> Iterator[Group]:
    nodes = tuple(nodes)
    benchmarks = tuple(node.benchmark for node in nodes if node.benchmark is not None)
    if benchmarks:
        yield Group(path, tuple(_with_ceiling(benchmark, ceilings) for benchmark in benchmarks))
    for node in nodes:
        yield from _groups(node.children, (*path, node.identifier), ceilings)


def _ceilings(scores: pd.DataFrame) -> dict[str, tuple[float, float | None]]:
    """The ceilings that the scores were computed with, the newest of each benchmark."""
    known = scores[scores["ceiling"].notna()].sort_values("computed_at", kind="stable")
    columns = (known["benchmark"], known["ceiling"], known["ceiling_error"])
    return {benchmark: (ceiling, _finite(error)) for benchmark, ceiling, error in zip(*columns, strict=True)}


def _with_ceiling(benchmark: Benchmark, ceilings: Mapping[str, tuple[float, float | None]]) -> Benchmark:
    if benchmark.ceiling is not None or benchmark.identifier not in ceilings:
        return benchmark
    ceiling, error = ceilings[benchmark.identifier]
    return replace(benchmark, ceiling=ceiling, ceiling_error=error)


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


def _model_facts(session: Session, domain: str) -> dict[int, dict[str, Any]]:
    rows = session.execute(
        select(Model, ModelMeta, Reference)
        .outerjoin(ModelMeta, ModelMeta.model_id == Model.id)
        .outerjoin(Reference, Reference.id == Model.reference_id)
        .where(Model.domain == domain)
    )
    facts = {}
    for model, meta, reference in rows:
        text, url = _cited(reference)
        facts[model.id] = {
            "model": model.name,
            "family": (meta and meta.model_family) or "",
            "architecture": (meta and meta.architecture) or "",
            "parameters": meta and meta.total_parameter_count,
            "reference": text,
            "url": url,
        }
    return facts


def _cited(reference: Reference | None) -> tuple[str, str]:
    """Author and year, and the address if it is one of the web."""
    if reference is None:
        return "", ""
    url = reference.url if reference.url.startswith(("https://", "http://")) else ""
    return f"{reference.author}, {reference.year}", url


def _cell(score: Any) -> Cell:
    return Cell(
        state=score.state,
        value=_finite(score.value),
        raw=_finite(score.raw),
        error=_finite(score.error),
        reason=score.reason if isinstance(score.reason, str) else "",
        computed_at=_moment(score.computed_at),
    )


def _row(
    tree: tuple[_Node, ...], groups: tuple[Group, ...], cells: Mapping[str, Cell], facts: Mapping[str, Any]
) -> Row:
    means: dict[tuple[str, ...], float | None] = {}

    def mean(nodes: tuple[_Node, ...], path: tuple[str, ...]) -> float | None:
        values = [
            cells[node.identifier].value if node.identifier in cells else mean(node.children, (*path, node.identifier))
            for node in nodes
        ]
        scored = [value for value in values if value is not None]
        means[path] = sum(scored) / len(values) if scored else None
        return means[path]

    average = mean(tree, ())
    return Row(
        rank=None,
        average=average,
        means=tuple(means[group.path] if group.path else None for group in groups),
        cells=tuple(
            cells.get(benchmark.identifier, Cell(MISSING)) for group in groups for benchmark in group.benchmarks
        ),
        **facts,
    )


def _ranked(rows: Iterable[Row]) -> tuple[Row, ...]:
    ordered = sorted(rows, key=lambda row: (row.average is None, -(row.average or 0.0), row.model))
    averages = [row.average for row in ordered]
    return tuple(row if row.average is None else replace(row, rank=averages.index(row.average) + 1) for row in ordered)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _moment(value: Any) -> str | None:
    # pandas says NaT for a time that is not there, which differs from itself.
    return value.isoformat(timespec="seconds") if value is not None and value == value else None


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
