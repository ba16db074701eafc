"""Outcomes become rows: Brain-Score's own score tables, and beside them where each score comes from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from brainscore_ops.database.brainscore_tables import BenchmarkInstance, BenchmarkType, Model, Score, Submission
from brainscore_ops.database.ops_tables import ScoreHistory, ScoreProvenance, SubmissionLife, now
from brainscore_ops.display import Shown, Table
from brainscore_ops.scoring.existing import document_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.orm import Session

    from brainscore_ops.plugins.library_code import LibraryCode
    from brainscore_ops.scoring.pair import PairOutcome
    from brainscore_ops.scoring.plan import Pair

RECORDING_LOCK = "record-scores"
REPLACED, NOT_REPLACED = "replaced", "not-replaced"
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


@dataclass(frozen=True)
class Recorded(Shown):
    """What a recording did."""

    written: int = 0
    replaced: int = 0
    """Of those written: that took the place of an earlier outcome, which is in the history now."""
    not_replaced: int = 0
    """Rescorings that failed: the score that there was has stayed."""

    def table(self) -> Table:
        return Table(
            f"{self.written} outcomes recorded",
            [
                ("in the place of earlier ones, which are in the history", self.replaced or None),
                ("rescorings that failed, whose earlier score stays", self.not_replaced or None),
            ],
        )


def record_outcomes(
    session: Session,
    code: LibraryCode,
    pairs: Iterable[Pair],
    outcomes: Mapping[str, PairOutcome],
    origins: Origins,
    requested_by: int | None,
    run_id: str | None = None,
) -> Recorded:
    """Write every outcome, each once: a second call with the same outcomes changes nothing.

    Rows are written by the thousand, each table once. The caller holds :data:`RECORDING_LOCK`, so that two recorders do not
    make the same model or benchmark.

    :param code: of the library that the pairs were computed with
    :param outcomes: identity → what became of the pair
    :param requested_by: the submission that these pairs are scored for
    :param run_id: the run that records them
    """
    found = [(pair, outcomes[pair.identity]) for pair in pairs if pair.identity in outcomes]
    known = _known(session, [pair.identity for pair, _ in found])
    moment = now()
    counting, kept = [], []
    for pair, outcome in found:
        before = known.get(pair.identity)
        if _counts(before, pair, outcome):
            counting.append((pair, outcome))
        elif before is not None and outcome.state != "scored" and before.state == "scored" and _replaces(before, pair):
            kept.append((pair, outcome))
    replaced = [known[pair.identity] for pair, _ in counting if pair.replaces and pair.identity in known]
    _write_history(session, replaced, kept, moment, run_id)
    if counting:
        models = _models(session, counting, origins)
        instances = _Instances(session, counting, origins)
        scores = _write_scores(session, counting, known, models, instances, moment)
        rows = [
            _provenance(code, pair, outcome, instances.of(pair), scores.get(pair.identity), requested_by, moment)
            for pair, outcome in counting
        ]
        _write_provenance(session, rows)
    return Recorded(written=len(counting), replaced=len(replaced), not_replaced=len(kept))


def settle_published(session: Session, code: LibraryCode, pairs: Sequence[Pair]) -> int:
    """Scores that were computed in private and whose every input the public library holds now: have them name its commit.

    Where the shared code has moved on meanwhile, a score goes on naming the two commits that it was computed from.

    :param code: of the public library
    :returns: how many
    """
    rows = _known(session, [pair.identity for pair in pairs]).values()
    settled = [
        row
        for row in rows
        if row.private_commit is not None and row.shared_digest == code.shared_by(row.model, row.benchmark)
    ]
    for row in settled:
        row.library_commit, row.private_commit = code.commit, None
    return len(settled)


def _known(session: Session, identities: Sequence[str]) -> dict[str, ScoreProvenance]:
    rows = session.scalars(select(ScoreProvenance).where(ScoreProvenance.identity.in_(identities)))
    return {row.identity: row for row in rows}


def _replaces(known: ScoreProvenance, pair: Pair) -> bool:
    # Two time zones of one moment are one moment.
    return bool(pair.replaces) and datetime.fromisoformat(pair.replaces) == known.recorded_at


def _counts(known: ScoreProvenance | None, pair: Pair, outcome: PairOutcome) -> bool:
    """Whether an outcome is written: not a second time, and not in the place of a score that nobody asked to replace."""
    if known is None:
        return True
    if known.state == "scored":
        return outcome.state == "scored" and _replaces(known, pair)
    return outcome.state == "scored" or known.run_id != outcome.run_id


def _write_history(
    session: Session,
    replaced: Iterable[ScoreProvenance],
    kept: Iterable[tuple[Pair, PairOutcome]],
    moment: datetime,
    run_id: str | None,
) -> None:
    rows = [
        {"identity": row.identity, "event": REPLACED, "document": document_of(row), "recorded_at": row.recorded_at}
        for row in replaced
    ]
    rows += [
        {
            "identity": pair.identity,
            "event": NOT_REPLACED,
            "document": {**(outcome.failure or {}), "run_id": outcome.run_id, "reason": pair.reason},
            "recorded_at": datetime.fromisoformat(pair.replaces),
        }
        for pair, outcome in kept
    ]
    if rows:
        values = [{**row, "at": moment, "run_id": run_id} for row in rows]
        session.execute(upsert(ScoreHistory).on_conflict_do_nothing(), values)


def _models(session: Session, found: Iterable[tuple[Pair, PairOutcome]], origins: Origins) -> dict[str, int]:
    """Each model's row, made where it is missing."""
    names = sorted({pair.model for pair, _ in found})

    def ids() -> dict[str, int]:
        rows = session.execute(
            select(Model.name, Model.id).where(Model.domain == origins.domain, Model.name.in_(names))
        )
        return {row.name: row.id for row in rows}

    known = ids()
    if missing := [name for name in names if name not in known]:
        rows = [
            {
                "name": name,
                "owner_id": origins.of("models", name).owner_id,
                "submission_id": origins.of("models", name).submission_id,
                "domain": origins.domain,
                "public": origins.of("models", name).public,
            }
            for name in missing
        ]
        session.execute(insert(Model), rows)
        known = ids()
    return known


