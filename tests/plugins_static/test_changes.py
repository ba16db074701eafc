"""What a branch changes: which plugins, and what is none, however it is made to look."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainscore_ops.plugins.changes import EMPTY_TREES, UnrelatedError, analyse_changes
from brainscore_ops.plugins.layout import PluginKey

if TYPE_CHECKING:
    from brainscore_ops.plugins.changes import Changes
    from conftest import Repository

LIBRARY = "brainscore_tiny"
MODELS = f"{LIBRARY}/models"
INIT = f"from {LIBRARY} import model_registry\nmodel_registry['vgg-16'] = object\n"
VGG = {f"{MODELS}/vgg/__init__.py": INIT, f"{MODELS}/vgg/test.py": ""}


def changes(repository: Repository, base: str = "main") -> Changes:
    """What the branch that is being written changes."""
    return analyse_changes(repository.path, base, "HEAD", LIBRARY)


@pytest.fixture
def branch(tiny_repository: Repository) -> Repository:
    """The small library's repository, on a branch of its own."""
    tiny_repository.branch("pull", tiny_repository.git("rev-parse", "main"))
    return tiny_repository


def test_a_new_plugin_alone(branch: Repository) -> None:
    head = branch.commit(VGG)
    found = changes(branch)
    assert found.plugin_only
    assert found.added == (PluginKey("models", "vgg"),)
    assert (found.changed, found.removed, found.shared, found.other, found.problems) == ((), (), (), (), ())
    assert (found.base, found.head) == (branch.git("rev-parse", "main"), head)
    assert json.loads(json.dumps(found.to_json())) == {
        "plugin_only": True,
        "plugins": {"models": ["vgg"], "benchmarks": [], "data": [], "metrics": []},
        "other": [],
        "shared": [],
        "tests_to_run": [f"{MODELS}/vgg/test.py"],
        "identifiers": {
            "models": {"added": {"vgg-16": "vgg"}, "changed": {}, "removed": {}},
            **{
                kind: {"added": {}, "changed": {}, "removed": {}}
                for kind in ("benchmarks", "data", "stimulus_sets", "metrics")
            },
            "problems": [],
        },
    }


def test_plugins_that_are_changed_and_removed(branch: Repository) -> None:
    folder = f"{MODELS}/resnet_18"
    branch.commit({f"{MODELS}/alexnet/weights.csv": "1"}, remove=(f"{folder}/__init__.py", f"{folder}/test.py"))
    found = changes(branch)
    assert found.plugin_only
    assert (found.changed, found.removed) == ((PluginKey("models", "alexnet"),), (PluginKey("models", "resnet_18"),))
    assert found.tests_to_run == (f"{MODELS}/alexnet/test.py",)
    assert found.identifiers["models"].changed == {"alexnet": "alexnet"}
    assert found.identifiers["models"].removed == {"resnet-18": "resnet_18"}


def test_an_identifier_that_is_renamed_is_one_removed_and_one_added(branch: Repository) -> None:
    branch.commit({f"{MODELS}/alexnet/__init__.py": INIT})
    models = changes(branch).identifiers["models"]
    assert (models.added, models.changed, models.removed) == ({"vgg-16": "alexnet"}, {}, {"alexnet": "alexnet"})


def test_a_rename_counts_at_both_ends(branch: Repository) -> None:
    content = branch.git("show", f"main:{MODELS}/alexnet/test.py")
    branch.commit({f"{MODELS}/resnet_18/test_alexnet.py": content}, remove=(f"{MODELS}/alexnet/test.py",))
    assert changes(branch).changed == (PluginKey("models", "alexnet"), PluginKey("models", "resnet_18"))


def test_a_rename_out_of_a_plugin_is_no_plugins(branch: Repository) -> None:
    content = branch.git("show", f"main:{MODELS}/alexnet/test.py")
    branch.commit({"conftest.py": content}, remove=(f"{MODELS}/alexnet/test.py",))
    found = changes(branch)
    assert not found.plugin_only
    assert [each.path for each in found.other] == ["conftest.py"]
    assert found.plugins == (PluginKey("models", "alexnet"),)


def test_nothing_changed_is_not_plugin_only(branch: Repository) -> None:
    branch.commit({})
    assert not changes(branch).plugin_only
    assert changes(branch).plugins == ()


