"""Private submissions: proposed to the private repository, laid over the public library to be tested and scored, published."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from tests.planned import effects_on

from brainscore_ops.database.brainscore_tables import BenchmarkType, Model
from brainscore_ops.database.ops_tables import OutboxMessage, ScoreProvenance, SubmissionEvent, SubmissionLife
from brainscore_ops.forge.client import Person
from brainscore_ops.plugins.archive import ArchiveRefusedError
from brainscore_ops.plugins.catalogue import read_catalogue
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.overlay import overlay
from brainscore_ops.plugins.tree import GitTree
from brainscore_ops.queue.jobs import jobs
from brainscore_ops.queue.private_runs import ask_for_private_runs
from brainscore_ops.scores.leaderboard import leaderboard
from brainscore_ops.scoring.approvals import ApprovalMissingError, ApprovalOfAnotherPlanError, approve, guard
from brainscore_ops.scoring.plan import UnknownIdentifiersError
from brainscore_ops.submissions import (
    benchmark_versions,
    merging,
    plugin_tests,
    proposal,
    publication,
    rescoring,
    scoring_request,
)
from brainscore_ops.submissions.context import Context, NoPrivateRepositoryError, PrivateElsewhereError
from brainscore_ops.submissions.life import find_life, timeline
from brainscore_ops.submissions.pull_requests import follow
from brainscore_ops.submissions.scoring_request import ScoringReport

from .conftest import (
    ADA,
    BOB,
    CRASHED,
    WHEN,
    House,
    benchmark_files,
    building,
    model_files,
    outcome,
    planned,
    record,
    rows,
)

SOMEBODY = Person("Somebody", "somebody@example.org")


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A house of its own: what is merged here would be scored by others, too."""
    with building(tmp_path_factory.mktemp("private")) as made:
        yield made


@pytest.fixture(scope="module")
def private(house):
    """The same house, with its private repository at hand."""
    return house.at_private()


def test_its_code_is_in_the_private_repository_alone(house, private):
    submission = house.accept(model_files("hidden_one"), ADA, public=False)
    before = house.main()
    number = private.propose(submission)
    private.pass_tests(number)
    merged = private.merge(number)
    assert house.main() == before
    assert merged.merge_sha == private.main()
    files = private.files(merged.merge_sha)
    assert "brainscore_example/models/hidden_one/__init__.py" in files
    assert not [path for path in files if "word_length" in path]
    assert timeline(house.context.database, submission).state == "merged"


def test_it_is_tested_with_the_public_library_and_what_else_is_its_owners(house, private):
    private.merged(model_files("adas_other"), ADA, public=False)
    private.merged(model_files("bobs_own"), BOB, public=False)
    candidate = plugin_tests.find_candidate(
        private.context, private.proposed(model_files("adas_next"), ADA, public=False)
    )
    checkout = private.context.checkout(candidate.result_sha) / "brainscore_example/models"
    found = {path.name for path in checkout.iterdir() if path.is_dir()}
    assert {"adas_other", "adas_next", "word_length"} <= found
    assert "bobs_own" not in found
    assert candidate.plugins == (PluginKey("models", "adas_next"),)


def test_it_is_scored_on_public_benchmarks_for_its_owner(house, private):
    number = private.merged(model_files("scored_alone"), BOB, public=False)
    submission = record(private, number, outcome)
    assert timeline(house.context.database, submission).state == "scored"
    [row] = rows(house, ScoreProvenance, model="scored_alone", benchmark="Scott2019.concreteness-ridge")
    assert row.library_commit == house.main()
    assert row.private_commit == private.main()
    [model] = rows(house, Model, name="scored_alone")
    assert model.public is False
    everything = scoring_request.make_plan(house.context, scoring_request.find_target(house.context, None, ""))
    assert "scored_alone" not in {pair.model for pair in everything.pairs}


def test_a_public_benchmark_that_comes_later_is_a_matter_of_a_private_run(house, private):
    number = private.merged(model_files("there_before"), BOB, public=False)
    record(private, number, outcome)
    assert scoring_request.missing_pairs(private.context, number) == 0
    public = house.merged(benchmark_files("came_later", "Public2026-later"), ADA)
    _, plan = planned(house, public)
    assert "there_before" not in {pair.model for pair in plan.pairs}
    assert scoring_request.missing_pairs(private.context, number) == 1
    [pair] = planned(private, number)[1].pairs
    assert (pair.model, pair.benchmark) == ("there_before", "Public2026-later")


