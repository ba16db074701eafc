"""What changes between the tests, the verdict and the merge: on the pull request, on its head, and on the default branch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brainscore_ops import services
from brainscore_ops.forge.client import ForgeClient
from brainscore_ops.forge.errors import HeadMovedError
from brainscore_ops.submissions import gate, merging, plugin_tests
from brainscore_ops.submissions.context import Context
from brainscore_ops.submissions.life import timeline
from brainscore_ops.submissions.merging import GateRefusedError, MergedElsewhereError, TestsNotDoneError

from .conftest import House, model_files

LIBRARY = "brainscore_example"


class LateForge:
    """The real forge, with something that happens at the last moment before it merges."""

    def __init__(self, forge: ForgeClient, happens) -> None:
        self._forge, self._happens = forge, happens

    def __getattr__(self, name):
        return getattr(self._forge, name)

    def squash_merge(self, number, **values):
        self._happens()
        return self._forge.squash_merge(number, **values)


def late(house: House, happens) -> Context:
    context = replace(house.context)
    context.__dict__["forge"] = LateForge(house.context.forge, happens)
    return context


def green(house: House, name: str) -> int:
    number = house.proposed(model_files(name))
    house.pass_tests(number)
    return number


def of_library(files: dict[str, str]) -> dict[str, str]:
    return {f"{LIBRARY}/{path}": text for path, text in files.items()}


def onto_main(house: House, files: dict[str, str]) -> None:
    """Somebody pushes to the default branch."""
    pull = house.by_hand(files)
    house.context.forge.squash_merge(pull.number, head_sha=pull.head_sha, title="by hand", message="")


def raw(house: House, number: int):
    return house.context.forge._repository.get_pull(number).complete()


# -------------------------------------------------------------------- between verdict and merge


def test_a_push_at_the_last_moment_loses(house: House, push) -> None:
    number = green(house, "late_push")
    verdict = gate.examine(house.context, number)
    pull = house.context.forge.pull_request(number)
    context = late(house, lambda: push(pull.head_ref, {f"{LIBRARY}/models/late_push/more.py": "x = 1\n"}))
    with pytest.raises(HeadMovedError):
        merging.merge(context, verdict)
    assert not house.context.forge.pull_request(number).merged
    assert house.states(verdict.submission)[-1] == "held"


CHANGES = {
    "it becomes a draft": (lambda house, number: to_draft(house, number), "no-draft"),
    "somebody sets the label that blocks": (
        lambda house, number: raw(house, number).add_to_labels("Do-Not-Merge"),
        "not-blocked",
    ),
    "it is closed": (lambda house, number: raw(house, number).edit(state="closed"), "open"),
    "its target changes": (lambda house, number: retarget(house, number), "default-branch"),
    "a maintainer asks for changes": (
        lambda house, number: house.review(number, "mia", "REQUEST_CHANGES"),
        "no-objection",
    ),
    "its tests fail after all": (lambda house, number: house.set_status(number, "failure"), "statuses"),
    "its tests fail, in other letters": (lambda house, number: shout(house, number, "failure"), "statuses"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_changes_after_the_verdict_counts(house: House, what: str) -> None:
    happens, rule = CHANGES[what]
    number = green(house, f"changes_{list(CHANGES).index(what)}")
    verdict = gate.examine(house.context, number)
    assert verdict.passed
    happens(house, number)
    with pytest.raises(GateRefusedError, match=rule):
        merging.merge(house.context, verdict)
    assert not house.context.forge.pull_request(number).merged


def test_a_merge_onto_another_branch_is_not_taken_for_one(house: House) -> None:
    number = green(house, "retargeted_late")
    submission = gate.examine(house.context, number).submission
    context = late(house, lambda: retarget(house, number))
    with pytest.raises(MergedElsewhereError, match="which is not there"):
        merging.merge(context, gate.examine(house.context, number))
    assert "merged" not in house.states(submission)


def to_draft(house: House, number: int, *, draft: bool = True) -> None:
    # GitHub's REST API cannot do this; people do it on the page.
    store = services.forge_store(house.context.deployment)
    repository = store.repository(house.context.deployment.library.repository)
    store.change_pull(store.pull(repository, number), draft=draft)


def label(house: House, number: int) -> None:
    raw(house, number).add_to_labels("Do-Not-Merge")


def retarget(house: House, number: int) -> None:
    branch = f"elsewhere-{number}"
    house.context.forge._repository.create_git_ref(f"refs/heads/{branch}", house.main())
    raw(house, number).edit(base=branch)


def shout(house: House, number: int, state: str) -> None:
    head = house.context.forge.pull_request(number).head_sha
    context = plugin_tests.STATUS_CONTEXT.upper()
    house.context.forge.set_status(head, context=context, state=state, description="by a test")


# -------------------------------------------------------------------- statuses


def test_a_success_in_other_letters_by_somebody_else_counts_for_nothing(house: House) -> None:
    number = house.proposed(model_files("shouted"))
    mallory = house.client("mallory")
    head = house.context.forge.pull_request(number).head_sha
    mallory.set_status(head, context=plugin_tests.STATUS_CONTEXT.upper(), state="success", description="trust me")
    ruling = next(each for each in gate.examine(house.context, number).rulings if each.rule == "statuses")
    assert not ruling.passed
    assert "mallory" in ruling.found


def test_where_nobody_is_known_to_set_statuses_none_counts(house: House) -> None:
    number = green(house, "unknown_author")
    evidence = gate.gather(house.context, house.context.forge.pull_request(number))
    verdict = gate.judge(replace(evidence, status_authors=frozenset()))
    assert [ruling.rule for ruling in verdict.unmet] == ["statuses"]
    assert not verdict.waits_for_tests


# -------------------------------------------------------------------- the default branch moves on


def test_additions_of_others_are_no_reason_to_test_again(house: House) -> None:
    number = green(house, "unmoved")
    onto_main(house, of_library(model_files("another_one")))
    assert house.unmet(number) == []
    assert house.merge(number).head_sha


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("shared", {f"{LIBRARY}/model_helpers/shared.py": "x = 1\n"}),
        ("library", {"requirements-more.txt": "numpy\n"}),
        ("named", {f"{LIBRARY}/models/word_length/more.py": "x = 1\n"}),
    ],
)
def test_what_the_tests_may_meet_is_a_reason_to_test_again(house: House, name: str, files: dict[str, str]) -> None:
    plugin = model_files(f"outdated_{name}")
    plugin[f"models/outdated_{name}/uses.py"] = "BEATS = 'word-length'\n"
    number = house.proposed(plugin)
    house.pass_tests(number)
    onto_main(house, files)
    submission = gate.examine(house.context, number).submission
    with pytest.raises(TestsNotDoneError) as waits:
        house.merge(number)
    assert waits.value.code == merging.TESTS_OUTDATED
    assert timeline(house.context.database, submission).state == "proposed"
    head = house.context.forge.pull_request(number).head_sha
    assert house.context.forge.statuses(head)[plugin_tests.STATUS_CONTEXT].state == "pending"
    house.pass_tests(number)
    house.merge(number)
    assert timeline(house.context.database, submission).state == "merged"


def test_a_change_to_a_plugin_that_is_not_named_is_no_reason(house: House) -> None:
    number = green(house, "does_not_care")
    onto_main(house, {f"{LIBRARY}/models/word_length/other.py": "x = 1\n"})
    assert house.unmet(number) == []


def test_what_is_tested_is_what_merging_gives(house: House) -> None:
    base = house.main()
    onto_main(house, of_library(model_files("came_first")))
    pull = house.by_hand(of_library(model_files("began_before")), base=base)
    candidate = plugin_tests.find_candidate(house.context, pull.number)
    checkout = house.context.checkout(candidate.result_sha)
    assert (checkout / LIBRARY / "models/came_first/__init__.py").exists()
    assert (checkout / LIBRARY / "models/began_before/__init__.py").exists()


def test_a_conflict_fails_the_tests_with_what_to_do(house: House) -> None:
    base = house.main()
    number = house.by_hand(of_library(model_files("both_have", "both-1")), base=base).number
    onto_main(house, of_library(model_files("both_have", "both-2")))
    with pytest.raises(plugin_tests.PluginTestsFailedError, match="conflicts with the library") as failed:
        plugin_tests.find_candidate(house.context, number)
    assert failed.value.code == "conflict"


# -------------------------------------------------------------------- approvals


@pytest.fixture
def of_adas(house: House, request: pytest.FixtureRequest) -> int:
    """A pull request of somebody else that changes a plugin of Ada's, tested."""
    plugin = f"adas_{next(house.numbers)}"
    house.merged(model_files(plugin))
    number = house.by_hand(of_library({f"models/{plugin}/more.py": "x = 1\n"})).number
    house.pass_tests(number)
    return number


