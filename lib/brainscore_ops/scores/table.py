"""Scores as a data frame: one row for each model and version of a benchmark."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, Subquery, and_, func, literal, null, select, union_all
from sqlalchemy.orm import Session

from brainscore_ops.database.brainscore_tables import BenchmarkInstance, BenchmarkType, Model, Score
from brainscore_ops.database.ops_tables import ScoreProvenance
from brainscore_ops.database.viewer import PUBLIC, Viewer

if TYPE_CHECKING:
    import pandas as pd

    from brainscore_ops.database.connection import Database

SCORED = "scored"
FAILED = "failed"

COLUMNS = {
    "model": "str",  # the model's identifier
    "benchmark": "str",  # the benchmark's identifier, without its version
    "version": "Int64",  # of the benchmark; missing in old databases
    "parent": "str",  # the benchmark that this one is a part of; missing for one that stands alone
    "value": "float64",  # the score: ceiled where the benchmark has a ceiling, raw elsewhere; NaN where it failed
    "raw": "float64",  # as measured
    "ceiled": "float64",  # as measured, in relation to the ceiling; NaN where there is none
    "error": "float64",  # of the value, as the benchmark estimates it; NaN where it does not
    "ceiling": "float64",  # of the raw score
    "ceiling_error": "float64",
    "state": "str",  # scored or failed
    "reason": "str",  # why it failed, in plain words
    "reason_code": "str",
    "fault": "str",  # whose fault: submission, infrastructure or operator
    "computed_at": "datetime64[us, UTC]",
    "public": "bool",  # whether everybody may see it: the model is public and the benchmark visible
    "identity": "str",  # of what it was computed from; this and the next two are missing for scores from before this system
    "library_commit": "str",
    "run": "str",  # the run of score_pair that is its record
    "score_id": "Int64",  # its row in brainscore_score; missing for a failure that has none
    "model_id": "int64",  # the rows of the database that it belongs to
    "benchmark_id": "int64",  # the benchmark's instance, that is: its version
}
"""Every column of :func:`score_table` and its dtype; what is missing is NaN, or NA in ``version``."""


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
        rows = session.execute(_outcomes(domain, viewer=viewer, superseded=superseded)).all()
    table = pd.DataFrame.from_records([tuple(row) for row in rows], columns=list(COLUMNS))
    numbers = [name for name, dtype in COLUMNS.items() if dtype == "float64"]
    # Whatever an old database holds: a number that is not finite is none.
    table[numbers] = table[numbers].astype("float64").replace([math.inf, -math.inf], math.nan)
    table["state"] = table["value"].notna().map({True: SCORED, False: FAILED})
    for column in ("reason", "reason_code", "fault"):
        table.loc[table["state"] == SCORED, column] = None
    table["computed_at"] = pd.to_datetime(table["computed_at"], utc=True)
    return table.astype(COLUMNS)


def _outcomes(domain: str, *, viewer: Viewer, superseded: bool) -> Select[Any]:
    outcome = _ranked_outcomes()
    benchmark, instance = BenchmarkType, BenchmarkInstance
    public = and_(Model.public, benchmark.visible)
    columns: dict[str, Any] = {
        "model": Model.name,
        "benchmark": benchmark.identifier,
        "version": instance.version,
        "parent": benchmark.parent_id,
        "value": outcome.c.value,
        "raw": outcome.c.raw,
        "ceiled": outcome.c.ceiled,
        "error": outcome.c.error,
        "ceiling": func.coalesce(outcome.c.ceiling, instance.ceiling),
        "ceiling_error": func.coalesce(outcome.c.ceiling_error, instance.ceiling_error),
        "state": literal(""),  # follows from the value
        "reason": outcome.c.reason,
        "reason_code": outcome.c.reason_code,
        "fault": outcome.c.fault,
        "computed_at": outcome.c.computed_at,
        "public": public,
        "identity": outcome.c.identity,
        "library_commit": outcome.c.library_commit,
        "run": outcome.c.run,
        "score_id": outcome.c.score_id,
        "model_id": Model.id,
        "benchmark_id": instance.id,
    }
    statement = (
        select(*(columns[name].label(name) for name in COLUMNS))
        .select_from(outcome)
        .join(Model, Model.id == outcome.c.model_id)
        .join(instance, instance.id == outcome.c.benchmark_id)
        .join(benchmark, benchmark.identifier == instance.benchmark_type_id)
        .where(Model.domain == domain, benchmark.domain == domain, viewer.sees_score())
        .order_by(Model.name, benchmark.identifier, instance.version, Model.id, instance.id, outcome.c.place)
    )
    if not superseded:
        statement = statement.where(outcome.c.place == 1)
    return statement


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
        source.library_commit,
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
            source.library_commit,
            source.run_id,
        )
        .join(Model, Model.name == source.model)
        .where(source.score_id.is_(None), source.state == FAILED)
    )