def test_public_models_meet_a_private_benchmark_for_its_owner(house, private):
    private.merged(model_files("adas_hidden_model"), ADA, public=False)
    private.merged(model_files("bobs_hidden_model"), BOB, public=False)
    number = private.merged(benchmark_files("adas_benchmark", "Hidden2026-adas"), ADA, public=False)
    _, plan = planned(private, number)
    models = {pair.model for pair in plan.pairs if pair.benchmark == "Hidden2026-adas"}
    assert {"word-length", "adas_hidden_model"} <= models
    assert "bobs_hidden_model" not in models
    record(private, number, lambda pair: outcome(pair, benchmark_parent="hidden-parent"))
    kinds = {row.identifier: row.visible for row in rows(house, BenchmarkType)}
    assert kinds["Hidden2026-adas"] is kinds["hidden-parent"] is False


def test_names_are_one_space_and_nobody_is_told_who_has_one(house, private):
    private.merged(model_files("taken_by_ada"), ADA, public=False)
    with pytest.raises(ArchiveRefusedError) as refused:
        house.accept(model_files("taken_by_ada"), BOB)
    assert {problem.code for problem in refused.value.problems} == {"identifier-exists"}
    assert "private" not in str(refused.value)
    pull = house.by_hand({f"brainscore_example/{path}": text for path, text in model_files("taken_by_ada").items()})
    house.force_green(pull.number)
    assert {"folders", "identifiers"} <= set(house.unmet(pull.number))
    with pytest.raises(merging.GateRefusedError) as held:
        house.merge(pull.number)
    assert "private" not in str(held.value)
    assert "submission 1" not in str(held.value)


def test_a_private_plugin_never_takes_the_place_of_a_public_one(house, private):
    with pytest.raises(ArchiveRefusedError):
        private.accept(model_files("word_length", "another-name"), ADA, public=False)
    files = {f"brainscore_example/{path}": text for path, text in model_files("word_length", "another-name").items()}
    pull = private.by_hand(files)
    with pytest.raises(
        plugin_tests.PluginTestsFailedError, match="both changed 'brainscore_example/models/word_length'"
    ):
        plugin_tests.find_candidate(private.context, pull.number)
    private.set_status(pull.number)
    assert "folders" in private.unmet(pull.number)
    # Also where a maintainer merged it by hand:
    over = overlay(
        private.context.mirror.path,
        house.main(),
        pull.head_sha,
        [PluginKey("models", "word_length")],
        "brainscore_example",
    )
    found = read_catalogue(GitTree(private.context.mirror.path, over), "brainscore_example")
    assert "word-length" in found.models
    assert "another-name" not in found.models


def test_it_becomes_public_by_an_ordinary_pull_request_and_nothing_is_scored_twice(house, private):
    number = private.merged(benchmark_files("bare", "Hidden2026-bare"), ADA, public=False)
    record(private, number, lambda pair: outcome(pair, CRASHED))
    number = private.merged(model_files("coming_out"), ADA, public=False)
    fails = {"Hidden2026-bare": CRASHED}
    submission = record(private, number, lambda pair: outcome(pair, fails.get(pair.benchmark)))
    begun = publication.begin(house.context, submission)
    assert publication.begin(house.context, submission) == begun  # once, whoever asks again
    assert publication.finish(house.context, begun) == begun  # nothing is removed before it is public
    pull = house.propose(begun.public_submission)
    house.pass_tests(pull)
    assert house.unmet(pull) == []
    [model] = rows(house, Model, name="coming_out")
    assert model.public is False
    house.merge(pull)
    [model] = rows(house, Model, name="coming_out")
    assert (model.public, model.submission_id) == (True, begun.public_submission)
    assert planned(house, pull)[1].pairs == ()
    assert record(house, pull, outcome) == begun.public_submission
    assert timeline(house.context.database, begun.public_submission).state == "scored"
    [row] = rows(house, ScoreProvenance, model="coming_out", benchmark="Scott2019.concreteness-ridge")
    assert (row.library_commit, row.private_commit) == (house.main(), None)
    assert row.submission_id == begun.public_submission
    # What it met that is still private is told to nobody, also where there is nothing of that but failures.
    [row] = rows(house, ScoreProvenance, model="coming_out", benchmark="Hidden2026-bare")
    assert row.submission_id == submission
    shown = leaderboard(house.context.database, domain="example")
    assert "Hidden2026-bare" not in str(vars(shown))
    ended = publication.finish(house.context, publication.begin(house.context, submission))
    assert ended.removal_sha == private.main()
    assert not [path for path in private.files(ended.removal_sha) if "coming_out" in path]
    assert publication.finish(house.context, publication.begin(house.context, submission)) == ended
    assert house.states(submission)[-3:] == ["publishing", "published", "published"]


