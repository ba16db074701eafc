"""What can be wrong with where scores come from, or with what is asked of them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from brainscore_ops.errors import Fault, Problem, StepFailedError, UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class UnknownSourceError(UsageError):
    """No scores come from what was named as their source."""

    code = "unknown-score-source"


class UnknownNamesError(UsageError):
    """There is no model, benchmark, column or state of a name that was asked for."""

    code = "unknown-names"


class NoScoresError(UsageError):
    """There are no scores to work with."""

    code = "no-scores"


class NotPublishedError(UsageError):
    """A source does not give this kind of data."""

    code = "not-published"


class SourceUnavailableError(UnavailableError):
    """A website that publishes scores does not answer."""

    code = "score-source-unavailable"


class BadPublishedDataError(StepFailedError):
    """What a website or a folder gives as scores is none."""

    code = "bad-published-data"
    fault = Fault.OPERATOR


def insist_on_names(kind: str, names: Iterable[str], known: Collection[str]) -> None:
    """All names are known.

    :param kind: ``model``, ``benchmark``, ``column`` or ``state``, for the message
    :raises UnknownNamesError: every name that is not, with those that come close
    """
    problems = []
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            remedy = f"Did you mean {' or '.join(close)}?" if close else ""
            problems.append(Problem(f"unknown-{kind}", f"there is no {kind} of that name.", where=name, remedy=remedy))
    if problems:
        raise UnknownNamesError(
            f"expected names of {kind}s among the {len(known)} that there are",
            problems=problems,
            remedy=f"`brainscore_ops.scores.connect(…).{kind}s()` lists them."
            if kind in ("model", "benchmark")
            else '`print(brainscore_ops.scores.SCHEMAS["table"])` tells what there is.',
        )
