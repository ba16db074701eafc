"""Every try to score a pair, and every canary, as data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Select, select

from brainscore_ops.database.brainscore_tables import BenchmarkType, Model
from brainscore_ops.database.ops_tables import CanaryScore, ScoreAttempt, ScoreProvenance
from brainscore_ops.database.viewer import PUBLIC, Viewer
from brainscore_ops.scores.columns import CANARIES, RUNS

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from brainscore_ops.scores.columns import Schema

_ORDER = ["model", "benchmark", "ended_at", "number"]


def runs_table(session: Session, *, domain: str, viewer: Viewer = PUBLIC) -> pd.DataFrame:
    """Every try to score a model on a benchmark, by model, benchmark and time.

    Scores from before tries were counted have one row each, from what was measured of them. Scores that were computed from a
    stored raw value have none: no model was run.

    :returns: a data frame of :data:`~brainscore_ops.scores.columns.RUNS`
    """
    tried, source = ScoreAttempt, ScoreProvenance
    common: dict[str, Any] = {name: getattr(tried, name) for name in RUNS.dtypes if hasattr(tried, name)}
    attempts = _visible(select(*({**common, "run": tried.run_id}[name].label(name) for name in RUNS.dtypes)), tried)
    measured = ("wall_seconds", "cpu_seconds", "peak_memory_bytes")
    known = ("model", "benchmark", "state", "reason", "fault", *measured, "identity", "library_commit")
    uncounted = select(
        *(getattr(source, name).label(name) for name in known),
        source.recorded_at.label("ended_at"),
        source.run_id.label("run"),
    ).where(~select(tried.identity).where(tried.identity == source.identity).exists(), source.recomputed_from.is_(None))
    frames = [
        _frame(session, query.where(Model.domain == domain, viewer.sees_score()), RUNS)
        for query in (attempts, _visible(uncounted, source))
    ]
    return pd.concat(frames).sort_values(_ORDER, kind="stable", ignore_index=True)


def canaries_table(session: Session, *, domain: str, viewer: Viewer = PUBLIC) -> pd.DataFrame:
    """Every score of a canary, by model, benchmark and time.

    :returns: a data frame of :data:`~brainscore_ops.scores.columns.CANARIES`
    """
    source = CanaryScore
    query = _visible(
        select(
            source.model,
            source.benchmark,
            source.state,
            source.value,
            source.reason,
            source.checked_at.label("at"),
            source.library_commit,
            source.environment_digest.label("environment"),
            source.run_id.label("run"),
        ),
        source,
    )
    frame = _frame(session, query.where(Model.domain == domain, viewer.sees_score()), CANARIES)
    return frame.sort_values(["model", "benchmark", "at"], kind="stable", ignore_index=True)


def _visible(query: Any, source: Any) -> Select[Any]:
    """The query joined with what says who may see a row."""
    joined: Select[Any] = query.join(Model, Model.name == source.model)
    return joined.outerjoin(BenchmarkType, BenchmarkType.identifier == source.benchmark)


def _frame(session: Session, query: Select[Any], schema: Schema) -> pd.DataFrame:
    result = session.execute(query)
    names = list(result.keys())
    return schema.typed(pd.DataFrame.from_records([tuple(row) for row in result], columns=names))
