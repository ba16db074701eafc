"""The embedded forge as GitHub's REST API: driven by unmodified PyGithub, and bare where an answer's form matters.

Every answer is held against GitHub's description by the fixture `answers`.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from github import Auth, Github, GithubException, InputGitAuthor, InputGitTreeElement, UnknownObjectException

from brainscore_ops.forge.embedded.access import set_role

from .conftest import UNPACED, branch


def test_accounts_and_the_repository(forge: Any, repository: Any) -> None:
    with Github(base_url=forge.server.api_url, auth=Auth.Token(forge.token), **UNPACED) as github:
        user = github.get_user()
        assert (user.login, user.name, user.email, user.type) == ("ops-bot", "Ops Bot", "ops-bot@example.org", "User")
        assert github.get_user("ops-bot").id == user.id
        assert github.get_rate_limit().rate.limit > 1_000
    assert (repository.full_name, repository.default_branch, repository.private) == (forge.repository, "main", False)
    assert repository.owner.type == "Organization"
    assert repository.clone_url == forge.clone_url


def test_git_objects(forge: Any, repository: Any) -> None:
    when = "2026-05-06T07:08:09Z"
    blob = repository.create_git_blob(base64.b64encode(b"\0\xff").decode(), "base64")
    assert base64.b64decode(repository.get_git_blob(blob.sha).content) == b"\0\xff"
    base = repository.get_git_commit(forge.base)
    elements = [
        InputGitTreeElement("library/models/random/__init__.py", "100644", "blob", sha=None),  # removed
        InputGitTreeElement("bin/run", "100755", "blob", sha=blob.sha),
        InputGitTreeElement("link", "120000", "blob", content="bin/run"),
        InputGitTreeElement("sub", "160000", "commit", sha=forge.base),
    ]
    tree = repository.create_git_tree(elements, base.tree)
    listed = {entry.path: (entry.mode, entry.type) for entry in repository.get_git_tree(tree.sha, recursive=True).tree}
    assert listed == {
        "README.md": ("100644", "blob"),
        "bin": ("040000", "tree"),
        "bin/run": ("100755", "blob"),
        "link": ("120000", "blob"),
        "sub": ("160000", "commit"),
    }
    author = InputGitAuthor("Ada", "ada@example.org", when)
    commit = repository.create_git_commit("Message", tree, [base], author)
    again = repository.get_git_commit(commit.sha)
    assert (again.message, again.author.name, again.committer.email) == ("Message", "Ada", "ada@example.org")
    assert again.author.date == datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert [parent.sha for parent in again.parents] == [forge.base]


def test_references(forge: Any, repository: Any) -> None:
    commit = branch(repository, "feature/one")
    assert repository.get_git_ref("heads/feature/one").object.sha == commit.sha
    assert [ref.ref for ref in repository.get_git_matching_refs("heads/feature")] == ["refs/heads/feature/one"]
    assert sorted(found.name for found in repository.get_branches()) == ["feature/one", "main"]
    assert repository.get_branch("feature/one").commit.commit.message == "Add library/new.py"
    reference = repository.get_git_ref("heads/feature/one")
    with pytest.raises(GithubException, match="not a fast forward"):
        reference.edit(forge.base)
    reference.edit(forge.base, force=True)
    assert repository.get_branch("feature/one").commit.sha == forge.base
    reference.delete()
    with pytest.raises(UnknownObjectException):
        _ = repository.get_git_ref("heads/feature/one").object.sha


@pytest.mark.parametrize(
    ("name", "sha", "message"),
    [
        ("refs/heads/main", None, "Reference already exists"),
        ("refs/heads/x", "1" * 40, "Object does not exist"),
        ("heads/x", None, "must start with 'refs/'"),
        ("refs/heads/a..b", None, "not a valid name"),
        ("refs/heads/../../config", None, "not a valid name"),
        ("refs/pull/1/head", None, "read only"),
    ],
)
def test_references_that_cannot_be_made(call: Any, forge: Any, name: str, sha: str | None, message: str) -> None:
    answer = call("POST", "/git/refs", json={"ref": name, "sha": sha or forge.base})
    assert answer.status_code == 422
    assert message in answer.json()["message"]


@pytest.mark.parametrize("path", ["../x", "a/../x", "/x", ".git/x", "a/.GIT/x", "a//b", "", "a/", "nul\0"])
def test_trees_with_malformed_paths_are_refused(call: Any, path: str) -> None:
    entry = {"path": path, "mode": "100644", "type": "blob", "content": "x"}
    answer = call("POST", "/git/trees", json={"tree": [entry]})
    assert (answer.status_code, answer.json()["message"]) == (422, "tree.path contains a malformed path component")


def test_commits_and_their_files(forge: Any, repository: Any) -> None:
    commit = branch(repository, "feature", "README.md", "Another.\n")
    seen = repository.get_commit(commit.sha)
    (file,) = seen.files
    assert (file.filename, file.status, file.additions, file.deletions) == ("README.md", "modified", 1, 1)
    assert file.patch == "@@ -1 +1 @@\n-A library.\n+Another."
    assert [found.sha for found in repository.get_commits(sha="feature")] == [commit.sha, forge.base]
    assert seen.author.login == "ops-bot"


def test_a_commits_name_means_that_commit_even_where_a_branch_is_named_so(forge: Any, repository: Any) -> None:
    other = branch(repository, forge.base)
    assert repository.get_branch(forge.base).commit.sha == other.sha
    assert repository.get_commit(forge.base).sha == forge.base


def test_statuses_and_what_they_say_together(forge: Any, repository: Any) -> None:
    commit = repository.get_commit(forge.base)
    assert commit.get_combined_status().state == "pending"
    for context, state in (("one", "failure"), ("two", "success"), ("one", "success")):
        commit.create_status(state, context=context, description="d", target_url="https://example.org/")
    combined = commit.get_combined_status()
    assert (combined.state, combined.total_count) == ("success", 2)
    assert [(status.context, status.state) for status in commit.get_statuses()] == [
        ("one", "success"),
        ("two", "success"),
        ("one", "failure"),
    ]
    commit.create_status("error", context="three")
    assert commit.get_combined_status().state == "failure"


@pytest.mark.parametrize(
    ("sha", "body"),
    [
        (None, {"state": "fine"}),
        (None, {}),
        (None, {"state": "success", "description": "x" * 141}),
        (None, {"state": "success", "target_url": "javascript:alert(1)"}),
        ("1" * 40, {"state": "success"}),
        ("main", {"state": "success"}),
    ],
)
def test_statuses_that_are_refused(call: Any, forge: Any, sha: str | None, body: dict[str, str]) -> None:
    answer = call("POST", f"/statuses/{sha or forge.base}", json=body)
    assert answer.status_code == 422
    assert answer.json()["message"] in ("Validation Failed", f"No commit found for SHA: {sha}")


def test_a_pull_request_from_opened_to_merged(forge: Any, repository: Any) -> None:
    commit = branch(repository, "feature")
    pull = repository.create_pull(base="main", head="feature", title="Title", body="Body")
    assert (pull.number, pull.state, pull.mergeable, pull.mergeable_state) == (1, "open", True, "clean")
    assert (pull.commits, pull.changed_files, pull.additions, pull.deletions) == (1, 1, 1, 0)
    assert pull.head.label == "brain-score:feature"
    assert [file.filename for file in pull.get_files()] == ["library/new.py"]
    assert [found.sha for found in pull.get_commits()] == [commit.sha]
    assert repository.get_git_ref("pull/1/head").object.sha == commit.sha
    pull.edit(title="Better", body="Text", state="closed")
    assert [found.number for found in repository.get_pulls(state="closed")] == [1]
    pull.edit(state="open")
    assert not pull.is_merged()
    result = pull.merge(merge_method="squash", sha=commit.sha)
    merged = repository.get_pull(1)
    assert (merged.merged, merged.merge_commit_sha, merged.merged_by.login) == (True, result.sha, "ops-bot")
    assert pull.is_merged()
    message = repository.get_commit(result.sha).commit.message
    assert message == "Better (#1)\n\n* Add library/new.py"
    assert [file.filename for file in merged.get_files()] == ["library/new.py"], "a merged one still shows its files"


def test_a_merge_commit_has_both_parents(forge: Any, repository: Any) -> None:
    commit = branch(repository, "feature")
    result = repository.create_pull(base="main", head="feature", title="T").merge(merge_method="merge")
    assert [parent.sha for parent in repository.get_commit(result.sha).parents] == [forge.base, commit.sha]


def test_merges_that_are_refused(call: Any, forge: Any, repository: Any) -> None:
    first = branch(repository, "one", "README.md", "One\n")
    branch(repository, "two", "README.md", "Two\n")
    branch(repository, "three")
    for name in ("one", "two"):
        repository.create_pull(base="main", head=name, title=name)
    repository.create_pull(base="main", head="three", title="three", draft=True)
    moved = call("PUT", "/pulls/1/merge", json={"sha": forge.base, "merge_method": "squash"})
    assert (moved.status_code, moved.json()["message"]) == (
        409,
        "Head branch was modified. Review and try the merge again.",
    )
    assert call("PUT", "/pulls/1/merge", json={"sha": first.sha, "merge_method": "squash"}).json()["merged"] is True
    for path in ("/pulls/1/merge", "/pulls/2/merge", "/pulls/3/merge"):
        refused = call("PUT", path, json={"merge_method": "squash"})
        assert (refused.status_code, refused.json()["message"]) == (405, "Pull Request is not mergeable")
    assert repository.get_pull(2).mergeable_state == "dirty"
    assert repository.get_pull(3).mergeable_state == "draft"


def test_pull_requests_that_cannot_be_opened(call: Any, repository: Any) -> None:
    branch(repository, "feature")
    repository.create_git_ref("refs/heads/same", repository.get_branch("main").commit.sha)
    repository.create_pull(base="main", head="feature", title="T")
    expected = {
        ("feature", "main"): "A pull request already exists for brain-score:feature.",
        ("same", "main"): "No commits between main and same",
        ("missing", "main"): "head",
        ("feature", "missing"): "base",
        ("somebody:feature", "main"): "head",
    }
    for (head, base), words in expected.items():
        answer = call("POST", "/pulls", json={"title": "T", "head": head, "base": base})
        (problem,) = answer.json()["errors"]
        assert answer.status_code == 422
        assert problem["resource"] == "PullRequest"
        assert words in (problem.get("message"), problem.get("field"))


def test_listings_are_filtered_sorted_and_paged(forge: Any, repository: Any, call: Any) -> None:
    for number in range(5):
        branch(repository, f"b{number}", f"f{number}.py")
        repository.create_pull(base="main", head=f"b{number}", title=f"T{number}")
    assert [pull.number for pull in repository.get_pulls()] == [5, 4, 3, 2, 1]
    assert [pull.number for pull in repository.get_pulls(head="brain-score:b2")] == [3]
    assert [pull.number for pull in repository.get_pulls(base="other")] == []
    second = call("GET", "/pulls?per_page=2&page=2&direction=asc")
    assert [pull["number"] for pull in second.json()] == [3, 4]
    assert {name: link["url"].rpartition("&page=")[2] or link["url"] for name, link in second.links.items()}.keys() == {
        "next",
        "last",
        "first",
        "prev",
    }
    assert [pull["number"] for pull in call("GET", second.links["next"]["url"]).json()] == [5]
    assert call("GET", "/pulls?per_page=100").links == {}


def test_labels_and_comments(repository: Any) -> None:
    branch(repository, "feature")
    pull = repository.create_pull(base="main", head="feature", title="T")
    repository.create_label("known", "ff0000", "A label.")
    pull.add_to_labels("known", "new one")
    assert [(label.name, label.color) for label in pull.get_labels()] == [("known", "ff0000"), ("new one", "ededed")]
    pull.remove_from_labels("known")
    assert [label.name for label in repository.get_pull(1).labels] == ["new one"]
    pull.set_labels("a", "b")
    assert sorted(label.name for label in repository.get_labels()) == ["a", "b", "known", "new one"]
    pull.delete_labels()
    assert list(pull.get_labels()) == []
    with pytest.raises(GithubException, match="already_exists"):
        repository.create_label("KNOWN", "00ff00")
    comment = pull.create_issue_comment("First")
    comment.edit("Second")
    assert [found.body for found in pull.get_issue_comments()] == ["Second"]
    assert pull.get_issue_comment(comment.id).user.login == "ops-bot"
    assert repository.get_pull(1).comments == 1
    assert repository.get_issue(1).title == "T"


def test_what_did_not_change_is_not_sent_again_and_does_not_count(call: Any) -> None:
    first = call("GET", "/pulls")
    again = call("GET", "/pulls", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    later = call("GET", "/pulls")
    assert int(first.headers["X-RateLimit-Remaining"]) - int(later.headers["X-RateLimit-Remaining"]) == 1


def test_who_may_do_what(call: Any, forge: Any) -> None:
    reader, states = (forge.store.create_token("ops-bot", [scope]) for scope in ("read:user", "repo:status"))
    write = {"json": {"title": "T", "head": "x", "base": "main"}}
    assert call("GET", "/pulls", token=None).status_code == 200
    assert call("POST", "/pulls", token=None, **write).status_code == 401
    assert call("GET", "/pulls", token="wrong").json()["message"] == "Bad credentials"
    assert call("POST", "/pulls", token=reader, **write).status_code == 403
    assert call("POST", "/pulls", token=states, **write).status_code == 403
    assert call("POST", f"/statuses/{forge.base}", token=states, json={"state": "success"}).status_code == 201
    private = forge.repository + "-private"
    record = forge.store.create_repository(private, private=True)
    url = f"{forge.server.api_url}/repos/{private}"
    assert call("GET", url, token=forge.token).status_code == 404  # a token opens what its account may see
    set_role(forge.store, record, "ops-bot", "read")
    assert [call("GET", url, token=token).status_code for token in (None, reader, forge.token)] == [404, 404, 200]


@pytest.mark.parametrize("path", ["/nothing", "/pulls/99", "/pulls/x", "/git/commits/1234", "/git/ref/heads/none"])
def test_what_is_not_there(call: Any, path: str) -> None:
    answer = call("GET", path)
    assert answer.status_code == 404
    assert answer.json()["message"] == "Not Found"
    assert answer.json()["status"] == "404"


def test_a_body_that_is_no_json(call: Any) -> None:
    answer = call("POST", "/pulls", data=b"{")
    assert (answer.status_code, answer.json()["message"]) == (400, "Problems parsing JSON")


@pytest.mark.parametrize("body", [[], "text", 3, {"title": 1, "head": "x", "base": "main"}, {"head": None}])
def test_a_body_of_the_wrong_form_is_no_fault_of_the_server(call: Any, body: Any) -> None:
    assert call("POST", "/pulls", json=body).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/git/ref/heads/a%00b", None),
        ("GET", "/commits/%2D%2Dall", None),
        ("GET", "/commits?sha=--all", None),
        ("GET", "/commits?sha=main&path=--all", None),
        ("GET", "/commits?page=-1&per_page=x", None),
        ("GET", "/git/trees/main:library", None),
        ("GET", "/branches/%FF", None),
        ("POST", "/labels", '{"name": "\\ud800"}'),
        ("POST", "/git/commits", '{"message": "m", "tree": "x", "parents": [1]}'),
        ("POST", "/git/commits", '{"message": "m", "tree": "TREE", "author": {"name": "<>", "email": "e"}}'),
        ("POST", "/git/commits", '{"message": "m", "tree": "TREE", "author": {"name": "n", "date": "1900-01-01"}}'),
        ("POST", "/git/commits", '{"message": "a\\u0000b", "tree": "TREE"}'),
        ("POST", "/git/trees", '{"tree": [{"path": "x", "mode": "100644", "type": "blob", "sha": "--batch"}]}'),
        ("POST", "/git/trees", '{"tree": [7]}'),
        ("POST", "/git/blobs", '{"content": "?", "encoding": "base64"}'),
        ("PATCH", "/git/refs/heads/main", '{"sha": "--help"}'),
        ("PUT", "/issues/1/labels", '{"labels": [{}]}'),
    ],
)
def test_hostile_values_are_no_fault_of_the_server(
    call: Any, forge: Any, repository: Any, method: str, path: str, body: str | None
) -> None:
    branch(repository, "feature")
    repository.create_pull(base="main", head="feature", title="T")
    tree = repository.get_git_commit(forge.base).tree.sha
    answer = call(method, path, data=body.replace("TREE", tree) if body else None)
    assert answer.status_code in (200, 400, 404, 422)
    assert repository.get_branch("main").commit.sha == forge.base
