"""The same files, read from a folder, from git and from memory."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainscore_ops.plugins.catalogue import read_catalogue
from brainscore_ops.plugins.digest import plugin_digest, plugin_digests, shared_code_digest
from brainscore_ops.plugins.git import CommitNotFoundError, GitFailedError, NotARepositoryError, find_commit, git
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.tree import DirectoryTree, GitTree, MemoryTree, SourceTree

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Repository

LIBRARY = "brainscore_tiny"
ALEXNET = PluginKey("models", "alexnet")


def contents(tree: SourceTree, under: str = "") -> dict[str, tuple[int, str, bytes]]:
    return {entry.path: (entry.mode, entry.kind, tree.read(entry.path)) for entry in tree.entries(under)}


@pytest.fixture
def mixed(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with an executable, links and odd names, and a bare clone of the repository that it is committed to."""
    folder = tmp_path / "mixed"
    (folder / "lib/models/x/deep").mkdir(parents=True)
    (folder / "README.md").write_text("read me")
    (folder / "lib/models/x/__init__.py").write_bytes(b"\r\n\xff\n")
    (folder / "lib/models/x/deep/two words\n.txt").write_text("odd")
    (folder / "lib/models/x/run.sh").write_text("#!/bin/sh\n")
    (folder / "lib/models/x/run.sh").chmod(0o755)
    (folder / "lib/models/x/link").symlink_to("/etc/passwd")
    (folder / "lib/models/x/loop").symlink_to(".")
    commit = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "-m", "all"]
    for command in (["git", "init", "--quiet"], ["git", "add", "--all"], commit):
        subprocess.run(command, cwd=folder, check=True)
    subprocess.run(["git", "clone", "--quiet", "--bare", folder, tmp_path / "bare.git"], check=True)
    return folder, tmp_path / "bare.git"


def test_a_folder_and_a_bare_repository_give_the_same_files(mixed: tuple[Path, Path]) -> None:
    folder, bare = mixed
    on_disk, in_git = contents(DirectoryTree(folder)), contents(GitTree(bare, "HEAD"))
    assert on_disk == in_git
    assert on_disk["lib/models/x/link"] == (0o120000, "link", b"/etc/passwd")
    assert on_disk["lib/models/x/run.sh"][0] == 0o100755
    for under in ("lib", "lib/models/x", "lib/models/x/deep", "README.md", "nothing", "lib/mod"):
        expected = {path for path in in_git if path == under or path.startswith(f"{under}/")}
        assert set(contents(GitTree(bare, "HEAD"), under)) == expected
        assert {entry.path for entry in DirectoryTree(folder).entries(under)} == expected - {"README.md"}


def test_a_package_alone_stands_where_its_prefix_says(mixed: tuple[Path, Path]) -> None:
    folder, bare = mixed
    package, whole = DirectoryTree(folder / "lib", "lib"), GitTree(bare, "HEAD")
    for under in ("", "lib", "lib/models/x"):
        assert contents(package, under) == contents(whole, under or "lib")
    assert list(package.entries("other")) == []


@pytest.mark.parametrize(
    "path",
    [
        "",
        "lib",
        "missing",
        "lib/models/x/loop/__init__.py",
        "../bare.git/HEAD",
        "/etc/passwd",
        "lib/../README.md",
        "a\0b",
        "README.md/x",
    ],
)
def test_nothing_outside_or_through_a_link_is_read(mixed: tuple[Path, Path], path: str) -> None:
    folder, bare = mixed
    for tree in (DirectoryTree(folder), GitTree(bare, "HEAD"), MemoryTree({"README.md": b""})):
        with pytest.raises(FileNotFoundError):
            tree.read(path)
        assert tree.read_many([path]) == {}


def test_digests_agree_and_leave_out_what_computers_leave_behind(mixed: tuple[Path, Path]) -> None:
    folder, bare = mixed
    (folder / "lib/models/x/__pycache__").mkdir()
    (folder / "lib/models/x/__pycache__/a.pyc").write_bytes(b"x")
    (folder / "lib/models/x/.DS_Store").write_bytes(b"x")
    key = PluginKey("models", "x")
    assert plugin_digest(DirectoryTree(folder), "lib", key) == plugin_digest(GitTree(bare, "HEAD"), "lib", key)
    assert shared_code_digest(DirectoryTree(folder), "lib") == shared_code_digest(GitTree(bare, "HEAD"), "lib")


