"""Pull requests that people open by hand: the same way as a zip's, whose they are, and what happens to them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from brainscore_ops.database.brainscore_tables import Submission, User
from brainscore_ops.database.ops_tables import ForgeAccount, SubmissionLife
from brainscore_ops.forge.client import Account
from brainscore_ops.notify.mailbox import read_mails
from brainscore_ops.services import mail_folder
from brainscore_ops.submissions import plugin_tests, proposal, scoring_request
from brainscore_ops.submissions.accounts import LIBRARY_ACCOUNT, find_or_create_user, user_of_account
from brainscore_ops.submissions.life import find_life, next_step, timeline
from brainscore_ops.submissions.pull_requests import COMMENT_KEY, follow

from .attacker import Attacker
from .conftest import ADA, House, model_files

LIBRARY = "brainscore_example"


def of_library(files: dict[str, str]) -> dict[str, str]:
    return {f"{LIBRARY}/{path}": text for path, text in files.items()}


def opened(house: House, eve: Attacker, plugin: str, **more: str) -> int:
    return eve.open(eve.commit(eve.main(), of_library({**model_files(plugin), **more}))).number


def met(house: House, number: int) -> int | None:
    return follow(house.context, house.context.forge.pull_request(number))


def state(house: House, submission: int) -> str:
    return timeline(house.context.database, submission).state


def rows(house: House) -> int:
    with house.context.database.session() as session:
        return session.scalar(select(func.count()).select_from(Submission))


def comments(house: House, number: int) -> list[str]:
    return [comment.body for comment in house.context.forge._repository.get_pull(number).get_issue_comments()]


def mails_of(house: House, submission: int) -> list[str]:
    mails = read_mails(mail_folder(house.context.deployment))
    return [mail.subject for mail in mails if f"submission {submission}," in mail.text]


# -------------------------------------------------------------------- the same way


def test_it_is_a_submission_with_a_life_that_enters_at_its_tests(house: House, eve: Attacker) -> None:
    number = opened(house, eve, "hand_made", **{"benchmarks/hand/__init__.py": ""})
    submission = met(house, number)
    found = timeline(house.context.database, submission)
    assert (found.state, found.pull_request, found.public) == ("proposed", number, True)
    assert (found.submitter, found.email) == ("Eve", "eve@example.org")
    assert found.plugins == {"models": ["hand_made"], "benchmarks": ["hand"]}
    assert found.identifiers == {"models": ["hand_made"]}
    with house.context.database.session() as session:
        life = find_life(session, submission)
        assert next_step(life).runbook == "test_plugins"
        assert life.submission.status == "running"


def test_meeting_it_again_changes_nothing(house: House, eve: Attacker) -> None:
    number = opened(house, eve, "met_twice")
    submission = met(house, number)
    before = rows(house), timeline(house.context.database, submission)
    assert met(house, number) == submission
    assert (rows(house), timeline(house.context.database, submission)) == before


def test_it_goes_all_the_way_to_a_score_that_is_its_authors(house: House, eve: Attacker) -> None:
    number = opened(house, eve, "all_the_way")
    house.pass_tests(number)
    house.merge(number)
    submission = met(house, number)
    assert house.states(submission) == ["proposed", "tested", "merged"]
    target = scoring_request.find_target(house.context, number, "")
    assert target.submission == submission
    assert mails_of(house, submission) == [f"Received: Nothing to see: eve-{_branch(house, number)}"]


def _branch(house: House, number: int) -> str:
    return house.context.forge.pull_request(number).head_ref.removeprefix("eve-")


def test_it_gets_the_same_mails_when_its_tests_fail(house: House, eve: Attacker) -> None:
    base = eve.main()
    house.merged(model_files("in_the_way", "in-the-way"))
    number = eve.open(eve.commit(base, of_library(model_files("in_the_way")))).number
    with pytest.raises(plugin_tests.PluginTestsFailedError):
        plugin_tests.find_candidate(house.context, number)
    submission = met(house, number)
    assert state(house, submission) == "tests-failed"
    assert len(mails_of(house, submission)) == 2
    assert any("conflicts with the library" in comment for comment in comments(house, number))


def test_who_has_no_address_is_told_on_the_pull_request(house: House, eve: Attacker) -> None:
    number = opened(house, eve, "no_address")
    context = replace(house.context)
    context.__dict__["forge"] = _NoAddress(house.context.forge)
    submission = follow(context, context.forge.pull_request(number))
    assert timeline(house.context.database, submission).email == ""
    assert mails_of(house, submission) == []
    assert [COMMENT_KEY in comment for comment in comments(house, number)] == [True]


class _NoAddress:
    """The real forge, of which an account hides its address: the embedded one shows every account's."""

    def __init__(self, forge) -> None:
        self._forge = forge

    def __getattr__(self, name):
        return getattr(self._forge, name)

    def account(self, login):
        return Account(987_654, login, "Somebody shy", "")


