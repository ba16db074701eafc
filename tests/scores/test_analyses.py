"""What the researchers' notebooks compute, compared with the same computed another way."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from xml.dom.minidom import parseString

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.bench.synthetic_scores import SyntheticSource

from brainscore_ops.scores.analyses.comparison import compare_models
from brainscore_ops.scores.analyses.cost import cost_report, hours
from brainscore_ops.scores.analyses.drift import score_drift
from brainscore_ops.scores.analyses.health import benchmark_health
from brainscore_ops.scores.analyses.model_card import model_card
from brainscore_ops.scores.analyses.ranking import rank_models
from brainscore_ops.scores.benchmark_tree import leaf_weights, tree_of
from brainscore_ops.scores.errors import UnknownNamesError
from brainscore_ops.scores.figures import cost as cost_figures
from brainscore_ops.scores.figures import drift as drift_figures
from brainscore_ops.scores.figures import health as health_figures
from brainscore_ops.scores.figures import ranking as ranking_figures
from brainscore_ops.scores.figures.style import beside
from brainscore_ops.scores.score_data import ScoreData


@pytest.fixture(scope="module")
def data() -> ScoreData:
    return ScoreData(SyntheticSource(models=20, benchmarks=24, seed=1))


def test_the_error_of_an_average_is_that_of_a_weighted_sum(data: ScoreData) -> None:
    ranking = rank_models(data)
    weights = pd.Series(leaf_weights(tree_of(data.benchmarks())))
    best = ranking.frame.iloc[0]
    values, errors = (data.matrix(column).loc[best["model"]] for column in ("value", "error"))
    assert best["average"] == pytest.approx((values.fillna(0) * weights).sum())
    assert best["error"] == pytest.approx(np.sqrt(((errors.fillna(0) * weights) ** 2).sum()))
    assert (ranking.frame[["scored", "failed", "missing"]].sum(axis=1) == 24).all()


def test_differences_are_tested_one_by_one_and_corrected_for_being_many(data: ScoreData) -> None:
    comparison = compare_models(data, seed=3)
    a, b = (data.table(models=model).set_index("benchmark") for model in (comparison.first, comparison.second))
    row = comparison.frame.iloc[0]
    one, other = a.loc[row["benchmark"]], b.loc[row["benchmark"]]
    z = (one["value"] - other["value"]) / np.hypot(one["error"], other["error"])
    assert row["difference"] == one["value"] - other["value"]
    assert row["p"] == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert row["low"] == pytest.approx(row["difference"] - 1.959964 * np.hypot(one["error"], other["error"]), rel=1e-5)
    # Holm: the smallest p value times the number of tests, the next one times one less, never falling.
    ordered = np.sort(comparison.frame["p"])
    holm = np.minimum(1, np.maximum.accumulate(ordered * np.arange(len(ordered), 0, -1)))
    assert np.sort(comparison.frame["p_corrected"]) == pytest.approx(holm)
    assert comparison.mean == pytest.approx(comparison.frame["difference"].mean())
    assert comparison.low is not None
    assert comparison.high is not None
    assert comparison.low < comparison.mean < comparison.high
    assert comparison.wilcoxon_p == pytest.approx(stats.wilcoxon(comparison.frame["difference"]).pvalue)
    again = compare_models(data, seed=3)
    assert (again.low, again.high) == (comparison.low, comparison.high), "the same seed gives the same interval"


def test_benjamini_and_hochberg_find_at_least_what_holm_finds(data: ScoreData) -> None:
    holm, bh = (compare_models(data, correction=name, resamples=200) for name in ("holm", "fdr_bh"))
    assert holm.frame["significant"].sum() <= bh.frame["significant"].sum()


def test_a_model_compared_the_other_way_round_has_the_opposite_differences(data: ScoreData) -> None:
    there = compare_models(data, resamples=200)
    back = compare_models(data, there.second, there.first, resamples=200)
    assert back.mean == pytest.approx(-there.mean)
    assert (back.wins, back.losses) == (there.losses, there.wins)


def test_without_errors_nothing_is_tested() -> None:
    source = SyntheticSource(models=3, benchmarks=6, seed=2)
    source._scores["error"] = np.nan
    comparison = compare_models(ScoreData(source), resamples=200)
    assert comparison.frame["p"].isna().all()
    assert comparison.frame["significant"].isna().all()
    assert "of 0 with errors" in str(comparison.table())


def test_what_only_one_model_has_is_left_out_and_told() -> None:
    source = SyntheticSource(models=3, benchmarks=12, seed=2)
    scores = source._scores
    first = scores["model"].iloc[0]
    source._scores = scores[~((scores["model"] == first) & (scores["benchmark"] == scores["benchmark"].iloc[0]))]
    comparison = compare_models(ScoreData(source), first, resamples=200)
    assert (first, "not tried yet") in set(zip(comparison.left_out["lacks"], comparison.left_out["why"], strict=True))
    assert scores["benchmark"].iloc[0] not in set(comparison.frame["benchmark"])


def test_agreement_with_the_rest_is_spearmans_correlation_with_the_mean_of_the_others(data: ScoreData) -> None:
    health = benchmark_health(data).frame.set_index("benchmark")
    matrix = data.matrix()
    standardized = (matrix - matrix.mean()) / matrix.std()
    for name in matrix.columns[:5]:
        both = pd.concat([matrix[name], standardized.drop(columns=name).mean(axis=1)], axis=1).dropna()
        assert health.loc[name, "rest"] == pytest.approx(stats.spearmanr(both.iloc[:, 0], both.iloc[:, 1]).statistic)
        assert health.loc[name, "models"] == len(both)
    assert (health["influence"] >= 0).all()
    assert benchmark_health(data, least_models=21).frame["rest"].isna().all()


def test_a_card_places_a_model_among_all_that_were_scored(data: ScoreData) -> None:
    card = model_card(data)
    assert card.rank == 1
    row = card.frame.dropna(subset=["value"]).iloc[0]
    column = data.matrix()[row["benchmark"]]
    assert row["place"] == 1 + (column > row["value"]).sum()
    assert (row["best"], row["median"]) == (column.max(), column.median())
    with pytest.raises(UnknownNamesError):
        model_card(data, "nobody")


def test_what_computing_again_changed_is_after_minus_before(data: ScoreData) -> None:
    drift = score_drift(data)
    history = data.history()
    row = drift.changes.iloc[0]
    same = history[(history["model"] == row["model"]) & (history["benchmark"] == row["benchmark"])].sort_values("at")
    assert row["difference"] == same["value"].iloc[-1] - same["value"].iloc[-2]
    assert drift.changes["difference"].abs().is_monotonic_decreasing
    assert drift.canaries["range"].max() > 0.01, "one of the drawn canaries jumps"


def test_node_hours_are_those_of_all_tries_and_the_lost_ones_those_without_a_score(data: ScoreData) -> None:
    report = cost_report(data)
    runs = data.runs()
    seconds = (runs["ended_at"] - runs["started_at"]).dt.total_seconds()
    assert report.frame["node_hours"].sum() == pytest.approx(seconds.sum() / 3600)
    assert report.frame["lost_hours"].sum() == pytest.approx(seconds[runs["state"] == "failed"].sum() / 3600)
    assert report.frame["tries"].sum() == len(runs)
    assert cost_report(data, since="2999-01-01").runs.empty


def test_where_nothing_was_recorded_figures_and_tables_are_empty_and_say_so(data: ScoreData) -> None:
    cost, drift = cost_report(data, since="2999-01-01"), score_drift(data, since="2999-01-01")
    for shown in (cost.table(), cost.details, drift.table(), drift.details):
        assert str(shown)
    for figure in (cost_figures.node_hours(cost), cost_figures.time_and_memory(cost), cost_figures.by_month(cost),
                   drift_figures.through_time(drift), drift_figures.changes(drift)):  # fmt: skip
        assert figure.svg.startswith("<svg")


def test_a_stranger_in_an_identifier_does_nothing_in_a_picture() -> None:
    source = SyntheticSource(models=4, benchmarks=6, seed=2)
    hostile = "\x1b[31m<script>$alert(1)$</script>"
    first = source._models["model"].iloc[0]
    source._scores["model"] = source._scores["model"].replace(first, hostile)
    source._models["model"] = source._models["model"].replace(first, hostile)
    figure = ranking_figures.averages(rank_models(ScoreData(source)))
    assert "<script" not in figure.svg
    assert all(character.isprintable() or character == "\n" for character in figure.svg + repr(figure))
    parseString(figure.svg)  # noqa: S318 - drawn by ourselves


def test_scores_and_their_ceiling_are_drawn_on_one_scale(data: ScoreData) -> None:
    health = benchmark_health(data)
    median, best, ceiling = health_figures.spread(health).document["data"]
    frame = health.frame
    assert best["x"] == pytest.approx(list(frame["best"])), "scores in relation to the ceiling"
    assert ceiling["x"] == [1.0 if known else None for known in frame["ceiling"].notna()]
    known = frame["ceiling"].notna()
    drawn = pd.Series(ceiling["error_x"]["array"], dtype="float64")[known]
    assert drawn.to_numpy() == pytest.approx((frame["ceiling_error"] / frame["ceiling"])[known].to_numpy(), nan_ok=True)
    assert median["x"] == pytest.approx(list(frame["median"]))


def test_models_that_go_the_other_way_are_not_said_to_go_alike(data: ScoreData) -> None:
    card = model_card(data)
    opposite = card.nearest.assign(correlation=-card.nearest["correlation"].abs())
    assert "goes most alike with" in str(card.table())
    assert "goes most alike with" not in str(replace(card, nearest=opposite).table())


def test_little_time_is_not_shown_as_none() -> None:
    assert [hours(value) for value in (0.0, 0.0057, 0.62, 1234.567)] == ["0", "0.0057", "0.62", "1,234.57"]


def test_a_canary_that_was_scored_once_is_drawn_on_its_day(data: ScoreData) -> None:
    drift = score_drift(data)
    once = replace(drift, canary_scores=drift.canary_scores.head(1), canaries=drift.canaries.head(1))
    figure = drift_figures.canaries(once)
    begin, end = (datetime.fromisoformat(moment) for moment in figure.document["layout"]["xaxis"]["range"])
    assert end - begin == timedelta(days=2)
    assert figure.document["layout"]["title"]["text"] == "Drift of 1 canary"
    assert figure.svg.startswith("<svg")


def test_a_column_or_state_that_is_not_there_is_answered_with_those_that_come_close(data: ScoreData) -> None:
    with pytest.raises(UnknownNamesError, match="Did you mean value"):
        data.matrix("valu")
    with pytest.raises(UnknownNamesError, match="Did you mean scored"):
        data.table(state="scord")


def test_names_of_points_on_the_right_stand_to_their_left() -> None:
    assert beside([1.0, None, 9.0, 5.0]) == ["top right", "top right", "top left", "top right"]
    assert beside([3.0]) == ["top right"]
    assert beside([]) == []
