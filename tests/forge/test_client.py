"""The client against a real forge: every method does only what is missing, and what it did is found again."""

from __future__ import annotations

import logging
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from brainscore_ops.errors import UsageError
from brainscore_ops.forge.client import DESCRIPTION_LIMIT, Person
from brainscore_ops.forge.embedded.access import set_role
from brainscore_ops.forge.errors import (
    BranchTakenError,
    ForgeRefusedError,
    ForgeUnavailableError,
    HeadMovedError,
    NotMergeableError,
    UnknownPullRequestError,
)

if TYPE_CHECKING:
    from pathlib import Path

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
GRACE = Person("Grace Example", "grace@example.org")
FILES = {"library/models/zipf/__init__.py": b"MODEL = 'zipf'\n"}


def propose(client: Any, base: str, *, branch: str = "submission/7", files: Any = FILES) -> str:
    return client.propose(
        branch=branch, base_sha=base, files=files, message="Add zipf\n\nLong.", author=GRACE, when=WHEN
    )


def test_the_whole_way_done_twice_leaves_one_of_everything(forge: Any, answers: Any) -> None:
    for _ in range(2):
        client = forge.client()
        head = propose(client, forge.base)
        pull = client.open_pull_request(branch="submission/7", title="Add zipf", body="Please.", labels=["submission"])
        client.set_status(
            head, context="tests", state="success", description="passed", target_url="https://example.org/1"
        )
        client.comment(pull.number, key="tests", body="All is well.")
        merge_sha = client.squash_merge(pull.number, head_sha=head, title="Add zipf (#1)", message="By Grace")

    name, tip = client.default_branch()
    assert (name, tip) == ("main", merge_sha)
    (merged,) = client.pull_requests("all")
    assert merged == client.pull_request(1)
    assert (merged.number, merged.merged, merged.state, merged.merge_sha) == (1, True, "closed", merge_sha)
    assert (merged.title, merged.body, merged.labels, merged.author) == (
        "Add zipf",
        "Please.",
        ("submission",),
        "ops-bot",
    )
    assert (merged.base_ref, merged.base_sha, merged.head_ref, merged.head_sha) == (
        "main",
        forge.base,
        "submission/7",
        head,
    )
    repository = forge.store.repository(forge.repository)
    assert len(forge.store.statuses(repository, head)) == 1
    assert len(forge.store.comments(forge.store.pull(repository, 1))) == 1
    commit = forge.store.git(repository).read_commit(merge_sha)
    assert (commit.parents, commit.message) == ((forge.base,), "Add zipf (#1)\n\nBy Grace")
    assert len(answers) > 20, "the answers are not checked"


def test_a_proposal_is_authored_by_the_submitter_at_the_given_time(forge: Any) -> None:
    head = propose(forge.client(), forge.base)
    commit = forge.store.git(forge.store.repository(forge.repository)).read_commit(head)
    for signature in (commit.author, commit.committer):
        assert (signature.name, signature.email, signature.when) == ("Grace Example", "grace@example.org", WHEN)
    assert commit.message == "Add zipf\n\nLong."


def test_a_proposal_keeps_every_byte_and_what_the_base_holds(forge: Any) -> None:
    files = {
        "library/text.txt": "ünï\r\ncode\n".encode(),
        "library/with\nnewline.py": b"1\n",
        "library/binary.dat": bytes(range(256)),
        "library/nul.txt": b"a\0b",
        "library/large.txt": b"x" * 300_000,
        "library/empty.py": b"",
        "README.md": b"replaced\n",
    }
    head = propose(forge.client(), forge.base, files=files)
    git = forge.store.git(forge.store.repository(forge.repository))
    assert {path: git.read_path(head, path) for path in files} == files
    assert git.read_path(head, "library/models/random/__init__.py") == b"MODEL = 'random'\n"


def test_processes_that_propose_and_open_at_once_agree(forge: Any) -> None:
    def go(_: int) -> tuple[str, int]:
        client = forge.client()
        head = propose(client, forge.base)
        return head, client.open_pull_request(branch="submission/7", title="T", body="").number

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(go, range(4)))) == 1
    assert len(forge.client().pull_requests()) == 1


def test_a_proposal_is_recognised_although_the_base_has_moved_since(forge: Any) -> None:
    client = forge.client()
    first = propose(client, forge.base)
    other = propose(client, forge.base, branch="submission/8", files={"library/other.py": b""})
    number = client.open_pull_request(branch="submission/8", title="Other", body="").number
    newer_base = client.squash_merge(number, head_sha=other, title="Other", message="")
    assert propose(client, newer_base) == first


