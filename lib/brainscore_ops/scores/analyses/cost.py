"""What scoring took: time, memory and node hours, by benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brainscore_ops.display import Shown, Table, number
from brainscore_ops.scores.analyses.frames import frame_table

if TYPE_CHECKING:
    import pandas as pd

    from brainscore_ops.scores.score_data import ScoreData

GIB = 1024**3


@dataclass(frozen=True)
class CostReport(Shown):
    """What tries to score took."""

    runs: pd.DataFrame
    """See :meth:`ScoreData.runs`; with ``seconds`` (of wall clock), ``gib`` (the most memory) and ``waited`` (seconds)."""
    frame: pd.DataFrame
    """A row a benchmark, the most expensive first: ``tries``, ``scored``, ``failed``, ``node_hours``, ``lost_hours`` (of tries
    without a score), ``cpu_hours``, ``median_seconds``, ``longest_seconds``, ``median_gib``, ``most_gib``,
    ``waited_seconds`` (the median)."""
    failures: pd.DataFrame
    """Kinds of failures: ``kind``, ``tries``, ``node_hours``."""

    def table(self) -> Table:
        total, lost = self.frame["node_hours"].sum(), self.frame["lost_hours"].sum()
        return Table(
            f"{len(self.runs)} tries on {len(self.frame)} benchmarks",
            [
                ("node hours", hours(total)),
                ("of these without a score", f"{hours(lost)} ({lost / total:.0%})" if total else None),
                ("hours of processors", hours(self.frame["cpu_hours"].sum())),
                ("most memory", f"{number(self.frame['most_gib'].max(), 2)} GiB" if len(self.frame) else None),
                ("a try took", f"{number(self.runs['seconds'].median(), 1)} s in the median"),
                (
                    "and waited",
                    f"{number(self.runs['waited'].median(), 1)} s in the median"
                    if self.runs["waited"].notna().any()
                    else None,
                ),
                *[
                    (f"failed: {row['kind']}", f"{row['tries']} tries, {hours(row['node_hours'])} node hours")
                    for row in self.failures.to_dict("records")
                ],
            ],
        )

    @property
    def details(self) -> Table:
        """A row a benchmark."""
        columns = {
            "benchmark": ("benchmark", ""),
            "tries": ("tries", ""),
            "scored": ("scored", ""),
            "failed": ("failed", ""),
            "node_hours": ("node hours", ""),
            "lost_hours": ("without a score", ""),
            "cpu_hours": ("processor hours", ""),
            "median_seconds": ("median s", ".1f"),
            "longest_seconds": ("longest s", ".1f"),
            "median_gib": ("median GiB", ".2f"),
            "most_gib": ("most GiB", ".2f"),
            "waited_seconds": ("waited s", ".1f"),
        }
        shown = self.frame.assign(
            **{name: self.frame[name].map(hours) for name in ("node_hours", "lost_hours", "cpu_hours")}
        )
        return frame_table("By benchmark, the most expensive first", shown, columns, 300)


def hours(value: float) -> str:
    """Hours for people: 1,234.57 and 0.0057, so that little is not shown as nothing."""
    return f"{value:,.2f}" if value >= 1 else f"{value:.2g}"


def cost_report(data: ScoreData, *, under: str | None = None, since: str | None = None) -> CostReport:
    """What was measured of every try.

    A try takes one node, for the time from its beginning to its end, or else for the time that its scoring was measured to take.

    :param since: only tries that ended then or later
    """
    runs = data.runs(under=under, since=since)
    whole = (runs["ended_at"] - runs["started_at"]).dt.total_seconds()
    runs["seconds"] = whole.fillna(runs["wall_seconds"])
    runs["gib"] = runs["peak_memory_bytes"].astype("float64") / GIB
    runs["waited"] = (runs["started_at"] - runs["queued_at"]).dt.total_seconds()
    scored, over = runs["state"] == "scored", runs["state"].isin(["failed", "lost"])
    runs["node_hours"], runs["cpu_hours"] = runs["seconds"] / 3600, runs["cpu_seconds"] / 3600
    runs["lost_hours"] = runs["node_hours"].where(over, 0.0)
    frame = (
        runs.assign(is_scored=scored, is_failed=over)
        .groupby("benchmark")
        .agg(
            tries=("state", "size"),
            scored=("is_scored", "sum"),
            failed=("is_failed", "sum"),
            node_hours=("node_hours", "sum"),
            lost_hours=("lost_hours", "sum"),
            cpu_hours=("cpu_hours", "sum"),
            median_seconds=("seconds", "median"),
            longest_seconds=("seconds", "max"),
            median_gib=("gib", "median"),
            most_gib=("gib", "max"),
            waited_seconds=("waited", "median"),
        )
    )
    frame = frame.reset_index().sort_values(["node_hours", "benchmark"], ascending=[False, True], ignore_index=True)
    failures = (
        runs[over]
        .assign(kind=runs["kind"].fillna("not said"))
        .groupby("kind")
        .agg(tries=("state", "size"), node_hours=("node_hours", "sum"))
        .reset_index()
        .sort_values("tries", ascending=False, ignore_index=True)
    )
    return CostReport(runs, frame, failures)
