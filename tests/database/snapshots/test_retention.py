"""The rule that says which snapshots are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from brainscore_ops.database.snapshots.retention import Dated, Rule

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = st.builds(Rule, weeks=st.integers(1, 10), months=st.integers(0, 14), days=st.integers(0, 10))
AGES = st.timedeltas(timedelta(0), timedelta(days=500))


@st.composite
def histories(draw):
    drawn = draw(st.lists(st.tuples(AGES, st.booleans()), max_size=60))
    return [Dated(str(number), NOW - age, proven) for number, (age, proven) in enumerate(drawn)]


def only(snapshots, ids):
    return [snapshot for snapshot in snapshots if snapshot.id in ids]


def daily(days):
    return [Dated(str(age), NOW - timedelta(days=age), True) for age in range(days)]


def test_of_daily_ones_stay_a_week_of_days_eight_weeks_and_twelve_months():
    kept = sorted(map(int, Rule().kept(daily(500), NOW)))
    assert kept[:8] == [0, 1, 2, 3, 4, 5, 6, 7]  # 24 November 2026 is a Tuesday
    assert kept[8:] == [9, 16, 23, 24, 30, 37, 44, *(55, 85, 116, 147, 177, 208, 238, 269, 297, 328)]


@given(histories(), RULES)
def test_the_newest_proven_one_is_never_removed(snapshots, rule):
    proven = [snapshot for snapshot in snapshots if snapshot.proven]
    kept = rule.kept(snapshots, NOW + timedelta(days=2000))
    if proven:
        newest = max(snapshot.moment for snapshot in proven)
        assert newest in {snapshot.moment for snapshot in only(proven, kept)}


@given(histories(), RULES)
def test_what_is_kept_is_bounded(snapshots, rule):
    recent = sum(NOW - snapshot.moment <= timedelta(days=rule.days) for snapshot in snapshots)
    assert len(rule.kept(snapshots, NOW)) <= rule.weeks + rule.months + recent + 1


@given(histories(), RULES)
def test_applied_twice_it_removes_nothing_more(snapshots, rule):
    kept = rule.kept(snapshots, NOW)
    assert rule.kept(only(snapshots, kept), NOW) == kept


@given(histories(), RULES, st.lists(AGES, max_size=8))
def test_applied_again_and_again_while_they_come_it_ends_with_the_same_as_applied_once(snapshots, rule, ages):
    """Nothing that would be wanted later is removed earlier."""
    there, waiting = [], sorted(snapshots, key=lambda snapshot: snapshot.moment)
    for moment in [*sorted(NOW - age for age in ages), NOW]:
        there += [snapshot for snapshot in waiting if snapshot.moment <= moment]
        waiting = [snapshot for snapshot in waiting if snapshot.moment > moment]
        there = only(there, rule.kept(there, moment))
    assert {snapshot.id for snapshot in there} == rule.kept(snapshots, NOW)


@given(histories(), RULES)
def test_every_week_and_month_within_the_rule_is_stood_for(snapshots, rule):
    kept = only(snapshots, rule.kept(snapshots, NOW))
    this_week = NOW.date() - timedelta(days=NOW.weekday())
    for back in range(rule.weeks):
        first, last = this_week - timedelta(days=7 * back), this_week - timedelta(days=7 * back - 6)
        in_week = [snapshot for snapshot in snapshots if first <= snapshot.moment.date() <= last]
        assert bool(in_week) == any(snapshot in kept for snapshot in in_week)
