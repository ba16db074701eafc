"""What a runbook would do, told without doing it."""

from __future__ import annotations

import inspect

import pytest
from sqlalchemy import text

from brainscore_ops.database.ops_tables import CanaryScore, now
from brainscore_ops.forge.client import ForgeClient
from brainscore_ops.forge.planning import PlanningForgeClient
from brainscore_ops.planning import PLAN_VARIABLE, EndOfPlanError, read_effects
from brainscore_ops.runbooks.catalogue import list_runbooks
from brainscore_ops.runbooks.execution import RunRefusedError
from brainscore_ops.runbooks.planning import NoPlanError, PlanChangedError, plan_runbook, run_as_planned
from brainscore_ops.runbooks.runs import RunKind, StepState
from brainscore_ops.runbooks.states import RunState
from brainscore_ops.settings import Workspace
from brainscore_ops.submissions import gate, intake, mail, merging, plugin_tests, proposal
from brainscore_ops.submissions.context import open_deployment

from .conftest import ROOT, model_files

READING = {
    *("clone_url", "login", "token", "default_branch", "pull_request", "pull_requests", "pull_requests_since"),
    *("reviews", "comments", "changed_files", "role", "account", "statuses"),
}
TABLES = ("brainscore_user", "brainscore_submission", "submission_life", "submission_event", "outbox")


@pytest.fixture
def planning(house, tmp_path, monkeypatch):
    """Open the deployment as the kernel of a planning run does; what was planned is read afterwards."""
    deployment = house.context.deployment
    monkeypatch.setenv("BRAINSCORE_OPS_WORKSPACE", str(ROOT))
    monkeypatch.setenv("BRAINSCORE_OPS_STATE", str(deployment.workspace.state_root))
    monkeypatch.setenv("BRAINSCORE_OPS_OUTPUTS", str(deployment.workspace.outputs_root))
    opened = []

    def plan(work):
        file = tmp_path / f"effects-{len(opened)}"
        monkeypatch.setenv(PLAN_VARIABLE, str(file))
        context = open_deployment("local")
        opened.append(context)
        ends = ""
        try:
            work(context)
        except EndOfPlanError as end:
            ends = end.message
        finally:
            context.database.close()
            monkeypatch.delenv(PLAN_VARIABLE)
        return read_effects(file, ends)

    return plan


def rows(house):
    with house.context.database.session() as session:
        return {table: session.scalar(text(f"SELECT count(*) FROM {table}")) for table in TABLES}


def kinds(effects):
    return [effect.kind for effect in effects.effects]


def test_every_way_to_write_to_the_forge_is_planned():
    public = {name for name, _ in inspect.getmembers(ForgeClient) if not name.startswith("_")}
    assert public - READING == {name for name in vars(PlanningForgeClient) if not name.startswith("_")}


def test_every_runbook_is_planned_or_says_why_not():
    said = {runbook.name: runbook.no_plan for runbook in list_runbooks(Workspace(ROOT, ROOT, ROOT)) if runbook.no_plan}
    assert said.keys() == {"score_pair"}
    assert not [name for name, why in said.items() if "does not say" in why]


def test_an_intake_is_planned_and_leaves_nothing(house, planning):
    archive = house.archive(model_files("planned_alone"))

    def work(context):
        received = intake.receive(context, archive, email="new@example.org", submitter="N", name="a plan", public=True)
        intake.accept(context, received, intake.validate(context, received))
        assert intake.find_submission(context, archive, "new@example.org").state == "accepted", "later steps see it"
        mail.deliver(context)

    before = rows(house)
    first, second = planning(work), planning(work)
    assert rows(house) == before
    assert not (house.context.deployment.state / "archives" / f"{intake._file_digest(archive)}.zip").exists()
    assert first.digest == second.digest
    assert [effect.what for effect in first.effects if effect.kind == "mail"] == [
        "to new@example.org: Received: a plan"
    ]
    added = [effect.details["table"] for effect in first.effects if effect.details.get("action") == "add"]
    assert added[:2] == ["brainscore_user", "brainscore_submission"]
    assert "(to be made)" in str(first.table())


def test_a_proposal_is_planned(house, planning):
    submission = house.accept(model_files("proposed_in_a_plan"))

    def work(context):
        prepared = proposal.prepare(context, submission)
        proposal.propose(context, prepared)
        proposal.open_pull_request(context, prepared)

    effects = planning(work)
    assert {"branch", "pull request", "row"} <= set(kinds(effects))
    assert not [pull for pull in house.context.forge.pull_requests() if pull.head_ref == f"submission/{submission}"]
    house.propose(submission)
    assert kinds(planning(work)) == [], "what is done is not planned again"


