"""What stood on the leaderboard before: scores of earlier code and versions, and those that a rescoring replaced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import select

from brainscore_ops.database.brainscore_tables import BenchmarkType, Model
from brainscore_ops.database.ops_tables import ScoreHistory, ScoreProvenance
from brainscore_ops.database.viewer import PUBLIC, STAFF, Viewer
from brainscore_ops.scores.columns import HISTORY
from brainscore_ops.scores.score_table import score_table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Entry = dict[str, Any]
COUNTS, SUPERSEDED = "counts", "superseded"
_FACTS = ("value", "error", "raw", "ceiling", "reason", "identity", "library_commit")
_CELL = ["model", "benchmark", "version"]


def history_table(session: Session, *, domain: str, viewer: Viewer = PUBLIC, model: str = "") -> pd.DataFrame:
    """Every outcome that there ever was, by model and benchmark, the newest of these first.

    :param model: only of this one; of all where it is empty
    :returns: a data frame of :data:`~brainscore_ops.scores.columns.HISTORY`
    """
    outcomes = score_table(session, domain=domain, viewer=viewer, superseded=True)
    if model:
        outcomes = outcomes[outcomes["model"] == model]
    # Of a cell the outcome that counts comes first.
    places = outcomes.duplicated(_CELL).map({False: COUNTS, True: SUPERSEDED})
    stand = outcomes.assign(place=places, at=outcomes["computed_at"])
    replaced = pd.DataFrame.from_records(_replaced(session, domain, viewer, model), columns=list(HISTORY.dtypes))
    table = pd.concat([HISTORY.typed(stand), HISTORY.typed(replaced)])
    return table.sort_values(
        ["model", "benchmark", "at"], ascending=[True, True, False], kind="stable", ignore_index=True
    )


def score_history(session: Session, *, domain: str, model: str, benchmark: str = "") -> list[Entry]:
    """Every outcome of a model that there ever was, the newest of each benchmark first, as JSON documents.

    Its ``state`` is that of the outcome. Its ``place`` is ``counts`` for the one that the leaderboard may show, ``superseded``
    for one of the plugins' earlier code, ``replaced`` for one that a rescoring took the place of, and ``not-replaced`` for a
    rescoring that failed and changed nothing.

    :param benchmark: only on this one; all where it is empty
    """
    table = history_table(session, domain=domain, viewer=STAFF, model=model)
    if benchmark:
        table = table[table["benchmark"] == benchmark]
    entries: list[Entry] = json.loads(table.to_json(orient="records", date_format="iso", date_unit="us"))
    return entries


def _replaced(session: Session, domain: str, viewer: Viewer, model: str) -> list[Entry]:
    query = (
        select(ScoreHistory, ScoreProvenance.model, ScoreProvenance.benchmark, ScoreProvenance.benchmark_version)
        .join(ScoreProvenance, ScoreProvenance.identity == ScoreHistory.identity)
        .join(Model, (Model.name == ScoreProvenance.model) & (Model.domain == domain))
        # A benchmark may be known by its failures alone.
        .outerjoin(BenchmarkType, BenchmarkType.identifier == ScoreProvenance.benchmark)
        .where(viewer.sees_score())
    )
    if model:
        query = query.where(ScoreProvenance.model == model)
    entries = []
    for row, of, on, version in session.execute(query):
        document = row.document
        facts = {name: document.get(name) for name in _FACTS}
        facts["reason"] = document.get("message") or document.get("reason")
        at = row.recorded_at if row.event == "replaced" else row.at
        entries.append({"model": of, "benchmark": on, "version": version, "place": row.event, **facts,
                        "identity": row.identity, "state": document.get("state", "failed"), "run": document.get("run_id"),
                        "at": at})  # fmt: skip
    return entries