def test_a_publication_is_planned_with_what_everybody_would_see(house, private):
    number = private.merged(model_files("foreseen"), ADA, public=False)
    submission = record(private, number, outcome)

    def outside():
        events = [len(rows(house, table)) for table in (SubmissionLife, SubmissionEvent, OutboxMessage)]
        archives = sorted((house.context.deployment.state / "archives").iterdir())
        return events, archives, house.main(), private.main(), len(house.context.forge.pull_requests())

    def plan():
        before = outside()
        effects = effects_on(
            house.context.deployment, lambda ops: publication.finish(ops, publication.begin(ops, submission))
        )
        assert outside() == before
        return effects

    first = plan()
    said = {effect.kind: effect.what for effect in first.effects}
    assert "submission/(to be made) of brain-score/example: a commit of 2 files by Ada" in said["branch"]
    assert said["pull request"] == "by create_pr, next: a submission (submission/(to be made)), in brain-score/example"
    assert said["public"].startswith("by its merge: everybody sees models foreseen, and what became of ")
    assert said["mail"] == "to ada@example.org: Received: a submission"
    assert plan().digest == first.digest

    private.context.forge.propose(
        branch="changed",
        base_sha=private.main(),
        files={"brainscore_example/models/foreseen/notes.md": b"one more file"},
        message="changed",
        author=SOMEBODY,
        when=WHEN,
    )
    changed = private.context.forge.open_pull_request(branch="changed", title="changed", body="")
    private.context.forge.squash_merge(changed.number, head_sha=changed.head_sha, title="changed", message="")
    second = plan()
    assert "a commit of 3 files" in str(second.table())
    assert second.digest != first.digest
    begun = publication.begin(house.context, submission)
    assert plan().effects == (), "it waits for its pull request"
    pull = house.propose(begun.public_submission)
    house.pass_tests(pull)
    house.merge(pull)
    last = plan()
    assert [effect.kind for effect in last.effects] == ["commit"]
    assert "the forge's to make" in last.ends_at


def test_a_publication_goes_on_wherever_it_was_killed(house, private):
    number = private.merged(model_files("halfway"), ADA, public=False)
    submission = record(private, number, outcome)
    begun = publication.begin(house.context, submission)
    pull = house.propose(begun.public_submission)
    house.pass_tests(pull)
    forge = house.context.forge
    forge.squash_merge(pull, head_sha=forge.pull_request(pull).head_sha, title="halfway", message="")
    [model] = rows(house, Model, name="halfway")
    assert model.public is False  # killed before it recorded the merge
    record(house, pull, outcome)
    [model] = rows(house, Model, name="halfway")
    assert model.public is True
    private.context.forge.remove(["brainscore_example/models/halfway"], message="halfway", author=SOMEBODY, when=WHEN)
    removed = private.main()  # killed before it recorded the removal
    ended = publication.finish(house.context, publication.begin(house.context, submission))
    assert (ended.state, ended.removal_sha, private.main()) == ("published", removed, removed)


def test_what_the_public_library_does_not_take_stays_private(house, private):
    number = private.merged(model_files("turned_down"), ADA, public=False)
    submission = record(private, number, outcome)
    begun = publication.begin(house.context, submission)
    pull = house.propose(begun.public_submission)
    house.context.forge.close(pull)
    follow(house.context, house.context.forge.pull_request(pull))
    assert timeline(house.context.database, submission).state == "scored"
    again = publication.begin(house.context, submission)
    assert again.public_submission != begun.public_submission


def test_only_what_is_private_and_scored_is_published(house, private):
    with pytest.raises(publication.NotPublishableError, match="to be private"):
        publication.begin(house.context, house.accept(model_files("public_before"), ADA))
    with pytest.raises(publication.NotPublishableError, match="found it accepted"):
        publication.begin(house.context, house.accept(model_files("too_early"), ADA, public=False))


def test_a_deployment_without_a_private_repository_says_so_at_intake(house):
    library = house.context.deployment.library.model_copy(update={"private_repository": None})
    deployment = house.context.deployment.model_copy(update={"library": library})
    context = Context(deployment=deployment, database=house.context.database, run_id=None)
    with pytest.raises(NoPrivateRepositoryError, match="takes no private submissions"):
        House(context, house.folder, house.numbers).receive(model_files("nowhere"), public=False)


