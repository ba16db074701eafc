"""How long the steps of a run took, as people see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brainscore_ops.display import Badge, Meter, Shown, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brainscore_ops.runbooks.runs import Step


@dataclass(frozen=True)
class StepTimings(Shown):
    """The steps of a run, in their order."""

    steps: Sequence[Step]

    def table(self) -> Table:
        took = [step.seconds or 0.0 for step in self.steps]
        longest = max(took, default=0.0) or 1.0
        rows = [
            [
                step.name,
                Badge(str(step.state)),
                None if step.seconds is None else Meter(step.seconds / longest, f"{step.seconds:.1f} s"),
            ]
            for step in self.steps
        ]
        return Table(f"{len(self.steps)} steps, {sum(took):.1f} s", rows, ["step", "", "took"])
