"""Which pairs are to be scored: pure functions of what the library holds, what changed, what was asked for and what is known."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from brainscore_ops.plugins.library_code import LibraryCode

SHOWN_PAIRS = 50
"""How many pairs a step shows; the JSON document has all."""


class UnknownIdentifiersError(UsageError):
    """A model or benchmark was asked for that the library does not hold."""

    code = "unknown-identifiers"


@dataclass(frozen=True, order=True, slots=True)
class Pair:
    """A model to be scored on a benchmark."""

    model: str
    benchmark: str
    identity: str
    """:func:`pair_identity`: the same inputs are not scored twice."""
    model_plugin: str
    model_digest: str
    benchmark_plugin: str
    benchmark_digest: str
    """The benchmark's version is part of its code, and so of this digest."""
    benchmark_version: int | None
    """As its code says without being run; None where that cannot be read. A run says which one it is."""
    reason: str
    """Why it is in the plan: ``model changed``, ``benchmark version 2``, ``failed before: out-of-memory``."""
    replaces: str = ""
    """For a pair that is scored again: when the outcome that this one takes the place of was recorded (ISO 8601)."""

    @property
    def results_key(self) -> str:
        """The name of its results folder: one more for each time that it is scored again."""
        if not self.replaces:
            return self.identity
        return hashlib.sha256(f"{self.identity} {self.replaces}".encode()).hexdigest()


@dataclass(frozen=True)
class Plan(Shown):
    """The pairs to be scored at one commit of a library, and what is not scored because it is known."""

    library_commit: str
    pairs: tuple[Pair, ...]
    known: tuple[Pair, ...] = field(default=())
    """Pairs in question that have a score already, or failed in a way that another try does not change."""

    @property
    def digest(self) -> str:
        """Of exactly what the plan would do: what an approval is given for (SHA-256, hexadecimal)."""
        keys = sorted(pair.results_key for pair in self.pairs)
        return hashlib.sha256(json.dumps([self.library_commit, keys]).encode()).hexdigest()

    def table(self) -> Table:
        if not self.pairs:
            why = (
                f"all {len(self.known)} pairs in question have their outcome"
                if self.known
                else "no pair is in question"
            )
            return Table(f"Nothing to score: {why}", [])
        rows = [[pair.model, pair.benchmark, pair.reason] for pair in self.pairs[:SHOWN_PAIRS]]
        if len(self.pairs) > SHOWN_PAIRS:
            rows.append([f"… and {len(self.pairs) - SHOWN_PAIRS} more", "", ""])
        return Table(
            f"{len(self.pairs)} pairs to score at {self.library_commit[:10]}, {len(self.known)} known",
            rows,
            ["model", "benchmark", "why"],
        )

    def as_dict(self) -> dict[str, Any]:
        """The plan as a JSON document."""
        return {
            "library_commit": self.library_commit,
            "digest": self.digest,
            "pairs": [asdict(pair) for pair in self.pairs],
            "known": len(self.known),
            "reasons": dict(Counter(pair.reason for pair in self.pairs)),
        }


@dataclass(frozen=True)
class ChangedPlugins:
    """The identifiers whose plugins a merge added or changed; ``everything`` where all of the library is in question."""

    models: frozenset[str] = frozenset()
    benchmarks: frozenset[str] = frozenset()
    everything: bool = False


@dataclass(frozen=True)
class Existing:
    """What is known of pairs, whatever their code was."""

    settled: Collection[str] = frozenset()
    """Identities of pairs that have a score, or a failure that is not worth another try."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Identity → reason code, of failures that are worth another try."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """Benchmark → the newest version that has an outcome."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of a pair in its present code."""

    scored: bool
    recorded_at: datetime
    library_commit: str
    reason_code: str | None = None
    reason: str = ""
    shared_digest: str | None = None
    """Of the shared code that it was computed with; None where that was not recorded."""
    superseded_lock: bool = False
    """Whether the same requirements give another environment by now."""
    private_commit: str | None = None
    """The private repository's, where private plugins were laid over the library."""


@dataclass(frozen=True)
class Wanted:
    """What a maintainer asks to have scored again. Several conditions have to hold at once; models and benchmarks cross."""

    models: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    """Exact pairs of model and benchmark, besides the others."""
    failed: str = ""
    """Only pairs that failed for this reason: its code, or words of its message."""
    stale: bool = False
    """Only scores that were computed with older shared code, or in an environment that would be another by now."""
    before: datetime | None = None
    """Only outcomes that were recorded before this moment; without one, outcomes of this very commit are left alone."""


