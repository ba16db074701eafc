"""Which pairs are to be scored: a pure function of what the library holds, what changed and what is known."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Shown, Table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from brainscore_ops.plugins.catalogue import Catalogue


@dataclass(frozen=True, order=True)
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
    reason: str
    """Why it is in the plan: ``model is new``."""


@dataclass(frozen=True)
class Plan(Shown):
    """The pairs to be scored at one commit of a library, and what is not scored because it is known."""

    library_commit: str
    pairs: tuple[Pair, ...]
    known: tuple[Pair, ...] = field(default=())
    """Pairs in question that have a score already, or failed in a way that another try does not change."""

    def table(self) -> Table:
        if not self.pairs:
            return Table(f"Nothing to score: {len(self.known)} pairs in question have their score", [])
        return Table(
            f"{len(self.pairs)} pairs to score at {self.library_commit[:10]}, {len(self.known)} known",
            [[pair.model, pair.benchmark, pair.reason] for pair in self.pairs],
            ["model", "benchmark", "why"],
        )

    def as_dict(self) -> dict[str, Any]:
        """The plan as a JSON document."""
        return {
            "library_commit": self.library_commit,
            "pairs": [asdict(pair) for pair in self.pairs],
            "known": [asdict(pair) for pair in self.known],
            "reasons": dict(Counter(pair.reason for pair in self.pairs)),
        }


@dataclass(frozen=True)
class ChangedPlugins:
    """The identifiers whose plugins a merge added or changed; ``everything`` where all of the library is in question."""

    models: frozenset[str] = frozenset()
    benchmarks: frozenset[str] = frozenset()
    everything: bool = False


def plan_pairs(
    catalogue: Catalogue,
    *,
    library_commit: str,
    digests: Mapping[tuple[str, str], str],
    changed: ChangedPlugins,
    settled: Collection[str],
    private_models: Collection[str] = (),
) -> Plan:
    """The pairs that a change of the library calls for.

    Changed models meet every benchmark, changed benchmarks meet every model that is public or itself changed; each pair
    appears once, and not at all when its identity is settled.

    :param catalogue: what the library registers at ``library_commit``
    :param digests: (plugin type, plugin's folder) → digest of the plugin's code
    :param settled: identities of pairs that have a score, or a failure that is not worth another try
    :param private_models: models that are scored for their owner alone
    """
    pairs = []
    for model, model_plugin in sorted(catalogue.models.items()):
        model_changed = changed.everything or model in changed.models
        for benchmark, benchmark_plugin in sorted(catalogue.benchmarks.items()):
            benchmark_changed = changed.everything or benchmark in changed.benchmarks
            if not model_changed and (not benchmark_changed or model in private_models):
                continue
            model_digest = digests["models", model_plugin]
            benchmark_digest = digests["benchmarks", benchmark_plugin]
            pairs.append(
                Pair(
                    model=model,
                    benchmark=benchmark,
                    identity=pair_identity(model, model_digest, benchmark, benchmark_digest),
                    model_plugin=model_plugin,
                    model_digest=model_digest,
                    benchmark_plugin=benchmark_plugin,
                    benchmark_digest=benchmark_digest,
                    reason=_reason(changed, model_changed=model_changed, benchmark_changed=benchmark_changed),
                )
            )
    return Plan(
        library_commit=library_commit,
        pairs=tuple(pair for pair in pairs if pair.identity not in settled),
        known=tuple(pair for pair in pairs if pair.identity in settled),
    )


def pair_identity(model: str, model_digest: str, benchmark: str, benchmark_digest: str) -> str:
    """What makes two computations of a score the same: the identifiers and the code of both plugins (SHA-256, hexadecimal).

    A benchmark's version is part of its code. Data, metrics and the library's shared code are not part of it: a score carries
    the commit that they were taken from, and their change does not compute it anew.
    """
    document = json.dumps([model, model_digest, benchmark, benchmark_digest], ensure_ascii=False)
    return hashlib.sha256(document.encode()).hexdigest()


def _reason(changed: ChangedPlugins, *, model_changed: bool, benchmark_changed: bool) -> str:
    if changed.everything:
        return "no score yet"
    if model_changed and benchmark_changed:
        return "model and benchmark changed"
    return "model changed" if model_changed else "benchmark changed"