def test_what_changes_no_plugin_is_nobodys_submission(house: House, eve: Attacker) -> None:
    before = rows(house)
    number = eve.open(eve.commit(eve.main(), {"README.md": "Better words.\n"})).number
    assert met(house, number) is None
    assert rows(house) == before
    assert comments(house, number) == []


# -------------------------------------------------------------------- closed, opened again, pushed again


def test_closing_ends_it_and_opening_again_brings_it_back(house: House, eve: Attacker) -> None:
    number = opened(house, eve, "closed_and_opened")
    submission = met(house, number)
    house.pass_tests(number)
    pull = house.context.forge._repository.get_pull(number).complete()
    pull.edit(state="closed")
    met(house, number)
    assert state(house, submission) == "closed"
    met(house, number)
    pull.edit(state="open")
    met(house, number)
    assert house.states(submission) == ["proposed", "tested", "closed", "proposed"]


def test_what_is_closed_is_not_tested(house: House, eve: Attacker) -> None:
    number = opened(house, eve, "closed_untested")
    submission = met(house, number)
    house.context.forge.close(number)
    with pytest.raises(plugin_tests.PullRequestClosedError):
        plugin_tests.find_candidate(house.context, number)
    assert state(house, submission) == "closed"


def test_closing_lets_its_identifiers_go(house: House, eve: Attacker) -> None:
    number = opened(house, eve, "squats")
    met(house, number)
    other = house.by_hand(of_library(model_files("wants_it", "squats"))).number
    house.pass_tests(other)
    assert house.unmet(other) == ["identifiers"]
    house.context.forge.close(number)
    met(house, number)
    assert house.unmet(other) == []


def test_a_push_takes_it_back_to_before_its_tests(house: House, eve: Attacker) -> None:
    pull = eve.open(eve.commit(eve.main(), of_library(model_files("pushed_again"))))
    submission = met(house, pull.number)
    house.pass_tests(pull.number)
    eve.push(eve.commit(pull.head_sha, of_library(model_files("pushed_more"))), pull.head_ref)
    met(house, pull.number)
    found = timeline(house.context.database, submission)
    assert found.state == "proposed"
    assert found.plugins == {"models": ["pushed_again", "pushed_more"]}
    assert "A commit was pushed" in found.events[-1].message


def test_what_a_maintainer_merged_before_any_runbook_met_it_is_a_submission_too(house: House, eve: Attacker) -> None:
    number = opened(house, eve, "merged_unmet")
    pull = house.context.forge.pull_request(number)
    house.context.forge.squash_merge(number, head_sha=pull.head_sha, title="by hand", message="")
    submission = scoring_request.find_target(house.context, number, "").submission
    assert state(house, submission) == "merged"
    assert timeline(house.context.database, submission).identifiers == {"models": ["merged_unmet"]}
    assert mails_of(house, submission) == []


# -------------------------------------------------------------------- what the system opened itself


