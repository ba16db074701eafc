"""Two models on the benchmarks that both have a score on: paired differences, intervals, corrected tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Shown, Table, number
from brainscore_ops.scores.analyses.frames import frame_table
from brainscore_ops.scores.errors import NoScoresError, insist_on_names

if TYPE_CHECKING:
    import pandas as pd

    from brainscore_ops.scores.score_data import ScoreData

_ONE_BENCHMARK = (
    "One benchmark: z-test of the difference over the root of the sum of both squared standard errors. It assumes that the "
    "errors are independent and normal; where both models were measured on the same stimuli and cells their errors go together, "
    "and the test is then too cautious. Benchmarks that give no error are not tested."
)
_ALL_BENCHMARKS = (
    "All benchmarks: the mean of the paired differences, each benchmark counting the same, with a bootstrap interval (BCa) over "
    "benchmarks, and Wilcoxon's signed-rank test. Both take benchmarks as draws from the benchmarks that there could be, and as "
    "independent; benchmarks made of the same recordings are not, which makes the interval too narrow."
)
_LEFT_OUT = (
    "Benchmarks on which one of the two has no score are left out here. They count as 0 in the leaderboard's average."
)
ASSUMPTIONS = (_ONE_BENCHMARK, _ALL_BENCHMARKS, _LEFT_OUT)


@dataclass(frozen=True)
class Comparison(Shown):
    """The first model minus the second."""

    first: str
    second: str
    frame: pd.DataFrame
    """A row a benchmark: both values and errors, ``difference``, its ``error``, ``low``, ``high``, ``p``, ``p_corrected``,
    ``significant``; the largest difference first."""
    left_out: pd.DataFrame
    """Benchmarks on which only one has a score: ``benchmark``, ``lacks``, ``why``."""
    mean: float
    """Of the differences."""
    low: float | None
    high: float | None
    """Of the interval of the mean; None with fewer than three benchmarks."""
    wilcoxon_p: float | None
    """None with fewer than three benchmarks, or where all differences are 0."""
    confidence: float
    correction: str
    resamples: int

    @property
    def wins(self) -> int:
        """On how many benchmarks the first is above the second."""
        return int((self.frame["difference"] > 0).sum())

    @property
    def losses(self) -> int:
        """On how many it is below."""
        return int((self.frame["difference"] < 0).sum())

    def table(self) -> Table:
        level, significant = f"{self.confidence:.0%}", self.frame["significant"].fillna(False).astype(bool)
        interval = (
            f"{level} interval {number(self.low)} to {number(self.high)}"
            if self.low is not None
            else "no interval: it takes three benchmarks"
        )
        better = int((significant & (self.frame["difference"] > 0)).sum())
        worse = int((significant & (self.frame["difference"] < 0)).sum())
        tested = int(self.frame["p"].notna().sum())
        rough = f"With {len(self.frame)} benchmarks the interval is rough, and the signed-rank test can hardly find anything."
        how = f"{_NAMES[self.correction]}, at {1 - self.confidence:.2g}"
        return Table(
            f"{self.first} minus {self.second}",
            [
                (
                    "mean difference",
                    f"{self.mean:+.3f}, {interval} (bootstrap over benchmarks, {self.resamples:,} draws)",
                ),
                ("Wilcoxon's signed-rank test", "–" if self.wilcoxon_p is None else f"p = {self.wilcoxon_p:.3g}"),
                ("benchmarks with both", f"{len(self.frame)}: {self.wins} higher, {self.losses} lower"),
                ("significantly so", f"{better} higher, {worse} lower, of {tested} with errors ({how})"),
                ("take care", rough if len(self.frame) < ROUGH_BELOW else None),
                ("left out", f"{len(self.left_out)} benchmarks on which one has no score"),
                ("assumes", "\n".join(ASSUMPTIONS)),
            ],
        )

    @property
    def details(self) -> Table:
        """A row a benchmark."""
        columns = {
            "benchmark": ("benchmark", ""),
            "first": (self.first, ".3f"),
            "second": (self.second, ".3f"),
            "difference": ("difference", "+.3f"),
            "low": ("low", "+.3f"),
            "high": ("high", "+.3f"),
            "p": ("p", ".3g"),
            "p_corrected": ("p corrected", ".3g"),
            "significant": ("significant", ""),
        }
        shown = self.frame.assign(significant=self.frame["significant"].map({True: "yes", False: ""}))
        return frame_table("By benchmark, the largest difference first", shown, columns)

    @property
    def gaps(self) -> Table:
        """A row a benchmark on which only one has a score."""
        columns = {"benchmark": ("benchmark", ""), "lacks": ("has no score", ""), "why": ("why", "")}
        title = "Benchmarks on which only one has a score" if len(self.left_out) else "None was left out"
        return frame_table(title, self.left_out, columns)

    def as_dict(self) -> dict[str, Any]:
        """The comparison in short, as a JSON document."""
        return {
            "first": self.first,
            "second": self.second,
            "mean": self.mean,
            "low": self.low,
            "high": self.high,
            "p": self.wilcoxon_p,
            "benchmarks": len(self.frame),
            "wins": self.wins,
            "losses": self.losses,
        }


ROUGH_BELOW = 10
"""With fewer benchmarks than this an interval over benchmarks is said to be rough."""
_NAMES = {"holm": "Holm", "fdr_bh": "Benjamini-Hochberg"}


def compare_models(
    data: ScoreData,
    first: str = "",
    second: str = "",
    *,
    under: str | None = None,
    confidence: float = 0.95,
    correction: str = "holm",
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare two models; what is assumed stands in :data:`ASSUMPTIONS`.

    :param first: by default the best; ``second`` by default the best of the others
    :param correction: of the p values over all benchmarks, as statsmodels names it: ``holm`` or ``fdr_bh``
    :raises UnknownNamesError: there is no such model
    :raises NoScoresError: there is no benchmark on which both have a score
    """
    import numpy as np
    from scipy import stats
    from statsmodels.stats.multitest import multipletests

    first, second = _two(data, first, second)
    table = data.table(models=[first, second], under=under).set_index("benchmark")
    a, b = (table[table["model"] == model] for model in (first, second))
    ours = a[["value", "error", "ceiling"]].set_axis(["first", "first_error", "ceiling"], axis=1)
    theirs = b[["value", "error"]].set_axis(["second", "second_error"], axis=1)
    frame = ours.join(theirs, how="inner")
    frame = frame.dropna(subset=["first", "second"]).reset_index()
    if frame.empty:
        raise NoScoresError(f"expected a benchmark on which both {first} and {second} have a score, there is none")
    frame["difference"] = frame["first"] - frame["second"]
    frame["error"] = np.hypot(frame["first_error"], frame["second_error"])
    half = stats.norm.ppf(0.5 + confidence / 2) * frame["error"]
    frame["low"], frame["high"] = frame["difference"] - half, frame["difference"] + half
    tested = (frame["error"] > 0).to_numpy()
    frame["p"] = np.where(tested, 2 * stats.norm.sf((frame["difference"].abs() / frame["error"]).to_numpy()), np.nan)
    frame["p_corrected"] = np.nan
    if tested.any():
        frame.loc[tested, "p_corrected"] = multipletests(frame.loc[tested, "p"], method=correction)[1]
    frame["significant"] = (frame["p_corrected"] < 1 - confidence).astype("boolean").where(tested)
    frame = frame.sort_values("difference", key=abs, ascending=False, kind="stable", ignore_index=True)
    low, high, p = _overall(frame["difference"].to_numpy(), confidence, resamples, seed)
    return Comparison(
        first,
        second,
        frame,
        _left_out(a, b, first, second),
        float(frame["difference"].mean()),
        low,
        high,
        p,
        confidence,
        correction,
        resamples,
    )