def test_a_branch_with_something_else_is_not_overwritten(forge: Any, tmp_path: Path) -> None:
    client = forge.client()
    propose(client, forge.base)
    with pytest.raises(BranchTakenError, match="submission/7"):
        propose(client, forge.base, files={"library/other.py": b"1\n"})


def test_only_an_aware_time_can_be_proposed(forge: Any) -> None:
    with pytest.raises(UsageError, match="time zone"):
        forge.client().propose(
            branch="b", base_sha=forge.base, files=FILES, message="m", author=GRACE, when=WHEN.replace(tzinfo=None)
        )


def test_a_path_that_git_does_not_take_is_refused_in_the_forges_words(forge: Any) -> None:
    for path in ("../outside.py", "library/.git/config", "/absolute.py", "library//twice.py"):
        with pytest.raises(ForgeRefusedError, match="malformed path") as caught:
            propose(forge.client(), forge.base, files={path: b"1\n"})
        assert caught.value.code == "forge-invalid"


def test_labels_that_are_missing_are_added_later(forge: Any) -> None:
    client = forge.client()
    propose(client, forge.base)
    assert client.open_pull_request(branch="submission/7", title="T", body="", labels=["one"]).labels == ("one",)
    pull = client.open_pull_request(branch="submission/7", title="T", body="", labels=["One", "two"])
    assert pull.labels == ("one", "two")


def test_a_closed_pull_request_is_found_and_not_opened_again(forge: Any) -> None:
    client = forge.client()
    propose(client, forge.base)
    number = client.open_pull_request(branch="submission/7", title="T", body="").number
    for _ in range(2):
        client.close(number)
    again = client.open_pull_request(branch="submission/7", title="T", body="", labels=["late"])
    assert (again.number, again.state, again.merged, again.labels) == (number, "closed", False, ())


def test_the_newest_status_of_each_context_counts(forge: Any) -> None:
    client = forge.client()
    for state in ("pending", "failure", "success"):
        client.set_status(forge.base, context="tests", state=state, description=state)
    client.set_status(forge.base, context="gate", state="error", description="")
    statuses = client.statuses(forge.base)
    assert {context: status.state for context, status in statuses.items()} == {"tests": "success", "gate": "error"}
    assert statuses["tests"].creator == client.login == "ops-bot"
    assert statuses["tests"].created_at.tzinfo is not None


def test_more_statuses_than_a_page_holds_are_all_read(forge: Any) -> None:
    repository, author = forge.store.repository(forge.repository), forge.store.account("ops-bot")
    for number in range(103):
        forge.store.add_status(
            repository,
            author,
            sha=forge.base,
            context=f"context {number}",
            state="success",
            description=None,
            target_url=None,
        )
    assert len(forge.client().statuses(forge.base)) == 103


def test_the_same_words_of_somebody_else_are_not_taken_for_ours(forge: Any) -> None:
    forge.store.create_user("stranger", "Stranger", "stranger@example.org")
    stranger = forge.client(token=forge.store.create_token("stranger", ["repo:status"]))
    stranger.set_status(forge.base, context="tests", state="success", description="passed")
    assert forge.client().statuses(forge.base)["tests"].creator == "stranger"
    forge.client().set_status(forge.base, context="tests", state="success", description="passed")
    assert forge.client().statuses(forge.base)["tests"].creator == "ops-bot"


def test_a_long_description_is_cut_and_still_recognised(forge: Any) -> None:
    for _ in range(2):
        status = forge.client().set_status(forge.base, context="tests", state="failure", description="no " * 100)
    assert len(status.description) == DESCRIPTION_LIMIT
    assert len(forge.store.statuses(forge.store.repository(forge.repository), forge.base)) == 1


def test_a_head_that_moved_is_not_merged(forge: Any, tmp_path: Path) -> None:
    client = forge.client()
    tested = propose(client, forge.base)
    number = client.open_pull_request(branch="submission/7", title="T", body="").number
    clone = forge.clone(tmp_path / "clone")
    forge.git("checkout", "--quiet", "submission/7", cwd=clone)
    forge.git("commit", "--quiet", "--allow-empty", "--message", "Later", cwd=clone)
    forge.git("push", "--quiet", cwd=clone)
    with pytest.raises(HeadMovedError, match=tested):
        client.squash_merge(number, head_sha=tested, title="T", message="")
    assert client.default_branch()[1] == forge.base
    assert client.pull_request(number).head_sha == forge.git("rev-parse", "HEAD", cwd=clone)


