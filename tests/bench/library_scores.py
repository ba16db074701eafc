"""A database that holds scores at the vision library's size: what the benches of the leaderboard work on."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import insert

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
    from brainscore_ops.database.connection import Database

DOMAIN = "vision"
START = datetime(2026, 1, 5, tzinfo=UTC)
AREAS = {"neural_vision": ("V1", "V2", "V4", "IT"), "behavior_vision": ("objects", "errors"), "engineering_vision": ()}
FAMILIES = ("cnn", "vit", "resnet", "convnext", "efficientnet", "recurrent", "clip")


def fill(
    database: Database, *, models: int = 683, benchmarks: int = 270, share: float = 0.9, failed: float = 0.04
) -> None:
    """Models and benchmarks with a score on a share of the pairs; of those a share failed, with a reason."""
    chance = random.Random(7)
    with database.session() as session:
        user = User(email="ada@example.org", is_active=True, is_staff=False, is_superuser=False, password="none")
        session.add(user)
        session.flush()
        submission = Submission(jenkins_id=0, submitter_id=user.id, model_type="base", status="successful")
        session.add(submission)
        session.flush()
        references = [
            Reference(
                author=f"Author{n} et al.", bibtex="@article{}", url=f"https://example.org/{n}", year=2000 + n % 26
            )
            for n in range(40)
        ]
        session.add_all(references)
        session.flush()

        def kind(identifier: str, parent: str | None, order: int) -> BenchmarkType:
            cited = references[order % 40].id
            return BenchmarkType(
                identifier=identifier, parent_id=parent, order=order, visible=True, domain=DOMAIN, owner_id=user.id,
                reference_id=cited,
            )  # fmt: skip

        parents = []
        for place, (area, regions) in enumerate(AREAS.items()):
            session.add(kind(area, None, place))
            session.flush()
            session.add_all(kind(region, area, number) for number, region in enumerate(regions))
            session.flush()
            parents += list(regions) or [area]
        instances = []
        for number in range(benchmarks):
            parent = parents[number % len(parents)]
            identifier = f"Author{number}.{parent}-{'pls' if number % 2 else 'rdm'}"
            session.add(kind(identifier, parent, 10 + number))
            session.flush()
            ceiled = number % 5 != 0
            instances += [
                BenchmarkInstance(
                    benchmark_type_id=identifier, version=version, ceiling=0.6 + number % 30 / 100 if ceiled else None,
                    ceiling_error=0.01 if ceiled else None,
                )
                for version in ((1, 2) if number % 9 == 0 else (1,))
            ]  # fmt: skip
        session.add_all(instances)
        session.flush()
        known = [
            Model(
                name=f"{FAMILIES[n % 7]}_{n}_variant-{n % 13}", owner_id=user.id, submission_id=submission.id, domain=DOMAIN,
                public=n % 40 != 3, reference_id=references[n % 40].id,
            )
            for n in range(models)
        ]  # fmt: skip
        session.add_all(known)
        session.flush()
        session.execute(
            insert(ModelMeta),
            [
                {
                    "model_id": model.id,
                    "architecture": "DCNN",
                    "model_family": FAMILIES[n % 7],
                    "total_parameter_count": 10**6 * (n + 1),
                }
                for n, model in enumerate(known)
            ],
        )
        identifier = 0
        for n, model in enumerate(known):
            scores, sources = [], []
            skill = chance.gauss(0.4, 0.12)
            for instance in instances:
                if chance.random() > share:
                    continue
                identifier += 1
                at = START + timedelta(seconds=identifier)
                value = None if chance.random() < failed else min(max(chance.gauss(skill, 0.15), 0.0), 1.0)
                raw = None if value is None else value * (instance.ceiling or 1.0)
                reason = f"RuntimeError: CUDA out of memory at layer {identifier % 50}" if value is None else None
                scores.append(
                    {
                        "id": identifier, "model_id": model.id, "benchmark_id": instance.id, "score_raw": raw,
                        "score_ceiled": value if instance.ceiling else None, "error": None if value is None else 0.02,
                        "start_timestamp": at.replace(tzinfo=None), "end_timestamp": at.replace(tzinfo=None), "comment": reason,
                        "provenance": _digest(f"{model.id}/{instance.id}"),
                    }
                )  # fmt: skip
                # Some are from before provenance was recorded.
                if n % 3:
                    sources.append(
                        {
                            "identity": scores[-1]["provenance"], "score_id": identifier, "model": model.name,
                            "benchmark": instance.benchmark_type_id, "benchmark_version": instance.version,
                            "model_digest": "0" * 64, "benchmark_digest": "1" * 64, "library_commit": "c" * 40,
                            "state": "failed" if value is None else "scored", "value": value, "raw": raw,
                            "error": None if value is None else 0.02, "ceiling": instance.ceiling, "reason": reason,
                            "reason_code": "crash" if value is None else None, "fault": "submission" if value is None else None,
                            "sandboxed": True, "recorded_at": at, "packages": {"torch": "2.4.0", "numpy": "2.0.1"},
                        }
                    )  # fmt: skip
            session.execute(insert(Score), scores)
            if sources:
                session.execute(insert(ScoreProvenance), sources)
    with database.connection() as connection:
        connection.exec_driver_sql("ANALYZE")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
