"""What is planned and recorded of the scores, with outcomes written by hand: the computation itself is tested elsewhere."""

import dataclasses
from datetime import timedelta

import pytest
from sqlalchemy import update

from brainscore_ops.database.brainscore_tables import BenchmarkInstance, BenchmarkType, Model, Score
from brainscore_ops.database.ops_tables import Approval, OutboxMessage, ScoreHistory, ScoreProvenance
from brainscore_ops.scoring.approvals import (
    ApprovalExpiredError,
    ApprovalMissingError,
    ApprovalOfAnotherPlanError,
    approve,
)
from brainscore_ops.scoring.recording import record_outcomes
from brainscore_ops.submissions import rescoring, scoring_request
from brainscore_ops.submissions.life import find_life, submission_of, timeline
from brainscore_ops.submissions.scoring_request import ScoringDelayedError, ScoringReport

from .conftest import BOB, CRASHED, LOST, model_files, outcome, planned, record, rows


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


def test_a_model_whose_scores_its_owner_hid_stays_his_whoever_has_it_scored(house):
    number = house.merged(model_files("secret"), BOB)
    with house.context.database.session() as session:
        find_life(session, submission_of(house.context, number)).public = False
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


def test_what_not_everybody_may_see_stands_on_no_pull_request(house):
    number = house.merged(model_files("not_shown"), BOB)
    with house.context.database.session() as session:
        find_life(session, submission_of(house.context, number)).public = False
    submission = record(house, number, outcome)
    comments = [comment.body for comment in house.context.forge._repository.get_pull(number).get_issue_comments()]
    assert not any("0.500" in comment for comment in comments)
    [mailed] = [mail for mail in rows(house, OutboxMessage, submission_id=submission) if mail.template == "scored"]
    assert "0.500" in mailed.text


def test_a_failure_is_mailed_once_with_its_record(house):
    number = house.merged(model_files("mailed"))
    submission = record(house, number, lambda pair: outcome(pair, CRASHED))
    target, plan = planned(house, number)
    scoring_request.conclude(house.context, target, plan, ScoringReport(()))
    told = [mail for mail in rows(house, OutboxMessage, submission_id=submission) if mail.template == "scored"]
    assert len(told) == 1
    assert told[0].text.count("It crashed") + told[0].text.count("it crashed") == 2


def test_a_thousand_outcomes_recorded_twice_are_a_thousand_rows(house):
    number = house.merged(model_files("many"))
    target, plan = planned(house, number)
    [pair, *_] = plan.pairs
    pairs = tuple(
        dataclasses.replace(pair, model=f"many-{number}", identity=f"{number:064x}") for number in range(1000)
    )
    many = dataclasses.replace(plan, pairs=pairs)
    code = scoring_request.read_code(house.context, target.commit)
    held = dataclasses.replace(code.catalogue, models={each.model: pair.model_plugin for each in pairs})
    outcomes = {each.identity: outcome(each) for each in pairs}
    for expected in (1000, 0):
        with house.context.database.session() as session:
            origins = scoring_request._origins(house.context, session)
            found = record_outcomes(
                session, dataclasses.replace(code, catalogue=held), many.pairs, outcomes, origins, None
            )
        assert found.written == expected
    models = {model.name for model in rows(house, Model)}
    assert models >= {each.model for each in pairs}
    assert len([score for score in rows(house, Score) if score.provenance in outcomes]) == 1000


def test_a_rescoring_that_fails_leaves_the_score_and_a_trace(house):
    number = house.merged(model_files("rescored"))
    record(house, number, outcome)
    target, _ = planned(house, number)
    wanted = rescoring.asked_for(models=["rescored"], before="2100-01-01T00:00:00+00:00")
    plan = rescoring.plan_rescoring(house.context, target, wanted)
    before = {row.identity: row.recorded_at for row in rows(house, ScoreProvenance, model="rescored")}
    for _ in range(2):
        report = ScoringReport(tuple(outcome(pair, CRASHED) for pair in plan.pairs))
        scoring_request.record(house.context, target, plan, report)
    after = rows(house, ScoreProvenance, model="rescored")
    assert {row.state for row in after} == {"scored"}
    assert {row.identity: row.recorded_at for row in after} == before
    traces = [trace for trace in rows(house, ScoreHistory) if trace.identity in before]
    assert [trace.event for trace in traces] == ["not-replaced"] * len(before)
    assert traces[0].document["message"] == "it crashed"


def test_a_plan_over_the_limit_waits_for_an_approval_and_the_submission_says_so(house):
    number = house.merged(model_files("costly"))
    target, plan = planned(house, number)
    scoring = house.context.deployment.scoring.model_copy(update={"approval_over_hours": 0.0})
    strict = dataclasses.replace(
        house.context, deployment=house.context.deployment.model_copy(update={"scoring": scoring})
    )
    cost = rescoring.cost_of(strict, plan.pairs)
    with pytest.raises(ApprovalMissingError, match="waits for a maintainer"):
        rescoring.insist_for_target(strict, target, plan, cost)
    found = timeline(house.context.database, target.submission)
    assert (found.state, found.reason_code, found.fault) == ("merged", "approval-missing", "operator")

    with house.context.database.session() as session:
        approve(session, plan.digest, by="grace", lasting=timedelta(hours=1))
    assert rescoring.insist_for_target(strict, target, plan, cost).approved_by == "grace"
    # What is left of an approved plan is approved; what is added is not.
    left = dataclasses.replace(plan, pairs=plan.pairs[:1])
    assert rescoring.insist_for_target(strict, target, left, cost).approved_by == "grace"
    more = dataclasses.replace(plan, pairs=(*plan.pairs, dataclasses.replace(plan.pairs[0], identity="f" * 64)))
    with pytest.raises(ApprovalOfAnotherPlanError):
        rescoring.insist_for_target(strict, target, more, cost)

    with house.context.database.session() as session:
        session.execute(update(Approval).values(expires_at=Approval.approved_at))
    with pytest.raises(ApprovalExpiredError, match="grace"):
        rescoring.insist_for_target(strict, target, plan, cost)


def test_a_plan_of_a_pull_request_is_seen_before_it_is_merged(house):
    number = house.proposed(model_files("previewed"))
    target = scoring_request.preview_target(house.context, number, "")
    found = scoring_request.make_plan(house.context, target)
    assert {pair.model for pair in found.pairs} == {"previewed"}
    assert timeline(house.context.database, target.submission).state == "proposed"
