"""Everything about one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Shown, Table, number, with_error
from brainscore_ops.scores.analyses.frames import frame_table
from brainscore_ops.scores.analyses.ranking import finite, rank_models
from brainscore_ops.scores.errors import insist_on_names

if TYPE_CHECKING:
    import pandas as pd

    from brainscore_ops.scores.score_data import ScoreData


@dataclass(frozen=True)
class ModelCard(Shown):
    """A model among the others."""

    model: str
    facts: dict[str, Any]
    rank: int | None
    models: int
    """How many have a rank."""
    average: float | None
    error: float | None
    frame: pd.DataFrame
    """A row a benchmark: its outcome as in the table, and ``best``, ``median``, ``place`` and ``of`` among all models."""
    nearest: pd.DataFrame
    """The models whose scores go most alike with its own over benchmarks: ``model``, ``correlation``, ``benchmarks``."""

    def table(self) -> Table:
        parameters = self.facts.get("parameters")
        place = f"{self.rank} of {self.models}" if self.rank is not None else "none: it has no score"
        failed = int((self.frame["state"] == "failed").sum())
        return Table(
            self.model,
            [
                ("rank", place),
                ("average", with_error(self.average, self.error)),
                ("benchmarks", f"{len(self.frame) - failed} scored, {failed} failed"),
                ("family", self.facts.get("family")),
                ("architecture", self.facts.get("architecture")),
                ("parameters", f"{parameters:,}" if isinstance(parameters, int) else None),
                ("reference", self.facts.get("reference")),
                ("address", self.facts.get("url")),
                (
                    "goes most alike with",
                    ", ".join(
                        f"{row['model']} (r = {number(row['correlation'], 2)})"
                        for row in self.nearest[self.nearest["correlation"] > 0].head(3).to_dict("records")
                    ),
                ),
            ],
        )

    @property
    def details(self) -> Table:
        """A row a benchmark."""
        columns = {
            "benchmark": ("benchmark", ""),
            "version": ("version", ""),
            "value": ("score", ".3f"),
            "error": ("± s.e.", ".3f"),
            "raw": ("raw", ".3f"),
            "ceiling": ("ceiling (raw)", ".3f"),
            "placed": ("place", ""),
            "best": ("best", ".3f"),
            "median": ("median", ".3f"),
            "said": ("", ""),
        }
        placed = [
            f"{int(place)} of {of}" if place == place else "–"
            for place, of in zip(self.frame["place"], self.frame["of"], strict=True)
        ]
        return frame_table(
            "By benchmark", self.frame.assign(placed=placed, said=self.frame["reason"].fillna("")), columns, 300
        )

    @property
    def provenance(self) -> Table:
        """Where its scores come from."""
        columns = {
            "benchmark": ("benchmark", ""),
            "when": ("when (UTC)", ""),
            "library_commit": ("library", ""),
            "environment": ("environment", ""),
            "model_digest": ("model's plugin", ""),
            "run": ("run", ""),
        }
        short = {name: self.frame[name].str[:10] for name in ("library_commit", "environment", "model_digest")}
        when = self.frame["computed_at"].dt.strftime("%Y-%m-%d %H:%M")
        return frame_table("Where the scores come from", self.frame.assign(when=when, **short), columns, 300)


def model_card(data: ScoreData, model: str = "", *, under: str | None = None) -> ModelCard:
    """The card of a model.

    :param model: by default the best
    :raises UnknownNamesError: there is no such model
    """
    import pandas as pd

    ranking = rank_models(data, under=under)
    model = model or ranking.frame["model"].iloc[0]
    insist_on_names("model", [model], set(ranking.frame["model"]))
    [own] = ranking.frame[ranking.frame["model"] == model].to_dict("records")
    matrix = ranking.matrix
    frame = data.table(models=model, under=under)
    of = matrix[frame["benchmark"]]
    places = of.rank(method="min", ascending=False)
    frame["place"] = places.loc[model].to_numpy() if model in places.index else float("nan")
    frame["of"] = of.notna().sum().to_numpy()
    frame["best"], frame["median"] = of.max().to_numpy(), of.median().to_numpy()
    order = {benchmark: index for index, benchmark in enumerate(data.benchmarks()["benchmark"])}
    frame = frame.sort_values("benchmark", key=lambda names: names.map(order), ignore_index=True)
    known = data.models()
    rows = known[known["model"] == model].astype(object).to_dict("records")
    facts = {str(name): value for row in rows for name, value in row.items() if not pd.isna(value)}
    return ModelCard(
        model=model,
        facts=facts,
        rank=None if own["average"] != own["average"] else int(own["rank"]),
        models=int(ranking.frame["rank"].notna().sum()),
        average=finite(own["average"]),
        error=finite(own["error"]),
        frame=frame,
        nearest=_nearest(matrix, model),
    )


def _nearest(matrix: pd.DataFrame, model: str, least: int = 3) -> pd.DataFrame:
    """Pearson's correlation of the model's scores with every other's, after each benchmark's mean over models is taken away."""
    centred = matrix - matrix.mean()
    others = centred.drop(index=model)
    own = centred.loc[model]
    shared = others.notna().mul(own.notna()).sum(axis=1)
    correlations = others[shared >= least].T.corrwith(own)
    found = correlations.dropna().rename("correlation").rename_axis("model").reset_index()
    found["benchmarks"] = found["model"].map(shared)
    return found.sort_values("correlation", ascending=False, ignore_index=True)
