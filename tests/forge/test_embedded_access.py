"""Reviews, roles, protected branches and branches that are brought up to date, driven by unmodified PyGithub."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from github import Auth, Github, GithubException

from brainscore_ops.forge.embedded.access import set_role

from .conftest import UNPACED, branch


@pytest.fixture
def pull(repository: Any) -> Any:
    branch(repository, "feature")
    return repository.create_pull(base="main", head="feature", title="T", body="")


@pytest.fixture
def somebody(forge: Any) -> Any:
    """The repository as another account sees it, whose role is given."""

    def somebody(login: str, role: str | None = None) -> Any:
        forge.store.create_user(login, login.title(), f"{login}@example.org")
        if role:
            set_role(forge.store, forge.store.repository(forge.repository), login, role)
        auth = Auth.Token(forge.store.create_token(login, ["repo"]))
        return Github(base_url=forge.server.api_url, auth=auth, **UNPACED).get_repo(forge.repository)

    return somebody


def test_a_review_stays_with_the_head_that_it_judged(repository: Any, pull: Any, somebody: Any) -> None:
    grace = somebody("grace", "maintain").get_pull(pull.number)
    grace.create_review(body="Fine.", event="APPROVE")
    grace.create_review(body="One thing …", event="COMMENT")
    branch(repository, "later", "library/later.py")
    old = pull.head.sha
    repository.get_git_ref("heads/feature").edit(repository.get_branch("later").commit.sha, force=True)
    (approval, remark) = pull.get_reviews()
    assert (approval.state, approval.user.login, approval.commit_id, approval.body) == (
        "APPROVED",
        "grace",
        old,
        "Fine.",
    )
    assert (remark.state, repository.get_pull(pull.number).head.sha != old) == ("COMMENTED", True)
    approval.dismiss("It is old.")
    assert pull.get_review(approval.id).state == "DISMISSED"
    with pytest.raises(GithubException, match="Can not dismiss"):
        remark.dismiss("No.")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"event": "APPROVE"}, "Can not approve your own pull request"),
        ({"event": "REQUEST_CHANGES"}, "leave a comment"),
        ({"event": "MERGE"}, "Expected an event"),
        ({"event": "COMMENT", "body": "x", "commit_id": "1" * 40}, "commit_id"),
    ],
)
def test_reviews_that_are_refused(call: Any, pull: Any, values: dict[str, str], message: str) -> None:
    answer = call("POST", f"/pulls/{pull.number}/reviews", json=values)
    assert answer.status_code == 422
    assert message in answer.json()["errors"][0]


def test_roles(repository: Any, somebody: Any, call: Any, forge: Any) -> None:
    somebody("reader")
    somebody("helper", "triage")
    somebody("keeper", "maintain")
    said = {login: repository.get_collaborator_role_name(login) for login in ("reader", "helper", "keeper")}
    assert said == {"reader": "read", "helper": "triage", "keeper": "maintain"}
    assert [repository.get_collaborator_permission(login) for login in said] == ["read", "read", "write"]
    repository.add_to_collaborators("reader", permission="push")
    assert repository.get_collaborator_role_name("reader") == "write"
    assert call("GET", "/collaborators/nobody/permission").status_code == 404


def test_who_may_only_read_writes_nothing_but_words(pull: Any, somebody: Any, forge: Any, tmp_path: Path) -> None:
    theirs = somebody("reader", "read")
    theirs.get_pull(pull.number).create_issue_comment("A word.")
    theirs.get_pull(pull.number).create_review(body="Good!", event="APPROVE")
    for attempt in (
        lambda: theirs.get_pull(pull.number).merge(),
        lambda: theirs.get_commit(forge.base).create_status("success"),
        lambda: theirs.create_git_ref("refs/heads/mine", forge.base),
    ):
        with pytest.raises(GithubException, match="push access") as caught:
            attempt()
        assert caught.value.status == 403
    clone = forge.clone(tmp_path / "clone")
    url = forge.clone_url.replace("//", f"//x:{forge.store.create_token('reader')}@")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        forge.git("push", url, "HEAD:refs/heads/mine", cwd=clone)
    assert "403" in refused.value.stderr


def test_a_protected_branch_is_merged_into_only_when_all_that_it_asks_for_is_there(
    repository: Any, pull: Any, somebody: Any
) -> None:
    main = repository.get_branch("main")
    main.edit_protection(strict=True, contexts=["tests"], required_approving_review_count=1)
    protection = main.get_protection()
    assert (protection.required_status_checks.strict, protection.required_status_checks.contexts) == (True, ["tests"])
    assert repository.get_branch("main").protected

    def refusal() -> str:
        with pytest.raises(GithubException) as caught:
            pull.merge(sha=pull.head.sha)
        assert caught.value.status == 405
        return caught.value.data["message"]

    commit = repository.get_commit(pull.head.sha)
    assert refusal() == 'Required status check "tests" is expected.'
    assert repository.get_pull(pull.number).mergeable_state == "blocked"
    commit.create_status("failure", context="tests")
    assert refusal() == 'Required status check "tests" is failing.'
    commit.create_status("success", context="tests")
    somebody("reader", "read").get_pull(pull.number).create_review(body="Yes", event="APPROVE")
    assert "approving review is required" in refusal()
    somebody("keeper", "maintain").get_pull(pull.number).create_review(body="No", event="REQUEST_CHANGES")
    assert "Changes have been requested" in refusal()
    somebody("keeper", "maintain").get_pull(pull.number).create_review(body="Yes", event="APPROVE")
    assert pull.merge(sha=pull.head.sha).merged
    main.remove_protection()
    assert not repository.get_branch("main").protected


def test_a_protected_branch_is_not_pushed_to(forge: Any, repository: Any, tmp_path: Path) -> None:
    branch(repository, "feature")
    repository.get_branch("main").edit_protection(strict=False, contexts=[])
    with pytest.raises(GithubException, match="protected ref"):
        repository.get_git_ref("heads/main").edit(repository.get_branch("feature").commit.sha)
    clone = forge.clone(tmp_path / "clone")
    forge.git("commit", "--quiet", "--allow-empty", "--message", "Directly", cwd=clone)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        forge.git("push", "origin", "HEAD:main", cwd=clone)
    assert "GH006: Protected branch update failed for refs/heads/main" in refused.value.stderr
    forge.git("push", "--quiet", "origin", "HEAD:another", cwd=clone)


def test_a_strict_branch_asks_for_a_head_that_is_up_to_date(forge: Any, repository: Any, pull: Any) -> None:
    branch(repository, "other", "library/other.py")
    repository.create_pull(base="main", head="other", title="Other", body="").merge()
    repository.get_branch("main").edit_protection(strict=True, contexts=[])
    with pytest.raises(GithubException, match="not up to date"):
        pull.merge()
    assert pull.update_branch(expected_head_sha=pull.head.sha)
    updated = repository.get_pull(pull.number)
    assert [parent.sha for parent in repository.get_commit(updated.head.sha).parents] == [
        pull.head.sha,
        repository.get_branch("main").commit.sha,
    ]
    assert updated.changed_files == 1
    assert updated.merge().merged


def test_a_protection_has_to_be_said_whole(call: Any) -> None:
    answer = call("PUT", "/branches/main/protection", json={"required_status_checks": None})
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 3)
    assert call("GET", "/branches/main/protection").json()["message"] == "Branch not protected"
    assert call("PUT", "/branches/none/protection", json={}).status_code == 404