def test_a_maintainers_approval_of_this_head_lets_it_through(house: House, of_adas: int) -> None:
    assert house.unmet(of_adas) == ["own-plugins"]
    house.review(of_adas, "max", "APPROVE")
    assert house.unmet(of_adas) == []


def test_somebody_elses_approval_is_none(house: House, of_adas: int) -> None:
    house.review(of_adas, "rita", "APPROVE", role="write")
    assert house.unmet(of_adas) == ["own-plugins"]


def test_an_approval_of_an_older_head_is_none(house: House, of_adas: int, push) -> None:
    house.review(of_adas, "max", "APPROVE")
    pull = house.context.forge.pull_request(of_adas)
    push(pull.head_ref, {f"{LIBRARY}/models/word_length/sneaked.py": "x = 1\n"})
    house.pass_tests(of_adas)
    assert house.unmet(of_adas) == ["own-plugins"]


def test_an_approval_that_was_taken_back_is_none(house: House, of_adas: int) -> None:
    house.review(of_adas, "max", "APPROVE")
    house.review(of_adas, "max", "REQUEST_CHANGES")
    assert house.unmet(of_adas) == ["no-objection", "own-plugins"]
    for review in raw(house, of_adas).get_reviews():
        review.dismiss("never mind")
    assert house.unmet(of_adas) == ["own-plugins"]


