"""The parameters of the researchers' notebooks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from brainscore_ops.parameters import RunbookParameters


class ScoresParameters(RunbookParameters):
    """Where scores come from, and which."""

    source: str = Field(
        "",
        description="where scores come from: a deployment, https://… of a website, a folder of published data; "
        "by default the deployment's database",
    )
    under: str = Field("", description="only the benchmarks below this parent, such as neural; by default all")


class LeaderboardParameters(ScoresParameters):
    """The parameters of ``leaderboard``."""

    models: list[str] = Field([], description="only these models; by default all")
    top: int = Field(30, ge=1, description="how many models the figures show")


class CompareModelsParameters(ScoresParameters):
    """The parameters of ``compare_models``."""

    first: str = Field("", description="a model's identifier; by default the best one")
    second: str = Field("", description="the model that it is compared with; by default the second best")
    confidence: float = Field(0.95, gt=0, lt=1, description="the level of all intervals; 1 minus it that of the tests")
    correction: Literal["holm", "fdr_bh"] = Field(
        "holm",
        description="for many benchmarks: holm (no false finding at all) or fdr_bh (few among the findings)",
    )
    resamples: int = Field(10_000, ge=100, description="how often the bootstrap draws benchmarks anew")
    seed: int = Field(0, description="of the bootstrap's random numbers: the same gives the same interval")


class ModelCardParameters(ScoresParameters):
    """The parameters of ``model_card``."""

    model: str = Field("", description="the model's identifier; by default the best one")


class BenchmarkHealthParameters(ScoresParameters):
    """The parameters of ``benchmark_health``."""

    least_models: int = Field(
        5, ge=3, description="a correlation over fewer models than this is not computed: it would say nothing"
    )


class ScoreHistoryParameters(ScoresParameters):
    """The parameters of ``score_history``."""

    models: list[str] = Field([], description="only these models; by default all")
    since: str = Field("", description="only what was recorded then or later: 2026-01-31; by default everything")


class CostReportParameters(ScoresParameters):
    """The parameters of ``cost_report``."""

    since: str = Field("", description="only tries that ended then or later: 2026-01-31; by default all")