def plan_pairs(
    code: LibraryCode, *, changed: ChangedPlugins, existing: Existing, private_models: Collection[str] = ()
) -> Plan:
    """The pairs that a change of the library calls for.

    Changed models meet every benchmark, changed benchmarks meet every model that is public or itself changed; each pair
    appears once, and not at all when its identity is settled.

    :param code: of the library after the change
    :param private_models: models that are scored for their owner alone
    """
    pairs, known = [], []
    settled, failures = existing.settled, existing.failures
    columns = _columns(code)
    changed_columns = [column for column in columns if column.benchmark in changed.benchmarks]
    for model in sorted(code.catalogue.models):
        whole_row = changed.everything or model in changed.models
        private = model in private_models
        if not whole_row and private:
            continue
        for pair in _row(code, model, columns if whole_row else changed_columns):
            if pair.identity in settled:
                known.append(pair)
                continue
            failed = failures.get(pair.identity)
            pairs.append(replace(pair, reason=_why(pair, changed, existing) if failed is None else _failed(failed)))
    return Plan(library_commit=code.commit, pairs=tuple(pairs), known=tuple(known))


def plan_again(
    code: LibraryCode,
    *,
    wanted: Wanted,
    outcomes: Mapping[str, Outcome],
    private_models: Collection[str] = (),
    among: ChangedPlugins | None = None,
) -> Plan:
    """The pairs that somebody asks to have scored, whether or not they have a score.

    What would only repeat what is known stays as it is: an outcome of this very commit, or one that is not older than
    ``wanted.before``. So a request that is made twice is carried out once.

    :param outcomes: identity → what is known
    :param private_models: models that are scored for their owner alone: here, where they are named
    :param among: only pairs with one of these models or benchmarks, and none with a private model, whoever names it
    :raises UnknownIdentifiersError: every model and benchmark that the library does not hold
    """
    _require_known(code, wanted)
    pairs, known = [], []
    for pair in _in_question(code, wanted, private_models, among):
        outcome = outcomes.get(pair.identity)
        reason = _why_again(code, pair, wanted, outcome)
        if reason is None:
            continue
        if outcome is None:
            pairs.append(replace(pair, reason=reason))
        elif _is_fresh(code, wanted, outcome):
            known.append(pair)
        else:
            pairs.append(replace(pair, reason=reason, replaces=outcome.recorded_at.isoformat()))
    return Plan(library_commit=code.commit, pairs=tuple(pairs), known=tuple(known))


def pair_identity(model: str, model_digest: str, benchmark: str, benchmark_digest: str) -> str:
    """What makes two computations of a score the same: the identifiers and the code of both plugins (SHA-256, hexadecimal).

    A benchmark's version is part of its code. Data, metrics and the library's shared code are not part of it: a score carries
    their digest and the commit that they were taken from, and their change does not compute it anew.
    """
    document = json.dumps([model, model_digest, benchmark, benchmark_digest], ensure_ascii=False)
    return hashlib.sha256(document.encode()).hexdigest()


def stale_reason(code: LibraryCode, model: str, benchmark: str, outcome: Outcome) -> str | None:
    """Why a score is not what would be computed today, its two plugins being the same; None where it is."""
    if outcome.shared_digest is not None and outcome.shared_digest != code.shared_by(model, benchmark):
        return "computed with older shared code"
    return "computed in an older environment" if outcome.superseded_lock else None


@dataclass(frozen=True, slots=True)
class _Column:
    """A benchmark, as each of its pairs needs it."""

    benchmark: str
    plugin: str
    digest: str
    version: int | None
    tail: bytes
    """The second half of the document of :func:`pair_identity`."""


def _columns(code: LibraryCode) -> list[_Column]:
    """The benchmarks, in their order."""
    catalogue = code.catalogue
    columns = []
    for benchmark, plugin in sorted(catalogue.benchmarks.items()):
        digest = code.digests[catalogue.plugin_of_benchmark(benchmark)]
        tail = f", {json.dumps([benchmark, digest], ensure_ascii=False)[1:]}"
        columns.append(_Column(benchmark, plugin, digest, code.versions.get(benchmark), tail.encode()))
    return columns