def test_a_comment_does_not_take_an_approval_back(house: House, of_adas: int) -> None:
    house.review(of_adas, "max", "APPROVE")
    house.review(of_adas, "max", "COMMENT")
    assert house.unmet(of_adas) == []


def test_who_changes_a_plugin_does_not_become_its_owner(house: House, of_adas: int) -> None:
    house.review(of_adas, "max", "APPROVE")
    house.merge(of_adas)
    changed = timeline(house.context.database, gate.examine(house.context, of_adas).submission).plugins["models"][0]
    again = house.by_hand(of_library({f"models/{changed}/again.py": "x = 1\n"})).number
    house.pass_tests(again)
    assert house.unmet(again) == ["own-plugins"]


# -------------------------------------------------------------------- what is said of it


def test_the_comment_is_one_and_says_what_is_true_now(house: House) -> None:
    number = green(house, "commented")
    raw(house, number).add_to_labels("do-not-merge")
    with pytest.raises(GateRefusedError):
        house.merge(number)
    assert "not-blocked" in comments(house, number)[0]
    raw(house, number).remove_from_labels("do-not-merge")
    to_draft(house, number)
    with pytest.raises(GateRefusedError):
        house.merge(number)
    assert "no-draft" in comments(house, number)[0]
    assert "not-blocked" not in comments(house, number)[0]
    to_draft(house, number, draft=False)
    house.merge(number)
    assert len(comments(house, number)) == 1
    assert "Every rule of the gate is met" in comments(house, number)[0]


def test_nothing_in_a_comment_calls_people_or_is_markdown(house: House) -> None:
    pull = house.by_hand({"docs/@everybody ```](evil.example.org).md": "x\n"})
    with pytest.raises(GateRefusedError):
        house.merge(pull.number)
    said = comments(house, pull.number)[0]
    fence = next(line for line in said.splitlines() if line.startswith("````"))
    assert said.index(fence) < said.index("@everybody") < said.rindex(fence.removesuffix("text"))


def test_a_verdict_is_shown_with_what_was_expected_and_found(house: House) -> None:
    verdict = gate.examine(house.context, house.proposed(model_files("looked_at")))
    assert {ruling.rule for ruling in verdict.rulings} == {rule.name for rule in gate.RULES}
    assert all(ruling.expected and ruling.found for ruling in verdict.rulings)
    assert "expected" in str(verdict.table())
    assert verdict.as_dict()["rulings"][0] == {
        "rule": "open",
        "passed": True,
        "expected": "an open pull request",
        "found": "open",
    }


def comments(house: House, number: int) -> list[str]:
    return [comment.body for comment in raw(house, number).get_issue_comments()]
