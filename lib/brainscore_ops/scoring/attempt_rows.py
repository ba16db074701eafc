"""Attempts become rows, and rows tell what pairs will need and how far a scoring is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from brainscore_ops.database.ops_tables import Run, ScoreAttempt, now
from brainscore_ops.scoring.attempts import Attempt, AttemptState, FailureKind, driver_lost, read_attempt
from brainscore_ops.scoring.classes import Measurement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy.orm import Session

_IDENTITY = ("identity", "number")
_RUNNING_RUN = "running"


def enter_attempts(session: Session, attempts: Iterable[Attempt]) -> None:
    """Write attempts as they are now; each has one row, whose final state stays."""
    rows = [
        {name: str(value) if name in ("state", "kind") and value else value for name, value in vars(attempt).items()}
        for attempt in attempts
    ]
    if not rows:
        return
    statement = insert(ScoreAttempt)
    news = {column: statement.excluded[column] for column in rows[0] if column not in _IDENTITY}
    session.execute(
        statement.on_conflict_do_update(
            index_elements=list(_IDENTITY),
            set_=news,
            # What a driver that comes late believes is no news: the last to learn of an end was its own driver.
            where=or_(ScoreAttempt.ended_at.is_(None), statement.excluded.ended_at.is_not(None)),
        ),
        rows,
    )


def measurements(session: Session, pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], Measurement]:
    """What is known of (model, benchmark) pairs from earlier attempts, whatever version of their code.

    The most that the pair itself used; of a pair that was never computed, the larger of what its model used on other
    benchmarks and what its benchmark needed of other models, both in the median.
    """
    models, benchmarks = {model for model, _ in pairs}, {benchmark for _, benchmark in pairs}
    measured = and_(
        ScoreAttempt.peak_memory_bytes.is_not(None),
        or_(
            ScoreAttempt.state == AttemptState.SCORED,
            ScoreAttempt.kind.in_([FailureKind.OUT_OF_MEMORY, FailureKind.TIMEOUT]),
        ),
    )

    def grouped(aggregate: Any, *keys: Any, names: Collection[str]) -> dict[Any, tuple[int, float]]:
        columns = [aggregate(ScoreAttempt.peak_memory_bytes), aggregate(ScoreAttempt.wall_seconds)]
        query = select(*keys, *columns).where(measured, keys[0].in_(names)).group_by(*keys)
        found = session.execute(query).all()
        return {tuple(row[: len(keys)]): (int(row[-2]), float(row[-1] or 0)) for row in found}

    of_pair = grouped(func.max, ScoreAttempt.model, ScoreAttempt.benchmark, names=models)
    of_model = grouped(_median, ScoreAttempt.model, names=models)
    of_benchmark = grouped(_median, ScoreAttempt.benchmark, names=benchmarks)
    known = {}
    for model, benchmark in pairs:
        own, theirs = of_pair.get((model, benchmark)), [of_model.get((model,)), of_benchmark.get((benchmark,))]
        if own is not None:
            known[model, benchmark] = Measurement(*own, of="pair")
        elif found := [each for each in theirs if each]:
            memory, seconds = max(each[0] for each in found), max(each[1] for each in found)
            known[model, benchmark] = Measurement(memory, seconds, of="model and benchmark")
    return known


@dataclass(frozen=True)
class Standing:
    """How far the pairs of a submission, or of a run, are."""

    by_state: Mapping[str, int]
    """State → number of pairs, by each pair's newest attempt; of those that are tried again, ``retried`` counts too."""
    overdue: int
    """How many are over their deadline, or have no driver any more: nothing goes on with them until it is run again."""
    first_queued: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether every pair has come to an end."""
        return not any(self.by_state.get(state) for state in AttemptState if not state.is_final)

    def as_dict(self) -> dict[str, Any]:
        """The standing as a JSON document."""
        return {
            "pairs": dict(self.by_state),
            "stuck": self.overdue,
            "since": self.first_queued and self.first_queued.isoformat(),
        }

    def __str__(self) -> str:
        parts = [f"{count} {state}" for state, count in self.by_state.items() if count]
        return ", ".join(parts + ([f"{self.overdue} of them stuck: run score_plugins again"] if self.overdue else []))


def standings(session: Session, submissions: Sequence[int]) -> dict[int, Standing]:
    """How far the scoring of submissions is; of those whose pairs were never tried there is none."""
    newest = (
        select(ScoreAttempt)
        .where(ScoreAttempt.submission_id.in_(submissions))
        .order_by(ScoreAttempt.identity, ScoreAttempt.number.desc())
        .distinct(ScoreAttempt.identity)
    )
    rows = session.scalars(newest).all()
    alive = set(
        session.scalars(select(Run.id).where(Run.id.in_({row.driver for row in rows}), Run.state == _RUNNING_RUN))
    )
    found = {}
    for submission in {row.submission_id for row in rows if row.submission_id is not None}:
        own = [row for row in rows if row.submission_id == submission]
        states = Counter(row.state for row in own)
        states["retried"] = sum(row.number > 1 for row in own)
        unfinished = [row for row in own if row.ended_at is None]
        stuck = sum(
            row.driver not in alive or (row.deadline is not None and row.deadline < now()) for row in unfinished
        )
        order = [*AttemptState, "retried"]
        found[submission] = Standing(
            {str(state): states[state] for state in order if states[state]},
            stuck,
            min(row.queued_at for row in own),
        )
    return found


def close_abandoned(session: Session, results: Path) -> int:
    """Enter how attempts ended whose driver is no run that goes on: as their files say, or else as lost.

    :param results: the folder of all pairs' results folders
    :returns: how many
    """
    ended_runs = select(Run.id).where(Run.state != _RUNNING_RUN)
    rows = session.scalars(
        select(ScoreAttempt).where(ScoreAttempt.ended_at.is_(None), ScoreAttempt.driver.in_(ended_runs))
    ).all()
    known = [_in_file(results / row.identity, row) for row in rows]
    enter_attempts(
        session, [each if each.state.is_final else each.ended(driver_lost(each.driver).as_dict()) for each in known]
    )
    return len(rows)


def _in_file(folder: Path, row: ScoreAttempt) -> Attempt:
    try:
        return read_attempt(folder, row.number)
    except (OSError, ValueError, KeyError, TypeError):
        return Attempt.from_dict({item.name: getattr(row, item.name) for item in fields(Attempt)})


def _median(column: Any) -> Any:
    return func.percentile_cont(0.5).within_group(column)
