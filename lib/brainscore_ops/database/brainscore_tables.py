"""Brain-Score's own tables, as its website and its scoring jobs know them.

Tables, columns and indexes are those of ``brainscore_core.submission.database_models`` 2.5, which keeps reading and writing
them. What the ops system adds stands in :mod:`brainscore_ops.database.ops_tables`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from sqlalchemy import BigInteger, Double, ForeignKey, Index, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

# PostgreSQL's own names for constraints, so that a table that somebody else made compares as equal.
NAMING = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "ck": "%(table_name)s_%(constraint_name)s_check",
}

Text100 = Annotated[str, mapped_column(String(100))]
Text200 = Annotated[str, mapped_column(String(200))]
Text255 = Annotated[str, mapped_column(String(255))]
Text256 = Annotated[str, mapped_column(String(256))]
Text1000 = Annotated[str, mapped_column(String(1000))]
LongText = Annotated[str, mapped_column(Text)]
Key = Annotated[int, mapped_column(primary_key=True)]


class Base(DeclarativeBase):
    """The base of every table."""

    metadata = MetaData(naming_convention=NAMING)


class User(Base):
    """Somebody who submits, or who owns models and benchmarks."""

    __tablename__ = "brainscore_user"
    __table_args__ = (Index("user_email", "email"),)

    id: Mapped[Key]
    email: Mapped[Text255 | None]
    is_active: Mapped[bool]
    is_staff: Mapped[bool]
    is_superuser: Mapped[bool]
    last_login: Mapped[datetime | None]
    password: Mapped[Text255]


class Reference(Base):
    """A publication."""

    __tablename__ = "brainscore_reference"

    id: Mapped[Key]
    author: Mapped[Text255]
    bibtex: Mapped[LongText]
    url: Mapped[Text255]
    year: Mapped[int]


class BenchmarkType(Base):
    """A benchmark or a parent of benchmarks, without its version."""

    __tablename__ = "brainscore_benchmarktype"
    __table_args__ = (
        Index("benchmarktype_owner_id", "owner_id"),
        Index("benchmarktype_parent_id", "parent_id"),
        Index("benchmarktype_reference_id", "reference_id"),
    )

    identifier: Mapped[str] = mapped_column(String(255), primary_key=True)
    reference_id: Mapped[int | None] = mapped_column(ForeignKey("brainscore_reference.id"))
    order: Mapped[int]
    parent_id: Mapped[str | None] = mapped_column(String(255), ForeignKey("brainscore_benchmarktype.identifier"))
    visible: Mapped[bool]
    domain: Mapped[Text200]
    owner_id: Mapped[int] = mapped_column(ForeignKey("brainscore_user.id"))


class BenchmarkMeta(Base):
    """The first form of benchmark metadata, kept for its readers."""

    __tablename__ = "brainscore_benchmarkmeta"

    identifier: Mapped[str] = mapped_column(String(255), primary_key=True)
    number_of_stimuli: Mapped[int | None]
    number_of_recording_sites: Mapped[int | None]
    recording_sites: Mapped[Text100 | None]
    behavioral_task: Mapped[Text100 | None]


class Submission(Base):
    """Something that was sent in. Its life in this system stands in ``submission_life``."""

    __tablename__ = "brainscore_submission"
    __table_args__ = (Index("submission_submitter_id", "submitter_id"),)

    id: Mapped[Key]
    jenkins_id: Mapped[int]
    submitter_id: Mapped[int] = mapped_column(ForeignKey("brainscore_user.id"))
    timestamp: Mapped[datetime | None]
    model_type: Mapped[Text255]
    status: Mapped[Text255]

    submitter: Mapped[User] = relationship()


class Model(Base):
    """A model that has been, or is being, scored."""

    __tablename__ = "brainscore_model"
    __table_args__ = (
        Index("model_owner_id", "owner_id"),
        Index("model_reference_id", "reference_id"),
        Index("model_submission_id", "submission_id"),
        UniqueConstraint("domain", "name"),
    )

    id: Mapped[Key]
    name: Mapped[Text255]
    owner_id: Mapped[int] = mapped_column(ForeignKey("brainscore_user.id"))
    reference_id: Mapped[int | None] = mapped_column(ForeignKey("brainscore_reference.id"))
    submission_id: Mapped[int] = mapped_column(ForeignKey("brainscore_submission.id"))
    domain: Mapped[Text200]
    visual_degrees: Mapped[int | None]
    public: Mapped[bool]
    competition: Mapped[Text200 | None]
    group: Mapped[Text200 | None]


class ModelMeta(Base):
    """What a model's ``metadata.yml`` says."""

    __tablename__ = "brainscore_modelmeta"

    model_id: Mapped[int] = mapped_column(ForeignKey("brainscore_model.id"), primary_key=True)
    architecture: Mapped[Text100 | None]
    model_family: Mapped[Text100 | None]
    total_parameter_count: Mapped[int | None] = mapped_column(BigInteger)
    total_layers: Mapped[int | None]
    training_dataset: Mapped[Text100 | None]
    task_specialization: Mapped[Text100 | None]
    brainscore_link: Mapped[Text256 | None]
    hugging_face_link: Mapped[Text256 | None]
    trainable_parameter_count: Mapped[int | None] = mapped_column(BigInteger)
    trainable_layers: Mapped[int | None]
    model_size_mb: Mapped[float | None] = mapped_column(Double)
    extra_notes: Mapped[Text1000 | None]
    runnable: Mapped[bool | None]