def _row(code: LibraryCode, model: str, columns: Iterable[_Column]) -> Iterator[Pair]:
    """A model's pairs with some benchmarks."""
    plugin = code.catalogue.models[model]
    model_digest = code.digests[code.catalogue.plugin_of_model(model)]
    # The first half of the document of pair_identity is digested once for all benchmarks.
    begun = hashlib.sha256(json.dumps([model, model_digest], ensure_ascii=False)[:-1].encode())
    for column in columns:
        digest = begun.copy()
        digest.update(column.tail)
        yield Pair(
            model, column.benchmark, digest.hexdigest(), plugin, model_digest, column.plugin, column.digest, column.version,
            reason="",
        )  # fmt: skip


def _why(pair: Pair, changed: ChangedPlugins, existing: Existing) -> str:
    before = existing.versions.get(pair.benchmark)
    benchmark_changed = changed.everything or pair.benchmark in changed.benchmarks
    now = pair.benchmark_version
    if benchmark_changed and before is not None and now is not None and now > before:
        return f"benchmark version {now}"
    if changed.everything:
        return "no score yet"
    if benchmark_changed:
        return "model and benchmark changed" if pair.model in changed.models else "benchmark changed"
    return "model changed"


def _failed(reason_code: str) -> str:
    return f"failed before: {reason_code}"


def _in_question(
    code: LibraryCode, wanted: Wanted, private_models: Collection[str], among: ChangedPlugins | None
) -> Iterator[Pair]:
    exact: dict[str, set[str]] = {}
    for model, benchmark in wanted.pairs:
        exact.setdefault(model, set()).add(benchmark)
    crossed = bool(wanted.models or wanted.benchmarks or not wanted.pairs)
    columns = _columns(code)
    for model in sorted(code.catalogue.models):
        if among is not None and model in private_models:
            continue
        named = exact.get(model, set())
        whole = crossed and (model in wanted.models or (not wanted.models and model not in private_models))
        names = {*(wanted.benchmarks or code.catalogue.benchmarks), *named} if whole else named
        if among is not None and model not in among.models:
            names = names & among.benchmarks
        yield from _row(code, model, [column for column in columns if column.benchmark in names])


def _why_again(code: LibraryCode, pair: Pair, wanted: Wanted, outcome: Outcome | None) -> str | None:
    """Why a pair is in the plan; None where a condition leaves it out."""
    if wanted.failed:
        if outcome is None or outcome.scored:
            return None
        said = outcome.reason_code or ""
        matches = wanted.failed == said or wanted.failed.lower() in outcome.reason.lower()
        return _failed(said) if matches else None
    if wanted.stale:
        return (
            stale_reason(code, pair.model, pair.benchmark, outcome) if outcome is not None and outcome.scored else None
        )
    return "asked for" if outcome is not None else "asked for, no score yet"


def _is_fresh(code: LibraryCode, wanted: Wanted, outcome: Outcome) -> bool:
    if wanted.before is not None:
        return outcome.recorded_at >= wanted.before
    # A failure is worth another try at the same commit: it is asked for because something else was mended.
    here = (outcome.library_commit, outcome.private_commit) == (code.commit, code.private_commit)
    return outcome.scored and not wanted.stale and here


def _require_known(code: LibraryCode, wanted: Wanted) -> None:
    models = {*wanted.models, *(model for model, _ in wanted.pairs)}
    benchmarks = {*wanted.benchmarks, *(benchmark for _, benchmark in wanted.pairs)}
    problems = [
        *_unknown("model", models, code.catalogue.models),
        *_unknown("benchmark", benchmarks, code.catalogue.benchmarks),
    ]
    if problems:
        raise UnknownIdentifiersError(
            f"the library does not hold what is asked for at {code.commit[:10]}",
            problems=problems,
            remedy="`brainscore-ops catalog` lists its identifiers. What is private is scored again by the number of its "
            "submission.",
        )


def _unknown(kind: str, names: Iterable[str], held: Mapping[str, str]) -> list[Problem]:
    problems = []
    for name in sorted(set(names) - held.keys()):
        close = difflib.get_close_matches(name, held, n=2)
        remedy = f"Did you mean {' or '.join(close)}?" if close else ""
        problems.append(Problem("unknown-identifier", f"there is no {kind} {name!r}.", where=kind, remedy=remedy))
    return problems