def test_a_digest_tells_every_difference_of_code(tiny_files: dict[str, str], tiny_folder: Path) -> None:
    def digest(change: dict[str, str] | None = None) -> str:
        files = {path: text.encode() for path, text in (tiny_files | (change or {})).items()}
        return plugin_digest(MemoryTree(files), LIBRARY, ALEXNET)

    folder = f"{LIBRARY}/models/alexnet"
    changes = [
        {f"{folder}/test.py": ""},
        {f"{folder}/more.py": ""},
        {f"{folder}/more.py": "x"},
        {f"{folder}/d/more.py": ""},
    ]
    assert len({digest(), *(digest(change) for change in changes)}) == 5
    assert digest() == digest({f"{LIBRARY}/models/__init__.py": "changed"})
    assert digest() == plugin_digest(DirectoryTree(tiny_folder), LIBRARY, ALEXNET)
    (tiny_folder / folder / "test.py").chmod(0o755)
    assert digest() != plugin_digest(DirectoryTree(tiny_folder), LIBRARY, ALEXNET)


def test_shared_code_is_what_is_no_plugins(tiny_files: dict[str, str]) -> None:
    def digest(change: dict[str, str] | None = None) -> str:
        files = {path: text.encode() for path, text in (tiny_files | (change or {})).items()}
        return shared_code_digest(MemoryTree(files), LIBRARY)

    assert digest() == digest({f"{LIBRARY}/models/alexnet/test.py": "changed"}) == digest({"README.md": "changed"})
    assert digest() != digest({f"{LIBRARY}/models/__init__.py": "changed"})
    assert digest() != digest({f"{LIBRARY}/model_helpers/activations.py": "changed"})


def test_many_digests_are_those_of_each(tiny_repository: Repository) -> None:
    tree = GitTree(tiny_repository.path, "main")
    keys = list(read_catalogue(tree, LIBRARY).plugins)
    assert plugin_digests(tree, LIBRARY, keys) == {key: plugin_digest(tree, LIBRARY, key) for key in keys}
    with pytest.raises(FileNotFoundError):
        plugin_digest(tree, LIBRARY, PluginKey("models", "missing"))


def test_a_revision_that_names_nothing_is_told(tiny_repository: Repository, tmp_path: Path) -> None:
    blob = tiny_repository.git("hash-object", "-w", "--stdin", stdin=b"x")
    for revision in ("missing", "0" * 40, "--all", "", "main:README.md", blob):
        with pytest.raises(CommitNotFoundError):
            find_commit(tiny_repository.path, revision)
    for no_repository in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NotARepositoryError, match="expected the folder of a git repository") as refusal:
            find_commit(no_repository, "main")
        assert refusal.value.exit_code == 2, "a wrong argument is no failed step"


def test_git_is_ended_when_it_says_or_takes_too_much(tiny_repository: Repository) -> None:
    with pytest.raises(GitFailedError):
        git(tiny_repository.path, "ls-tree", "-r", "main", limit=10)
    with pytest.raises(GitFailedError):
        git(tiny_repository.path, "-c", "alias.wait=!sleep 20", "wait", deadline=0.2)


def test_replaced_objects_and_the_surroundings_do_not_matter(
    tiny_repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(GitTree(tiny_repository.path, "main"))
    old = tiny_repository.git("rev-parse", "main:README.md")
    new = tiny_repository.git("hash-object", "-w", "--stdin", stdin=b"replaced")
    tiny_repository.git("replace", old, new)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert contents(GitTree(tiny_repository.path, "main")) == before


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.lists(
            st.text("abé.-_ \n", min_size=1, max_size=4).filter(lambda part: part not in (".", "..")),
            min_size=1,
            max_size=3,
        )
        .map("/".join)
        .map(f"{LIBRARY}/models/alexnet/{{}}".format),
        st.binary(max_size=20),
        max_size=5,
    )
)
def test_git_and_memory_agree_on_whatever_a_plugin_holds(tiny_repository: Repository, files: dict[str, bytes]) -> None:
    # A name that is a file cannot be a folder as well.
    files = {path: data for path, data in files.items() if not any(other.startswith(f"{path}/") for other in files)}
    init = b"from brainscore_tiny import *\nfor n in 'ab': model_registry[n] = 1"
    files[f"{LIBRARY}/models/alexnet/__init__.py"] = init
    tiny_repository.git("read-tree", "--empty")
    in_git, in_memory = GitTree(tiny_repository.path, tiny_repository.commit(files)), MemoryTree(files)
    assert plugin_digest(in_git, LIBRARY, ALEXNET) == plugin_digest(in_memory, LIBRARY, ALEXNET)
    assert read_catalogue(in_git, LIBRARY) == read_catalogue(in_memory, LIBRARY)
