"""What Brain-Score's own code does with its database, called in an environment of its own: ``python FILE ACTION CREDENTIALS``."""

import json
import sys
from types import SimpleNamespace

from brainscore_core.metrics import Score as ScoreObject
from brainscore_core.submission import database as brainscore
from brainscore_core.submission.database_models import (
    BenchmarkInstance,
    Model,
    ModelMeta,
    Score,
    User,
    create_tables,
    database_proxy,
)
from peewee import PostgresqlDatabase


def make() -> None:
    """Make the tables, with the least that the rest needs."""
    create_tables()
    for number in (1, 2):  # benchmarks that brainscore_core makes belong to user 2
        User.create(
            id=number, email=f"u{number}@example.org", is_active=True, is_staff=False, is_superuser=False, password="!"
        )


def write() -> None:
    """A model is submitted, scored and described."""
    submission = brainscore.submissionentry_from_meta(jenkins_id=7, user_id=1, model_type="BaseModel")
    bibtex = "@article{ada, author={Lovelace, Ada}, title={Notes}, year={1843}, url={https://example.org/notes}}"
    model = brainscore.modelentry_from_model("words", True, None, submission, "language", bibtex)
    ceiling = ScoreObject(0.8)
    ceiling.attrs["error"] = 0.05
    benchmark = SimpleNamespace(identifier="lab.words-r", parent="none", version=3, ceiling=ceiling, bibtex=None)
    instance = brainscore.benchmarkinstance_from_benchmark(benchmark, domain="language")
    entry, _ = Score.get_or_create(benchmark=instance, model=model)
    score = ScoreObject(0.5)
    score.attrs.update(raw=ScoreObject(0.4), ceiling=ceiling, error=0.01)
    brainscore.update_score(score, entry)
    brainscore.create_model_meta_entry("words", {"architecture": "recurrent", "total_parameter_count": 3_000_000_000})


def read() -> None:
    """Print what is there, as Brain-Score's code reads it."""
    sys.stdout.write(
        json.dumps(
            {
                "models": sorted(brainscore.public_model_identifiers("language")),
                "scores": [
                    [
                        row.model.name,
                        row.benchmark.benchmark.identifier,
                        row.benchmark.version,
                        row.score_raw,
                        row.score_ceiled,
                    ]
                    for row in Score.select().order_by(Score.id)
                ],
                "parameters": [row.total_parameter_count for row in ModelMeta.select()],
                "counts": [model.select().count() for model in (User, Model, BenchmarkInstance, Score)],
            }
        )
    )


action, credentials = sys.argv[1], json.loads(sys.argv[2])
database_proxy.initialize(
    PostgresqlDatabase(
        credentials["database"],
        host=credentials["host"],
        port=credentials["port"],
        user=credentials["username"],
        password=credentials["password"],
    )
)
{"make": make, "write": write, "read": read}[action]()