def test_a_merge_is_planned_up_to_the_commit_that_only_the_forge_can_make(house, planning):
    number = house.proposed(model_files("merged_in_a_plan"))
    house.pass_tests(number)

    def work(context):
        verdict = gate.examine(context, number)
        merging.insist(context, verdict)
        merging.merge(context, verdict)

    effects = planning(work)
    assert kinds(effects) == ["merge"]
    assert "score_plugins is next" in effects.ends_at
    assert not house.context.forge.pull_request(number).merged


def test_plugin_tests_are_planned_up_to_their_verdict(house, planning):
    number = house.proposed(model_files("tested_in_a_plan"))

    def work(context):
        plugin_tests.build_environments(context, plugin_tests.find_candidate(context, number))

    effects = planning(work)
    assert kinds(effects)[-1] == "tests"
    assert "models/tested_in_a_plan" in effects.effects[-1].what
    assert house.context.forge.statuses(house.context.forge.pull_request(number).head_sha) == {}


def test_a_connection_outside_of_the_plan_cannot_write(planning):
    def work(context):
        with context.database.connection() as connection:
            connection.execute(text("DELETE FROM outbox"))

    with pytest.raises(Exception, match="read-only transaction"):
        planning(work)


def test_a_runbook_acts_only_on_the_plan_that_was_seen(house):
    submission = house.accept(model_files("as_planned"))
    workspace, parameters = house.context.deployment.workspace, {"submission": submission}
    asked = {"deployment": "local", "triggered_by": "test", "workspace": workspace}
    planned = plan_runbook("create_pr", parameters, **asked)
    assert planned.result.state is RunState.SUCCEEDED
    assert planned.result.scraps["plan"] == planned.effects.digest
    with pytest.raises(PlanChangedError) as refused:
        run_as_planned("create_pr", parameters, "0" * 64, **asked)
    assert "pull-request" in [problem.code for problem in refused.value.problems]
    done = run_as_planned("create_pr", parameters, planned.effects.digest[:16], **asked)
    assert done.state is RunState.SUCCEEDED
    assert house.context.forge.pull_request(done.scraps["pull_request"]).head_ref == f"submission/{submission}"


def test_a_plan_that_ends_early_is_no_failure(house):
    number = house.proposed(model_files("ends_early"))
    planned = plan_runbook(
        "test_plugins",
        {"pull_request": number},
        deployment="local",
        triggered_by="test",
        workspace=house.context.deployment.workspace,
    )
    assert planned.result.state is RunState.SUCCEEDED
    assert "theirs to say" in planned.effects.ends_at
    from brainscore_ops.runbooks.records import read_record

    record = read_record(planned.result.record)
    assert record.run["kind"] == RunKind.PLAN
    assert [step.state for step in record.steps][:4] == [StepState.SUCCEEDED] * 3 + [StepState.PENDING]
    assert record.notebook["metadata"]["brainscore_ops"]["plan"]["digest"] == planned.effects.digest
    assert "models/ends_early" in str(record.notebook["cells"][-1]["outputs"])


def test_a_runbook_that_cannot_be_planned_says_what_to_do_instead(house):
    with pytest.raises(NoPlanError, match="nothing outside changes by it"):
        plan_runbook("score_pair", {}, triggered_by="test", workspace=house.context.deployment.workspace)


def test_a_site_is_published_only_as_it_was_planned(house, tmp_path):
    asked = {"deployment": "local", "triggered_by": "test", "workspace": house.context.deployment.workspace}
    parameters = {"folder": str(tmp_path / "site")}
    planned = plan_runbook("publish", parameters, **asked)
    assert planned.result.state is RunState.SUCCEEDED
    assert kinds(planned.effects) == ["file", "site"]
    assert list(tmp_path.iterdir()) == []
    done = run_as_planned("publish", parameters, planned.effects.digest, **asked)
    assert done.state is RunState.SUCCEEDED
    assert (tmp_path / "site" / "index.html").exists()


def test_a_canary_that_drifts_stops_a_plan_as_it_stops_publishing(house, tmp_path):
    [canary] = house.context.deployment.canaries[:1]
    values = {"model": canary.model, "benchmark": canary.benchmark, "state": "scored", "value": canary.expected + 1}
    digests = dict.fromkeys(("model_digest", "benchmark_digest", "shared_digest"), "d" * 64)
    with house.context.database.session() as session:
        session.add(CanaryScore(identity="i" * 64, library_commit="c" * 40, checked_at=now(), **values, **digests))
    asked = {"deployment": "local", "triggered_by": "test", "workspace": house.context.deployment.workspace}
    parameters = {"folder": str(tmp_path / "site")}
    try:
        planned = plan_runbook("publish", parameters, **asked)
        with pytest.raises(RunRefusedError, match="publish at canaries"):
            run_as_planned("publish", parameters, planned.effects.digest, **asked)
    finally:
        with house.context.database.session() as session:
            session.execute(text("DELETE FROM canary_score WHERE identity = :identity"), {"identity": "i" * 64})
    assert (planned.result.state, planned.result.error["code"]) == (RunState.REFUSED, "canary-drifted")
    assert planned.effects.effects == ()
