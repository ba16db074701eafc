"""Whether anything changed that the leaderboard shows: a cheap question, asked before anything is computed again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Text, cast, func, literal, literal_column, select, union_all

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


def scores_revision(session: Session) -> str:
    """A text that is another one whenever a score, a failure, a model, a benchmark or a reference was added, changed or removed,
    or something became public or private. It takes one pass over the tables, and reads no scores.
    """
    # A row's xmin is the transaction that wrote this version of it: each insert and update brings a number that was not there.
    written = func.sum(cast(cast(literal_column("xmin"), Text), BigInteger))
    told = [select(literal(each.__tablename__), func.count(), written).select_from(each) for each in SHOWN]
    # A submission changes its state often, and here only its visibility counts.
    life = SubmissionLife
    told.append(select(literal("public"), func.count(), func.sum(life.submission_id)).where(life.public))
    rows = [tuple(map(str, row)) for row in session.execute(union_all(*told))]
    return hashlib.sha256(repr(sorted(rows)).encode()).hexdigest()[:16]