def test_nothing_private_is_worked_on_within_github_actions(house, monkeypatch):
    submission = house.accept(model_files("not_in_ci"), ADA, public=False)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    fresh = Context(deployment=house.context.deployment, database=house.context.database, run_id=None)
    with pytest.raises(PrivateElsewhereError):
        proposal.prepare(fresh, submission)


def test_the_database_lets_no_private_code_be_called_public(house):
    submission = house.accept(model_files("never_public"), ADA, public=False)
    with pytest.raises(IntegrityError), house.context.database.session() as session:
        find_life(session, submission).public = True


def again(house, submission, **conditions):
    """The plan of a rescoring: the public one, or that of one submission."""
    context = rescoring.at_home_of(house.context, submission)
    target = rescoring.find_target(context, submission, "")
    wanted = rescoring.asked_for(submission=submission, **conditions)
    return context, target, wanted, rescoring.plan_rescoring(context, target, wanted)


def private_ones(house, **conditions):
    """The submissions that a public rescoring asks for runs of."""
    target = rescoring.find_target(house.context, None, "")
    return rescoring.private_rescorings(house.context, target, rescoring.asked_for(**conditions))


def record_again(context, target, plan, make=outcome):
    """What a run of rescore records of its plan."""
    return scoring_request.record(context, target, plan, ScoringReport(tuple(make(pair) for pair in plan.pairs)))


def test_what_failed_in_private_is_scored_again_in_a_run_of_its_own(house, private):
    number = private.merged(model_files("failed_in_private"), ADA, public=False)
    submission = record(private, number, lambda pair: outcome(pair, {**CRASHED, "code": "only-here"}))
    shown = again(house, None, failed="only-here")[3]
    assert (shown.pairs, "failed_in_private" in str(shown.table())) == ((), False)
    assert private_ones(house, failed="only-here") == [submission]
    context, target, _, plan = again(house, submission, failed="only-here")
    assert {pair.model for pair in plan.pairs} == {"failed_in_private"}
    assert {pair.reason for pair in plan.pairs} == {"failed before: only-here"}
    assert record_again(context, target, plan).written == len(plan.pairs)
    found = rows(house, ScoreProvenance, model="failed_in_private")
    assert {(row.state, row.library_commit, row.submission_id) for row in found} == {
        ("scored", house.main(), submission)
    }
    assert {row.private_commit for row in found} == {private.main()}
    assert again(house, submission, failed="only-here")[3].pairs == ()
    assert again(house, submission)[3].pairs == (), "outcomes of this very commit stay as they are"
    assert len(again(house, submission, before="2100-01-01T00:00:00+00:00")[3].pairs) == len(found)
    assert private_ones(house, failed="only-here") == []


def test_an_approval_of_a_private_plan_holds_whatever_others_bring_and_for_no_other_plan(house, private):
    number = private.merged(model_files("costly_in_private"), ADA, public=False)
    submission = record(private, number, lambda pair: outcome(pair, CRASHED))
    context, _, wanted, plan = again(house, submission, models=["costly_in_private"])
    subject = rescoring.subject_of(wanted, submission)
    assert subject != rescoring.subject_of(wanted)
    proposal_ = rescoring.proposal_of(plan, rescoring.cost_of(context, plan.pairs), subject)
    with pytest.raises(ApprovalMissingError):
        guard(context.database, proposal_, over_hours=None, run_id=None)
    with context.database.session() as session:
        approve(session, proposal_.digest, by="grace", lasting=timedelta(hours=1))
    private.merged(model_files("bobs_unrelated"), BOB, public=False)
    same = again(house, submission, models=["costly_in_private"])[3]
    assert same.digest == plan.digest
    assert guard(context.database, proposal_, over_hours=None, run_id=None).approved_by == "grace"
    house.merged(benchmark_files("more_public", "Public2026-more"), BOB)
    other = again(house, submission, models=["costly_in_private"])[3]
    assert other.digest != plan.digest
    changed = rescoring.proposal_of(other, rescoring.cost_of(context, other.pairs), subject)
    with pytest.raises(ApprovalOfAnotherPlanError):
        guard(context.database, changed, over_hours=None, run_id=None)


