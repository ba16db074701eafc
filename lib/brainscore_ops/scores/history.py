"""What stood on the leaderboard before: scores of earlier code and versions, and those that a rescoring replaced."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from brainscore_ops.database.ops_tables import ScoreHistory, ScoreProvenance
from brainscore_ops.database.viewer import STAFF
from brainscore_ops.scores.table import score_table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Entry = dict[str, Any]
COUNTS, SUPERSEDED = "counts", "superseded"
_FACTS = ("value", "error", "raw", "ceiling", "reason", "identity", "library_commit")


def score_history(session: Session, *, domain: str, model: str, benchmark: str = "") -> list[Entry]:
    """Every outcome of a model that there ever was, the newest of each benchmark first.

    Its ``state`` is that of the outcome. Its ``place`` is ``counts`` for the one that the leaderboard may show, ``superseded``
    for one of the plugins' earlier code, ``replaced`` for one that a rescoring took the place of, and ``not-replaced`` for a
    rescoring that failed and changed nothing.

    :param benchmark: only on this one; all where it is empty
    """
    table = score_table(session, domain=domain, viewer=STAFF, superseded=True)
    table = table[(table["model"] == model) & ((table["benchmark"] == benchmark) | (not benchmark))]
    entries: list[Entry] = []
    for record in json.loads(table.to_json(orient="records", date_format="iso")):
        first = not any(_same_cell(record, entry) for entry in entries)
        facts = {name: record[name] for name in _FACTS}
        entries.append({**_cell(record), "place": COUNTS if first else SUPERSEDED, **facts, "state": record["state"],
                        "run": record["run"], "at": record["computed_at"]})  # fmt: skip
    entries += _replaced(session, model, benchmark)
    return sorted(entries, key=lambda entry: (entry["benchmark"], -_seconds(entry["at"])))


def _replaced(session: Session, model: str, benchmark: str) -> list[Entry]:
    query = (
        select(ScoreHistory, ScoreProvenance.benchmark, ScoreProvenance.benchmark_version)
        .join(ScoreProvenance, ScoreProvenance.identity == ScoreHistory.identity)
        .where(ScoreProvenance.model == model)
    )
    if benchmark:
        query = query.where(ScoreProvenance.benchmark == benchmark)
    entries = []
    for row, on, version in session.execute(query):
        document = row.document
        facts = {name: document.get(name) for name in _FACTS}
        facts["reason"] = document.get("message") or document.get("reason")
        at = row.recorded_at if row.event == "replaced" else row.at
        entries.append({"model": model, "benchmark": on, "version": version, "place": row.event, **facts,
                        "identity": row.identity, "state": document.get("state", "failed"), "run": document.get("run_id"),
                        "at": at.isoformat()})  # fmt: skip
    return entries


def _cell(record: Entry) -> Entry:
    return {name: record[name] for name in ("model", "benchmark", "version")}


def _same_cell(first: Entry, second: Entry) -> bool:
    return _cell(first) == _cell(second)


def _seconds(moment: str | None) -> float:
    return datetime.fromisoformat(moment).timestamp() if moment else 0.0
