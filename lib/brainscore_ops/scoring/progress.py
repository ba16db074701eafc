"""How the pairs of a scoring stand, for people: a table that is rewritten in place, and stays readable in the record."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from brainscore_ops.display import Badge, LiveTable, Shown, Table, number, with_error
from brainscore_ops.scoring.attempts import AttemptState, now

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from brainscore_ops.scoring.attempts import Attempt
    from brainscore_ops.scoring.pair import PairOutcome
    from brainscore_ops.scoring.plan import Pair

_MOST_ROWS = 25
_ORDER = ("running", "retrying", "queued", "waiting", "failed", "scored")


class ScoringBoard(Shown):
    """Every pair by how it stands: those that run first, those that are done in numbers.

    :param pairs: all that are to be computed
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = {pair.results_key: pair for pair in pairs}
        self._newest: dict[str, Attempt] = {}
        self._outcomes: Mapping[str, PairOutcome] = {}
        self._live = LiveTable()
        self._began = now()

    def show(self) -> None:
        """Begin to show it."""
        if self._pairs:
            self._live.show(self)

    def update(self, attempts: Iterable[Attempt]) -> None:
        """Learn how pairs stand."""
        for attempt in attempts:
            known = self._newest.get(attempt.identity)
            if known is None or attempt.number >= known.number:
                self._newest[attempt.identity] = attempt
        self._live.show(self)

    def finish(self, outcomes: Mapping[str, PairOutcome]) -> None:
        """Show the end."""
        self._outcomes = outcomes
        self.show()

    @property
    def by_state(self) -> dict[str, int]:
        """State → how many pairs, those states that there are."""
        counted = Counter(self._state(identity) for identity in self._pairs)
        return {state: counted[state] for state in _ORDER if counted[state]}

    def table(self) -> Table:
        """The table as it is now."""
        counts = ", ".join(f"{count} {state}" for state, count in self.by_state.items())
        again = sum(attempt.number > 1 for attempt in self._newest.values())
        took = (now() - self._began).total_seconds()
        title = f"{len(self._pairs)} pairs: {counts}" + (f"; {again} tried again" if again else "") + f" ({took:.0f} s)"
        ordered = sorted(self._pairs, key=lambda identity: _ORDER.index(self._state(identity)))
        rows: list[list[object]] = [self._row(identity) for identity in ordered[:_MOST_ROWS]]
        if len(ordered) > _MOST_ROWS:
            rows.append(["", f"and {len(ordered) - _MOST_ROWS} more", "", "", "", ""])
        return Table(title, rows, ["state", "model", "benchmark", "class", "node", "what"])

    def _state(self, identity: str) -> str:
        outcome, attempt = self._outcomes.get(identity), self._newest.get(identity)
        if outcome is not None:
            return outcome.state
        if attempt is None:
            return "waiting"
        if attempt.state is AttemptState.LOST:
            return "failed"
        if attempt.state is AttemptState.QUEUED and attempt.number > 1:
            return "retrying"
        return str(attempt.state)

    def _row(self, identity: str) -> list[object]:
        pair, attempt, outcome = self._pairs[identity], self._newest.get(identity), self._outcomes.get(identity)
        where = ""
        if attempt is not None and attempt.node:
            where = attempt.node + (f" (job {attempt.job_id})" if attempt.job_id else "")
        return [
            Badge(self._state(identity)),
            pair.model,
            pair.benchmark,
            attempt.resource_class if attempt else "",
            where,
            self._what(attempt, outcome),
        ]

    def _what(self, attempt: Attempt | None, outcome: PairOutcome | None) -> str:
        if outcome is not None and outcome.result:
            return with_error(outcome.result.get("value"), outcome.result.get("error"))
        if outcome is not None and outcome.failure:
            return f"{str(outcome.failure['message'])[:120]} [{outcome.failure['code']}]"
        if attempt is None:
            return ""
        if attempt.state is AttemptState.RUNNING and attempt.started_at:
            return f"for {(now() - attempt.started_at).total_seconds():.0f} s"
        if attempt.state is AttemptState.QUEUED:
            waiting = f"for {(now() - attempt.queued_at).total_seconds():.0f} s"
            return waiting if attempt.number == 1 else f"{waiting}, try {attempt.number}"
        memory = attempt.peak_memory_bytes
        used = [
            f"{number(attempt.wall_seconds, 1)} s" if attempt.wall_seconds is not None else "",
            f"{memory / 2**20:,.0f} MiB" if memory else "",
        ]
        return ", ".join(filter(None, [attempt.reason_code or "", *used]))
