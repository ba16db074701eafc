"""Outcomes become rows: Brain-Score's own score tables, and beside them where each score comes from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from brainscore_ops.database.brainscore_tables import (
    BenchmarkInstance,
    BenchmarkType,
    Model,
    Score,
)
from brainscore_ops.database.ops_tables import ScoreProvenance, now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from brainscore_ops.scoring.pair import PairOutcome
    from brainscore_ops.scoring.plan import Pair, Plan

RECORDING_LOCK = "record-scores"
_LONGEST_COMMENT = 1000


@dataclass(frozen=True)
class Origin:
    """Where a plugin came from: the owner of its models and benchmarks in the database."""

    owner_id: int
    submission_id: int
    public: bool


@dataclass(frozen=True)
class Origins:
    """Where every plugin of a library came from, whichever run scores it."""

    domain: str
    library: Origin
    """Of what nobody submitted."""
    submitted: Mapping[tuple[str, str], Origin]
    """(``models`` or ``benchmarks``, identifier) → the submission that brought it."""

    def of(self, kind: str, identifier: str) -> Origin:
        """Where an identifier came from."""
        return self.submitted.get((kind, identifier), self.library)


def settled_identities(session: Session) -> set[str]:
    """The pairs that have a score, or a failure of their plugins' own that another try does not change."""
    settled = (ScoreProvenance.state == "scored") | (ScoreProvenance.fault == "submission")
    return set(session.scalars(select(ScoreProvenance.identity).where(settled)))


def private_models(session: Session, domain: str) -> set[str]:
    """The models of a domain that only their owners see."""
    return set(session.scalars(select(Model.name).where(Model.domain == domain, Model.public.is_(False))))


def record_outcomes(
    session: Session, plan: Plan, outcomes: Mapping[str, PairOutcome], origins: Origins, requested_by: int | None
) -> None:
    """Write every outcome, each once: a second call with the same outcomes changes nothing.

    The caller holds :data:`RECORDING_LOCK`, so that two recorders do not make the same model or benchmark.

    :param outcomes: identity → what became of the pair
    :param requested_by: the submission that these pairs are scored for
    """
    for pair in plan.pairs:
        outcome = outcomes.get(pair.identity)
        if outcome is not None:
            _record(session, plan.library_commit, pair, outcome, origins, requested_by)


def _record(
    session: Session, library_commit: str, pair: Pair, outcome: PairOutcome, origins: Origins, requested_by: int | None
) -> None:
    known = session.get(ScoreProvenance, pair.identity)
    if known is not None and (
        known.state == "scored" or (outcome.state == "failed" and known.run_id == outcome.run_id)
    ):
        return
    result = outcome.result or {}
    model = _model(session, pair.model, origins)
    instance = _benchmark_instance(session, pair, result, origins)
    score = _score(session, known, model, instance, outcome, pair.identity) if instance else None
    failure = outcome.failure or {}
    session.merge(
        ScoreProvenance(
            identity=pair.identity,
            score_id=score.id if score else None,
            model=pair.model,
            benchmark=pair.benchmark,
            benchmark_version=instance.version if instance else None,
            model_digest=pair.model_digest,
            benchmark_digest=pair.benchmark_digest,
            library_commit=library_commit,
            environment_digest=outcome.environment_digest,
            packages=result.get("packages", {}),
            state=outcome.state,
            value=result.get("value"),
            raw=result.get("raw"),
            error=result.get("error"),
            ceiling=result.get("ceiling"),
            ceiling_error=result.get("ceiling_error"),
            reason_code=failure.get("code"),
            reason=failure.get("message"),
            fault=failure.get("fault"),
            log=failure.get("log"),
            sandboxed=outcome.sandboxed,
            wall_seconds=result.get("wall_seconds"),
            cpu_seconds=result.get("cpu_seconds"),
            peak_memory_bytes=result.get("peak_memory_bytes"),
            node=outcome.node,
            run_id=outcome.run_id,
            submission_id=requested_by,
            recorded_at=now(),
        )
    )
    session.flush()


