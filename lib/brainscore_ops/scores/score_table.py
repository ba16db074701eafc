"""Scores as a data frame: one row for each model and version of a benchmark."""

from __future__ import annotations

import math
from contextlib import nullcontext
from datetime import UTC
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Select, Subquery, and_, cast, func, null, select, text, union_all
from sqlalchemy.orm import Session

from brainscore_ops.database.brainscore_tables import BenchmarkInstance, BenchmarkType, Model, Score
from brainscore_ops.database.ops_tables import ScoreProvenance
from brainscore_ops.database.viewer import PUBLIC, Viewer
from brainscore_ops.scores.columns import FAILED, SCORED, SCORES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from brainscore_ops.database.connection import Database

COLUMNS = SCORES.dtypes
"""Every column of :func:`score_table` and its dtype; :data:`~brainscore_ops.scores.columns.SCORES` says what they mean."""


def score_table(
    source: Database | Session, *, domain: str, viewer: Viewer = PUBLIC, superseded: bool = False
) -> pd.DataFrame:
    """The scores and failures of a domain, sorted by model, benchmark and version.

    Where a pair was scored several times, the newest outcome counts; a failure that the infrastructure is to blame for counts
    only where there is nothing else, because it says nothing about the model. Numbers come from the score's provenance where
    there is one, and from Brain-Score's own table elsewhere.

    :param domain: what the database calls it: ``vision``
    :param viewer: who is going to see it; what they may not see is left out
    :param superseded: also the outcomes of plugins' earlier code, which stand beside the one that counts
    :returns: a data frame with the columns :data:`COLUMNS`
    """
    import pandas as pd

    with nullcontext(source) if isinstance(source, Session) else source.session() as session:
        read_quickly(session)
        outcomes = _frame(
            session, counting_outcomes(*_OF_OUTCOME, "place", superseded=superseded, domain=domain, viewer=viewer)
        )
        models = _frame(session, _models(domain))
        benchmarks = _frame(session, _versions(domain))
    table = outcomes.merge(models, on="model_id").merge(benchmarks, on="benchmark_id")
    for name in ("ceiling", "ceiling_error"):
        table[name] = table[name].astype("float64").fillna(table[f"{name}_of_benchmark"].astype("float64"))
    table["public"] = table["open"] & table["visible"]
    numbers = [name for name, dtype in COLUMNS.items() if dtype == "float64"]
    # Whatever an old database holds: a number that is not finite is none.
    table[numbers] = table[numbers].astype("float64").replace([math.inf, -math.inf], math.nan)
    table["state"] = table["value"].notna().map({True: SCORED, False: FAILED})
    for column in ("reason", "reason_code", "fault"):
        table.loc[table["state"] == SCORED, column] = None
    table["computed_at"] = pd.to_datetime(table["computed_at"], utc=True)
    table["version"] = table["version"].astype("Int64")
    table = table.sort_values(["model", "benchmark", "version", "model_id", "benchmark_id", "place"], ignore_index=True)
    return table[list(COLUMNS)].astype(COLUMNS)


def read_quickly(session: Session) -> None:
    """Let this transaction sort all outcomes in memory; what a query is estimated to cost is far off for them."""
    session.execute(text("SET LOCAL work_mem = '64MB'"))
    session.execute(text("SET LOCAL jit = off"))


_OF_OUTCOME = (
    "model_id", "benchmark_id", "value", "raw", "ceiled", "error", "ceiling", "ceiling_error", "reason", "reason_code", "fault",
    "computed_at", "identity", "model_digest", "benchmark_digest", "library_commit", "environment", "seed", "run", "score_id",
)  # fmt: skip


def counting_outcomes(
    *columns: str,
    domain: str,
    viewer: Viewer = PUBLIC,
    superseded: bool = False,
    models: Sequence[int] | None = None,
) -> Select[Any]:
    """The outcomes that count, in no order: for each model and version of a benchmark the newest; a failure that the
    infrastructure is to blame for only where there is nothing else.

    :param columns: of an outcome: those of :data:`COLUMNS` that are not the model's or the benchmark's; ``microseconds``
        (``computed_at`` as a number, since 1970); ``place`` (1 for what counts)
    :param superseded: also the outcomes which others took the place of
    :param models: rows of ``brainscore_model``: only theirs, which is quick where they are few
    """
    outcome = _ranked_outcomes()
    places: dict[str, Any] = {
        **outcome.c,
        "microseconds": cast(func.extract("epoch", outcome.c.computed_at) * 1_000_000, BigInteger),
    }
    statement = (
        select(*(places[name].label(name) for name in columns))
        .join(Model, Model.id == outcome.c.model_id)
        .join(BenchmarkInstance, BenchmarkInstance.id == outcome.c.benchmark_id)
        .join(BenchmarkType, BenchmarkType.identifier == BenchmarkInstance.benchmark_type_id)
        .where(Model.domain == domain, BenchmarkType.domain == domain, viewer.sees_score())
    )
    if models is not None:
        # On the column that outcomes are ranked within: it reaches the tables before anything is sorted.
        statement = statement.where(outcome.c.model_id.in_(models))
    return statement if superseded else statement.where(outcome.c.place == 1)


def _frame(session: Session, statement: Select[Any]) -> pd.DataFrame:
    import pandas as pd

    columns = [column.name for column in statement.selected_columns]
    return pd.DataFrame.from_records([tuple(row) for row in session.execute(statement)], columns=columns)