def test_a_merge_is_only_found_again_for_the_head_that_was_merged(forge: Any) -> None:
    client = forge.client()
    head = propose(client, forge.base)
    number = client.open_pull_request(branch="submission/7", title="T", body="").number
    client.squash_merge(number, head_sha=head, title="T", message="")
    with pytest.raises(HeadMovedError, match="that was merged"):
        client.squash_merge(number, head_sha=forge.base, title="T", message="")


def test_conflicts_and_closed_pull_requests_are_not_merged(forge: Any) -> None:
    client = forge.client()
    heads = {}
    for branch in ("one", "two", "three"):
        heads[branch] = propose(client, forge.base, branch=branch, files={"README.md": branch.encode()})
        client.open_pull_request(branch=branch, title=branch, body="")
    client.squash_merge(1, head_sha=heads["one"], title="One", message="")
    with pytest.raises(NotMergeableError, match="not mergeable"):
        client.squash_merge(2, head_sha=heads["two"], title="Two", message="")
    client.close(3)
    with pytest.raises(NotMergeableError, match="closed"):
        client.squash_merge(3, head_sha=heads["three"], title="Three", message="")


def test_one_comment_for_each_key_updated_in_place(forge: Any) -> None:
    client = forge.client()
    propose(client, forge.base)
    number = client.open_pull_request(branch="submission/7", title="T", body="").number
    repository = forge.store.repository(forge.repository)
    pull = forge.store.pull(repository, number)
    forge.store.create_user("stranger", "Stranger", "stranger@example.org")
    forge.store.add_comment(pull, forge.store.account("stranger"), "Me first <!-- brainscore-ops: gate -->")
    for text in ("one", "two", "two"):
        client.comment(number, key="gate", body=text)
    client.comment(number, key="tests", body="three")
    said = [(comment.author.login, comment.body.split("\n")[0]) for comment in forge.store.comments(pull)]
    assert said == [
        ("stranger", "Me first <!-- brainscore-ops: gate -->"),
        ("ops-bot", "two"),
        ("ops-bot", "three"),
    ]
    with pytest.raises(UsageError, match="key"):
        client.comment(number, key="--> break", body="")


def test_a_no_of_the_forge_says_why_and_is_not_tried_again(forge: Any, answers: Any) -> None:
    asked = {
        "forge-unauthorized": forge.client(token="bsf_wrong-token"),
        "forge-not-found": forge.client(repository="brain-score/missing"),
        "forge-forbidden": forge.client(token=forge.store.create_token("ops-bot", ["read:user"])),
    }
    for code, client in asked.items():
        answers.clear()
        with pytest.raises(ForgeRefusedError) as caught:
            propose(client, forge.base)
        assert caught.value.code == code
        assert caught.value.remedy
        assert len([status for _, status in answers if status >= 400]) <= 2, "a refusal was tried again"


def test_a_pull_request_that_there_is_not_is_a_wrong_number_not_a_rule_that_says_no(forge):
    with pytest.raises(
        UnknownPullRequestError, match=r"expected a pull request #999 in brain-score/\S+, found none"
    ) as caught:
        forge.client().pull_request(999)
    assert caught.value.exit_code == 2


