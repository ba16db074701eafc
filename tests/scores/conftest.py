"""A PostgreSQL of our own, once; an empty domain for each test, and a short way to fill it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, select, update
from tests.postgres_servers import migrated_database

from brainscore_ops.database.brainscore_tables import (
    BenchmarkInstance,
    BenchmarkType,
    Model,
    ModelMeta,
    Reference,
    Score,
    Submission,
    User,
)
from brainscore_ops.database.ops_tables import ScoreProvenance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brainscore_ops.database.connection import Database

NUMBERS = count(1)
START = datetime(2026, 11, 4, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def scores_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with migrated_database(tmp_path_factory.mktemp("scores-postgres")) as database:
        yield database


@pytest.fixture
def world(scores_database: Database) -> World:
    """A domain with nothing in it."""
    return World.make(scores_database, f"domain{next(NUMBERS)}")


@dataclass
class World:
    """A domain, and how it is filled. Every call is one recorded fact, later than the one before."""

    database: Database
    domain: str
    owner: int
    submission: int

    @classmethod
    def make(cls, database: Database, domain: str) -> World:
        with database.session() as session:
            user = User(
                email=f"{domain}@example.org", is_active=True, is_staff=False, is_superuser=False, password="none"
            )
            session.add(user)
            session.flush()
            submission = Submission(jenkins_id=0, submitter_id=user.id, model_type="base", status="successful")
            session.add(submission)
            session.flush()
            return cls(database, domain, user.id, submission.id)

    def parent(self, identifier: str, *, parent: str | None = None, order: int = 1, visible: bool = True) -> None:
        self._add(
            BenchmarkType(
                identifier=identifier,
                parent_id=parent,
                order=order,
                visible=visible,
                domain=self.domain,
                owner_id=self.owner,
            )
        )

    def benchmark(
        self,
        identifier: str,
        *,
        parent: str | None = None,
        versions: tuple[int, ...] = (1,),
        ceiling: float | None = None,
        ceiling_error: float | None = None,
        order: int = 1,
        visible: bool = True,
        reference: tuple[str, int, str] | None = None,
    ) -> None:
        reference_id = None
        if reference is not None:
            author, year, url = reference
            reference_id = self._add(Reference(author=author, bibtex="", url=url, year=year)).id
        self._add(
            BenchmarkType(
                identifier=identifier,
                parent_id=parent,
                order=order,
                visible=visible,
                domain=self.domain,
                owner_id=self.owner,
                reference_id=reference_id,
            )
        )
        for version in versions:
            self._add(
                BenchmarkInstance(
                    benchmark_type_id=identifier, version=version, ceiling=ceiling, ceiling_error=ceiling_error
                )
            )

    def model(self, name: str, *, public: bool = True, **meta: Any) -> None:
        model = self._add(
            Model(name=name, owner_id=self.owner, submission_id=self.submission, domain=self.domain, public=public)
        )
        if meta:
            self._add(ModelMeta(model_id=model.id, **meta))

    def old_score(self, model: str, benchmark: str, *, version: int = 1, **values: Any) -> None:
        """A score as the system before this one left it: without provenance."""
        with self.database.session() as session:
            moment = (START + timedelta(minutes=next(NUMBERS))).replace(tzinfo=None)
            ids = self._ids(session, model, benchmark, version)
            session.add(Score(**{"end_timestamp": moment, "start_timestamp": moment, **ids, **values}))

    def score(self, model: str, benchmark: str, value: float, *, version: int = 1, **values: Any) -> None:
        """A score with its provenance."""
        with self.database.session() as session:
            ceiled = "ceiling" in values
            source = self._provenance(model, benchmark, version, None, state="scored", value=value, **values)
            source.score = Score(
                **self._ids(session, model, benchmark, version),
                score_raw=values.get("raw", value),
                score_ceiled=value if ceiled else None,
                error=values.get("error"),
                provenance=source.identity,
            )
            session.add(source)

    def failure(self, model: str, benchmark: str, reason: str, *, version: int | None = 1, **values: Any) -> None:
        """A pair that could not be scored, and has no row in Brain-Score's score table."""
        self._add(
            self._provenance(
                model,
                benchmark,
                version,
                None,
                **{"state": "failed", "reason": reason, "reason_code": "crash", "fault": "submission", **values},
            )
        )

    def remove(self) -> None:
        """Take out all that was filled in: others use the domain too."""
        with self.database.session() as session:
            models = select(Model.id).where(Model.submission_id == self.submission)
            names = select(Model.name).where(Model.submission_id == self.submission)
            kinds = select(BenchmarkType.identifier).where(BenchmarkType.owner_id == self.owner)
            session.execute(delete(ScoreProvenance).where(ScoreProvenance.model.in_(names)))
            session.execute(delete(Score).where(Score.model_id.in_(models)))
            session.execute(delete(ModelMeta).where(ModelMeta.model_id.in_(models)))
            session.execute(delete(Model).where(Model.submission_id == self.submission))
            session.execute(delete(BenchmarkInstance).where(BenchmarkInstance.benchmark_type_id.in_(kinds)))
            session.execute(update(BenchmarkType).where(BenchmarkType.owner_id == self.owner).values(parent_id=None))
            session.execute(delete(BenchmarkType).where(BenchmarkType.owner_id == self.owner))

    def _provenance(
        self, model: str, benchmark: str, version: int | None, score_id: int | None, **values: Any
    ) -> ScoreProvenance:
        number = next(NUMBERS)
        return ScoreProvenance(
            **{
                "identity": f"{number:064x}",
                "score_id": score_id,
                "model": model,
                "benchmark": benchmark,
                "benchmark_version": version,
                "model_digest": "0" * 64,
                "benchmark_digest": "1" * 64,
                "library_commit": "2" * 40,
                "sandboxed": True,
                "run_id": f"score_pair-{number}",
                "recorded_at": START + timedelta(minutes=number),
                **values,
            }
        )

    def _ids(self, session: Any, model: str, benchmark: str, version: int) -> dict[str, int]:
        model_id = session.query(Model.id).filter_by(name=model, domain=self.domain).scalar()
        instance = session.query(BenchmarkInstance.id).filter_by(benchmark_type_id=benchmark, version=version).scalar()
        return {"model_id": model_id, "benchmark_id": instance}

    def _add(self, row: Any) -> Any:
        with self.database.session() as session:
            session.add(row)
        return row
