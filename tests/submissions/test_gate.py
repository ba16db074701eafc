"""The rules of the gate, each met by a real pull request on a real forge, and what follows from what they say."""

import pytest

from brainscore_ops import services
from brainscore_ops.forge.client import ForgeClient
from brainscore_ops.notify.mailbox import read_mails
from brainscore_ops.services import mail_folder
from brainscore_ops.submissions import gate, merging, plugin_tests, scoring_request
from brainscore_ops.submissions.life import timeline
from brainscore_ops.submissions.merging import GateRefusedError, TestsNotDoneError

from .conftest import model_files

LIBRARY = "brainscore_example"


def of_library(files):
    return {f"{LIBRARY}/{path}": text for path, text in files.items()}


def submission_of(house, number):
    return gate.examine(house.context, number).submission


def test_a_plugin_alone_with_green_tests_passes(house):
    number = house.proposed(model_files("passes"))
    house.pass_tests(number)
    assert house.unmet(number) == []


def test_tests_that_have_not_ended_hold_nothing_and_tell_nobody(house):
    number = house.proposed(model_files("waits"))
    submission = submission_of(house, number)
    for state in (None, "pending"):
        if state:
            house.set_status(number, state)
        with pytest.raises(TestsNotDoneError):
            house.merge(number)
    assert house.states(submission) == ["received", "accepted", "proposed"]


@pytest.mark.parametrize("state", ["failure", "error"])
def test_tests_that_failed_hold_it(house, state):
    number = house.proposed(model_files(f"fails_{state}"))
    house.pass_tests(number)
    house.set_status(number, state)
    assert house.unmet(number) == ["statuses"]


def test_green_by_somebody_else_is_not_green(house):
    number = house.proposed(model_files("forged"))
    house.pass_tests(number)
    store = services.forge_store(house.context.deployment)
    store.create_user("eve", "Eve", "eve@example.org")
    eve = ForgeClient(
        api_url=house.context.forge.api_url,
        repository=house.context.forge.repository,
        token=store.create_token("eve", ("repo", "repo:status")),
    )
    head = house.context.forge.pull_request(number).head_sha
    eve.set_status(head, context=plugin_tests.STATUS_CONTEXT, state="success", description="trust me")
    with pytest.raises(GateRefusedError, match="was set by 'eve'"):
        house.merge(number)


def test_green_on_another_head_is_not_green(house, push):
    number = house.proposed(model_files("moved"))
    house.pass_tests(number)
    pull = house.context.forge.pull_request(number)
    push(pull.head_ref, {f"{LIBRARY}/models/moved/more.py": "x = 1\n"})
    assert house.unmet(number) == ["statuses", "tested-base"]


def test_a_push_between_verdict_and_merge_wins(house, push):
    number = house.proposed(model_files("raced"))
    house.pass_tests(number)
    verdict = gate.examine(house.context, number)
    pull = house.context.forge.pull_request(number)
    push(pull.head_ref, {f"{LIBRARY}/models/raced/more.py": "x = 1\n"})
    with pytest.raises(Exception, match="head is"):
        merging.merge(house.context, verdict)
    assert not house.context.forge.pull_request(number).merged


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        ".github/workflows/models.yml",
        f"{LIBRARY}/__init__.py",
        f"{LIBRARY}/models/loose_file.py",
        "tests/models/x/y.py",
        "evil/metrics/p/setup.py",
    ],
)
def test_anything_but_plugins_holds_it(house, path):
    pull = house.by_hand({path: "x = 1\n"})
    house.set_status(pull.number)
    assert "plugin-only" in house.unmet(pull.number)


def test_the_label_that_blocks_holds_it(house):
    number = house.proposed(model_files("blocked"))
    house.pass_tests(number)
    pull = house.context.forge._repository.get_pull(number)
    pull.add_to_labels("do-not-merge")
    assert house.unmet(number) == ["not-blocked"]


def test_a_plugin_of_somebody_else_is_not_changed_without_a_person(house):
    house.merged(model_files("adas"))
    changed = house.by_hand(of_library({"models/adas/__init__.py": "# mine now\n", **model_files("eves")}))
    house.set_status(changed.number)
    assert "own-plugins" in house.unmet(changed.number)


def test_an_identifier_that_the_library_got_meanwhile_holds_it(house):
    base = house.main()
    late = house.by_hand(of_library(model_files("late", "taken-meanwhile")), base=base)
    house.merged(model_files("early", "taken-meanwhile"))
    house.pass_tests(late.number)
    assert house.unmet(late.number) == ["identifiers"]


def test_what_is_held_says_which_rule_once_by_comment_and_mail(house):
    number = house.proposed(model_files("told"))
    house.set_status(number, "error")
    submission = submission_of(house, number)
    for _ in range(2):
        with pytest.raises(GateRefusedError, match="statuses"):
            house.merge(number)
    assert house.states(submission)[-1] == "held"
    assert house.states(submission).count("held") == 1
    comments = [comment.body for comment in house.context.forge._repository.get_pull(number).get_issue_comments()]
    assert len(comments) == 1
    assert "statuses" in comments[0]
    mails = [
        mail for mail in read_mails(mail_folder(house.context.deployment)) if f"submission {submission}," in mail.text
    ]
    assert len(mails) == 2  # the receipt, and this


def test_what_was_held_is_merged_when_the_rules_are_met(house):
    number = house.proposed(model_files("mended"))
    house.set_status(number, "failure")
    with pytest.raises(GateRefusedError):
        house.merge(number)
    house.pass_tests(number)
    merged = house.merge(number)
    assert timeline(house.context.database, submission_of(house, number)).merge_sha == merged.merge_sha


def test_a_conflict_is_told(house):
    base = house.main()
    number = house.proposed(model_files("conflict", "conflict-a"))
    house.pass_tests(number)
    verdict = gate.examine(house.context, number)
    other = house.by_hand({f"{LIBRARY}/models/conflict/__init__.py": "# another\n"}, base=base)
    house.context.forge.squash_merge(other.number, head_sha=other.head_sha, title="by hand", message="")
    with pytest.raises(GateRefusedError, match="both sides changed"):
        merging.merge(house.context, verdict)
    assert house.states(verdict.submission)[-1] == "held"


def test_merging_again_gives_the_same_merge(house):
    number = house.proposed(model_files("twice"))
    house.pass_tests(number)
    assert house.merge(number) == house.merge(number)
    assert house.states(submission_of(house, number)).count("merged") == 1


def test_what_a_maintainer_merged_by_hand_goes_on_to_scoring(house):
    number = house.proposed(model_files("by_hand"))
    pull = house.context.forge.pull_request(number)
    sha = house.context.forge.squash_merge(number, head_sha=pull.head_sha, title="by hand", message="")
    target = scoring_request.find_target(house.context, number, "")
    assert target.commit == sha
    assert timeline(house.context.database, target.submission).state == "merged"
