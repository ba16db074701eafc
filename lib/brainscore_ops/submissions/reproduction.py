"""Computing a score once more from what is recorded of it: the same code, the same packages, the same seed; and what differs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from brainscore_ops.database.brainscore_tables import Submission
from brainscore_ops.database.ops_tables import ScoreProvenance
from brainscore_ops.display import Shown, Table, number
from brainscore_ops.errors import Fault, StepFailedError, UsageError
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.library_run import HASH_SEED
from brainscore_ops.plugins.overlay import overlay
from brainscore_ops.plugins.scoring import score_pair
from brainscore_ops.scoring.lock_rows import find_lock
from brainscore_ops.scoring.pair import environments_of, limits_of, sandbox_of
from brainscore_ops.submissions.life import State
from brainscore_ops.submissions.overlays import private_plugins
from brainscore_ops.submissions.scoring_request import read_code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.orm import Session

    from brainscore_ops.plugins.result import PairResult
    from brainscore_ops.submissions.context import Context

TOLERANCE = 1e-9
"""Relative: the last digits may differ where sums are taken in another order."""
SHORTEST_PREFIX = 8
NUMBERS = ("value", "error", "raw", "ceiling", "ceiling_error")


class UnknownScoreError(UsageError):
    """No score has that number or identity."""

    code = "unknown-score"


class NotReproducibleError(StepFailedError):
    """What is recorded of a score is not enough to compute it again, or is not there any more."""

    code = "not-reproducible"
    fault = Fault.OPERATOR


@dataclass(frozen=True)
class Compared:
    """One number, as recorded and as computed again."""

    name: str
    recorded: float | None
    again: float | None
    same: bool
    """Within the tolerance."""


@dataclass(frozen=True)
class Reproduction(Shown):
    """A score that was computed again, beside what is recorded."""

    model: str
    benchmark: str
    library_commit: str
    environment_digest: str
    run_id: str | None
    """The run that the recorded score comes from."""
    numbers: tuple[Compared, ...]
    packages: Mapping[str, tuple[str | None, str | None]]
    """Package → version recorded and version now, where they differ."""
    seed: tuple[int | None, int]
    """Recorded, and now."""
    tolerance: float
    recomputed_from: str | None = None
    """The recorded score was not run but follows from a stored raw value, which was computed in this environment."""

    @property
    def same(self) -> bool:
        """Whether every number came out as recorded."""
        return all(compared.same for compared in self.numbers)

    def table(self) -> Table:
        rows: list[list[object]] = [
            [
                compared.name,
                number(compared.recorded, 9),
                number(compared.again, 9),
                _difference(compared),
                "" if compared.same else "DIFFERS",
            ]
            for compared in self.numbers
        ]
        rows += [
            [f"package {name}", old, new, "", "other version"] for name, (old, new) in sorted(self.packages.items())
        ]
        if self.seed[0] != self.seed[1]:
            rows.append(
                ["seed", self.seed[0], self.seed[1], "", "other seed" if self.seed[0] is not None else "not recorded"]
            )
        verdict = "reproduced" if self.same else "NOT REPRODUCED"
        return Table(
            f"{self.model} on {self.benchmark} at {self.library_commit[:10]}, lock {self.environment_digest[:10]}: {verdict}",
            rows,
            ["", "recorded", "again", "difference", ""],
        )

    def as_dict(self) -> dict[str, Any]:
        """The comparison as a JSON document."""
        return {
            "reproduced": self.same,
            **{name: value for name, value in vars(self).items() if name not in ("numbers", "packages", "seed")},
            "numbers": {
                one.name: {"recorded": one.recorded, "again": one.again, "same": one.same} for one in self.numbers
            },
            "packages": {name: {"recorded": old, "again": new} for name, (old, new) in self.packages.items()},
            "seed": {"recorded": self.seed[0], "again": self.seed[1]},
        }


def reproduce(
    context: Context, score: str, *, tolerance: float = TOLERANCE, say: Callable[[str], None] | None = None
) -> Reproduction:
    """Compute a score again from the recorded commit, lock and seed, in the sandbox; nothing is recorded by this.

    :param score: the number of its row in ``brainscore_score``, or its identity or the beginning of that
    :param tolerance: relative
    :param say: told each line that the plugins print
    :raises UnknownScoreError: there is none, or several
    :raises NotReproducibleError: its lock was not recorded, or the commit does not hold what it was computed from
    :raises EnvironmentBuildError: the lock is of another Python than this machine's
    :raises PairFailedError: it cannot be scored now
    """
    with context.database.session() as session:
        row = _find(session, score)
        lock = find_lock(session, row.environment_digest)
        asked_by = session.get(Submission, row.submission_id) if row.submission_id is not None else None
        laid_over = private_plugins(context, session, asked_by.submitter_id if asked_by else None, states=State)
    if lock is None or row.environment_digest is None:
        raise NotReproducibleError(
            f"the lock of the environment that {row.model} on {row.benchmark} was scored in was not recorded",
            remedy="Score it again with `brainscore-ops run rescore`: from then on its lock is kept.",
        )
    commit = row.library_commit
    if row.private_commit is not None:
        context = context.private_side
    context.mirror.fetch()
    if row.private_commit is not None:
        commit = overlay(context.mirror.path, commit, row.private_commit, laid_over, context.library)
    code = read_code(context, commit)
    plugins = [
        _plugin(code.catalogue.models, "models", row.model),
        _plugin(code.catalogue.benchmarks, "benchmarks", row.benchmark),
    ]
    if [code.digests.get(plugin) for plugin in plugins] != [row.model_digest, row.benchmark_digest]:
        raise NotReproducibleError(
            f"the commit {row.library_commit[:10]} does not hold the code that {row.model} on {row.benchmark} was scored from"
        )
    checkout = context.checkout(commit)
    environment = environments_of(context.deployment).environment_from_lock(lock, checkout=checkout)
    result = score_pair(
        environment,
        checkout,
        context.library,
        row.model,
        row.benchmark,
        sandbox=sandbox_of(context.deployment),
        limits=limits_of(context.deployment),
        results=context.deployment.state / "reproductions" / row.identity,
        on_line=say,
    )
    return _compare(row, result, tolerance)


def _find(session: Session, score: str) -> ScoreProvenance:
    query = select(ScoreProvenance).where(ScoreProvenance.state == "scored")
    if score.isdecimal() and len(score) < SHORTEST_PREFIX:
        found = session.scalars(query.where(ScoreProvenance.score_id == int(score))).all()
    elif len(score) >= SHORTEST_PREFIX:
        found = session.scalars(query.where(ScoreProvenance.identity.startswith(score, autoescape=True)).limit(2)).all()
    else:
        found = []
    if len(found) != 1:
        raise UnknownScoreError(
            f"expected the number of a score that this system computed, or at least {SHORTEST_PREFIX} digits of its identity, "
            f"found {score!r}: {'several are' if found else 'none is'} meant",
            remedy="`brainscore-ops scores --table --json` has both, as score_id and identity.",
        )
    return found[0]


def _plugin(held: Mapping[str, str], kind: str, identifier: str) -> PluginKey:
    if identifier not in held:
        raise NotReproducibleError(f"the recorded commit does not hold {identifier!r} any more")
    return PluginKey(kind, held[identifier])


def _compare(row: ScoreProvenance, result: PairResult, tolerance: float) -> Reproduction:
    again = {
        "value": result.score.value if result.score else None,
        "error": result.score.error if result.score else None,
        "raw": result.raw,
        "ceiling": result.ceiling,
        "ceiling_error": result.ceiling_error,
    }
    numbers = [_compared(name, getattr(row, name), again[name], tolerance) for name in NUMBERS]
    packages = {"python": result.python, **result.packages}
    differing = {
        name: (row.packages.get(name), packages.get(name))
        for name in {*row.packages, *packages}
        if row.packages.get(name) != packages.get(name)
    }
    return Reproduction(
        model=row.model,
        benchmark=row.benchmark,
        library_commit=row.library_commit,
        environment_digest=row.environment_digest or "",
        run_id=row.run_id,
        numbers=tuple(numbers),
        packages=differing,
        seed=(row.seed, HASH_SEED),
        tolerance=tolerance,
        recomputed_from=row.recomputed_from,
    )


def _compared(name: str, recorded: float | None, again: float | None, tolerance: float) -> Compared:
    if recorded is None or again is None:
        return Compared(name, recorded, again, recorded is again)
    return Compared(name, recorded, again, math.isclose(recorded, again, rel_tol=tolerance, abs_tol=tolerance * 1e-3))


def _difference(compared: Compared) -> str:
    if compared.recorded is None or compared.again is None:
        return ""
    return f"{compared.again - compared.recorded:+.2g}" if compared.again != compared.recorded else "0"
