"""The result of one pair: what the sandbox hands back, and what is believed of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from brainscore_ops.errors import Fault, StepFailedError
from brainscore_ops.plugins.files import HostileFileError, read_json
from brainscore_ops.plugins.output import plain

if TYPE_CHECKING:
    from pathlib import Path

RESULT_FILE = "result.json"

Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=10 * 365 * 86400, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=0, le=2**60)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ResultRefusedError(StepFailedError):
    """What a pair's sandbox handed back is no result."""

    code = "invalid-result"
    fault = Fault.SUBMISSION


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ScoreValue(_Document):
    """The score that a leaderboard shows."""

    value: Finite
    """The centre of the score; divided by the ceiling where there is one."""
    error: Finite | None = Field(ge=0)
    ceiled: bool
    """Whether the value is relative to a ceiling."""


class RawReference(_Document):
    """Where the raw values are: a numpy archive of plain arrays beside the result."""

    file: Literal["raw.npz"]
    bytes: Bytes
    sha256: Digest


class Failure(_Document):
    """The exception that ended scoring."""

    type: str = Field(max_length=200)
    message: str = Field(max_length=4000)
    traceback: str = Field(max_length=4000)
    """Its end."""


class Timings(_Document):
    """By the pair's own clock."""

    import_seconds: Seconds | None = None
    score_seconds: Seconds | None = None
    total_seconds: Seconds


class Measured(_Document):
    """What was seen of the pair from outside: never taken from what the sandbox hands back."""

    wall_seconds: Seconds
    cpu_seconds: Seconds
    peak_memory_bytes: Bytes
    sandboxed: bool
    environment_lock_digest: Digest


class PairResult(_Document):
    """Result of a pair, version 1: either a score or a failure."""

    schema_version: Literal[1]
    model: Identifier
    benchmark: Identifier
    benchmark_version: str | None = Field(max_length=100)
    benchmark_parent: str | None = Field(max_length=4000)
    benchmark_bibtex: str | None = Field(max_length=20_000)
    score: ScoreValue | None
    raw: Finite | None
    """The centre of the score before it was divided by the ceiling."""
    ceiling: Finite | None
    ceiling_error: Finite | None = Field(ge=0)
    comment: str | None = Field(max_length=4000)
    raw_reference: RawReference | None
    failure: Failure | None
    timings: Timings
    peak_memory_bytes: Bytes
    """As the process itself saw it; ``measured`` has what was seen from outside."""
    python: str = Field(max_length=50)
    packages: dict[
        Annotated[str, StringConstraints(max_length=200)], Annotated[str, StringConstraints(max_length=200)]
    ] = Field(max_length=2000)
    measured: Measured | None = None

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> PairResult:
        if self.failure is not None:
            return self
        if self.score is None or self.raw is None:
            raise ValueError("a score with its raw value, or a failure, is expected")
        if self.score.ceiled and self.ceiling is None:
            raise ValueError("a score that is relative to a ceiling needs the ceiling")
        if not self.score.ceiled and not math.isclose(self.score.value, self.raw):
            raise ValueError("a score without a ceiling is its own raw value")
        return self


def parse_result(path: Path, *, model: str, benchmark: str) -> PairResult:
    """Read a result as hostile input: an ordinary file of at most 1 MiB with strict JSON of the schema.

    Text in it is made plain: nothing in it acts on a terminal.

    :param model: whose result it has to be
    :raises ResultRefusedError: it is not a result of this pair; the message says why
    """
    try:
        result = PairResult.model_validate(_plain(read_json(path)))
    except HostileFileError as error:
        raise ResultRefusedError(f"The result of {model} on {benchmark} is not usable: {error}") from error
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'the document'}: {fault['msg']}" for fault in error.errors()[:10]
        )
        raise ResultRefusedError(
            f"The result of {model} on {benchmark} is not as its schema says: {faults}."
        ) from error
    if (result.model, result.benchmark) != (model, benchmark):
        raise ResultRefusedError(
            f"A result of {model} on {benchmark} is expected; it says it is of {result.model!r} on {result.benchmark!r}."
        )
    return result


def _plain(document: object) -> object:
    if isinstance(document, str):
        return plain(document)
    if isinstance(document, list):
        return [_plain(one) for one in document]
    if isinstance(document, dict):
        return {plain(key): _plain(value) for key, value in document.items()}
    return document
