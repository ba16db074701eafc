"""What merging gives, and whether what was tested before still holds when the base moves on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainscore_ops.plugins.changes import analyse_changes
from brainscore_ops.plugins.git import GitFailedError, is_ancestor
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.merge_result import merge_result
from brainscore_ops.plugins.moved_base import reasons_to_test_again
from brainscore_ops.plugins.origins import commits_that_added
from brainscore_ops.plugins.tree import GitTree

if TYPE_CHECKING:
    from conftest import Repository

LIBRARY = "brainscore_tiny"
MODELS = f"{LIBRARY}/models"
INIT = f"from {LIBRARY} import model_registry\nmodel_registry['vgg-16'] = object\n"
VGG = {f"{MODELS}/vgg/__init__.py": INIT, f"{MODELS}/vgg/test.py": ""}
KEY = PluginKey("models", "vgg")


@pytest.fixture
def branch(tiny_repository: Repository) -> Repository:
    tiny_repository.branch("pull", tiny_repository.git("rev-parse", "main"))
    return tiny_repository


def on_main(repository: Repository, *arguments, **more) -> str:
    """A commit on main; the branch stays checked out."""
    repository.branch("main", repository.git("rev-parse", "main"))
    commit = repository.commit(*arguments, **more)
    repository.branch("pull", repository.git("rev-parse", "pull"))
    return commit


def test_the_result_holds_what_both_did(branch: Repository) -> None:
    branch.commit(VGG)
    main = on_main(branch, {"README.md": "Better.\n"})
    found = merge_result(branch.path, "main", "pull")
    tree = GitTree(branch.path, found.commit)
    assert tree.read("README.md") == b"Better.\n"
    assert tree.read(f"{MODELS}/vgg/__init__.py") == INIT.encode()
    assert branch.git("rev-parse", f"{found.commit}^") == main
    assert analyse_changes(branch.path, "main", found.commit, LIBRARY).plugins == (KEY,)


def test_it_is_the_same_whenever_it_is_made_and_moves_no_branch(branch: Repository) -> None:
    branch.commit(VGG)
    before = branch.git("for-each-ref")
    assert merge_result(branch.path, "main", "pull") == merge_result(branch.path, "main", "pull")
    assert branch.git("for-each-ref") == before


def test_conflicts_are_named(branch: Repository) -> None:
    branch.commit({"README.md": "This.\n", **VGG})
    on_main(branch, {"README.md": "That.\n"})
    found = merge_result(branch.path, "main", "pull")
    assert (found.commit, found.conflicts) == (None, ("README.md",))


def test_a_file_that_one_side_makes_a_folder_conflicts(branch: Repository) -> None:
    branch.commit({f"{MODELS}/vgg": "a file"})
    on_main(branch, VGG)
    assert merge_result(branch.path, "main", "pull").commit is None


def test_histories_that_have_nothing_in_common_cannot_be_merged(branch: Repository) -> None:
    branch.git("symbolic-ref", "HEAD", "refs/heads/unrelated")
    commit = branch.commit({"x": ""})
    with pytest.raises(GitFailedError):
        merge_result(branch.path, "main", commit)


def test_what_a_commit_is_built_on(branch: Repository) -> None:
    main = branch.git("rev-parse", "main")
    pull = branch.commit(VGG)
    assert is_ancestor(branch.path, main, pull)
    assert is_ancestor(branch.path, main, main)
    assert not is_ancestor(branch.path, pull, main)


NAMES = st.sampled_from(["alexnet", "resnet_18", "vgg", "new_1", "new_2"])
CONTENTS = st.dictionaries(NAMES, st.sampled_from(["1", "2", "3"]), max_size=4)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ours=CONTENTS, theirs=CONTENTS)
def test_merging_changes_what_the_branch_did_or_conflicts(
    branch: Repository, ours: dict[str, str], theirs: dict[str, str]
) -> None:
    start = branch.git("rev-list", "--max-parents=0", "HEAD")
    branch.branch("main", start)
    branch.commit({f"{MODELS}/{name}/weights.csv": text for name, text in theirs.items()})
    branch.branch("pull", start)
    branch.commit({f"{MODELS}/{name}/weights.csv": text for name, text in ours.items()})
    found = merge_result(branch.path, "main", "pull")
    both = {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
    assert {path.split("/")[2] for path in found.conflicts} == both
    if not both:
        merged = GitTree(branch.path, found.commit)
        for name, text in {**ours, **theirs}.items():
            assert merged.read(f"{MODELS}/{name}/weights.csv") == text.encode()


# -------------------------------------------------------------------- the base moves on


def reasons(branch: Repository, tested: str) -> tuple[str, ...]:
    return reasons_to_test_again(branch.path, tested, branch.git("rev-parse", "main"), "pull", [KEY], LIBRARY)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({f"{MODELS}/another/__init__.py": INIT}, ""),
        ({f"{MODELS}/resnet_18/more.py": ""}, ""),
        ({**VGG, f"{MODELS}/vgg/more.py": ""}, "changed as well"),
        ({f"{MODELS}/alexnet/more.py": ""}, "named in the code"),
        ({f"{LIBRARY}/model_helpers/activations.py": "changed"}, "activations.py' changed"),
        ({f"{LIBRARY}/__init__.py": "changed"}, "__init__.py' changed"),
        ({"pyproject.toml": "changed"}, "pyproject.toml' changed"),
    ],
)
def test_which_moves_are_a_reason_to_test_again(branch: Repository, files: dict[str, str], reason: str) -> None:
    tested = branch.git("rev-parse", "main")
    branch.commit({**VGG, f"{MODELS}/vgg/uses.py": f"from {LIBRARY}.models.alexnet import layers\n"})
    on_main(branch, files)
    found = reasons(branch, tested)
    assert (len(found), reason in "".join(found)) == (bool(reason), True)


def test_the_removal_of_a_plugin_that_is_named_by_its_identifier_is_one(branch: Repository) -> None:
    tested = branch.git("rev-parse", "main")
    branch.commit({**VGG, f"{MODELS}/vgg/uses.py": "BEATS = 'resnet-18'\n"})
    on_main(branch, remove=(f"{MODELS}/resnet_18/__init__.py", f"{MODELS}/resnet_18/test.py"))
    assert len(reasons(branch, tested)) == 1


def test_a_base_that_is_no_longer_on_the_branch_is_one(branch: Repository) -> None:
    tested = on_main(branch, {"README.md": "Pushed by mistake.\n"})
    branch.branch("main", branch.git("rev-parse", f"{tested}^"))
    on_main(branch, {f"{MODELS}/another/__init__.py": INIT})
    assert "does not hold" in reasons(branch, tested)[0]


# -------------------------------------------------------------------- whose a plugin is


def test_a_plugin_is_of_the_commit_that_added_it_last(branch: Repository) -> None:
    first = on_main(branch, VGG)
    on_main(branch, {f"{MODELS}/vgg/more.py": "changed by somebody else"})
    assert commits_that_added(branch.path, "main", [KEY], LIBRARY) == {KEY: first}
    on_main(branch, remove=(f"{MODELS}/vgg/__init__.py", f"{MODELS}/vgg/test.py", f"{MODELS}/vgg/more.py"))
    again = on_main(branch, VGG)
    assert commits_that_added(branch.path, "main", [KEY], LIBRARY) == {KEY: again}


def test_a_plugin_that_was_moved_is_of_who_moved_it(branch: Repository) -> None:
    moved = on_main(
        branch,
        {f"{MODELS}/vgg/__init__.py": branch.git("show", f"main:{MODELS}/alexnet/__init__.py")},
        remove=(f"{MODELS}/alexnet/__init__.py", f"{MODELS}/alexnet/test.py"),
    )
    assert commits_that_added(branch.path, "main", [KEY], LIBRARY) == {KEY: moved}


def test_what_a_merge_brought_is_the_merges(branch: Repository) -> None:
    branch.commit(VGG)
    pull, main = branch.git("rev-parse", "pull"), branch.git("rev-parse", "main")
    merge = branch.git("commit-tree", f"{pull}^{{tree}}", "-p", main, "-p", pull, "-m", "merge")
    assert commits_that_added(branch.path, merge, [KEY], LIBRARY) == {KEY: merge}
