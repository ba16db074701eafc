"""Scoring one pair: a model on a benchmark, in the sandbox."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from brainscore_ops.errors import Fault, StepFailedError
from brainscore_ops.plugins.files import HostileFileError, read_regular_file, write_whole
from brainscore_ops.plugins.holding import leased
from brainscore_ops.plugins.library_run import run_script
from brainscore_ops.plugins.output import without_places
from brainscore_ops.plugins.result import (
    RESULT_FILE,
    Measured,
    PairResult,
    RawReference,
    ResultRefusedError,
    parse_result,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from brainscore_ops.plugins.environment import Environment
    from brainscore_ops.plugins.sandbox import Limits, Outcome, Sandbox

_MAX_RAW_BYTES = 128 * 1024**2


class PairFailedError(StepFailedError):
    """A pair has no score: the ``code`` says why, the ``log`` has the end of what was printed.

    Codes: ``scoring-crashed`` (an exception, or a crash), ``invalid-result``, ``timeout``, ``out-of-memory``,
    ``process-limit``, ``output-limit``, ``disk-limit`` (all the submission's), and ``killed`` (the machine's).
    """

    code = "scoring-crashed"
    fault = Fault.SUBMISSION

    measured: Measured | None = None
    """What it used until then; None where nothing was run."""


def score_pair(
    environment: Environment,
    checkout: Path,
    library: str,
    model: str,
    benchmark: str,
    *,
    sandbox: Sandbox,
    limits: Limits,
    results: Path,
    threads: int = 1,
    on_line: Callable[[str], None] | None = None,
) -> PairResult:
    """Score a model on a benchmark.

    :param environment: with what the library and both plugins need
    :param checkout: the repository with the library, at the commit that is scored
    :param results: a folder of ours for this pair; afterwards it holds ``result.json`` and, where the score has any,
        ``raw.npz``, both checked, and ``log.txt``. What an earlier try left there is replaced
    :param threads: how many threads numerical libraries are told to use
    :param on_line: told each line that is printed
    :return: the result, also in ``result.json``: :func:`parse_result` reads it back
    :raises PairFailedError: there is no score, and why
    :raises SandboxBrokenError: nothing was run
    """
    checkout = checkout.absolute()
    results.mkdir(parents=True, exist_ok=True)
    for name in (RESULT_FILE, "raw.npz", "log.txt"):
        (results / name).unlink(missing_ok=True)
    for left_behind in results.glob(".sandbox-*"):
        shutil.rmtree(left_behind, ignore_errors=True)
    # A folder of its own for the strangers: in ours, only what was checked appears.
    with (
        tempfile.TemporaryDirectory(prefix=".sandbox-", dir=results, ignore_cleanup_errors=True) as scratch,
        leased(environment.path),
    ):
        outcome = run_script(
            "score_pair.py",
            [library, model, benchmark],
            environment=environment,
            checkout=checkout,
            library=library,
            result=Path(scratch),
            sandbox=sandbox,
            limits=limits,
            threads=threads,
            on_line=on_line,
        )
        write_whole(results / "log.txt", outcome.log.encode())
        measured = Measured(
            wall_seconds=outcome.wall_seconds,
            cpu_seconds=outcome.cpu_seconds,
            peak_memory_bytes=outcome.peak_memory_bytes,
            sandboxed=outcome.sandboxed,
            environment_lock_digest=environment.lock_digest,
        )
        try:
            result = _checked(Path(scratch), model, benchmark, outcome)
        except PairFailedError as failure:
            told = partial(without_places, checkout=checkout, environment=environment.path)
            failed = PairFailedError(
                told(failure.message),
                remedy=failure.remedy,
                code=failure.code,
                fault=failure.fault,
                log=told(failure.log),
            )
            failed.measured = measured
            raise failed from failure
        if result.raw_reference:
            write_whole(results / result.raw_reference.file, _raw_values(Path(scratch), result.raw_reference, outcome))
    result = result.model_copy(update={"measured": measured})
    # Last: where it is, everything is.
    write_whole(results / RESULT_FILE, result.model_dump_json().encode())
    return result


def _checked(scratch: Path, model: str, benchmark: str, outcome: Outcome) -> PairResult:
    if outcome.reason not in ("ok", "failed"):
        raise PairFailedError(
            f"Scoring was stopped: {outcome.detail}.",
            code=outcome.reason,
            fault=Fault.INFRASTRUCTURE if outcome.reason == "killed" else Fault.SUBMISSION,
            log=outcome.log,
        )
    try:
        result = parse_result(scratch / RESULT_FILE, model=model, benchmark=benchmark)
    except ResultRefusedError as error:
        if outcome.reason == "failed" and not os.path.lexists(scratch / RESULT_FILE):
            raise PairFailedError(f"Scoring ended without a result: {outcome.detail}.", log=outcome.log) from error
        raise PairFailedError(error.message, code="invalid-result", log=outcome.log) from error
    if result.failure:
        raise PairFailedError(
            f"Scoring failed: {result.failure.type}: {result.failure.message}",
            log=f"{result.failure.traceback}\n{outcome.log}",
        )
    if outcome.reason != "ok":
        raise PairFailedError(f"Scoring left a score, but {outcome.detail}.", code="invalid-result", log=outcome.log)
    return result


def _raw_values(scratch: Path, reference: RawReference, outcome: Outcome) -> bytes:
    try:
        content = read_regular_file(scratch / reference.file, _MAX_RAW_BYTES)
    except HostileFileError as error:
        raise PairFailedError(
            f"The raw values are not usable: {error}", code="invalid-result", log=outcome.log
        ) from error
    if (len(content), hashlib.sha256(content).hexdigest()) != (reference.bytes, reference.sha256):
        raise PairFailedError(
            "The raw values are not those that the result names.", code="invalid-result", log=outcome.log
        )
    return content
