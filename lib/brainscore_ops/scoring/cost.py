"""What a plan costs, estimated from what was measured before."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select, tuple_

from brainscore_ops.database.ops_tables import ScoreProvenance
from brainscore_ops.display import Shown, Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy.orm import Session

    from brainscore_ops.scoring.plan import Pair

THIS_PAIR, MODEL_OR_BENCHMARK, ALL_PAIRS, LIMIT = (
    "the pair's own past",
    "its model's or its benchmark's median, whichever is more",
    "the median of all pairs",
    "the most that a pair may take, for want of any measurement",
)
_MOST_PAIRS_BY_NAME = 5000


class Measured(NamedTuple):
    """What computing a pair took."""

    seconds: float
    memory_bytes: float


@dataclass(frozen=True)
class Measurements:
    """Medians of what was measured."""

    pairs: Mapping[tuple[str, str], Measured] = field(default_factory=dict)
    models: Mapping[str, Measured] = field(default_factory=dict)
    benchmarks: Mapping[str, Measured] = field(default_factory=dict)
    overall: Measured | None = None


@dataclass(frozen=True)
class Cost(Shown):
    """What the pairs of a plan are estimated to take."""

    pairs: int
    hours: float
    """Of computing, one pair after the other."""
    memory_bytes: float
    """Of the largest pair."""
    basis: Mapping[str, int]
    """What the estimate rests on → for how many pairs."""

    def table(self) -> Table:
        rests_on = "\n".join(f"{count} on {basis}" for basis, count in self.basis.items())
        return Table(
            f"Estimated: {hours_text(self.hours)} of computing",
            [
                ("pairs", self.pairs),
                ("most memory", f"{self.memory_bytes / 1024**3:.1f} GiB" if self.memory_bytes else "not known"),
                ("rests on", rests_on),
            ],
        )

    def as_dict(self) -> dict[str, Any]:
        """The estimate as a JSON document."""
        return {
            "pairs": self.pairs,
            "hours": round(self.hours, 4),
            "peak_memory_bytes": round(self.memory_bytes),
            "rests_on": dict(self.basis),
        }


def estimate_cost(pairs: Iterable[Pair], known: Measurements, *, limit_seconds: float) -> Cost:
    """Estimate what pairs take: from their own past, else from that of their model and benchmark, else from all pairs.

    :param limit_seconds: what a pair may take at the most: what counts where nothing was measured
    """
    seconds, memory, count = 0.0, 0.0, 0
    basis: Counter[str] = Counter()
    for pair in pairs:
        found, rests_on = _estimate(pair, known, limit_seconds)
        seconds, memory, count = seconds + found.seconds, max(memory, found.memory_bytes), count + 1
        basis[rests_on] += 1
    return Cost(count, seconds / 3600, memory, dict(basis))


def read_measurements(session: Session, pairs: Collection[Pair]) -> Measurements:
    """The medians of what was measured of some pairs, of every model and of every benchmark."""
    if not pairs:
        return Measurements()
    source = ScoreProvenance
    model, benchmark = source.model, source.benchmark
    # A score that was computed from a stored raw value says nothing of what running the model takes.
    ran = source.wall_seconds.is_not(None) & source.recomputed_from.is_(None)
    medians = (
        func.percentile_cont(0.5).within_group(source.wall_seconds),
        func.coalesce(func.percentile_cont(0.5).within_group(source.peak_memory_bytes), 0.0),
    )
    margins = session.execute(
        select(model, benchmark, *medians)
        .where(ran)
        .group_by(func.grouping_sets(tuple_(model), tuple_(benchmark), tuple_()))
    ).all()
    own = select(model, benchmark, *medians).where(ran).group_by(model, benchmark)
    if len(pairs) <= _MOST_PAIRS_BY_NAME:
        own = own.where(tuple_(model, benchmark).in_([(pair.model, pair.benchmark) for pair in pairs]))
    measured = [(row[0], row[1], Measured(row[2], row[3])) for row in margins if row[2] is not None]
    return Measurements(
        pairs={(row[0], row[1]): Measured(row[2], row[3]) for row in session.execute(own)},
        models={name: found for name, other, found in measured if name is not None and other is None},
        benchmarks={name: found for other, name, found in measured if name is not None and other is None},
        overall=next((found for name, other, found in measured if name is None and other is None), None),
    )


def hours_text(hours: float) -> str:
    """A span for people: ``3.2 hours``, ``12 minutes``, ``40 seconds``."""
    if hours >= 1:
        return f"{hours:,.1f} hours"
    return f"{hours * 60:.0f} minutes" if hours * 60 >= 2 else f"{hours * 3600:.0f} seconds"


def _estimate(pair: Pair, known: Measurements, limit_seconds: float) -> tuple[Measured, str]:
    own = known.pairs.get((pair.model, pair.benchmark))
    if own is not None:
        return own, THIS_PAIR
    sides = [one for one in (known.models.get(pair.model), known.benchmarks.get(pair.benchmark)) if one is not None]
    if sides:
        return Measured(max(one.seconds for one in sides), max(one.memory_bytes for one in sides)), MODEL_OR_BENCHMARK
    if known.overall is not None:
        return known.overall, ALL_PAIRS
    return Measured(limit_seconds, 0.0), LIMIT
