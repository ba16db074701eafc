"""What ``make hooks`` teaches git, in a clone of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "hooks.sh", tmp_path / "scripts")
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    git(tmp_path, "init", "-q")
    subprocess.run([tmp_path / "scripts" / "hooks.sh"], check=True)
    return tmp_path


def git(folder, *arguments):
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def write(folder, source, shown):
    output = {"output_type": "stream", "name": "stdout", "text": [shown]}
    cell = {
        "cell_type": "code",
        "id": "1",
        "metadata": {},
        "execution_count": 1,
        "source": [source],
        "outputs": [output],
    }
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "a.ipynb").write_text(json.dumps(notebook))


def test_outputs_stay_out_of_commits_and_differences_are_told_by_cell(clone):
    write(clone, "print(1)", "a secret")
    git(clone, "add", "a.ipynb")
    git(clone, "commit", "-qm", "one")
    committed = git(clone, "cat-file", "blob", "HEAD:a.ipynb")
    assert "print(1)" in committed
    assert "a secret" not in committed
    write(clone, "print(2)", "two")
    said = git(clone, "diff", "--no-color")
    assert "## modified /cells/0/source" in said
    assert "+  print(2)" in said


def test_it_is_taken_back(clone):
    subprocess.run([clone / "scripts" / "hooks.sh", "--remove"], check=True)
    assert "jupyternotebook" not in (clone / ".git" / "config").read_text()
