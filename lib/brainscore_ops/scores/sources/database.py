"""Scores from a deployment's database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from brainscore_ops.database.connection import Database
from brainscore_ops.database.schema import explained_by_schema
from brainscore_ops.database.viewer import PUBLIC, Viewer
from brainscore_ops.scores.attempts_table import canaries_table, runs_table
from brainscore_ops.scores.benchmark_tree import walk
from brainscore_ops.scores.columns import BENCHMARKS, MODELS
from brainscore_ops.scores.leaderboard import model_facts, read_tree, with_ceiling
from brainscore_ops.scores.score_history import history_table
from brainscore_ops.scores.score_table import score_table
from brainscore_ops.settings import load_deployment

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from brainscore_ops.scores.benchmark_tree import Node

_TOGETHER = ("table", "benchmarks", "models")


class DatabaseSource:
    """A deployment's database. Scores, benchmarks and models are of one moment.

    :param domain: what the database calls it: ``vision``
    :param viewer: who is going to see it
    """

    def __init__(self, database: Database, domain: str, name: str, viewer: Viewer = PUBLIC) -> None:
        self._database = database
        self._viewer = viewer
        self._read: dict[str, pd.DataFrame] = {}
        self.name = name
        self.domain = domain

    @classmethod
    def of(cls, deployment: str, domain: str | None = None, viewer: Viewer | None = None) -> DatabaseSource:
        """The database of a deployment.

        :param domain: by default that of its library
        :raises UsageError: there is no such deployment
        """
        settings = load_deployment(deployment)
        database = Database.of(settings)
        return cls(database, domain or settings.library.domain, f"the database of {deployment}", viewer or PUBLIC)

    def read(self, name: str) -> pd.DataFrame:
        """See :class:`~brainscore_ops.scores.sources.kinds.Source`."""
        if name not in self._read:
            names = _TOGETHER if name in _TOGETHER else (name,)
            with explained_by_schema(self._database), self._database.moment() as session:
                for each in names:
                    self._read[each] = self._frame(session, each)
        return self._read[name]

    def _frame(self, session: Session, name: str) -> pd.DataFrame:
        asked: dict[str, Any] = {"domain": self.domain, "viewer": self._viewer}
        match name:
            case "table":
                return score_table(session, **asked)
            case "benchmarks":
                return benchmarks_table(read_tree(session, self.domain, self._viewer), self._read["table"])
            case "models":
                return models_table(session, self._read["table"], **asked)
            case "history":
                return history_table(session, **asked)
            case "runs":
                return runs_table(session, **asked)
            case _:
                return canaries_table(session, **asked)


def benchmarks_table(tree: tuple[Node, ...], scores: pd.DataFrame) -> pd.DataFrame:
    """The tree of benchmarks as a data frame of :data:`~brainscore_ops.scores.columns.BENCHMARKS`.

    :param scores: benchmarks that say no ceiling have that of their newest score
    """
    newest = {node.identifier: node.instance_id for _, node in walk(tree)}
    ceilings = _ceilings(scores[scores["benchmark_id"] == scores["benchmark"].map(newest)])
    rows = []
    for path, node in walk(tree):
        row: dict[str, Any] = {
            "benchmark": node.identifier,
            "parent": path[-1] if path else None,
            "order": node.order,
        }
        if node.benchmark is not None:
            known = with_ceiling(node.benchmark, ceilings.get(node.identifier))
            row |= {"version": known.version, "ceiling": known.ceiling, "ceiling_error": known.ceiling_error,
                    "reference": known.reference or None, "url": known.url or None}  # fmt: skip
        rows.append(row)
    return BENCHMARKS.typed(pd.DataFrame.from_records(rows, columns=list(BENCHMARKS.dtypes)))


def _ceilings(scores: pd.DataFrame) -> dict[str, tuple[float, float | None]]:
    """The ceilings that the scores were computed with, the newest of each benchmark."""
    known = scores[scores["ceiling"].notna()].sort_values("computed_at", kind="stable")
    columns = (known["benchmark"], known["ceiling"], known["ceiling_error"])
    return {benchmark: (ceiling, error) for benchmark, ceiling, error in zip(*columns, strict=True)}


def models_table(session: Session, scores: pd.DataFrame, *, domain: str, viewer: Viewer) -> pd.DataFrame:
    """The models that have an outcome, by name, as a data frame of :data:`~brainscore_ops.scores.columns.MODELS`."""
    facts = model_facts(session, domain, viewer)
    known = (vars(facts[number]).items() for number in scores["model_id"].unique())
    rows = [{name: None if value == "" else value for name, value in items} for items in known]
    table = MODELS.typed(pd.DataFrame.from_records(rows, columns=list(MODELS.dtypes)))
    return table.sort_values("model", ignore_index=True)
