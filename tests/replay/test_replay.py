"""The replay harness, on a history of the example library."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = "brainscore_example"


def git(folder: Path, *arguments: str) -> str:
    identity = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in SOMEBODY.items()}
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


SOMEBODY = {"NAME": "Somebody", "EMAIL": "somebody@example.org"}


def commit(folder: Path, title: str, files: dict[str, str]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", title)


def model(name: str) -> dict[str, str]:
    return {
        f"{LIBRARY}/models/{name}/__init__.py": f"from {LIBRARY} import model_registry\n"
        f"model_registry['{name}'] = lambda: None\n",
        f"{LIBRARY}/models/{name}/test.py": "def test_nothing():\n    pass\n",
    }


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with a squashed and a merged plugin, a change of more than plugins, and a commit that was no pull request."""
    folder = tmp_path_factory.mktemp("history") / "library"
    shutil.copytree(ROOT / "examples" / "library", folder)
    git(folder, "init", "--quiet", "--initial-branch", "trunk")
    commit(folder, "The library", {})
    commit(folder, "Add one (#1)", model("one"))
    git(folder, "checkout", "--quiet", "-b", "two")
    commit(folder, "Begin two", model("two"))
    commit(folder, "More of two", {f"{LIBRARY}/models/two/more.py": "x = 1\n"})
    git(folder, "checkout", "--quiet", "trunk")
    commit(folder, "Straight to the branch", {"README.md": "Another text.\n"})
    git(folder, "merge", "--quiet", "--no-ff", "--message", "Merge pull request #2 from somebody/two", "two")
    commit(folder, "Three, and the readme (#3)", model("three") | {"README.md": "Three.\n"})
    git(folder, "mv", f"{LIBRARY}/models/one", f"{LIBRARY}/models/first")
    commit(folder, "Rename one (#4)", {})
    return folder


def replay(clone: Path, *options: str) -> Any:
    command = [sys.executable, str(ROOT / "tests/bench/replay.py"), str(clone), "--library", LIBRARY, *options]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_each_merged_pull_request_is_judged_as_it_was_proposed(clone: Path) -> None:
    before = git(clone, "for-each-ref")
    found = replay(clone, "--last", "10")
    by_number = {entry["number"]: entry for entry in found["pull_requests"]}
    assert list(by_number) == [1, 2, 3, 4]
    assert [by_number[number]["kind"] for number in by_number] == ["squash", "merge", "squash", "squash"]
    assert [by_number[number]["plugin_only"] for number in by_number] == [True, True, False, True]
    assert [by_number[number]["verdict"] for number in (1, 2, 3)] == ["merged", "merged", "held"], found
    assert "plugin-only" in by_number[3]["rules"]
    assert by_number[2]["plugins"] == {"models": ["two"]}
    assert "own-plugins" in by_number[4]["rules"], "a plugin is taken away from its place"
    assert all(entry["seconds"]["gate"] > 0 for entry in by_number.values())
    assert found["summary"]["verdicts"] == {"merged": 2, "held": 2}
    assert found["summary"]["analysis_to_git_diff"] > 0
    assert git(clone, "for-each-ref") == before, "the clone was only to be read"


def test_a_folder_that_is_no_clone_is_said(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tests/bench/replay.py"), str(tmp_path), "--library", LIBRARY]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (finished.returncode, "no git repository" in finished.stderr) == (2, True)