def test_what_others_did_since_is_no_change_of_the_branch(branch: Repository) -> None:
    branch.commit(VGG)
    branch.branch("main", branch.git("rev-parse", "main"))
    branch.commit({"README.md": "changed", f"{MODELS}/alexnet/test.py": "changed"})
    found = analyse_changes(branch.path, "main", "pull", LIBRARY)
    assert found.plugin_only
    assert found.plugins == (PluginKey("models", "vgg"),)


def test_shared_files_let_all_plugins_of_their_type_be_tested(branch: Repository) -> None:
    branch.commit({f"{LIBRARY}/model_helpers/activations.py": "changed"})
    found = changes(branch)
    assert not found.plugin_only
    assert found.shared == (f"{LIBRARY}/model_helpers/activations.py",)
    assert found.tests_to_run == (f"{MODELS}/alexnet/test.py", f"{MODELS}/resnet_18/test.py")
    branch.commit({f"{LIBRARY}/benchmarks/conftest.py": ""})
    assert f"{LIBRARY}/benchmarks/words/test.py" in changes(branch).tests_to_run


def test_everything_counts_as_new_without_a_base(branch: Repository) -> None:
    for base in (None, *EMPTY_TREES):
        found = analyse_changes(branch.path, base, "main", LIBRARY)
        assert found.base is None
        assert set(found.identifiers["models"].added) == {"alexnet", "resnet-18"}
        assert not found.plugin_only
        assert len(found.tests_to_run) == 3


def test_a_bare_repository_is_read(branch: Repository) -> None:
    branch.commit(VGG)
    branch.git("clone", "--quiet", "--bare", ".", "../bare.git")
    assert analyse_changes(branch.path.parent / "bare.git", "main", "pull", LIBRARY) == changes(branch)


def test_a_repository_of_sha256_is_read(branch: Repository, tiny_files: dict[str, str]) -> None:
    branch.git("init", "--quiet", "--object-format=sha256", "--initial-branch=main", "../sha256")
    other = type(branch)(branch.path.parent / "sha256")
    other.commit(tiny_files)
    other.branch("pull", other.git("rev-parse", "main"))
    other.commit(VGG)
    assert changes(other).added == (PluginKey("models", "vgg"),)
    assert analyse_changes(other.path, None, "main", LIBRARY).plugins


def test_histories_that_have_nothing_in_common_are_refused(branch: Repository) -> None:
    branch.git("symbolic-ref", "HEAD", "refs/heads/unrelated")
    branch.commit({"x": ""})
    with pytest.raises(UnrelatedError) as caught:
        changes(branch)
    assert caught.value.exit_code == 3


def test_what_cannot_be_read_in_a_changed_plugin_is_told(branch: Repository) -> None:
    branch.commit({**VGG, f"{MODELS}/vgg/__init__.py": "from brainscore_tiny import *\nmodel_registry[name()] = 1"})
    found = changes(branch)
    assert [problem.where for problem in found.problems] == [f"{MODELS}/vgg/__init__.py:2"]
    assert found.to_json()["identifiers"]["problems"][0]["code"] == "identifier-unresolved"


# -------------------------------------------------------------------- made to look like a plugin

LOOKALIKES = {
    "a workflow": ".github/workflows/test.yml",
    "a workflow that is named like the library": f".github/workflows/{MODELS}/vgg/x.yml",
    "tests that are laid out like the library": "tests/models/x/y.py",
    "another package that is laid out like the library": "evil/metrics/p/setup.py",
    "the library in a folder": f"copy/{MODELS}/vgg/__init__.py",
    "a package that begins like the library": f"{LIBRARY}_2/models/vgg/__init__.py",
    "the library's own code": f"{LIBRARY}/__init__.py",
    "a type that there is not": f"{LIBRARY}/plugins/vgg/__init__.py",
    "another spelling of a type": f"{LIBRARY}/Models/vgg/__init__.py",
    "another spelling of the library": f"{LIBRARY.upper()}/models/vgg/__init__.py",
    "a name that is no identifier": f"{MODELS}/my-net/__init__.py",
    "a name with a newline": f"{MODELS}/vgg/a\nb.py",
    "a name that ends in a newline": f"{MODELS}/vgg/test.py\n",
    "a name that a terminal acts on": f"{MODELS}/vgg/\x1b[2J.py",
    "a name that is written backwards": f"{MODELS}/vgg/\u202eyp.exe",
    "a name that is no text": f"{MODELS}/vgg/\udcff.py",
    "a name with a backslash": f"{MODELS}\\vgg\\__init__.py",
    "a file in a folder without __init__.py": f"{MODELS}/data_only/x.csv",
    "a hook of the interpreter": f"{MODELS}/vgg/sitecustomize.py",
    "a file that differs from another by case": f"{MODELS}/vgg/TEST.py",
    "a plugin that differs from another by case": f"{MODELS}/AlexNet/__init__.py",
    "a file that differs from another by Unicode form": f"{MODELS}/vgg/cafe\u0301.txt",
    "a file of git's": ".gitattributes",
    "submodules' addresses": ".gitmodules",
    "a byte-code cache": f"{MODELS}/__pycache__/vgg.pyc",
}