def test_a_zips_own_pull_request_is_no_second_submission(house: House) -> None:
    submission = house.accept(model_files("from_a_zip"))
    prepared = proposal.prepare(house.context, submission)
    proposal.propose(house.context, prepared)
    # Killed after it opened the pull request, before it recorded that; and an event reaches us first.
    pull = house.context.forge.open_pull_request(branch=prepared.branch, title=prepared.name, body="")
    before = rows(house)
    assert met(house, pull.number) == submission
    assert rows(house) == before
    assert house.propose(submission) == pull.number
    assert house.states(submission) == ["received", "accepted", "proposed"]


@pytest.mark.parametrize("what", ["a fork", "another account"])
def test_a_branch_that_is_named_like_ours_is_not_ours(house: House, what: str) -> None:
    submission = house.accept(model_files(f"spoofed_{len(what)}"))
    other = house.by_hand(of_library(model_files(f"spoofing_{len(what)}")))
    # The embedded forge has no forks: the pull request is a real one, but for where its branch says it is.
    spoof = replace(other, head_ref=f"submission/{submission}")
    spoof = replace(spoof, head_repository="eve/example") if what == "a fork" else replace(spoof, author="eve")
    assert follow(house.context, spoof) != submission
    assert state(house, submission) == "accepted"


# -------------------------------------------------------------------- whose it is


def users(house: House, email: str) -> list[User]:
    with house.context.database.session() as session:
        return list(session.scalars(select(User).where(func.lower(User.email) == email)))


def test_an_address_that_is_known_is_the_same_user(house: House) -> None:
    house.accept(model_files("adas_zip"))
    with house.context.database.session() as session:
        ada = find_or_create_user(session, ADA)
        assert user_of_account(session, Account(5001, "ada-on-the-forge", "Ada", ADA.upper())).id == ada.id
    assert len(users(house, ADA)) == 1


def test_an_account_that_is_renamed_stays_its_users_and_its_old_name_is_nobodys(house: House) -> None:
    with house.context.database.session() as session:
        carl = user_of_account(session, Account(5002, "carl", "Carl", ""))
        assert user_of_account(session, Account(5002, "carla", "Carla", "carla@example.org")).id == carl.id
        assert user_of_account(session, Account(5003, "carl", "Somebody else", "")).id != carl.id
        assert session.get(ForgeAccount, 5002).login == "carla"


def test_a_new_user_cannot_sign_in_with_a_password(house: House) -> None:
    with house.context.database.session() as session:
        user = user_of_account(session, Account(5004, "dora", "Dora", "dora@example.org"))
        # Django's form of no password: its mark, and forty characters that no hasher makes.
        assert user.password.startswith("!")
        assert len(user.password) == 41
        assert (user.is_staff, user.is_superuser) == (False, False)


@pytest.mark.parametrize("email", [LIBRARY_ACCOUNT, "no address", "a\nb@example.org"])
def test_an_address_that_nobody_can_have_is_none(house: House, email: str) -> None:
    with house.context.database.session() as session:
        user = user_of_account(session, Account(5005 + len(email), f"mallory{len(email)}", "Mallory", email))
        assert user.email is None


def test_the_author_of_a_commit_proves_nothing(house: House, eve: Attacker) -> None:
    house.merged(model_files("adas_own"))
    pull = house.by_hand(of_library({"models/adas_own/more.py": "x = 1\n"}))
    submission = met(house, pull.number)
    assert timeline(house.context.database, submission).email != ADA
    house.pass_tests(pull.number)
    assert house.unmet(pull.number) == ["own-plugins"]


def test_an_author_changes_his_own_plugin(house: House, eve: Attacker) -> None:
    number = opened(house, eve, "eves_own")
    house.pass_tests(number)
    house.merge(number)
    again = eve.open(eve.commit(eve.main(), of_library({"models/eves_own/more.py": "x = 1\n"}))).number
    house.pass_tests(again)
    assert house.unmet(again) == []


def test_the_forge_tells_who_opened_it(house: House, eve: Attacker) -> None:
    number = opened(house, eve, "who_opened")
    met(house, number)
    account = house.context.forge.account("eve")
    with house.context.database.session() as session:
        life = session.scalar(select(SubmissionLife).where(SubmissionLife.pull_request == number))
        assert session.get(ForgeAccount, account.id).user_id == life.submission.submitter_id
