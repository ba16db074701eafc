from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from uv import find_uv_bin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

EXAMPLES = Path(__file__).parents[2] / "examples"
LIBRARY = EXAMPLES / "library"

_SCORE_PAIRS = """
import json, sys
from brainscore_example import score

def as_dict(model, benchmark):
    result = score(model, benchmark)
    raw, ceiling = result.attrs["raw"], result.attrs["ceiling"]
    return {
        "value": result.item(), "error": result.attrs["error"],
        "raw": raw.item(), "raw_error": raw.attrs["error"], "raw_values": raw.attrs["raw"].values.tolist(),
        "ceiling": ceiling.item(), "ceiling_error": ceiling.attrs["error"],
    }

print(json.dumps([as_dict(*pair) for pair in json.loads(sys.argv[1])]))
"""


@pytest.fixture(scope="session")
def builder() -> ModuleType:
    """`examples/build_submissions.py`, loaded by its path as the demo does."""
    spec = importlib.util.spec_from_file_location("build_submissions", EXAMPLES / "build_submissions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def library_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with what the library's shared code needs, and pytest."""
    environment = tmp_path_factory.mktemp("library-environment")
    python = environment / "bin" / "python"
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", "3.11", environment], check=True, timeout=120)
    install = [uv, "pip", "install", "--quiet", "--only-binary", ":all:", "--compile-bytecode", "--python", python]
    requirements = ["--overrides", LIBRARY / "overrides.txt", "-r", LIBRARY / "requirements.txt", "pytest"]
    subprocess.run([*install, *requirements], check=True, timeout=240)
    return python


@pytest.fixture(scope="session")
def run_in_library(library_python: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python in the library's environment, with a checkout of the library as the working directory."""

    def run(*arguments: str | Path, checkout: Path = LIBRARY) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(checkout),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",
        }
        return subprocess.run(
            [library_python, *arguments], cwd=checkout, env=environment, capture_output=True, text=True, timeout=120
        )

    return run


@pytest.fixture(scope="session")
def score_pairs(run_in_library: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., list[dict[str, Any]]]:
    """Scores pairs of a model and a benchmark in one process of the library's environment."""

    def score(pairs: Sequence[tuple[str, str]], checkout: Path = LIBRARY) -> list[dict[str, Any]]:
        done = run_in_library("-c", _SCORE_PAIRS, json.dumps(pairs), checkout=checkout)
        assert done.returncode == 0, done.stderr
        scores: list[dict[str, Any]] = json.loads(done.stdout)
        return scores

    return score


@pytest.fixture(scope="session")
def library_with_submissions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the library after the submissions that need no further packages were merged."""
    checkout = tmp_path_factory.mktemp("checkout")
    shutil.copytree(LIBRARY, checkout, dirs_exist_ok=True)
    for name in ("structural-profile", "naming-times", "failing-test", "crashing"):
        shutil.copytree(
            EXAMPLES / "submissions" / name,
            checkout / "brainscore_example",
            ignore=shutil.ignore_patterns("submission.yml"),
            dirs_exist_ok=True,
        )
    return checkout
