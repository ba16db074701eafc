"""What models and benchmarks say of themselves, in Brain-Score's tables: written here and nowhere else.

It is written with the scores, in the same transaction: a model or a benchmark's version gets its row when it is recorded, whole,
and only then has something that metadata can belong to. Where there is no row yet, none is made; the next recording that makes
it writes its metadata, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import select

from brainscore_ops.database.brainscore_tables import (
    BenchmarkDataMeta,
    BenchmarkInstance,
    BenchmarkMetricMeta,
    BenchmarkStimuliMeta,
    BenchmarkType,
    Model,
    ModelMeta,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from brainscore_ops.plugins.metadata import BenchmarkMetadata, Metadata, ModelMetadata


_Part = TypeVar("_Part", BenchmarkStimuliMeta, BenchmarkDataMeta, BenchmarkMetricMeta)


def store_metadata(session: Session, metadata: Metadata, domain: str) -> None:
    """Write metadata to the models and the newest versions of the benchmarks that it is of; what is there already stays.

    The caller holds the lock of recording.
    """
    for name, model in metadata.models.items():
        _store_model(session, name, model, domain)
    for identifier, benchmark in metadata.benchmarks.items():
        _store_benchmark(session, identifier, benchmark, domain)
    session.flush()


def _store_model(session: Session, name: str, metadata: ModelMetadata, domain: str) -> None:
    model = session.scalar(select(Model).where(Model.name == name, Model.domain == domain))
    if model is not None:
        session.merge(ModelMeta(model_id=model.id, **metadata.model_dump()))


def _store_benchmark(session: Session, identifier: str, metadata: BenchmarkMetadata, domain: str) -> None:
    instance = session.scalar(
        select(BenchmarkInstance)
        .join(BenchmarkType, BenchmarkType.identifier == BenchmarkInstance.benchmark_type_id)
        .where(BenchmarkType.identifier == identifier, BenchmarkType.domain == domain)
        .order_by(BenchmarkInstance.version.desc().nulls_last())
        .limit(1)
    )
    if instance is None:
        return
    if metadata.stimulus_set is not None:
        values = metadata.stimulus_set.model_dump()
        instance.stimuli_meta_id = _part(session, instance, "stimuli_meta_id", BenchmarkStimuliMeta, values)
    if metadata.data is not None:
        # The table wants to know; as in Brain-Score's own, data of which nothing is said is public.
        public = metadata.data.data_publicly_available
        values = {**metadata.data.model_dump(), "data_publicly_available": True if public is None else public}
        instance.data_meta_id = _part(session, instance, "data_meta_id", BenchmarkDataMeta, values)
    if metadata.metric is not None:
        instance.metric_meta_id = _part(
            session, instance, "metric_meta_id", BenchmarkMetricMeta, metadata.metric.model_dump()
        )


def _part(
    session: Session,
    instance: BenchmarkInstance,
    column: str,
    table: type[_Part],
    values: Mapping[str, Any],
) -> int:
    """The row of a part; the one that is there where no other version shares it, else one of its own."""
    known: int | None = getattr(instance, column)
    row = session.get(table, known) if known is not None else None
    if row is not None and all(getattr(row, name) == value for name, value in values.items()):
        return row.id
    shared = known is not None and session.scalar(
        select(BenchmarkInstance.id)
        .where(getattr(BenchmarkInstance, column) == known, BenchmarkInstance.id != instance.id)
        .limit(1)
    )
    if row is None or shared:
        row = table(**values)
        session.add(row)
        session.flush()
    else:
        for name, value in values.items():
            setattr(row, name, value)
    return row.id
