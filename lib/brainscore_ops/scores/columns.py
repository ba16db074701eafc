"""The columns of every data frame of scores: name, dtype, unit and meaning, in a form that prints itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brainscore_ops.display import Shown, Table

if TYPE_CHECKING:
    import pandas as pd

SCORED = "scored"
FAILED = "failed"


@dataclass(frozen=True)
class Column:
    """One column of a data frame."""

    name: str
    dtype: str
    """As pandas writes it. What is missing is NaN, NaT, or NA in ``Int64``."""
    meaning: str
    unit: str = ""
    """Empty for what has none."""


@dataclass(frozen=True, repr=False)
class Schema(Shown):
    """The columns of a data frame, in their order."""

    name: str
    """Of the function that gives it: ``table``."""
    a_row: str
    """What a row is."""
    columns: tuple[Column, ...]

    @property
    def dtypes(self) -> dict[str, str]:
        """Column → dtype."""
        return {column.name: column.dtype for column in self.columns}

    def typed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A data frame with exactly these columns and dtypes; columns that it lacks are missing throughout.

        :raises ValueError, TypeError: a value is not of its column's dtype
        """
        import pandas as pd

        found = frame.reindex(columns=list(self.dtypes))
        for column in self.columns:
            if column.dtype.startswith("datetime64"):
                found[column.name] = pd.to_datetime(found[column.name], utc=True)
            elif column.dtype == "Int64":
                found[column.name] = pd.to_numeric(found[column.name])
        return found.astype(self.dtypes).reset_index(drop=True)

    def empty(self) -> pd.DataFrame:
        """The data frame without a row."""
        import pandas as pd

        return self.typed(pd.DataFrame(columns=list(self.dtypes)))

    def table(self) -> Table:
        rows = [(column.name, column.dtype, column.unit, column.meaning) for column in self.columns]
        return Table(f"{self.name}: a row is {self.a_row}", rows, ["column", "dtype", "unit", "meaning"])

    def __repr__(self) -> str:
        return str(self.table())


_MODEL = Column("model", "str", "the model's identifier")
_BENCHMARK = Column("benchmark", "str", "the benchmark's identifier, without its version")
_VERSION = Column("version", "Int64", "of the benchmark; missing in old databases")
_STATE = Column("state", "str", "scored or failed")
_REASON = Column("reason", "str", "why it failed, in plain words")
_MOMENT = "datetime64[us, UTC]"
_SCORE, _SECONDS = "score", "s"
_VALUE = (
    Column("value", "float64", "ceiled where the benchmark has a ceiling, raw elsewhere; NaN where it failed", _SCORE),
    Column("raw", "float64", "as measured", _SCORE),
    Column("ceiled", "float64", "in relation to the ceiling; NaN where there is none", _SCORE),
    Column("error", "float64", "standard error of the value, as the benchmark estimates it", _SCORE),
    Column("ceiling", "float64", "of the raw score: what a perfect model could reach", _SCORE),
    Column("ceiling_error", "float64", "standard error of the ceiling", _SCORE),
)
_FAULT = Column("fault", "str", "whose fault a failure is: submission, infrastructure or operator")
_IDENTITY = Column("identity", "str", "of what it was computed from; missing for scores from before this system")
_COMMIT = Column("library_commit", "str", "of the domain library")
_RUN = Column("run", "str", "the run of score_pair that is its record")