def test_no_token_in_errors_representations_or_logs(forge: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "bsf_this-must-not-be-seen"
    client = forge.client(token=secret)
    with pytest.raises(ForgeRefusedError) as caught:
        client.default_branch()
    forge.client().default_branch()
    seen = [str(caught.value), repr(caught.value), repr(client), str(caught.value.as_dict()), caplog.text]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert not [text for text in seen if secret in text or forge.token in text]
    with pytest.raises(UsageError) as refused:
        forge.client(api_url=f"http://x:{secret}@127.0.0.1/api/v3")
    assert secret not in str(refused.value)


def test_a_forge_that_is_down_is_unavailable_and_the_error_travels(own_server: Any) -> None:
    own_server.kill()
    from brainscore_ops.forge.client import ForgeClient

    client = ForgeClient(api_url=own_server.api_url, repository="a/b", token="t", patience=0.5)
    with pytest.raises(ForgeUnavailableError) as caught:
        client.default_branch()
    assert caught.value.exit_code == 4
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 (our own)
    assert str(again) == str(caught.value)


def test_a_used_up_rate_limit_is_waited_for_or_reported(own_server: Any, tmp_path: Path) -> None:
    from brainscore_ops.forge.client import ForgeClient
    from brainscore_ops.forge.embedded import Store

    own_server.stop()
    store = Store(own_server.root / "store")
    store.create_user("bot", "Bot", "bot@example.org")
    own_server.start("--rate-limit", "0")
    client = ForgeClient(api_url=own_server.api_url, repository="a/b", token=store.create_token("bot"), patience=1)
    with pytest.raises(ForgeUnavailableError, match="rate limit") as caught:
        client.default_branch()
    assert caught.value.code == "forge-rate-limit"


def test_writes_whose_answers_are_lost_are_not_done_twice(forge: Any, spoiled: Any) -> None:
    seen: set[tuple[str, str]] = set()

    def lose_each_first_write(method: str, path: str) -> str:
        first = method != "GET" and (method, path) not in seen
        seen.add((method, path))
        return "lose" if first else ""

    client = spoiled(lose_each_first_write)
    head = propose(client, forge.base)
    pull = client.open_pull_request(branch="submission/7", title="T", body="", labels=["one"])
    client.set_status(head, context="tests", state="success", description="passed")
    client.comment(pull.number, key="tests", body="All is well.")
    merge_sha = client.squash_merge(pull.number, head_sha=head, title="T", message="")

    repository = forge.store.repository(forge.repository)
    (only,) = forge.store.pulls(repository)
    assert (only.merged, only.merge_sha) == (True, merge_sha)
    assert len(forge.store.statuses(repository, head)) == 1
    assert len(forge.store.comments(only)) == 1
    assert forge.client().default_branch()[1] == merge_sha
    assert len(seen) > 6


@pytest.mark.parametrize("status", ["500", "502", "503", "429", "403"])
def test_faults_of_the_server_and_short_limits_are_outwaited(forge: Any, spoiled: Any, status: str) -> None:
    left = [status, status]
    client = spoiled(lambda _method, _path: left.pop() if left else "")
    assert client.default_branch() == ("main", forge.base)


def test_patience_ends(spoiled: Any) -> None:
    client = spoiled(lambda _method, _path: "500")
    client._patience = 1
    with pytest.raises(ForgeUnavailableError, match="answered 500"):
        client.default_branch()


# Reviews, roles, branches brought up to date


def test_reviews_and_roles_are_told(forge: Any) -> None:
    client = forge.client()
    head = propose(client, forge.base)
    number = client.open_pull_request(branch="submission/7", title="T", body="").number
    forge.store.create_user("keeper", "Keeper", "keeper@example.org")
    set_role(forge.store, forge.store.repository(forge.repository), "keeper", "maintain")
    theirs = forge.client(token=forge.store.create_token("keeper"))
    theirs._repository.get_pull(number).create_review(body="Yes.", event="APPROVE")
    (review,) = client.reviews(number)
    assert (review.author, review.state, review.sha, review.body) == ("keeper", "APPROVED", head, "Yes.")
    assert {login: client.role(login) for login in ("keeper", "ops-bot", "nobody-at-all")} == {
        "keeper": "maintain",
        "ops-bot": "read",
        "nobody-at-all": "none",
    }
    assert (client.account("KEEPER").email, client.account("nobody-at-all")) == ("keeper@example.org", None)


def test_a_branch_is_brought_up_to_date_once_and_found_again(forge: Any) -> None:
    client = forge.client()
    head = propose(client, forge.base)
    number = client.open_pull_request(branch="submission/7", title="T", body="").number
    assert client.update_branch(number, head_sha=head) == head, "there was nothing to bring"
    other = propose(client, forge.base, branch="other", files={"library/other.py": b""})
    client.squash_merge(
        client.open_pull_request(branch="other", title="O", body="").number, head_sha=other, title="O", message=""
    )
    updated = client.update_branch(number, head_sha=head)
    assert updated != head
    assert client.update_branch(number, head_sha=head) == updated, "a lost answer is found again"
    assert client.pull_request(number).head_sha == updated
    with pytest.raises(HeadMovedError):
        client.update_branch(number, head_sha=forge.base)


def test_a_branch_that_conflicts_is_not_brought_up_to_date(forge: Any) -> None:
    client = forge.client()
    heads = {name: propose(client, forge.base, branch=name, files={"README.md": name.encode()}) for name in ("a", "b")}
    numbers = {name: client.open_pull_request(branch=name, title=name, body="").number for name in heads}
    client.squash_merge(numbers["a"], head_sha=heads["a"], title="A", message="")
    with pytest.raises(NotMergeableError, match="conflict"):
        client.update_branch(numbers["b"], head_sha=heads["b"])
