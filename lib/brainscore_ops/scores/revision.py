"""Whether anything changed that the leaderboard shows: a cheap question, asked before anything is computed again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import text

from brainscore_ops.database.brainscore_tables import (
    BenchmarkInstance,
    BenchmarkType,
    Model,
    ModelMeta,
    Reference,
    Score,
)
from brainscore_ops.database.ops_tables import ScoreProvenance, SubmissionLife

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

SHOWN = (Score, ScoreProvenance, Model, ModelMeta, BenchmarkType, BenchmarkInstance, Reference)
"""The tables of which every change counts."""

_QUERY = " UNION ALL ".join(
    # A row's xmin is the transaction that wrote this version of it: each insert and update brings a number that was not there.
    [f"SELECT '{table.__tablename__}', count(*), sum(xmin::text::bigint) FROM {table.__tablename__}" for table in SHOWN]
    # A submission changes its state often, and here only its visibility counts.
    + [f"SELECT 'public', count(*), sum(submission_id) FROM {SubmissionLife.__tablename__} WHERE public"]
)


def scores_revision(session: Session) -> str:
    """A text that is another one whenever a score, a failure, a model, a benchmark or a reference was added, changed or removed,
    or something became public or private. It takes one pass over the tables, and reads no scores.
    """
    rows = [tuple(map(str, row)) for row in session.execute(text(_QUERY))]
    return hashlib.sha256(repr(sorted(rows)).encode()).hexdigest()[:16]