def _two(data: ScoreData, first: str, second: str) -> tuple[str, str]:
    data.insist()
    ranked = list(data.averages().index)
    insist_on_names("model", [name for name in (first, second) if name], ranked)
    first = first or next(model for model in ranked if model != second)
    rest = [model for model in ranked if model != first]
    if not (second or rest):
        raise NoScoresError(f"expected two models to compare, found {first} alone")
    return first, second or rest[0]


def _overall(
    differences: Any, confidence: float, resamples: int, seed: int
) -> tuple[float | None, float | None, float | None]:
    """The interval of the mean, and the p value of the signed-rank test."""
    import numpy as np
    from scipy import stats

    if len(differences) < 3:
        return None, None, None
    if np.ptp(differences) == 0:  # nothing to draw from
        return float(differences[0]), float(differences[0]), None
    interval = stats.bootstrap(
        (differences,), np.mean, confidence_level=confidence, n_resamples=resamples, method="BCa", rng=seed
    ).confidence_interval
    return float(interval.low), float(interval.high), float(stats.wilcoxon(differences).pvalue)


def _left_out(a: pd.DataFrame, b: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for lacking, other, name in ((a, b, first), (b, a, second)):
        for benchmark in other.index[other["value"].notna()]:
            if benchmark not in lacking.index:
                rows.append((benchmark, name, "not tried yet"))
            elif pd.isna(lacking.loc[benchmark, "value"]):
                rows.append((benchmark, name, str(lacking.loc[benchmark, "reason"])))
    return pd.DataFrame(rows, columns=["benchmark", "lacks", "why"], dtype="str")
