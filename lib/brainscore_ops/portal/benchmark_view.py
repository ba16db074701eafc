"""What the pages of benchmarks show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from brainscore_ops.database.brainscore_tables import (
    Base,
    BenchmarkDataMeta,
    BenchmarkInstance,
    BenchmarkMeta,
    BenchmarkMetricMeta,
    BenchmarkStimuliMeta,
    BenchmarkType,
    Reference,
)
from brainscore_ops.portal.errors import PageNotFoundError
from brainscore_ops.scores.columns import FAILED
from brainscore_ops.scores.leaderboard import STATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup
    from sqlalchemy.orm import Session

    from brainscore_ops.database.viewer import Viewer
    from brainscore_ops.portal.boards import Board
    from brainscore_ops.scores.leaderboard import Branch, Cell, ModelFacts

_FACTS: tuple[tuple[type[Base], dict[str, str]], ...] = (
    (
        BenchmarkMeta,
        {
            "number_of_stimuli": "Stimuli",
            "number_of_recording_sites": "Recording sites",
            "recording_sites": "Recorded at",
            "behavioral_task": "Task",
        },
    ),
    (
        BenchmarkStimuliMeta,
        {
            "num_stimuli": "Stimuli",
            "datatype": "Kind of stimuli",
            "stimuli_subtype": "Stimuli in detail",
            "extra_notes": "On the stimuli",
        },
    ),
    (
        BenchmarkDataMeta,
        {
            "benchmark_type": "Kind of benchmark",
            "task": "Task",
            "region": "Region",
            "hemisphere": "Hemisphere",
            "num_recording_sites": "Recording sites",
            "duration_ms": "Duration (ms)",
            "species": "Species",
            "num_subjects": "Subjects",
            "datatype": "Kind of data",
            "pre_processing": "Preprocessing",
            "extra_notes": "On the data",
        },
    ),
    (BenchmarkMetricMeta, {"type": "Metric", "reference": "Metric's reference", "extra_notes": "On the metric"}),
)


@dataclass(frozen=True)
class Version:
    """A version of a benchmark."""

    number: int | None
    ceiling: float | None
    ceiling_error: float | None
    is_shown: bool
    """Whether its scores are those of the leaderboard."""


@dataclass(frozen=True)
class Scored:
    """A model on the benchmark."""

    rank: int | None
    facts: ModelFacts
    cell: Cell


@dataclass(frozen=True)
class BenchmarkView:
    """A benchmark, or a group of them."""

    node: Branch
    children: tuple[Branch, ...]
    spread: Markup
    low: float
    high: float
    """Where the picture begins and ends."""
    scored: tuple[Scored, ...]
    """The best first."""
    failed: tuple[Scored, ...]
    median: float | None
    versions: tuple[Version, ...]
    """The newest first."""
    reference: Reference | None
    facts: tuple[tuple[str, Any], ...]
    visible: bool


@dataclass(frozen=True)
class Entry:
    """A line of the list of benchmarks."""

    node: Branch
    depth: int
    scored: int
    """Models with a score on it."""
    best: float | None
    spread: Markup


def benchmark_entries(board: Board) -> list[Entry]:
    """All benchmarks, in the order of their tree."""
    entries = []
    for place, node in enumerate(board.scores.nodes):
        spread = board.spread(place)
        best = float(np.nanmax(board.scores.values[:, place])) if spread.count else None
        picture = spread.picture(f"The scores of {spread.count} models, on the way from 0 to 1")
        entries.append(Entry(node, len(node.path), spread.count, best, picture))
    return entries


def benchmark_view(session: Session, board: Board, identifier: str, viewer: Viewer, domain: str) -> BenchmarkView:
    """The page of a benchmark.

    :raises PageNotFoundError: there is none of that name, or none that the viewer may see
    """
    scores = board.scores
    place = board.node_places.get(identifier)
    found = session.execute(
        select(BenchmarkType, Reference)
        .outerjoin(Reference, Reference.id == BenchmarkType.reference_id)
        .where(BenchmarkType.domain == domain, BenchmarkType.identifier == identifier, viewer.sees_benchmark())
    ).first()
    if place is None or found is None:
        raise PageNotFoundError("There is no such benchmark.", remedy="Look for it in the list of benchmarks.")
    kind, reference = found
    node, values = scores.nodes[place], scores.values[:, place]
    placed, spread = board.ranks(place), board.spread(place)
    order = sorted(np.flatnonzero(~np.isnan(values)), key=lambda model: (-values[model], model))
    failed = np.flatnonzero(scores.states[:, place] == STATES.index(FAILED))
    return BenchmarkView(
        node=node,
        children=tuple(scores.nodes[child] for child in node.children),
        spread=spread.picture(
            f"The scores of {len(order)} models from {spread.low:.2g} to {spread.high:.2g}", large=True
        ),
        low=spread.low,
        high=spread.high,
        scored=tuple(Scored(placed[model], scores.models[model], scores.cell(int(model), place)) for model in order),
        failed=tuple(Scored(None, scores.models[model], scores.cell(int(model), place)) for model in failed),
        median=float(np.nanmedian(values)) if len(order) else None,
        versions=tuple(_versions(session, node)),
        reference=reference,
        facts=tuple(_facts(session, node)),
        visible=kind.visible,
    )


def _versions(session: Session, node: Branch) -> Iterator[Version]:
    instances = session.scalars(
        select(BenchmarkInstance)
        .where(BenchmarkInstance.benchmark_type_id == node.identifier)
        .order_by(BenchmarkInstance.version.desc().nulls_last(), BenchmarkInstance.id.desc())
    )
    for each in instances:
        shown = each.id == node.instance_id
        yield Version(each.version, each.ceiling, each.ceiling_error, shown)


def _facts(session: Session, node: Branch) -> Iterator[tuple[str, Any]]:
    if node.benchmark is None:
        return
    instance = session.get(BenchmarkInstance, node.instance_id)
    if instance is None:
        return
    keys = {
        BenchmarkMeta: instance.meta_id,
        BenchmarkStimuliMeta: instance.stimuli_meta_id,
        BenchmarkDataMeta: instance.data_meta_id,
        BenchmarkMetricMeta: instance.metric_meta_id,
    }
    seen = set()
    for table, columns in _FACTS:
        row = session.get(table, keys[table]) if keys[table] is not None else None
        for column, heading in columns.items():
            value = getattr(row, column, None)
            if value not in (None, "") and heading not in seen:
                seen.add(heading)
                yield heading, f"{value:,}" if isinstance(value, (int, float)) else value