def _models(domain: str) -> Any:
    columns = (Model.id.label("model_id"), Model.name.label("model"), Model.public.label("open"))
    return select(*columns).where(Model.domain == domain)


def _versions(domain: str) -> Any:
    return (
        select(
            BenchmarkInstance.id.label("benchmark_id"),
            BenchmarkType.identifier.label("benchmark"),
            BenchmarkInstance.version,
            BenchmarkType.parent_id.label("parent"),
            BenchmarkInstance.ceiling.label("ceiling_of_benchmark"),
            BenchmarkInstance.ceiling_error.label("ceiling_error_of_benchmark"),
            BenchmarkType.visible,
        )
        .join(BenchmarkType, BenchmarkType.identifier == BenchmarkInstance.benchmark_type_id)
        .where(BenchmarkType.domain == domain)
    )


def _ranked_outcomes() -> Subquery:
    """Every outcome, with its ``place`` among those of its pair: 1 is the one that counts."""
    outcome = union_all(_recorded_scores(), _failures_without_score()).subquery()
    says_nothing = and_(outcome.c.value.is_(None), func.coalesce(outcome.c.fault, "") == "infrastructure")
    place = func.row_number().over(
        partition_by=(outcome.c.model_id, outcome.c.benchmark_id),
        order_by=(says_nothing, outcome.c.computed_at.desc().nulls_last(), outcome.c.score_id.desc().nulls_last()),
    )
    return select(outcome, place.label("place")).subquery()


def _recorded_scores() -> Any:
    """Brain-Score's score table; its rows for failures have no number."""
    source = ScoreProvenance
    return select(
        Score.model_id,
        Score.benchmark_id,
        Score.id.label("score_id"),
        func.coalesce(source.value, Score.score_ceiled, Score.score_raw).label("value"),
        func.coalesce(source.raw, Score.score_raw).label("raw"),
        Score.score_ceiled.label("ceiled"),
        func.coalesce(source.error, Score.error).label("error"),
        source.ceiling,
        source.ceiling_error,
        func.coalesce(source.reason, Score.comment).label("reason"),
        source.reason_code,
        source.fault,
        # Brain-Score's time stamps carry no zone; they are UTC.
        func.coalesce(source.recorded_at, func.timezone("UTC", Score.end_timestamp)).label("computed_at"),
        source.identity,
        source.model_digest,
        source.benchmark_digest,
        source.library_commit,
        source.environment_digest.label("environment"),
        source.seed,
        source.run_id.label("run"),
    ).outerjoin(source, source.score_id == Score.id)


def _failures_without_score() -> Any:
    """Pairs that failed before there was anything to write into the score table.

    They count for the version of the benchmark that they name, or for its newest where they failed too early to know it.
    """
    source = ScoreProvenance
    newest = (
        select(BenchmarkInstance.id)
        .where(
            BenchmarkInstance.benchmark_type_id == source.benchmark,
            func.coalesce(BenchmarkInstance.version == source.benchmark_version, source.benchmark_version.is_(None)),
        )
        .order_by(BenchmarkInstance.version.desc().nulls_last(), BenchmarkInstance.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(
            Model.id,
            newest,
            null(),
            null(),
            null(),
            null(),
            null(),
            source.ceiling,
            source.ceiling_error,
            source.reason,
            source.reason_code,
            source.fault,
            source.recorded_at,
            source.identity,
            source.model_digest,
            source.benchmark_digest,
            source.library_commit,
            source.environment_digest,
            source.seed,
            source.run_id,
        )
        .join(Model, Model.name == source.model)
        .where(source.score_id.is_(None), source.state == FAILED)
    )


def score_records(
    session: Session, *, domain: str, models: Sequence[int], viewer: Viewer = PUBLIC, benchmark: str = ""
) -> list[dict[str, Any]]:
    """The rows of :func:`score_table` of some models, as JSON has them; quick where those are few, and without pandas.

    :param models: rows of ``brainscore_model``
    :param benchmark: only on this one
    """
    read_quickly(session)
    counting = counting_outcomes(*_OF_OUTCOME, domain=domain, viewer=viewer, models=models)
    named = {row.model_id: row for row in session.execute(_models(domain).where(Model.id.in_(models)))}
    versions = {row.benchmark_id: row for row in session.execute(_versions(domain))}
    records = []
    for outcome in session.execute(counting):
        version, model = versions[outcome.benchmark_id], named[outcome.model_id]
        if benchmark and version.benchmark != benchmark:
            continue
        record = {
            **outcome._mapping,
            "model": model.model,
            "benchmark": version.benchmark,
            "version": version.version,
            "parent": version.parent,
            "public": model.open and version.visible,
            "computed_at": outcome.computed_at and outcome.computed_at.astimezone(UTC).isoformat(),
        }
        for name in ("ceiling", "ceiling_error"):
            if record[name] is None:
                record[name] = getattr(version, f"{name}_of_benchmark")
        for name, dtype in COLUMNS.items():
            if dtype == "float64" and record[name] is not None and not math.isfinite(record[name]):
                record[name] = None
        record["state"] = FAILED if record["value"] is None else SCORED
        if record["state"] == SCORED:
            record |= {"reason": None, "reason_code": None, "fault": None}
        records.append({name: record[name] for name in COLUMNS})
    return sorted(records, key=lambda each: (each["model"], each["benchmark"], each["version"] or 0))
