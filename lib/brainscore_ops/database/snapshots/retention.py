"""Which snapshots are kept, and for how long: a rule over moments alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True)
class Dated:
    """As much of a snapshot as the rule looks at."""

    id: str
    moment: datetime
    proven: bool


@dataclass(frozen=True)
class Rule:
    """How long snapshots are kept. The one that stands for a week or month is its newest, a proven one before all others."""

    weeks: int = 8
    """One for each of so many calendar weeks, the present one among them."""
    months: int = 12
    """One for each of so many calendar months, the present one among them."""
    days: int = 7
    """Every one of the last so many days: those that were taken before a change are wanted right after it."""

    def kept(self, snapshots: Iterable[Dated], now: datetime) -> set[str]:
        """The ids of those that are kept; the newest proven one always is.

        Weeks and months are fixed in time (UTC), and the newest stands for each: what goes today would not be kept tomorrow.
        """
        ranked = sorted(snapshots, key=lambda item: (item.proven, item.moment, item.id))
        weeks = _newest_of_each(ranked, _week, first=_week(now) - self.weeks + 1)
        months = _newest_of_each(ranked, _month, first=_month(now) - self.months + 1)
        recent = {item.id for item in ranked if now - item.moment <= timedelta(days=self.days)}
        newest_proven = {item.id for item in ranked[-1:] if item.proven}
        return weeks | months | recent | newest_proven


def _newest_of_each(ranked: Iterable[Dated], period: Callable[[datetime], int], first: int) -> set[str]:
    # Later in rank overwrites earlier.
    newest = {period(item.moment): item.id for item in ranked}
    return {kept for number, kept in newest.items() if number >= first}


def _week(moment: datetime) -> int:
    return (moment.astimezone(UTC).toordinal() - 1) // 7  # day 1 of the calendar was a Monday


def _month(moment: datetime) -> int:
    utc = moment.astimezone(UTC)
    return utc.year * 12 + utc.month