class BenchmarkStimuliMeta(Base):
    """What a benchmark's metadata says of its stimuli."""

    __tablename__ = "brainscore_benchmark_stimuli_meta"

    id: Mapped[Key]
    num_stimuli: Mapped[int | None]
    datatype: Mapped[Text100 | None]
    stimuli_subtype: Mapped[Text100 | None]
    total_size_mb: Mapped[float | None] = mapped_column(Double)
    brainscore_link: Mapped[Text200 | None]
    extra_notes: Mapped[Text1000 | None]


class BenchmarkDataMeta(Base):
    """What a benchmark's metadata says of its data."""

    __tablename__ = "brainscore_benchmark_data_meta"

    id: Mapped[Key]
    benchmark_type: Mapped[Text100 | None]
    task: Mapped[Text100 | None]
    region: Mapped[Text100 | None]
    hemisphere: Mapped[Text100 | None]
    num_recording_sites: Mapped[int | None]
    duration_ms: Mapped[float | None] = mapped_column(Double)
    species: Mapped[Text100 | None]
    datatype: Mapped[Text100 | None]
    num_subjects: Mapped[int | None]
    pre_processing: Mapped[Text100 | None]
    brainscore_link: Mapped[Text200 | None]
    extra_notes: Mapped[Text1000 | None]
    data_publicly_available: Mapped[bool]


class BenchmarkMetricMeta(Base):
    """What a benchmark's metadata says of its metric."""

    __tablename__ = "brainscore_benchmark_metric_meta"

    id: Mapped[Key]
    type: Mapped[Text100 | None]
    reference: Mapped[Text100 | None]
    public: Mapped[bool | None]
    brainscore_link: Mapped[Text200 | None]
    extra_notes: Mapped[Text1000 | None]


class BenchmarkInstance(Base):
    """One version of a benchmark, with its ceiling."""

    __tablename__ = "brainscore_benchmarkinstance"
    __table_args__ = (
        Index("benchmarkinstance_benchmark_type_id", "benchmark_type_id"),
        Index("benchmarkinstance_data_meta_id", "data_meta_id"),
        Index("benchmarkinstance_meta_id", "meta_id"),
        Index("benchmarkinstance_metric_meta_id", "metric_meta_id"),
        Index("benchmarkinstance_stimuli_meta_id", "stimuli_meta_id"),
        UniqueConstraint("benchmark_type_id", "version"),
    )

    id: Mapped[Key]
    benchmark_type_id: Mapped[str] = mapped_column(String(255), ForeignKey("brainscore_benchmarktype.identifier"))
    ceiling: Mapped[float | None] = mapped_column(Double)
    ceiling_error: Mapped[float | None] = mapped_column(Double)
    version: Mapped[int | None]
    meta_id: Mapped[str | None] = mapped_column(String(255), ForeignKey("brainscore_benchmarkmeta.identifier"))
    data_meta_id: Mapped[int | None] = mapped_column(ForeignKey("brainscore_benchmark_data_meta.id"))
    metric_meta_id: Mapped[int | None] = mapped_column(ForeignKey("brainscore_benchmark_metric_meta.id"))
    stimuli_meta_id: Mapped[int | None] = mapped_column(ForeignKey("brainscore_benchmark_stimuli_meta.id"))


class Score(Base):
    """The score of a model on one version of a benchmark; ``score_raw`` is NULL where it failed, and ``comment`` says why."""

    __tablename__ = "brainscore_score"
    __table_args__ = (
        Index("score_benchmark_id", "benchmark_id"),
        Index("score_model_id", "model_id"),
        UniqueConstraint("model_id", "benchmark_id", "provenance"),
    )

    id: Mapped[Key]
    benchmark_id: Mapped[int] = mapped_column(ForeignKey("brainscore_benchmarkinstance.id"))
    end_timestamp: Mapped[datetime | None]
    error: Mapped[float | None] = mapped_column(Double)
    model_id: Mapped[int] = mapped_column(ForeignKey("brainscore_model.id"))
    score_ceiled: Mapped[float | None] = mapped_column(Double)
    score_raw: Mapped[float | None] = mapped_column(Double)
    start_timestamp: Mapped[datetime | None]
    comment: Mapped[Text1000 | None]
    provenance: Mapped[str] = mapped_column(String(64), server_default="", default="")
    """The identity of the pair that it was computed for (:class:`~brainscore_ops.database.ops_tables.ScoreProvenance`); empty
    where another tool wrote it. A changed model's score stands beside the former one."""
