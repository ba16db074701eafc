"""What is planned and recorded of the scores, with outcomes written by hand: the computation itself is tested elsewhere."""

import dataclasses

import pytest
from sqlalchemy import select

from brainscore_ops.database.brainscore_tables import BenchmarkInstance, BenchmarkType, Model, Score
from brainscore_ops.database.ops_tables import ScoreProvenance
from brainscore_ops.scoring.pair import PairOutcome
from brainscore_ops.submissions import scoring_request
from brainscore_ops.submissions.life import submission_of, timeline
from brainscore_ops.submissions.scoring_request import ScoringDelayedError, ScoringReport

from .conftest import BOB, model_files

FACTS = {
    "value": 0.5, "error": 0.1, "raw": 0.4, "ceiling": 0.8, "ceiling_error": 0.01, "benchmark_version": 1,
    "benchmark_parent": "neural", "benchmark_bibtex": None, "packages": {}, "wall_seconds": 1.0, "cpu_seconds": 1.0,
    "peak_memory_bytes": 1,
}  # fmt: skip
CRASHED = {"code": "scoring-crashed", "fault": "submission", "message": "it crashed", "log": "the end"}
LOST = {"code": "worker-lost", "fault": "infrastructure", "message": "the worker is gone", "log": ""}


def outcome(pair, failure=None, **facts):
    return PairOutcome(
        model=pair.model,
        benchmark=pair.benchmark,
        state="failed" if failure else "scored",
        result=None if failure else {**FACTS, **facts},
        failure=failure,
        environment_digest="e" * 64,
        sandboxed=True,
        node="here",
        run_id=None,
    )


def planned(house, number):
    target = scoring_request.find_target(house.context, number, "")
    return target, scoring_request.make_plan(house.context, target)


def record(house, number, make):
    """Record an outcome for each planned pair, and conclude."""
    target, plan = planned(house, number)
    report = ScoringReport(tuple(make(pair) for pair in plan.pairs))
    scoring_request.record(house.context, target, plan, report)
    scoring_request.conclude(house.context, target, plan, report)
    return target.submission


def rows(house, table, **conditions):
    with house.context.database.session() as session:
        query = select(table)
        for name, value in conditions.items():
            query = query.where(getattr(table, name) == value)
        return session.scalars(query).all()


def test_a_merged_model_is_scored_on_every_benchmark_once(house):
    number = house.merged(model_files("planned"))
    _, plan = planned(house, number)
    assert {(pair.model, pair.benchmark) for pair in plan.pairs} == {
        ("planned", "Scott2019.concreteness-ridge"),
        ("planned", "VanEssen2013.functional-similarity"),
    }
    submission = record(house, number, outcome)
    assert timeline(house.context.database, submission).state == "scored"
    assert planned(house, number)[1].pairs == ()


def test_recording_twice_changes_nothing(house):
    number = house.merged(model_files("recorded"))
    target, plan = planned(house, number)
    report = ScoringReport(tuple(map(outcome, plan.pairs)))
    for _ in range(2):
        scoring_request.record(house.context, target, plan, report)
    [model] = rows(house, Model, name="recorded")
    assert len(rows(house, Score, model_id=model.id)) == 2


def test_a_pair_that_failed_for_no_reason_of_its_own_is_planned_again_and_its_score_counts(house):
    number = house.merged(model_files("again"))
    target, plan = planned(house, number)
    with pytest.raises(ScoringDelayedError, match="worker-lost"):
        record(house, number, lambda pair: outcome(pair, LOST))
    found = timeline(house.context.database, target.submission)
    assert (found.state, found.reason_code, found.fault) == ("merged", "scoring-delayed", "infrastructure")
    assert len(planned(house, number)[1].pairs) == len(plan.pairs)
    submission = record(house, number, outcome)
    assert timeline(house.context.database, submission).state == "scored"
    assert {row.state for row in rows(house, ScoreProvenance, model="again")} == {"scored"}


def test_a_pair_that_crashed_is_not_tried_again(house):
    number = house.merged(model_files("crashes"))
    submission = record(house, number, lambda pair: outcome(pair, CRASHED))
    found = timeline(house.context.database, submission)
    assert (found.state, found.reason_code, found.fault) == ("scoring-failed", "scoring-crashed", "submission")
    assert planned(house, number)[1].pairs == ()


def test_what_plugin_code_says_of_a_benchmark_that_is_known_is_not_heard(house):
    record(house, house.merged(model_files("first")), outcome)
    record(
        house,
        house.merged(model_files("forger")),
        lambda pair: outcome(pair, benchmark_version=999, benchmark_parent="mine"),
    )
    assert {instance.version for instance in rows(house, BenchmarkInstance)} == {1}
    assert rows(house, BenchmarkType, identifier="mine") == []


def test_a_private_model_stays_its_owners_whoever_has_it_scored(house):
    number = house.merged(model_files("secret"), BOB, public=False)
    everything = scoring_request.make_plan(house.context, scoring_request.find_target(house.context, None, ""))
    assert "secret" in {pair.model for pair in everything.pairs}
    target = scoring_request.find_target(house.context, None, "")
    pairs = tuple(pair for pair in everything.pairs if pair.model == "secret")
    plan = dataclasses.replace(everything, pairs=pairs)
    scoring_request.record(house.context, target, plan, ScoringReport(tuple(map(outcome, pairs))))
    [model] = rows(house, Model, name="secret")
    owner = timeline(house.context.database, submission_of(house.context, number))
    assert model.public is False
    assert (owner.email, model.submission_id) == (BOB, owner.submission)


def test_the_scores_stand_on_the_pull_request_too(house):
    number = house.merged(model_files("shown"))
    record(house, number, outcome)
    comments = [comment.body for comment in house.context.forge._repository.get_pull(number).get_issue_comments()]
    assert any("0.500 ± 0.100" in comment for comment in comments)