@dataclass(frozen=True)
class _Instance:
    id: int
    version: int | None


class _Instances:
    """The versions of benchmarks that the pairs were scored on.

    What a benchmark says of itself is heard once for each state of its code: later pairs run beside other plugins, which
    could say it in its place.
    """

    def __init__(self, session: Session, found: Sequence[tuple[Pair, PairOutcome]], origins: Origins) -> None:
        self._of_code = self._known(session, {(pair.benchmark, pair.benchmark_digest) for pair, _ in found})
        for pair, outcome in found:
            key, result = (pair.benchmark, pair.benchmark_digest), outcome.result or {}
            if key not in self._of_code and result.get("benchmark_version") is not None:
                self._of_code[key] = _make_instance(session, pair.benchmark, result, origins)

    def of(self, pair: Pair) -> _Instance | None:
        """The version that a pair was scored on; None where it failed before that was known."""
        return self._of_code.get((pair.benchmark, pair.benchmark_digest))

    @staticmethod
    def _known(session: Session, codes: set[tuple[str, str]]) -> dict[tuple[str, str], _Instance]:
        source, instance = ScoreProvenance, BenchmarkInstance
        rows = session.execute(
            select(source.benchmark, source.benchmark_digest, instance.id, instance.version)
            .distinct()
            .join(
                instance,
                (instance.benchmark_type_id == source.benchmark) & (instance.version == source.benchmark_version),
            )
            .where(tuple_(source.benchmark, source.benchmark_digest).in_(sorted(codes)))
        )
        return {(benchmark, digest): _Instance(id_, version) for benchmark, digest, id_, version in rows}


def _make_instance(session: Session, benchmark: str, result: Mapping[str, Any], origins: Origins) -> _Instance:
    version, parent = result["benchmark_version"], result.get("benchmark_parent")
    origin = origins.of("benchmarks", benchmark)
    if parent:
        # A name that only a private benchmark gives is private, too, until a public one gives it.
        _ensure_benchmark_type(session, parent, None, origins.library if origin.public else origin, origins.domain)
        if origin.public:
            show_parents(session, [parent])
    _ensure_benchmark_type(session, benchmark, parent, origin, origins.domain)
    values = {
        "benchmark_type_id": benchmark,
        "version": version,
        "ceiling": result.get("ceiling"),
        "ceiling_error": result.get("ceiling_error"),
    }
    session.execute(
        upsert(BenchmarkInstance).values(values).on_conflict_do_nothing(index_elements=["benchmark_type_id", "version"])
    )
    row = select(BenchmarkInstance.id).where(
        BenchmarkInstance.benchmark_type_id == benchmark, BenchmarkInstance.version == version
    )
    return _Instance(session.scalars(row).one(), version)


