"""How long the analysis of a branch takes on a repository as large as the vision library's, against git's own diff.

    python tests/bench/bench_changes.py [--commits 1600] [--files 4400] [--rounds 7]

Prints one JSON document: median seconds of ``analyse_changes``, of ``git diff --name-status`` and of reading the whole
catalogue in the same run, and the ratio of the first two. The repository is made anew, in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainscore_ops.plugins.catalogue import read_catalogue
from brainscore_ops.plugins.changes import analyse_changes
from brainscore_ops.plugins.layout import PLUGIN_TYPES
from brainscore_ops.plugins.tree import GitTree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIBRARY = "brainscore_bench"
FILES_OF_A_PLUGIN = 4
_REGISTRY = {"models": "model", "benchmarks": "benchmark", "data": "data", "metrics": "metric"}


def make_repository(folder: Path, commits: int, files: int) -> None:
    """Write a bare repository with a branch ``main`` of so many commits and files, and a branch ``pull`` with one plugin more."""
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(folder)], check=True)
    stream = "".join(_history(commits, files // FILES_OF_A_PLUGIN))
    subprocess.run(["git", "-C", str(folder), "fast-import", "--quiet"], input=stream.encode(), check=True)


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Median seconds of the analysis, of git's diff and of a whole catalogue, each measured in turn."""
    diff = ["git", "-C", str(folder), "diff", "--name-status", "main...pull"]
    works: dict[str, Callable[[], object]] = {
        "analyse_changes": lambda: analyse_changes(folder, "main", "pull", LIBRARY),
        "git_diff": lambda: subprocess.run(diff, check=True, capture_output=True),
        "read_catalogue": lambda: read_catalogue(GitTree(folder, "main"), LIBRARY),
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: round(statistics.median(taken), 4) for name, taken in seconds.items()}
    return {**medians, "ratio": round(medians["analyse_changes"] / medians["git_diff"], 1)}


def _history(commits: int, plugins: int) -> Iterator[str]:
    """A fast-import stream: the library's own files, then plugins spread over the commits, then the branch."""
    paths = {f"{LIBRARY}/__init__.py": "", **{f"{LIBRARY}/{each}/__init__.py": "" for each in PLUGIN_TYPES}}
    added = 0
    for number in range(commits):
        upto = plugins * (number + 1) // commits
        for plugin in range(added, upto):
            paths |= _plugin(PLUGIN_TYPES[plugin % 3 if plugin % 50 else 3], f"plugin_{plugin}")
        added = upto
        # Where no plugin is new, an old file changes.
        yield _commit("main", number, paths or {f"{LIBRARY}/models/plugin_0/notes.txt": f"{number}\n"})
        paths = {}
    yield _commit("pull", commits, _plugin("models", "one_more"), parent="refs/heads/main")


def _plugin(kind: str, name: str) -> dict[str, str]:
    folder = f"{LIBRARY}/{kind}/{name}"
    registry = f"{_REGISTRY[kind]}_registry"
    init = f"from {LIBRARY} import {registry}\n\nfor size in ('small', 'large'):\n    {registry}[f'{name}-{{size}}'] = list\n"
    return {
        f"{folder}/__init__.py": init,
        f"{folder}/model.py": f"NAME = '{name}'\n" * 50,
        f"{folder}/test.py": "def test(): pass\n",
        f"{folder}/requirements.txt": "numpy\n",
    }


def _commit(branch: str, number: int, files: dict[str, str], parent: str = "") -> str:
    message = f"commit {number}"
    head = (
        f"commit refs/heads/{branch}\ncommitter Bench <bench@example.org> {1_700_000_000 + number} +0000\n"
        f"data {len(message)}\n{message}\n" + (f"from {parent}\n" if parent else "")
    )
    return head + "".join(f"M 100644 inline {path}\ndata {len(text)}\n{text}\n" for path, text in files.items()) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=1600)
    parser.add_argument("--files", type=int, default=4400)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder, "library.git")
        make_repository(repository, options.commits, options.files)
        result = {"commits": options.commits, "files": options.files, **measure(repository, options.rounds)}
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
