"""What the database knows of pairs, as planning asks for it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from brainscore_ops.database.brainscore_tables import Model
from brainscore_ops.database.ops_tables import EnvironmentLock, ScoreProvenance
from brainscore_ops.scoring.plan import Existing, Outcome

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.orm import Session


def read_existing(session: Session) -> Existing:
    """What a plan for a change has to know: which pairs are settled, which failed, and which versions there were."""
    source = ScoreProvenance
    settled = (source.state == "scored") | (source.fault == "submission")
    # Text by itself: 150,000 of them are read at once.
    identities = session.connection().execute(select(source.identity).where(settled)).scalars()
    failures = session.execute(select(source.identity, source.reason_code).where(~func.coalesce(settled, False)))
    versions = session.execute(
        select(source.benchmark, func.max(source.benchmark_version))
        .where(source.benchmark_version.is_not(None))
        .group_by(source.benchmark)
    )
    return Existing(
        settled=frozenset(identities),
        failures={identity: code or "unknown" for identity, code in failures},
        versions={benchmark: version for benchmark, version in versions if version is not None},
    )


def read_outcomes(session: Session, identities: Collection[str] | None = None) -> dict[str, Outcome]:
    """What is known of pairs: identity → outcome.

    A lock is superseded where the same requirements have been given another one since.

    :param identities: only these; None for all
    """
    source, lock, later = ScoreProvenance, EnvironmentLock, aliased(EnvironmentLock)
    superseded = (
        select(lock.digest)
        .join(later, (later.requirements_digest == lock.requirements_digest) & (later.recorded_at > lock.recorded_at))
        .distinct()
    )
    query = select(
        source.identity,
        source.state,
        source.recorded_at,
        source.library_commit,
        source.reason_code,
        source.reason,
        source.shared_digest,
        func.coalesce(source.environment_digest.in_(superseded), False),
        source.private_commit,
    )
    if identities is not None:
        query = query.where(source.identity.in_(identities))
    return {
        identity: Outcome(state == "scored", at, commit, code, reason or "", shared, old, private)
        for identity, state, at, commit, code, reason, shared, old, private in session.execute(query)
    }


def private_models(session: Session, domain: str, *, but_of: int | None = None) -> set[str]:
    """The models of a domain that only their owners see.

    :param but_of: an owner whose models are not meant
    """
    query = select(Model.name).where(Model.domain == domain, Model.public.is_(False))
    return set(session.scalars(query if but_of is None else query.where(Model.owner_id != but_of)))


def document_of(row: ScoreProvenance) -> dict[str, Any]:
    """Every column of a score's provenance, as JSON has it."""
    values = {column.key: getattr(row, column.key) for column in ScoreProvenance.__table__.columns}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
