"""What the embedded forge keeps: set up again without a change, and nothing lost when it is killed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from brainscore_ops.errors import UsageError
from brainscore_ops.forge.client import Person
from brainscore_ops.forge.embedded import Store
from brainscore_ops.forge.embedded.pulls import merge_pull, refresh

if TYPE_CHECKING:
    from pathlib import Path

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
ADA = Person("Ada Example", "ada@example.org")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    (folder / "pkg").mkdir(parents=True)
    (folder / "pkg/__init__.py").write_text("")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("pkg/__init__.py")
    return folder


def test_setting_up_twice_changes_nothing(tmp_path: Path, library: Path) -> None:
    shas = set()
    for _ in range(2):
        store = Store(tmp_path / "store")
        store.create_repository("brain-score/example")
        store.create_user("bot", "Bot", "bot@example.org")
        shas.add(store.import_folder("brain-score/example", library, message="First", author=ADA, when=WHEN))
    other = Store(tmp_path / "other")
    other.create_repository("brain-score/example")
    shas.add(other.import_folder("brain-score/example", library, message="First", author=ADA, when=WHEN))
    (sha,) = shas
    record = store.repository("brain-score/example")
    entries = store.git(record).read_tree(sha, recursive=True)
    assert {entry.path: entry.mode for entry in entries} == {
        "link": "120000",
        "pkg": "040000",
        "pkg/__init__.py": "100644",
        "run.sh": "100755",
    }


def test_an_import_is_found_again_under_later_commits_but_never_overwrites(tmp_path: Path, library: Path) -> None:
    store = Store(tmp_path / "store")
    record = store.create_repository("brain-score/example")
    first = store.import_folder("brain-score/example", library, message="First", author=ADA, when=WHEN)
    git = store.git(record)
    commit = git.read_commit(first)
    later = git.write_commit(commit.tree, [first], "Later", author=commit.author, committer=commit.committer)
    git.update_reference("refs/heads/main", later)
    assert store.import_folder("brain-score/example", library, message="First", author=ADA, when=WHEN) == first
    assert git.reference("refs/heads/main") == later
    (library / "new.py").write_text("1\n")
    with pytest.raises(UsageError, match="begin with"):
        store.import_folder("brain-score/example", library, message="First", author=ADA, when=WHEN)


def test_tokens_are_kept_as_digests(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.create_user("bot", "Bot", "bot@example.org")
    token = store.create_token("bot", ["repo"])
    visitor = store.visitor(token)
    assert visitor is not None
    assert visitor.account.login == "bot"
    assert visitor.may("repo:status")
    assert store.visitor(token + "x") is None
    files = [path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert not [content for content in files if token.encode() in content]


@pytest.mark.parametrize("name", ["a b", "../x", "", "x.git", "-x", "a/b"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / "store")
    for attempt in (
        lambda: store.create_user(name, "N", "e@example.org"),
        lambda: store.create_repository(f"owner/{name}"),
    ):
        with pytest.raises(UsageError):
            attempt()


def test_a_token_needs_a_user_and_known_scopes(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(UsageError, match="no user"):
        store.create_token("nobody")
    with pytest.raises(UsageError, match="everything"):
        store.create_token("nobody", ["everything"])


def test_a_killed_server_has_lost_nothing_that_it_answered(own_server: Any, tmp_path: Path, library: Path) -> None:
    from brainscore_ops.forge.client import ForgeClient

    store = Store(own_server.root / "store")
    store.create_user("bot", "Bot", "bot@example.org")
    store.create_repository("brain-score/example")
    base = store.import_folder("brain-score/example", library, message="First", author=ADA, when=WHEN)
    token = store.create_token("bot")

    def client() -> ForgeClient:
        return ForgeClient(api_url=own_server.api_url, repository="brain-score/example", token=token)

    before = client()
    head = before.propose(branch="b", base_sha=base, files={"f": b"1"}, message="m", author=ADA, when=WHEN)
    own_server.kill()
    own_server.start()
    pull = client().open_pull_request(branch="b", title="T", body="B", labels=["one"])
    client().set_status(head, context="tests", state="success", description="passed")
    own_server.kill()
    own_server.start()
    merge_sha = client().squash_merge(pull.number, head_sha=head, title="T", message="")
    own_server.kill()
    own_server.start()
    after = client()
    assert after.default_branch()[1] == merge_sha
    assert after.pull_request(pull.number).merge_sha == merge_sha
    assert after.statuses(head)["tests"].state == "success"


def test_a_merge_that_was_killed_in_between_is_finished_or_not_begun(
    forge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from brainscore_ops.forge.embedded import pulls as pulls_module
    from brainscore_ops.forge.embedded.git import GitRepository

    client, store = forge.client(), forge.store
    heads = [
        client.propose(branch=name, base_sha=forge.base, files={name: b"1"}, message="m", author=ADA, when=WHEN)
        for name in ("one", "two")
    ]
    for name in ("one", "two"):
        client.open_pull_request(branch=name, title=name, body="")
    record, bot = store.repository(forge.repository), store.account("ops-bot")

    class KilledError(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise KilledError

    def merge(number: int) -> None:
        pull = store.pull(record, number)
        with pytest.raises(KilledError):
            merge_pull(store, record, pull, bot, head_sha=None, method="squash", title=None, message=None)

    # A stand-in for a kill: the process ends before the base branch moves ...
    with monkeypatch.context() as patch:
        patch.setattr(GitRepository, "update_reference", die)
        merge(1)
    refresh(store, record)
    assert not client.pull_request(1).merged
    assert client.default_branch()[1] == forge.base
    # ... and after it has moved, before that is recorded.
    with monkeypatch.context() as patch:
        patch.setattr(pulls_module, "_record_merge", die)
        merge(2)
    assert client.pull_request(2).merged
    assert client.squash_merge(2, head_sha=heads[1], title="T", message="") == client.default_branch()[1]
    assert client.squash_merge(1, head_sha=heads[0], title="T", message="") == client.default_branch()[1]