@pytest.mark.parametrize("lookalike", LOOKALIKES)
def test_what_looks_like_a_plugins_file_and_is_none(branch: Repository, lookalike: str) -> None:
    path = LOOKALIKES[lookalike]
    branch.commit({**VGG, f"{MODELS}/vgg/caf\u00e9.txt": "", path: "x = 1"})
    found = changes(branch)
    assert not found.plugin_only
    reasons = {each.path: each.reason for each in found.other}
    assert reasons[path]
    json.dumps(found.to_json())


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("120000", "link"), ("160000", "submodule")],
)
@pytest.mark.parametrize("name", ["vgg/data", "alexnet/__init__.py", "__init__.py"])
def test_links_and_submodules_are_no_plugins(branch: Repository, mode: str, reason: str, name: str) -> None:
    path = f"{MODELS}/{name}"
    if mode == "160000":
        branch.commit(VGG)
        branch.git("update-index", "--add", "--cacheinfo", f"{mode},{'1' * 40},{path}")
        branch.commit({})
    else:
        branch.commit({**VGG, path: "../../model_helpers/activations.py"}, modes={path: mode})
    found = changes(branch)
    assert not found.plugin_only
    assert [(each.path, reason in each.reason) for each in found.other] == [(path, True)]


def test_a_submodule_that_asks_to_be_overlooked_is_seen(branch: Repository) -> None:
    path = f"{MODELS}/vgg/sub"
    branch.commit(VGG)
    branch.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},{path}")
    base = branch.commit({".gitmodules": f'[submodule "s"]\npath = {path}\nurl = x\nignore = all\n'})
    branch.git("config", "diff.ignoreSubmodules", "all")
    branch.git("update-index", "--cacheinfo", f"160000,{'2' * 40},{path}")
    branch.commit({})
    assert [each.path for each in changes(branch, base).other] == [path]


def test_taking_a_link_away_is_the_plugins(branch: Repository) -> None:
    link = f"{MODELS}/alexnet/link"
    base = branch.commit({link: "/etc"}, modes={link: "120000"})
    branch.commit(remove=(link,))
    assert changes(branch, base).plugin_only


def test_an_executable_is_a_plain_file(branch: Repository) -> None:
    script = f"{MODELS}/vgg/run.sh"
    branch.commit({**VGG, script: "#!/bin/sh"}, modes={script: "100755"})
    assert changes(branch).plugin_only


def test_a_plugins_folder_that_becomes_a_file_is_no_plugin(branch: Repository) -> None:
    folder = f"{MODELS}/alexnet"
    branch.commit({folder: "x"}, remove=(f"{folder}/__init__.py", f"{folder}/test.py"))
    found = changes(branch)
    assert not found.plugin_only
    assert found.shared == (folder,)


def test_a_plugin_without_its_init_is_none(branch: Repository) -> None:
    branch.commit({f"{MODELS}/alexnet/test.py": "changed"}, remove=(f"{MODELS}/alexnet/__init__.py",))
    found = changes(branch)
    assert not found.plugin_only
    assert "no plugin" in found.other[0].reason


def test_a_plugin_of_which_files_stay_behind_is_not_removed(branch: Repository) -> None:
    branch.commit(remove=(f"{MODELS}/alexnet/__init__.py",))
    assert not changes(branch).plugin_only


def test_what_was_no_plugin_is_none_when_it_goes(branch: Repository) -> None:
    path = f"{MODELS}/data_only/x.csv"
    base = branch.commit({path: "1"})
    branch.commit(VGG, remove=(path,))
    assert [each.path for each in changes(branch, base).other] == [path]


