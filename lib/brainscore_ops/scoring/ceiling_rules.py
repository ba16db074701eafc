"""How benchmarks make a score of a raw value and a ceiling.

The library decides it, each benchmark in its own code; told here is only which of the ways that occur a stored score follows.
``ratio`` is ``brainscore_core``'s and most behavioural benchmarks'; ``squared ratio`` is the explained variance that
``brainscore_vision``'s neural benchmarks take; ``none`` is a benchmark without a ceiling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

TOLERANCE = 1e-6
"""Relative. Scores of older databases were stored in single precision, which keeps seven digits."""


@dataclass(frozen=True)
class CeilingRule:
    """A way of making a score of a raw value and a ceiling: ``(raw / ceiling) ** power``; 0 stands for none."""

    name: str
    formula: str
    """In words."""
    power: int

    def value(self, raw: float, ceiling: float | None) -> float:
        """The score; NaN where there is none by this rule."""
        if not self.power:
            return raw if ceiling is None else math.nan
        return (raw / ceiling) ** self.power if ceiling else math.nan

    def error(self, error: float | None, ceiling: float | None, new_ceiling: float | None) -> float | None:
        """A score's standard error under another ceiling: it is divided by what the score is divided by."""
        if error is None or not self.power:
            return error
        return error * (ceiling / new_ceiling) ** self.power if ceiling and new_ceiling else math.nan


RULES = (
    CeilingRule("ratio", "raw / ceiling", 1),
    CeilingRule("squared-ratio", "(raw / ceiling)²", 2),
    CeilingRule("none", "raw, without a ceiling", 0),
)


def rules_of(value: float, raw: float, ceiling: float | None, tolerance: float = TOLERANCE) -> list[CeilingRule]:
    """The rules that a score follows: none where something else was done to it, several where they agree (0, 1)."""
    return [
        rule
        for rule in RULES
        if math.isclose(rule.value(raw, ceiling), value, rel_tol=tolerance, abs_tol=tolerance * 1e-3)
    ]