def test_a_private_run_meets_nothing_private_of_others_whoever_names_it(house, private):
    hidden = record(house, house.merged(model_files("hidden_by_bob"), BOB), outcome)
    with house.context.database.session() as session:
        session.scalars(select(Model).where(Model.name == "hidden_by_bob")).one().public = False
    number = private.merged(benchmark_files("adas_again", "Hidden2026-again"), ADA, public=False)
    submission = record(private, number, lambda pair: outcome(pair, CRASHED, benchmark_parent=None))
    private.merged(model_files("bobs_private_code"), BOB, public=False)
    *_, plan = again(
        house, submission, pairs=[("hidden_by_bob", "Hidden2026-again")], models=["hidden_by_bob", "word-length"]
    )
    assert {(pair.model, pair.benchmark) for pair in plan.pairs} == {("word-length", "Hidden2026-again")}
    with pytest.raises(UnknownIdentifiersError):
        again(house, submission, models=["bobs_private_code"])
    # What Bob hides is his run's, though its code is public.
    context, target, _, plan = again(house, hidden)
    assert (context.private, {pair.model for pair in plan.pairs}) == (False, set()), "scored at this commit"
    assert hidden in private_ones(house, models=["hidden_by_bob"], before="2100-01-01T00:00:00+00:00")
    assert rescoring.viewer_of(context, target).user_id is not None


def test_private_models_are_brought_to_a_benchmarks_new_version_for_their_owner(house, private):
    benchmark = "Public2026-versions"
    record(house, house.merged(benchmark_files("versions", benchmark), BOB), outcome)
    submission = record(private, private.merged(model_files("left_behind"), ADA, public=False), outcome)
    path = "brainscore_example/benchmarks/versions/__init__.py"
    pull = house.by_hand(
        {path: f"{benchmark_files('versions', benchmark)['benchmarks/versions/__init__.py']}# version 2\n"}
    )
    house.context.forge.squash_merge(pull.number, head_sha=pull.head_sha, title="version 2", message="")
    in_public = rescoring.find_target(house.context, None, "")
    public = benchmark_versions.inspect(house.context, in_public, benchmark)
    assert "word-length" in {cell.pair.model for cell in public.cells}
    assert "left_behind" not in str(public.table())
    assert submission in benchmark_versions.private_columns(house.context, in_public, benchmark)

    context = rescoring.at_home_of(house.context, submission)
    target = rescoring.find_target(context, submission, "")
    matrix = benchmark_versions.inspect(context, target, benchmark)
    [cell] = matrix.cells
    assert (cell.pair.model, cell.stored.version) == ("left_behind", 1)
    plan = benchmark_versions.plan_version(context, matrix, benchmark_versions.Evidence(claimed=False))
    with pytest.raises(ApprovalMissingError, match=f"submission {submission}"):
        benchmark_versions.insist_on_approval(context, plan)
    with context.database.session() as session:
        approve(session, plan.digest, by="grace", lasting=timedelta(hours=1))
    assert benchmark_versions.insist_on_approval(context, plan).approved_by == "grace"
    report = ScoringReport(tuple(outcome(pair, benchmark_version=2) for pair, _ in plan.run))
    assert benchmark_versions.record(context, target, plan, report).written == 1
    assert benchmark_versions.inspect(context, target, benchmark).cells == ()
    assert submission not in benchmark_versions.private_columns(house.context, in_public, benchmark)
    [row] = [
        row
        for row in rows(house, ScoreProvenance, model="left_behind", benchmark=benchmark)
        if row.benchmark_version == 2
    ]
    assert (row.submission_id, row.private_commit is None) == (submission, False)


def test_what_is_not_in_the_library_is_not_scored_again(house, private):
    submission = house.accept(model_files("never_merged"), ADA, public=False)
    with pytest.raises(rescoring.NotInLibraryError, match="found it accepted"):
        rescoring.find_target(rescoring.at_home_of(house.context, submission), submission, "")


def test_a_public_run_asks_for_private_ones_and_tells_nothing_of_them(house, private, monkeypatch):
    submission = house.accept(model_files("asked_for_apart"), ADA, public=False)
    target = rescoring.find_target(house.context, None, "")

    def asked(context):
        return str(ask_for_private_runs(context, target, "rescore", {"failed": "apart"}, lambda: [submission]).table())

    assert asked(house.context) == asked(house.context)
    [job] = [job for job in jobs(house.context.deployment) if job.parameters.get("failed") == "apart"]
    assert (job.runbook, job.parameters["submission"]) == ("rescore", submission)
    assert str(submission) not in asked(house.context)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert "outside of it" in asked(house.context)
    with pytest.raises(PrivateElsewhereError):
        rescoring.at_home_of(house.context, submission)
