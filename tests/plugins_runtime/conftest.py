"""A small library of strangers' plugins, an environment for it, and the sandbox: all real."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.stub_library import LIBRARY, LIBRARY_CODE, MODEL

from brainscore_ops.plugins.environment import Environment, EnvironmentStore, Requirements
from brainscore_ops.plugins.sandbox import Limits, MiB, Outcome, Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

BENCHMARK = """
from brainscore_stub import Score, benchmark_registry


class Half:
    identifier, version, parent, bibtex = "half", 2, "behavioral", "@article{half}"

    def __call__(self, model):
        raw = Score(model(), error=0.02)
        return Score(raw / 0.8, raw=raw, error=0.025, ceiling=Score(0.8, error=0.01))


benchmark_registry["half"] = Half
"""


class StubLibrary:
    """A checkout that a test adds plugins to."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.write("__init__.py", LIBRARY_CODE)
        self.write("models/__init__.py", "")
        self.write("benchmarks/__init__.py", "")
        self.write("benchmarks/half/__init__.py", BENCHMARK)

    def write(self, path: str, text: str) -> Path:
        file = self.checkout / LIBRARY / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def add_model(self, name: str, body: str) -> None:
        """Add a model whose prediction is what this function's body does."""
        self.write(
            f"models/{name}/__init__.py", MODEL.format(name=name, body=textwrap.indent(textwrap.dedent(body), "    "))
        )


@pytest.fixture
def stub_library(tmp_path: Path) -> StubLibrary:
    return StubLibrary(tmp_path / "checkout")


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture(scope="session")
def environment_store(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> EnvironmentStore:
    return EnvironmentStore(tmp_path_factory.mktemp("environments"), sandbox=sandbox)


@pytest.fixture(scope="session")
def bare_environment(environment_store: EnvironmentStore) -> Environment:
    """Python and pytest, and nothing else."""
    return environment_store.ensure(Requirements("", ()))


class Inside:
    """Runs Python code in a sandbox; ``/result`` is the folder that it may write to."""

    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"

    def __init__(self, sandbox: Sandbox, result: Path) -> None:
        self.sandbox = sandbox
        self.result = result

    def __call__(self, code: str, *, limits: Limits | None = None, **settings: Any) -> Outcome:
        environment: Mapping[str, str] = settings.pop("environment", {})
        return self.sandbox.run(
            [self.python, "-I", "-c", textwrap.dedent(code)],
            readonly=[Path(sys.base_prefix), *settings.pop("readonly", [])],
            writable={self.result: "/result"},
            cwd="/result",
            environment=environment,
            limits=limits or Limits(wall_seconds=20, memory_bytes=512 * MiB),
            **settings,
        )


@pytest.fixture
def inside(sandbox: Sandbox, tmp_path: Path) -> Inside:
    result = tmp_path / "result"
    result.mkdir()
    return Inside(sandbox, result)


@pytest.fixture
def unprotected(tmp_path: Path) -> Inside:
    result = tmp_path / "unprotected"
    result.mkdir()
    return Inside(Sandbox("none"), result)