def test_a_link_in_the_librarys_place_is_no_library(branch: Repository) -> None:
    branch.git("read-tree", "--empty")
    branch.commit({"elsewhere/models/vgg/__init__.py": INIT, LIBRARY: "elsewhere"}, modes={LIBRARY: "120000"})
    found = changes(branch)
    assert not found.plugin_only
    assert LIBRARY in [each.path for each in found.other]
    assert found.added == ()


def test_a_library_that_the_base_does_not_have_has_no_plugins(tiny_repository: Repository) -> None:
    base = tiny_repository.git("rev-parse", "main")
    tiny_repository.branch("pull", base)
    tiny_repository.commit({"other_library/models/x/__init__.py": INIT, "other_library/models/x/test.py": ""})
    found = analyse_changes(tiny_repository.path, base, "HEAD", "other_library")
    assert not found.plugin_only
    assert all("holds no package other_library/" in each.reason for each in found.other)


def test_a_tree_that_names_a_path_twice_is_seen(branch: Repository) -> None:
    branch.commit(VGG)
    plugin = f"{MODELS}/vgg"
    good = branch.git("rev-parse", f"HEAD:{plugin}/test.py")
    evil = branch.git("hash-object", "-w", "--stdin", stdin=b"import os")
    init = branch.git("rev-parse", f"HEAD:{plugin}/__init__.py")

    def tree(*entries: tuple[str, str, str]) -> str:
        data = b"".join(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(sha) for mode, name, sha in entries)
        return branch.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=data)

    twice = tree(("100644", "__init__.py", init), ("100644", "test.py", good), ("100644", "test.py", evil))
    models = tree(("40000", "vgg", twice))
    library = tree(
        ("100644", "__init__.py", branch.git("rev-parse", f"HEAD:{LIBRARY}/__init__.py")), ("40000", "models", models)
    )
    branch.commit_tree(tree(("40000", LIBRARY, library)))
    found = changes(branch)
    assert not found.plugin_only
    assert any("another entry" in each.reason for each in found.other)


def test_what_collides_at_the_base_already_is_not_the_branchs(branch: Repository) -> None:
    base = branch.commit({f"{LIBRARY}/Models/old.txt": ""})
    branch.commit(VGG)
    assert changes(branch, base).plugin_only


def test_ten_thousand_files_are_told(branch: Repository) -> None:
    blob = branch.git("hash-object", "-w", "--stdin", stdin=b"x")
    lines = "".join(f"100644 {blob}\t{MODELS}/vgg/data/{number}.csv\n" for number in range(10_000))
    branch.git("update-index", "--index-info", stdin=lines.encode())
    branch.commit(VGG)
    assert changes(branch).plugin_only
    branch.commit({"one_more.py": ""})
    assert [each.path for each in changes(branch).other] == ["one_more.py"]


PATHS = st.lists(
    st.sampled_from(
        [
            "models",
            "Models",
            "data",
            "alexnet",
            "vgg",
            "__init__.py",
            "test.py",
            LIBRARY,
            "tests",
            "a b",
            "\u00e9",
            "x\n",
        ]
    ),
    min_size=1,
    max_size=5,
).map("/".join)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(PATHS, max_size=5), st.sampled_from(["100644", "100755", "120000"]))
def test_every_changed_path_is_told_once(branch: Repository, paths: set[str], mode: str) -> None:
    # A name that is a file cannot be a folder as well, in git no more than elsewhere.
    existing = branch.git("ls-tree", "-r", "-z", "--name-only", "main").split("\0")
    paths = {
        path
        for path in paths
        if not any(f"{other}/".startswith(f"{path}/") for other in [*(paths - {path}), *existing])
    }
    paths = {path for path in paths if not any(path.startswith(f"{other}/") for other in existing if other)}
    branch.branch("pull", branch.git("rev-parse", "main"))
    branch.commit(dict.fromkeys(paths, "new content"), modes=dict.fromkeys(paths, mode))
    found = changes(branch)
    told = {each.path for each in found.other} | set(found.shared)
    assert told <= paths
    assert {PluginKey(*path.split("/")[1:3]) for path in paths - told} == set(found.plugins)
    assert found.plugin_only == (bool(paths) and not told)
    if mode == "120000":
        assert not found.plugin_only
