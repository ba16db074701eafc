"""What the record of a pair shows of its score: the numbers, what they were computed with, and a figure."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Code, Shown, Table, number, with_error

if TYPE_CHECKING:
    from brainscore_ops.scoring.pair import PairOutcome, ScorePairParameters

_MOST_VALUES = 2000
_WIDTH, _LEFT, _ROW = 640, 110, 34


@dataclass(frozen=True)
class PairRecord(Shown):
    """A pair's outcome, as whoever opens its record wants to see it."""

    job: ScorePairParameters
    outcome: PairOutcome
    raw_values: tuple[float, ...]
    """What the score was computed from, where the benchmark gives it: a number for each neuroid, subject or split."""

    def table(self) -> Table:
        result, used = self.outcome.result or {}, self.outcome.measured or {}
        memory = used.get("peak_memory_bytes")
        return Table(
            f"{self.job.model} on {self.job.benchmark}: {with_error(result.get('value'), result.get('error'))}",
            [
                ("raw", number(result.get("raw"))),
                ("ceiling", with_error(result.get("ceiling"), result.get("ceiling_error"))),
                ("raw values", _in_words(self.raw_values)),
                ("model's plugin", f"models/{self.job.model_plugin}"),
                (
                    "benchmark's plugin",
                    f"benchmarks/{self.job.benchmark_plugin}, version {result.get('benchmark_version')}",
                ),
                ("environment", Code(f"{self.outcome.environment_digest}")),
                ("packages", len(result.get("packages", {}))),
                ("Python", (result.get("packages") or {}).get("python")),
                ("node", self.outcome.node),
                ("resource class", self.job.resource_class),
                (
                    "took",
                    f"{number(used.get('wall_seconds'), 1)} s, {number(used.get('cpu_seconds'), 1)} s of processors",
                ),
                ("most memory", f"{memory / 2**20:,.0f} MiB" if memory else ""),
            ],
        )

    def _repr_html_(self) -> str:
        return self.table()._repr_html_() + figure(self.outcome.result or {}, self.raw_values)


def read_record(job: ScorePairParameters, outcome: PairOutcome) -> PairRecord:
    """The record of a pair that was scored, from what its results folder holds."""
    return PairRecord(job, outcome, _raw_values(Path(job.results) / "raw.npz"))


def figure(result: dict[str, Any], raw_values: tuple[float, ...]) -> str:
    """Score, raw score and ceiling on one axis, with standard errors and the raw values, as an SVG that needs nothing else.

    Empty where there is nothing to draw. It is drawn by hand: a plotting library would take longer to load than most pairs to
    be recorded, and its figures are programs or pictures that nobody can search.
    """
    known = [
        ("score", result.get("value"), result.get("error"), "#2563eb"),
        ("raw", result.get("raw"), None, "#7c9fe8"),
        ("ceiling", result.get("ceiling"), result.get("ceiling_error"), "#9ca3af"),
    ]
    bars = [(name, float(value), error, color) for name, value, error, color in known if value is not None]
    if not bars:
        return ""
    ends = [value + sign * (error or 0) for _, value, error, _ in bars for sign in (-1, 1)]
    low, high = min(0.0, *ends, *raw_values), max(1.0, *ends, *raw_values)

    def x(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - 70)

    parts = []
    for row, (name, value, error, color) in enumerate(bars):
        top = 8 + row * _ROW
        start, end = sorted((x(0), x(value)))
        parts.append(_text(_LEFT - 8, top + 15, name, "end"))
        parts.append(f'<rect x="{start:.1f}" y="{top}" width="{end - start:.1f}" height="20" fill="{color}" rx="2"/>')
        if error:
            left, right = x(value - error), x(value + error)
            parts.append(f'<path d="M{left:.1f} {top + 10}H{right:.1f}M{left:.1f} {top + 5}v10M{right:.1f} {top + 5}v10" '
                         'stroke="currentColor" stroke-width="1.5" fill="none"/>')  # fmt: skip
        parts.append(_text(max(end, x(value + (error or 0))) + 6, top + 15, with_error(value, error), "start"))
    bottom = 8 + len(bars) * _ROW
    if raw_values:
        ticks = "".join(f"M{x(value):.1f} {bottom + 2}v16" for value in raw_values[:_MOST_VALUES])
        parts.append(_text(_LEFT - 8, bottom + 15, "raw values", "end"))
        parts.append(
            f'<path d="{ticks}" stroke="#2563eb" stroke-opacity="{0.9 if len(raw_values) < 100 else 0.3}" fill="none"/>'
        )
        bottom += _ROW
    parts.append(f'<path d="M{x(low):.1f} {bottom}H{x(high):.1f}" stroke="currentColor" stroke-opacity="0.5"/>')
    parts += [_text(x(tick), bottom + 16, f"{tick:.3g}", "middle") for tick in (low, 0.0, 1.0, high)]
    label = escape(", ".join(f"{name} {with_error(value, error)}" for name, value, error, _ in bars))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{bottom + 24}" role="img" aria-label="{label}" '
        f'style="font:12px system-ui,sans-serif;color:inherit">{"".join(dict.fromkeys(parts))}</svg>'
    )


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor">{escape(words)}</text>'


def _raw_values(path: Path) -> tuple[float, ...]:
    """The last and finest of the arrays of numbers that ``raw.npz`` holds; it was checked before it came there."""
    if not path.exists():
        return ()
    import numpy as np

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = [name for name in archive.files if set(name.replace("raw", "")) <= {"_"}]
            arrays = [np.ravel(archive[name]) for name in sorted(names, key=len)]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError, AttributeError):
        return ()
    numeric = [array for array in arrays if array.dtype.kind in "biuf" and array.size > 1]
    return tuple(float(value) for value in numeric[-1] if math.isfinite(value)) if numeric else ()


def _in_words(values: tuple[float, ...]) -> str:
    if not values:
        return ""
    ordered = sorted(values)
    middle = ordered[len(ordered) // 2]
    return f"{len(values)} values from {ordered[0]:.3f} to {ordered[-1]:.3f}, median {middle:.3f}"
