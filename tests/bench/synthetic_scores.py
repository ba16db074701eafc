"""Scores that nobody measured, as many as Brain-Score has: for measuring how quick what works on scores is.

    python tests/bench/synthetic_scores.py FOLDER [--models 683] [--benchmarks 270] [--seed 0]

The folder is then a source of scores: ``scores.connect(FOLDER)``. A model's score on a benchmark is its general ability, plus
what it is better at in the benchmark's group, plus noise; abilities, ceilings, failures and costs are drawn with the seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from brainscore_ops.scores.columns import SCHEMAS
from brainscore_ops.scores.sources.published import published_files

AREAS = ("V1", "V2", "V4", "IT", "behavior", "engineering")
FAMILIES = ("resnet", "vit", "convnext", "densenet", "cornet", "alexnet")
START = pd.Timestamp("2022-01-01", tz="UTC")
DAYS = 1700


class SyntheticSource:
    """A source of scores that were drawn.

    :param models: how many
    :param benchmarks: how many, in six groups of which each has groups below it
    """

    name, domain = "synthetic scores", "vision"

    def __init__(self, models: int = 683, benchmarks: int = 270, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._benchmarks = self._draw_benchmarks(benchmarks)
        self._models = self._draw_models(models)
        self._scores = self._draw_scores()

    def read(self, name: str) -> pd.DataFrame:
        """See :class:`brainscore_ops.scores.sources.kinds.Source`."""
        frame: pd.DataFrame = {
            "table": lambda: self._scores,
            "benchmarks": lambda: self._benchmarks,
            "models": lambda: self._models,
            "history": self._history,
            "runs": self._runs,
            "canaries": self._canaries,
        }[name]()
        return SCHEMAS[name].typed(frame)

    def _draw_benchmarks(self, count: int) -> pd.DataFrame:
        rows = []
        for place, area in enumerate(AREAS):
            rows.append({"benchmark": area, "order": place})
            share = [number for number in range(count) if number % len(AREAS) == place]
            for group in sorted({number // 36 for number in share}):
                lab = f"{area}-Lab{2010 + group}"
                rows.append({"benchmark": lab, "parent": area, "order": group})
                for number in (number for number in share if number // 36 == group):
                    ceiled = self._random.random() < 0.85
                    rows.append({
                        "benchmark": f"Lab{2010 + group}.{area}.{number:03d}-pls", "parent": lab, "order": number,
                        "version": 1 + int(self._random.random() < 0.2),
                        "ceiling": self._random.uniform(0.5, 0.99) if ceiled else None,
                        "ceiling_error": self._random.uniform(0.002, 0.03) if ceiled else None,
                        "reference": f"Lab et al., {2010 + group}",
                    })  # fmt: skip
        return pd.DataFrame(rows)

    def _draw_models(self, count: int) -> pd.DataFrame:
        family = self._random.choice(FAMILIES, count)
        return pd.DataFrame(
            {
                "model": [f"{name}_{number:03d}" for number, name in enumerate(family)],
                "family": family,
                "architecture": "convolutional",
                "parameters": np.exp(self._random.uniform(np.log(1e6), np.log(1e9), count)).astype("int64"),
            }
        ).sort_values("model", ignore_index=True)

    def _draw_scores(self) -> pd.DataFrame:
        leaves = self._benchmarks.dropna(subset=["version"]).reset_index(drop=True)
        models, random = self._models, self._random
        shape = (len(models), len(leaves))
        size = np.log10(models["parameters"].to_numpy()) - 7.5
        ability = 0.42 + 0.06 * size + random.normal(0, 0.08, len(models))
        areas = leaves["benchmark"].str.split(".").str[1]
        special = {area: random.normal(0, 0.05, len(models)) for area in AREAS}
        in_area = np.stack([special[area] for area in areas], axis=1)
        error = np.broadcast_to(random.uniform(0.005, 0.06, shape[1]), shape) * random.uniform(0.8, 1.2, shape)
        value = ability[:, None] + in_area + random.normal(0, 0.07, shape[1]) + random.normal(0, 1, shape) * error
        failed = (random.random(shape) < 0.02) | (random.random(shape[0]) < 0.03)[:, None]
        value = np.where(failed, np.nan, np.clip(value, 0, 1))
        rows, columns = np.divmod(np.arange(value.size), shape[1])
        of = leaves.iloc[columns].reset_index(drop=True)
        flat, broken = value.ravel(), failed.ravel()
        kinds = random.choice(["out-of-memory", "timeout", "scoring-crashed"], value.size)
        table = pd.DataFrame(
            {
                "model": models["model"].to_numpy()[rows],
                "benchmark": of["benchmark"],
                "version": of["version"],
                "parent": of["parent"],
                "value": flat,
                "raw": flat * of["ceiling"].fillna(1.0),
                "ceiled": np.where(of["ceiling"].notna(), flat, np.nan),
                "error": np.where(broken, np.nan, error.ravel()),
                "ceiling": of["ceiling"],
                "ceiling_error": of["ceiling_error"],
                "state": np.where(broken, "failed", "scored"),
                "reason": np.where(broken, kinds, None),
                "reason_code": np.where(broken, kinds, None),
                "fault": np.where(broken, "submission", None),
                "computed_at": START + pd.to_timedelta(random.uniform(0, DAYS, value.size), unit="D"),
                "public": True,
                "identity": [f"{number:064x}" for number in range(value.size)],
                "library_commit": "2" * 40,
                "score_id": np.arange(value.size),
                "model_id": rows,
                "benchmark_id": columns,
            }
        )
        tried = random.random(value.size) < 0.9
        return table[tried].reset_index(drop=True)

    def _history(self) -> pd.DataFrame:
        now = self._scores.assign(place="counts", at=self._scores["computed_at"])
        again = now[now["state"] == "scored"].sample(frac=0.1, random_state=0)
        moved = again["value"] + again["error"] * np.random.default_rng(1).normal(0, 0.7, len(again))
        before = again.assign(place="replaced", value=moved.clip(0, 1), at=again["at"] - pd.Timedelta(days=90))
        order = pd.concat([now, before]).sort_values(["model", "benchmark", "at"], ascending=[True, True, False])
        return order.reset_index(drop=True)

    def _runs(self) -> pd.DataFrame:
        random = np.random.default_rng(2)
        runs = self._scores[["model", "benchmark", "state", "reason", "fault", "identity", "library_commit"]].copy()
        sizes = self._models.set_index("model")["parameters"].astype("float64")
        hard = dict(zip(self._benchmarks["benchmark"], np.exp(random.normal(5, 1, len(self._benchmarks))), strict=True))
        runs["wall_seconds"] = (
            runs["benchmark"].map(hard) * (runs["model"].map(sizes) / 1e8) ** 0.4 * random.lognormal(0, 0.2, len(runs))
        )
        runs["cpu_seconds"] = runs["wall_seconds"] * 3.5
        runs["peak_memory_bytes"] = (2**30 * (1 + runs["model"].map(sizes) * 12 / 2**30)).astype("int64")
        runs["kind"] = runs["reason"].where(runs["reason"] != "scoring-crashed", "deterministic")
        runs["number"], runs["partition"] = 1, "gpu"
        runs["resource_class"] = np.where(runs["peak_memory_bytes"] > 6 * 2**30, "big", "gpu")
        runs["ended_at"] = self._scores["computed_at"]
        runs["started_at"] = runs["ended_at"] - pd.to_timedelta(runs["wall_seconds"] + 20, unit="s")
        runs["queued_at"] = runs["started_at"] - pd.to_timedelta(random.exponential(900, len(runs)), unit="s")
        return runs.sort_values(["model", "benchmark", "ended_at"], ignore_index=True)

    def _canaries(self) -> pd.DataFrame:
        random = np.random.default_rng(3)
        rows = []
        for number, (model, benchmark) in enumerate(
            zip(self._models["model"][:4], self._benchmarks["benchmark"][2:6], strict=True)
        ):
            for week in range(40):
                jump = 0.012 if number == 2 and week > 25 else 0.0
                value = 0.4 + jump + random.normal(0, 0.0008)
                rows.append({"model": model, "benchmark": benchmark, "state": "scored", "value": value,
                             "at": START + pd.Timedelta(weeks=week * 4), "library_commit": "2" * 40})  # fmt: skip
        return pd.DataFrame(rows)


def write(folder: Path, *, models: int = 683, benchmarks: int = 270, seed: int = 0) -> Path:
    """Write a folder of published scores.

    :returns: the folder
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in published_files(SyntheticSource(models, benchmarks, seed)).items():
        (folder / name).write_bytes(content)
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for option, default in (("--models", 683), ("--benchmarks", 270), ("--seed", 0)):
        parser.add_argument(option, type=int, default=default)
    asked = parser.parse_args()
    print(write(asked.folder, models=asked.models, benchmarks=asked.benchmarks, seed=asked.seed))  # noqa: T201
