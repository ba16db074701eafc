"""What changed on the leaderboard: ranks, averages and scores before and after."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Shown, Table, number
from brainscore_ops.planning import is_planning

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from brainscore_ops.scores.leaderboard import Leaderboard

Standing = dict[str, Any]
"""A model on the leaderboard: ``rank``, ``average``, and ``scores``: benchmark → [version, value or None, state]."""


@dataclass(frozen=True)
class LeaderboardChanges(Shown):
    """Two moments of a leaderboard, compared."""

    before: Mapping[str, Standing]
    after: Mapping[str, Standing]

    @property
    def moved(self) -> list[str]:
        """The models whose rank or average is another, by their new rank."""
        models = [
            model for model in {**self.before, **self.after} if _place(self.before, model) != _place(self.after, model)
        ]
        return sorted(models, key=lambda model: (_place(self.after, model)[0] or 10**9, model))

    @property
    def scores(self) -> list[tuple[str, str, list[Any] | None, list[Any] | None]]:
        """Every score that is another: model, benchmark, before and after as ``[version, value, state]``."""
        old, new = _scores(self.before), _scores(self.after)
        changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        return [
            (model, benchmark, old.get((model, benchmark)), new.get((model, benchmark))) for model, benchmark in changed
        ]

    def table(self) -> Table:
        if not (self.moved or self.scores):
            return Table("Nothing changed on the leaderboard", [])
        rows: list[list[object]] = []
        for model in self.moved:
            (old_rank, old), (new_rank, new) = _place(self.before, model), _place(self.after, model)
            rows.append([model, "average", number(old), number(new), f"{_rank(old_rank)} → {_rank(new_rank)}"])
        rows += [[model, benchmark, _score(old), _score(new), ""] for model, benchmark, old, new in self.scores]
        return Table(
            f"On the leaderboard {len(self.scores)} scores and {len(self.moved)} averages or ranks changed",
            rows,
            ["model", "", "before", "after", "rank"],
        )

    def as_dict(self) -> dict[str, Any]:
        """The changes as a JSON document."""
        return {
            "models": {
                model: {"before": _place(self.before, model), "after": _place(self.after, model)}
                for model in self.moved
            },
            "scores": [
                {"model": model, "benchmark": benchmark, "before": old, "after": new}
                for model, benchmark, old, new in self.scores
            ],
        }


def standings(board: Leaderboard) -> dict[str, Standing]:
    """Every model's rank, average and scores."""
    return {
        row.model: {
            "rank": row.rank,
            "average": row.average,
            "scores": {
                benchmark.identifier: [benchmark.version, cell.value, cell.state]
                for benchmark, cell in zip(board.benchmarks, row.cells, strict=True)
                if cell.state != "missing"
            },
        }
        for row in board.rows
    }


def keep_standings(board: Leaderboard, path: Path) -> dict[str, Standing]:
    """The standings that a file keeps; those of the leaderboard, where it keeps none yet.

    What a run changed can so be told also by the run that goes on after it was killed.
    """
    if path.exists():
        kept: dict[str, Standing] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    found = standings(board)
    if is_planning():
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    partial.replace(path)
    return found


def _scores(side: Mapping[str, Standing]) -> dict[tuple[str, str], list[Any]]:
    return {(model, benchmark): score for model, found in side.items() for benchmark, score in found["scores"].items()}


def _place(side: Mapping[str, Standing], model: str) -> tuple[int | None, float | None]:
    found = side.get(model, {})
    return found.get("rank"), found.get("average")


def _rank(rank: int | None) -> str:
    return "–" if rank is None else str(rank)


def _score(score: list[Any] | None) -> str:
    if score is None:
        return "–"
    version, value, state = score
    return f"{number(value) if value is not None else state} (v{version})"
