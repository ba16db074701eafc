"""Git over HTTP with real git, and what pushes do to pull requests."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import requests

from brainscore_ops.forge.embedded.access import set_role

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def commit_file(forge: Any, clone: Path, name: str, content: bytes = b"1\n") -> str:
    (clone / name).write_bytes(content)
    forge.git("add", ".", cwd=clone)
    forge.git("commit", "--quiet", "--message", f"Add {name}", cwd=clone)
    return forge.git("rev-parse", "HEAD", cwd=clone)


def test_everybody_may_clone_what_is_public(forge: Any, tmp_path: Path) -> None:
    forge.git("clone", "--quiet", forge.clone_url, tmp_path / "clone")
    assert (tmp_path / "clone/README.md").read_text() == "A library.\n"
    forge.git("clone", "--quiet", "--depth", "1", forge.clone_url.removesuffix(".git"), tmp_path / "shallow")


def test_a_large_push_comes_through_whole(forge: Any, tmp_path: Path) -> None:
    clone = forge.clone(tmp_path / "clone")
    content = os.urandom(8_000_000)  # far over git's post buffer: sent in chunks
    head = commit_file(forge, clone, "large.bin", content)
    forge.git("push", "--quiet", "origin", "HEAD:refs/heads/large", cwd=clone)
    git = forge.store.git(forge.store.repository(forge.repository))
    assert git.read_path(head, "large.bin") == content


def test_a_push_moves_the_head_of_an_open_pull_request_only(forge: Any, tmp_path: Path) -> None:
    clone, client = forge.clone(tmp_path / "clone"), forge.client()
    forge.git("checkout", "--quiet", "-b", "feature", cwd=clone)
    first = commit_file(forge, clone, "one.py")
    forge.git("push", "--quiet", "origin", "feature", cwd=clone)
    number = client.open_pull_request(branch="feature", title="T", body="").number
    second = commit_file(forge, clone, "two.py")
    forge.git("push", "--quiet", "origin", "feature", cwd=clone)
    assert client.pull_request(number).head_sha == second
    git = forge.store.git(forge.store.repository(forge.repository))
    assert git.reference(f"refs/pull/{number}/head") == second
    forge.git("push", "--quiet", "--force", "origin", f"{first}:feature", cwd=clone)
    assert client.pull_request(number).head_sha == first
    client.squash_merge(number, head_sha=first, title="T", message="")
    forge.git("push", "--quiet", "origin", f"{second}:feature", cwd=clone)
    assert client.pull_request(number).head_sha == first
    assert git.reference(f"refs/pull/{number}/head") == first


def test_a_deleted_branch_closes_its_pull_request(forge: Any, tmp_path: Path) -> None:
    clone, client = forge.clone(tmp_path / "clone"), forge.client()
    head = commit_file(forge, clone, "one.py")
    forge.git("push", "--quiet", "origin", "HEAD:refs/heads/feature", cwd=clone)
    number = client.open_pull_request(branch="feature", title="T", body="").number
    forge.git("push", "--quiet", "--delete", "origin", "feature", cwd=clone)
    pull = client.pull_request(number)
    assert (pull.state, pull.merged, pull.head_sha) == ("closed", False, head)


def test_the_recorded_base_lags_behind_as_on_github(forge: Any, tmp_path: Path) -> None:
    clone, client = forge.clone(tmp_path / "clone"), forge.client()
    commit_file(forge, clone, "one.py")
    forge.git("push", "--quiet", "origin", "HEAD:refs/heads/feature", cwd=clone)
    pull = client.open_pull_request(branch="feature", title="T", body="")
    forge.git("reset", "--quiet", "--hard", forge.base, cwd=clone)
    newer = commit_file(forge, clone, "two.py")
    forge.git("push", "--quiet", "origin", "HEAD:refs/heads/main", cwd=clone)
    assert client.pull_request(pull.number).base_sha == forge.base
    merge_sha = client.squash_merge(pull.number, head_sha=pull.head_sha, title="T", message="")
    git = forge.store.git(forge.store.repository(forge.repository))
    assert git.read_commit(merge_sha).parents == (newer,)
    assert client.pull_request(pull.number).base_sha == newer


def test_who_may_push(forge: Any, tmp_path: Path) -> None:
    clone = forge.clone(tmp_path / "clone")
    commit_file(forge, clone, "one.py")
    reader = forge.store.create_token("ops-bot", ["repo:status"])
    for token in ("", "x:wrong@", f"x:{reader}@"):
        with pytest.raises(subprocess.CalledProcessError):
            forge.git("push", forge.clone_url.replace("//", f"//{token}"), "HEAD:refs/heads/x", cwd=clone)
    forge.git("push", "--quiet", forge.clone_url.replace("//", f"//{forge.token}@"), "HEAD:refs/heads/y", cwd=clone)
    git = forge.store.git(forge.store.repository(forge.repository))
    assert set(git.references("refs/heads/")) == {"refs/heads/main", "refs/heads/y"}


def test_a_private_repository_is_not_there_for_strangers(forge: Any, tmp_path: Path) -> None:
    private = forge.repository + "-private"
    record = forge.store.create_repository(private, private=True)
    url = f"{forge.server.url}/{private}.git"
    for visitor in ("", f"x:{forge.token}@"):
        with pytest.raises(subprocess.CalledProcessError, match="clone"):
            forge.git("clone", url.replace("//", f"//{visitor}"), tmp_path / "none")
    set_role(forge.store, record, "ops-bot", "read")
    forge.git("clone", "--quiet", url.replace("//", f"//x:{forge.token}@"), tmp_path / "clone")


def test_the_heads_of_pull_requests_are_the_forges_alone(forge: Any, tmp_path: Path) -> None:
    clone = forge.clone(tmp_path / "clone")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        forge.git("push", "origin", "HEAD:refs/pull/1/head", cwd=clone)
    assert "hidden ref" in caught.value.stderr


def test_malformed_objects_are_not_taken(forge: Any, tmp_path: Path) -> None:
    clone = forge.clone(tmp_path / "clone")
    blob = forge.git("rev-parse", "HEAD:README.md", cwd=clone)
    tree = (
        subprocess.run(
            ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
            cwd=clone,
            input=b"40000 .git\0" + bytes.fromhex(forge.git("rev-parse", "HEAD^{tree}", cwd=clone)),
            capture_output=True,
            check=True,
        )
        .stdout.decode()
        .strip()
    )
    assert blob
    commit = forge.git("commit-tree", tree, "-p", "HEAD", "-m", "Evil", cwd=clone)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        forge.git("push", "origin", f"{commit}:refs/heads/evil", cwd=clone)
    assert "hasDotgit" in caught.value.stderr


def test_many_clones_at_once(forge: Any, tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        folders = list(pool.map(lambda number: forge.clone(tmp_path / f"clone-{number}"), range(6)))
    assert all((folder / "README.md").exists() for folder in folders)


def test_a_branch_whose_name_is_not_utf8_disturbs_nobody(forge: Any, tmp_path: Path) -> None:
    clone = forge.clone(tmp_path / "clone")
    head = commit_file(forge, clone, "one.py")
    forge.git("push", "--quiet", "origin", os.fsdecode(b"HEAD:refs/heads/caf\xe9"), cwd=clone)
    forge.git("push", "--quiet", "origin", "HEAD:refs/heads/feature", cwd=clone)
    client = forge.client()
    assert client.open_pull_request(branch="feature", title="T", body="").head_sha == head
    assert len(client.pull_requests()) == 1
    assert requests.get(f"{forge.server.api_url}/repos/{forge.repository}/branches", timeout=30).status_code == 200


def test_a_push_that_breaks_off_leaves_no_process(forge: Any) -> None:
    server = psutil.Process(forge.server.process.pid)
    token = base64.b64encode(f"x:{forge.token}".encode()).decode()
    for service in ("git-receive-pack", "git-upload-pack"):
        with socket.create_connection(("127.0.0.1", int(forge.server.url.rpartition(":")[2]))) as connection:
            connection.sendall(
                f"POST /{forge.repository}.git/{service} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {token}\r\n"
                f"Content-Type: application/x-{service}-request\r\nContent-Length: 1000\r\n\r\n0094".encode()
            )
            wait_for(lambda: bool(server.children(recursive=True)))
        wait_for(lambda: not server.children(recursive=True))
    assert forge.client().default_branch() == ("main", forge.base)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