def _ensure_benchmark_type(session: Session, identifier: str, parent: str | None, origin: Origin, domain: str) -> None:
    session.execute(
        upsert(BenchmarkType)
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


def show_parents(session: Session, parents: Iterable[str]) -> None:
    """Have everybody see names that benchmarks are grouped under, and that were private; what is itself a benchmark stays so."""
    measured = select(BenchmarkInstance.benchmark_type_id)
    hidden_by_us = select(SubmissionLife.submission_id).join(SubmissionLife.submission)
    hidden_by_us = hidden_by_us.where(
        Submission.submitter_id == BenchmarkType.owner_id, SubmissionLife.public.is_(False)
    )
    session.execute(
        update(BenchmarkType)
        .where(
            BenchmarkType.identifier.in_(list(parents)),
            BenchmarkType.identifier.not_in(measured),
            hidden_by_us.exists(),
        )
        .values(visible=True)
        .execution_options(synchronize_session=False)
    )


def _write_scores(
    session: Session,
    found: Iterable[tuple[Pair, PairOutcome]],
    known: Mapping[str, ScoreProvenance],
    models: Mapping[str, int],
    instances: _Instances,
    moment: datetime,
) -> dict[str, int]:
    """Brain-Score's rows for the pairs whose version of the benchmark is known.

    :returns: identity → the row's id
    """
    new, changed = [], []
    for pair, outcome in found:
        instance, before = instances.of(pair), known.get(pair.identity)
        if instance is None:
            continue
        values = _score_values(outcome, moment)
        if before is not None and before.score_id is not None:
            changed.append({"id": before.score_id, **values})
        else:
            ids = {"benchmark_id": instance.id, "model_id": models[pair.model], "provenance": pair.identity}
            new.append({**ids, **values})
    written = {before.identity: before.score_id for before in known.values() if before.score_id is not None}
    if changed:
        session.execute(update(Score), changed)
    if new:
        rows = session.execute(insert(Score).returning(Score.provenance, Score.id), new)
        written |= {row.provenance: row.id for row in rows}
    return written


def _score_values(outcome: PairOutcome, moment: datetime) -> dict[str, Any]:
    result, failure = outcome.result or {}, outcome.failure or {}
    # As brainscore_core stores them: without a ceiling there is a raw score alone; a failure has neither, and a comment.
    ceiled = result.get("ceiling") is not None
    # Brain-Score's time stamps carry no zone; they are UTC.
    end = moment.replace(tzinfo=None)
    return {
        "score_raw": result.get("raw") if ceiled else result.get("value"),
        "score_ceiled": result.get("value") if ceiled else None,
        "error": result.get("error"),
        "comment": failure["message"][:_LONGEST_COMMENT] if failure else None,
        "end_timestamp": end,
        "start_timestamp": end - timedelta(seconds=result.get("wall_seconds") or 0),
    }


def _provenance(
    code: LibraryCode,
    pair: Pair,
    outcome: PairOutcome,
    instance: _Instance | None,
    score_id: int | None,
    requested_by: int | None,
    moment: datetime,
) -> dict[str, Any]:
    result, failure = outcome.result or {}, outcome.failure or {}
    return {
        "identity": pair.identity,
        "score_id": score_id,
        "model": pair.model,
        "benchmark": pair.benchmark,
        "benchmark_version": instance.version if instance else None,
        "model_digest": pair.model_digest,
        "benchmark_digest": pair.benchmark_digest,
        "library_commit": code.commit,
        "private_commit": code.private_commit,
        "shared_digest": code.shared_by(pair.model, pair.benchmark),
        "environment_digest": outcome.environment_digest,
        "seed": outcome.seed,
        "recomputed_from": outcome.recomputed_from,
        "packages": result.get("packages", {}),
        "state": outcome.state,
        "value": result.get("value"),
        "raw": result.get("raw"),
        "error": result.get("error"),
        "ceiling": result.get("ceiling"),
        "ceiling_error": result.get("ceiling_error"),
        "reason_code": failure.get("code"),
        "reason": failure.get("message"),
        "fault": failure.get("fault"),
        "log": failure.get("log"),
        "sandboxed": outcome.sandboxed,
        "wall_seconds": result.get("wall_seconds"),
        "cpu_seconds": result.get("cpu_seconds"),
        "peak_memory_bytes": result.get("peak_memory_bytes"),
        "node": outcome.node,
        "run_id": outcome.run_id,
        "submission_id": requested_by,
        "recorded_at": moment,
    }


def _write_provenance(session: Session, rows: list[dict[str, Any]]) -> None:
    statement = upsert(ScoreProvenance)
    columns: dict[str, Any] = {
        name: statement.excluded[name] for name in rows[0] if name not in ("identity", "submission_id")
    }
    # Rescoring for nobody in particular does not take a score away from the submission that it was computed for.
    columns["submission_id"] = func.coalesce(statement.excluded["submission_id"], ScoreProvenance.submission_id)
    session.execute(statement.on_conflict_do_update(index_elements=["identity"], set_=columns), rows)
    session.expire_all()