def _model(session: Session, name: str, origins: Origins) -> Model:
    model = session.scalar(select(Model).where(Model.name == name, Model.domain == origins.domain))
    if model is None:
        origin = origins.of("models", name)
        model = Model(
            name=name,
            owner_id=origin.owner_id,
            submission_id=origin.submission_id,
            domain=origins.domain,
            public=origin.public,
        )
        session.add(model)
        session.flush()
    return model


def _benchmark_instance(
    session: Session, pair: Pair, result: Mapping[str, Any], origins: Origins
) -> BenchmarkInstance | None:
    """The version of the benchmark that was scored on; None where the pair failed before that was known.

    What a benchmark says of itself is heard once for each state of its code: later pairs run beside other plugins, which
    could say it in its place.
    """
    known = _instance_of_same_code(session, pair)
    if known is not None or result.get("benchmark_version") is None:
        return known
    version, parent = result["benchmark_version"], result.get("benchmark_parent")
    if parent:
        _ensure_benchmark_type(session, parent, None, origins.library, origins.domain)
    _ensure_benchmark_type(session, pair.benchmark, parent, origins.of("benchmarks", pair.benchmark), origins.domain)
    instance = session.scalar(
        select(BenchmarkInstance).where(
            BenchmarkInstance.benchmark_type_id == pair.benchmark, BenchmarkInstance.version == version
        )
    )
    if instance is None:
        instance = BenchmarkInstance(
            benchmark_type_id=pair.benchmark,
            version=version,
            ceiling=result.get("ceiling"),
            ceiling_error=result.get("ceiling_error"),
        )
        session.add(instance)
        session.flush()
    return instance


def _instance_of_same_code(session: Session, pair: Pair) -> BenchmarkInstance | None:
    version = session.scalar(
        select(ScoreProvenance.benchmark_version)
        .where(
            ScoreProvenance.benchmark == pair.benchmark,
            ScoreProvenance.benchmark_digest == pair.benchmark_digest,
            ScoreProvenance.benchmark_version.is_not(None),
        )
        .limit(1)
    )
    return session.scalar(
        select(BenchmarkInstance).where(
            BenchmarkInstance.benchmark_type_id == pair.benchmark, BenchmarkInstance.version == version
        )
    )


def _ensure_benchmark_type(session: Session, identifier: str, parent: str | None, origin: Origin, domain: str) -> None:
    session.execute(
        insert(BenchmarkType)
        .values(
            identifier=identifier,
            parent_id=parent,
            order=999,
            visible=origin.public,
            domain=domain,
            owner_id=origin.owner_id,
        )
        .on_conflict_do_nothing(index_elements=["identifier"])
    )


def _score(
    session: Session,
    known: ScoreProvenance | None,
    model: Model,
    instance: BenchmarkInstance,
    outcome: PairOutcome,
    identity: str,
) -> Score:
    score = session.get(Score, known.score_id) if known is not None and known.score_id is not None else None
    if score is None:
        score = Score(benchmark_id=instance.id, model_id=model.id, provenance=identity)
        session.add(score)
    result, failure = outcome.result or {}, outcome.failure or {}
    # As brainscore_core stores them: without a ceiling there is a raw score alone; a failure has neither, and a comment.
    ceiled = result.get("ceiling") is not None
    score.score_raw = result.get("raw") if ceiled else result.get("value")
    score.score_ceiled = result.get("value") if ceiled else None
    score.error = result.get("error")
    score.comment = failure["message"][:_LONGEST_COMMENT] if failure else None
    score.end_timestamp = now().replace(tzinfo=None)
    score.start_timestamp = score.end_timestamp - timedelta(seconds=result.get("wall_seconds") or 0)
    session.flush()
    return score
