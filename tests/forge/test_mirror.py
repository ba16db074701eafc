"""The mirror: what is on the forge comes over whole, and hostile trees harm nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainscore_ops.errors import UsageError
from brainscore_ops.forge import mirror as mirror_module
from brainscore_ops.forge.embedded.access import set_role
from brainscore_ops.forge.errors import (
    CommitNotFoundError,
    ForgeRefusedError,
    ForgeUnavailableError,
    HostileTreeError,
)
from brainscore_ops.forge.mirror import Mirror, stays_inside

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def mirror(forge: Any, tmp_path: Path) -> Mirror:
    return Mirror(tmp_path / "mirror.git", clone_url=forge.clone_url, token=forge.token)


def refs(mirror: Mirror) -> dict[str, str]:
    listing = subprocess.run(
        ["git", "--git-dir", str(mirror.path), "for-each-ref", "--format=%(refname) %(objectname)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split() for line in listing.stdout.splitlines())


def test_branches_and_heads_of_pull_requests_come_over_and_stay_readable(
    forge: Any, mirror: Mirror, tmp_path: Path
) -> None:
    clone = forge.clone(tmp_path / "clone")
    forge.git("checkout", "--quiet", "-b", "feature", cwd=clone)
    forge.git("commit", "--quiet", "--allow-empty", "--message", "One", cwd=clone)
    forge.git("push", "--quiet", "origin", "feature", cwd=clone)
    head = forge.git("rev-parse", "HEAD", cwd=clone)
    forge.client().open_pull_request(branch="feature", title="T", body="")
    mirror.fetch()
    assert refs(mirror) == {"refs/heads/main": forge.base, "refs/heads/feature": head, "refs/pull/1/head": head}
    forge.git("push", "--quiet", "--delete", "origin", "feature", cwd=clone)
    mirror.fetch()
    assert refs(mirror) == {"refs/heads/main": forge.base, "refs/pull/1/head": head}
    assert (mirror.checkout(head, tmp_path / "one") / "README.md").read_text() == "A library.\n"


def test_many_fetches_at_once(forge: Any, tmp_path: Path) -> None:
    def fetch(_: int) -> None:
        Mirror(tmp_path / "mirror.git", clone_url=forge.clone_url, token=forge.token).fetch()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fetch, range(4)))
    shared = Mirror(tmp_path / "mirror.git", clone_url=forge.clone_url, token=forge.token)
    assert refs(shared) == {"refs/heads/main": forge.base}


def test_many_checkouts_at_once_make_one_folder(forge: Any, mirror: Mirror, tmp_path: Path) -> None:
    mirror.fetch()
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: mirror.checkout(forge.base, tmp_path / "checkouts" / forge.base), range(4)))
    assert folders == {tmp_path / "checkouts" / forge.base}
    assert [path.name for path in (tmp_path / "checkouts").iterdir() if not path.name.startswith(".")] == [forge.base]


def test_a_checkout_is_made_once_and_only_for_one_commit(forge: Any, mirror: Mirror, tmp_path: Path) -> None:
    mirror.fetch()
    folder = mirror.checkout(forge.base, tmp_path / "files")
    stamp = (folder / "README.md").stat().st_mtime_ns
    assert mirror.checkout(forge.base, tmp_path / "files") == folder
    assert (folder / "README.md").stat().st_mtime_ns == stamp
    assert not (folder / ".git").exists()
    with pytest.raises(UsageError, match="absent or to hold"):
        mirror.checkout("0" * 40, tmp_path / "files")


def test_a_checkout_that_was_killed_is_made_again(forge: Any, mirror: Mirror, tmp_path: Path) -> None:
    mirror.fetch()
    (tmp_path / ".files.partial/library").mkdir(parents=True)
    (tmp_path / ".files.commit").write_text(forge.base)
    folder = mirror.checkout(forge.base, tmp_path / "files")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "library"]
    assert not (tmp_path / ".files.partial").exists()


def test_an_unknown_commit_and_a_name_that_is_no_commit(forge: Any, mirror: Mirror, tmp_path: Path) -> None:
    mirror.fetch()
    with pytest.raises(CommitNotFoundError, match="1" * 40):
        mirror.checkout("1" * 40, tmp_path / "files")
    tree = forge.store.git(forge.store.repository(forge.repository)).read_commit(forge.base).tree
    with pytest.raises(CommitNotFoundError, match="a tree"):
        mirror.checkout(tree, tmp_path / "files")
    for name in ("main", "HEAD", "--help", forge.base[:10]):
        with pytest.raises(UsageError):
            mirror.checkout(name, tmp_path / "files")


def test_attributes_modes_and_names_have_no_effect_on_the_bytes(forge: Any, mirror: Mirror, tmp_path: Path) -> None:
    files = {
        b".gitattributes": b"* text eol=crlf filter=evil ident\n*.txt export-subst export-ignore\n",
        b"a.txt": b"$Id$ $Format:%H$\nline\n",
        b"caf\xe9.py": b"latin-1 name\n",
        b"new\nline.py": b"1\n",
        b"empty": b"",
    }
    sha = commit(
        forge, [(b"100644", name, content) for name, content in files.items()] + [(b"100755", b"run", b"#!\n")]
    )
    mirror.fetch()
    folder = mirror.checkout(sha, tmp_path / "files")
    assert {os.fsencode(path.name): path.read_bytes() for path in folder.iterdir() if path.name != "run"} == files
    assert os.access(folder / "run", os.X_OK)
    assert not os.access(folder / "a.txt", os.X_OK)


def test_links_stay_links_only_where_they_cannot_leave(forge: Any, mirror: Mirror, tmp_path: Path) -> None:
    links = {
        b"inside": b"folder/file",
        b"absolute": b"/etc/passwd",
        b"up": b"../outside",
        b"here": b".",
        b"through": b"here/../../outside",
        b"config": b".git/config",
    }
    entries = [(b"120000", name, target) for name, target in links.items()]
    sha = commit(
        forge, [*entries, (b"040000", b"folder", [(b"100644", b"file", b"x"), (b"120000", b"up", b"../inside")])]
    )
    mirror.fetch()
    folder = mirror.checkout(sha, tmp_path / "files")
    assert {path.name for path in folder.rglob("*") if path.is_symlink()} == {"inside", "here", "up"}
    assert (folder / "inside").read_bytes() == (folder / "folder/up").read_bytes() == b"x"
    assert (folder / "absolute").read_bytes() == b"/etc/passwd"
    assert (folder / "through").read_bytes() == b"here/../../outside"


def test_a_submodule_is_an_empty_folder(forge: Any, mirror: Mirror, tmp_path: Path) -> None:
    sha = commit(forge, [(b"100644", b".gitmodules", b'[submodule "x"]\n'), (b"160000", b"sub", forge.base)])
    mirror.fetch()
    assert list((mirror.checkout(sha, tmp_path / "files") / "sub").iterdir()) == []


HOSTILE = {
    "a parent": [(b"040000", b"..", [(b"100644", b"evil", b"1")])],
    "a file in .git": [(b"040000", b".git", [(b"100644", b"config", b"1")])],
    "another .git": [(b"040000", b".GIT", [(b"100644", b"config", b"1")])],
    "a dot": [(b"100644", b".", b"1")],
    "a slash in a name": [(b"100644", b"../evil", b"1")],
    "an absolute name": [(b"100644", b"/evil", b"1")],
    "a file twice": [(b"100644", b"a", b"1"), (b"100644", b"a", b"2")],
    "a file and a folder": [(b"100644", b"a", b"1"), (b"040000", b"a", [(b"100644", b"b", b"1")])],
    "a link and a folder": [(b"120000", b"a", b"."), (b"040000", b"a", [(b"100644", b"b", b"1")])],
    "a folder behind a link": [(b"040000", b"a", [(b"100644", b"b", b"1")]), (b"120000", b"a", b".")],
    "a long name": [(b"100644", b"x" * 300, b"1")],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_trees_leave_nothing_behind(forge: Any, mirror: Mirror, tmp_path: Path, name: str) -> None:
    sha = commit(forge, HOSTILE[name])
    mirror.fetch()
    (tmp_path / "in/here").mkdir(parents=True)
    with pytest.raises(HostileTreeError) as caught:
        mirror.checkout(sha, tmp_path / "in/here/files")
    assert caught.value.exit_code == 3
    assert {path.name for path in (tmp_path / "in").rglob("*")} == {"here", ".files.commit"}


def test_a_tree_that_refers_to_itself_many_times_is_given_up_early(
    forge: Any, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_module, "MAX_FILES", 20_000)
    content: Any = [(b"100644", b"%d" % number, b"boom") for number in range(10)]
    tree = write_tree(forge, content)
    for _ in range(9):  # ten thousand million files
        tree = write_tree(forge, [(b"040000", b"%d" % number, tree) for number in range(10)])
    sha = commit(forge, tree)
    mirror.fetch()
    start = time.monotonic()
    with pytest.raises(HostileTreeError, match="20,000 files") as caught:
        mirror.checkout(sha, tmp_path / "files")
    assert caught.value.code == "tree-too-large"
    assert time.monotonic() - start < 10


def test_a_huge_file_in_a_small_pack_is_refused(
    forge: Any, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_module, "MAX_FILE_BYTES", 1_000_000)
    sha = commit(forge, [(b"100644", b"zeros", bytes(1_000_001))])
    mirror.fetch()
    with pytest.raises(HostileTreeError, match="MiB each"):
        mirror.checkout(sha, tmp_path / "files")


NAMES = st.sampled_from([b"a", b"b", b"c"])
PLACES = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
TARGETS = st.lists(st.sampled_from([b"..", b".", b"a", b"b", b"c", b""]), min_size=1, max_size=5).map(b"/".join)


@settings(max_examples=150, deadline=None)
@given(links=st.dictionaries(PLACES, TARGETS, max_size=6))
def test_links_that_are_accepted_never_lead_outside_however_they_are_combined(links: dict[bytes, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = os.fsencode(folder) + b"/root"
        accepted: list[bytes] = []
        for place, target in sorted(links.items()):  # a folder's name comes before what it holds
            behind_a_link = any(place.startswith(link + b"/") for link in accepted)  # no tree has such an entry
            if stays_inside(place, target) and not behind_a_link:
                os.makedirs(os.path.dirname(root + b"/" + place), exist_ok=True)  # noqa: PTH103, PTH120
                os.symlink(target, root + b"/" + place)  # noqa: PTH211
                accepted.append(place)
        for place in accepted:
            resolved = where_the_kernel_goes(root + b"/" + place)
            assert resolved is None or resolved == root or resolved.startswith(root + b"/")


def where_the_kernel_goes(path: bytes) -> bytes | None:
    """The real path that opening a path leads to; None when it leads nowhere."""
    try:
        descriptor = os.open(path, os.O_PATH)
    except OSError:
        return None
    try:
        return os.readlink(b"/proc/self/fd/%d" % descriptor)  # noqa: PTH115
    finally:
        os.close(descriptor)


def test_the_token_stands_on_no_command_line_in_no_file_and_in_no_error(
    forge: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, real = tmp_path / "commands", shutil.which("git")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {real} "$@"\n')
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    private = forge.store.create_repository(forge.repository + "-private", private=True)
    set_role(forge.store, private, "ops-bot", "read")
    url = f"{forge.server.url}/{forge.repository}-private.git"
    good = Mirror(tmp_path / "good.git", clone_url=url, token=forge.token)
    good.fetch()
    bad = Mirror(tmp_path / "bad.git", clone_url=url, token="bsf_wrong-token")
    with pytest.raises(ForgeRefusedError) as caught:
        bad.fetch()
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    seen = [log.read_text(), str(caught.value), caught.value.log, repr(good), *map(str, files)]
    assert "fetch" in log.read_text()
    assert not [text for text in seen if forge.token in text or "wrong-token" in text]
    with pytest.raises(UsageError, match="credentials"):
        Mirror(tmp_path / "x.git", clone_url=f"http://x:{forge.token}@127.0.0.1/a/b.git", token="")


def test_a_forge_that_is_down(own_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "FETCH_ATTEMPTS", 1)
    own_server.kill()
    with pytest.raises(ForgeUnavailableError):
        Mirror(tmp_path / "m.git", clone_url=f"{own_server.url}/a/b.git", token="t").fetch()


# Trees as no honest client makes them, put straight into the forge's repository.


def commit(forge: Any, entries: Any) -> str:
    tree = entries if isinstance(entries, str) else write_tree(forge, entries)
    person = "A <a@b> 0 +0000"
    text = f"tree {tree}\nparent {forge.base}\nauthor {person}\ncommitter {person}\n\nHostile\n"
    sha = write_object(forge, "commit", text.encode())
    git = forge.store.git(forge.store.repository(forge.repository))
    git.update_reference("refs/heads/hostile", sha)
    return sha


def write_tree(forge: Any, entries: list[Any]) -> str:
    content = b""
    for mode, name, value in entries:
        if mode == b"160000" or isinstance(value, str):
            sha = value
        elif mode == b"040000":
            sha = write_tree(forge, value)
        else:
            sha = write_object(forge, "blob", value)
        content += mode.lstrip(b"0") + b" " + name + b"\0" + bytes.fromhex(sha)
    return write_object(forge, "tree", content)


def write_object(forge: Any, kind: str, content: bytes) -> str:
    path = forge.store.git(forge.store.repository(forge.repository)).path
    command = ["git", "--git-dir", str(path), "hash-object", "-t", kind, "-w", "--literally", "--stdin"]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout.decode().strip()