SCORES = Schema(
    "table",
    "the outcome that counts of a model on a version of a benchmark",
    (
        _MODEL,
        _BENCHMARK,
        _VERSION,
        Column("parent", "str", "the benchmark that this one is a part of; missing for one that stands alone"),
        *_VALUE,
        _STATE,
        _REASON,
        Column("reason_code", "str", "the same as a stable code: out-of-memory"),
        _FAULT,
        Column("computed_at", _MOMENT, "when it was recorded", "UTC"),
        Column("public", "bool", "whether everybody may see it: the model is public and the benchmark visible"),
        _IDENTITY,
        Column("model_digest", "str", "of the model's plugin"),
        Column("benchmark_digest", "str", "of the benchmark's plugin"),
        _COMMIT,
        Column("environment", "str", "digest of the lock of the environment that it was computed in"),
        Column("seed", "Int64", "of Python's hashes, as the sandbox set it"),
        _RUN,
        Column("score_id", "Int64", "its row in brainscore_score; missing for a failure that has none"),
        Column("model_id", "int64", "the row of the model"),
        Column("benchmark_id", "int64", "the row of the benchmark's instance, that is: its version"),
    ),
)

BENCHMARKS = Schema(
    "benchmarks",
    "a benchmark or a parent of benchmarks, each parent right before what is below it",
    (
        _BENCHMARK,
        Column("parent", "str", "the benchmark that it is a part of; missing at the top"),
        Column("order", "int64", "its place among its siblings"),
        Column("version", "Int64", "the newest; missing for a parent"),
        *_VALUE[-2:],
        Column("reference", "str", "author and year of the publication behind it"),
        Column("url", "str", "of that publication"),
    ),
)

MODELS = Schema(
    "models",
    "a model",
    (
        _MODEL,
        Column("family", "str", "of models that it belongs to"),
        Column("architecture", "str", "what it is made of"),
        Column("parameters", "Int64", "how many it has", "count"),
        Column("reference", "str", "author and year of the publication behind it"),
        Column("url", "str", "of that publication"),
    ),
)

HISTORY = Schema(
    "history",
    "an outcome that there ever was, the newest of a model and benchmark first",
    (
        _MODEL,
        _BENCHMARK,
        _VERSION,
        Column(
            "place",
            "str",
            "counts (the leaderboard may show it), superseded (of earlier code), replaced (by a rescoring) or "
            "not-replaced (a rescoring that failed and changed nothing)",
        ),
        _STATE,
        *(column for column in _VALUE if column.name in ("value", "raw", "error", "ceiling")),
        _REASON,
        Column("at", _MOMENT, "when it was recorded", "UTC"),
        _IDENTITY,
        _COMMIT,
        _RUN,
    ),
)

RUNS = Schema(
    "runs",
    "one try to score a model on a benchmark",
    (
        _MODEL,
        _BENCHMARK,
        Column("number", "Int64", "of the try, from 1; missing where none was counted"),
        Column("state", "str", "queued, running, scored, failed or lost"),
        Column("kind", "str", "of failure: out-of-memory, timeout, transient, environment or deterministic"),
        _REASON,
        _FAULT,
        Column("resource_class", "str", "that it ran in"),
        Column("partition", "str", "of the cluster"),
        Column("queued_at", _MOMENT, "when it was asked for", "UTC"),
        Column("started_at", _MOMENT, "when a worker began with it", "UTC"),
        Column("ended_at", _MOMENT, "when it ended", "UTC"),
        Column("wall_seconds", "float64", "of the scoring itself", _SECONDS),
        Column("cpu_seconds", "float64", "of processors", _SECONDS),
        Column("peak_memory_bytes", "Int64", "the most memory that it had at once", "bytes"),
        _IDENTITY,
        _COMMIT,
        _RUN,
    ),
)

CANARIES = Schema(
    "canaries",
    "a known pair, scored to see whether anything drifted; it stands on no leaderboard",
    (
        _MODEL,
        _BENCHMARK,
        _STATE,
        _VALUE[0],
        _REASON,
        Column("at", _MOMENT, "when all that it depends on was last found to be so", "UTC"),
        _COMMIT,
        Column("environment", "str", "digest of the lock of the environment that it was computed in"),
        _RUN,
    ),
)

SCHEMAS = {schema.name: schema for schema in (SCORES, BENCHMARKS, MODELS, HISTORY, RUNS, CANARIES)}
"""Every data frame, by the function that gives it."""
