"""Scores as data frames, for researchers::

    from brainscore_ops import scores

    scores.table(source="local")                  # tidy: one row a score; or source="https://…", or a folder of published data
    data = scores.connect("https://brain-score.example.org")
    data.matrix()                                 # models × benchmarks
    data.averages()                               # aggregated up the tree of benchmarks
    print(scores.SCHEMAS["table"])                # what the columns are

Every function takes ``source`` and, beside it, what the method of the same name of
:class:`~brainscore_ops.scores.score_data.ScoreData` takes. Nothing is imported before it is used: published scores need no
database, and none of its libraries.

The room behind it computes the leaderboard, its page and its form in a terminal.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import pyarrow

    from brainscore_ops.scores.columns import SCHEMAS
    from brainscore_ops.scores.score_data import ScoreData, connect

__all__ = [
    "SCHEMAS",
    "ScoreData",
    "averages",
    "benchmarks",
    "canaries",
    "connect",
    "history",
    "matrix",
    "models",
    "runs",
    "save",
    "table",
    "to_arrow",
    "to_parquet",
]

_HOME = {"SCHEMAS": "columns", "ScoreData": "score_data", "connect": "score_data"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__


def _data(source: str | Path | None) -> ScoreData:
    from brainscore_ops.scores.score_data import connect

    return connect(source)


def table(*, source: str | Path | None = None, **filters: Any) -> pd.DataFrame:
    """See :meth:`~brainscore_ops.scores.score_data.ScoreData.table`."""
    return _data(source).table(**filters)


def matrix(column: str = "value", *, source: str | Path | None = None, **filters: Any) -> pd.DataFrame:
    """See :meth:`~brainscore_ops.scores.score_data.ScoreData.matrix`."""
    return _data(source).matrix(column, **filters)


def averages(*, source: str | Path | None = None, **filters: Any) -> pd.DataFrame:
    """See :meth:`~brainscore_ops.scores.score_data.ScoreData.averages`."""
    return _data(source).averages(**filters)


def history(*, source: str | Path | None = None, **filters: Any) -> pd.DataFrame:
    """See :meth:`~brainscore_ops.scores.score_data.ScoreData.history`."""
    return _data(source).history(**filters)


def runs(*, source: str | Path | None = None, **filters: Any) -> pd.DataFrame:
    """See :meth:`~brainscore_ops.scores.score_data.ScoreData.runs`."""
    return _data(source).runs(**filters)


def canaries(*, source: str | Path | None = None) -> pd.DataFrame:
    """See :meth:`~brainscore_ops.scores.score_data.ScoreData.canaries`."""
    return _data(source).canaries()


def benchmarks(*, source: str | Path | None = None) -> pd.DataFrame:
    """See :meth:`~brainscore_ops.scores.score_data.ScoreData.benchmarks`."""
    return _data(source).benchmarks()


def models(*, source: str | Path | None = None) -> pd.DataFrame:
    """See :meth:`~brainscore_ops.scores.score_data.ScoreData.models`."""
    return _data(source).models()


def to_arrow(*, source: str | Path | None = None) -> pyarrow.Table:
    """See :meth:`~brainscore_ops.scores.score_data.ScoreData.to_arrow`."""
    return _data(source).to_arrow()


def to_parquet(path: str | Path, *, source: str | Path | None = None) -> Path:
    """See :meth:`~brainscore_ops.scores.score_data.ScoreData.to_parquet`."""
    return _data(source).to_parquet(path)


def save(folder: str | Path, *, source: str | Path | None = None) -> Path:
    """See :meth:`~brainscore_ops.scores.score_data.ScoreData.save`."""
    return _data(source).save(folder)
