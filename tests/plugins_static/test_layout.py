"""Which path belongs to what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainscore_ops.plugins.layout import (
    Owner,
    PluginKey,
    collision_key,
    is_noise,
    is_test_file,
    locate,
    path_fault,
    plugin_name_fault,
    plugin_name_like,
    shown,
)


@pytest.mark.parametrize(
    ("path", "plugin"),
    [
        ("lib/models/alexnet/__init__.py", PluginKey("models", "alexnet")),
        ("lib/benchmarks/words/deep/er/data.csv", PluginKey("benchmarks", "words")),
        ("lib/data/words/fixtures.py", PluginKey("data", "words")),
        ("lib/metrics/ridge/setup.py", PluginKey("metrics", "ridge")),
        ("lib/models/alexnet/weights.pth", PluginKey("models", "alexnet")),
    ],
)
def test_files_of_plugins(path: str, plugin: PluginKey) -> None:
    assert locate(path, "lib").plugin == plugin


@pytest.mark.parametrize(
    ("path", "types"),
    [
        ("lib/models/__init__.py", ("models",)),
        ("lib/models/conftest.py", ("models",)),
        ("lib/model_helpers/activations.py", ("models",)),
        ("lib/benchmark_helpers/deep/er.py", ("benchmarks",)),
        ("lib/data/s3_helpers/load.py", ("data",)),
        ("lib/utils_helpers/x.py", ("models", "benchmarks", "data", "metrics")),
    ],
)
def test_files_that_plugins_share(path: str, types: tuple[str, ...]) -> None:
    place = locate(path, "lib")
    assert (place.owner, place.types) == (Owner.SHARED, types)


@pytest.mark.parametrize(
    "path",
    [
        "tests/models/x/y.py",
        "evil/metrics/p/setup.py",
        "lib",
        "lib/models",
        "lib/__init__.py",
        "lib/Models/x/__init__.py",
        "lib/model/x/__init__.py",
        "lib/models/no-identifier/__init__.py",
        "lib/models/class/__init__.py",
        "lib/models/__pycache__/x.pyc",
        "lib/models/modèle/__init__.py",
        "lib/models/x/sitecustomize.py",
        "lib/models/x/conftest.py",
        "lib/models/x/deep/Conftest.py",
        "lib/models/x/pytest.ini",
        "lib/models/x/setup.cfg",
        "lib/models/x/.gitattributes",
        "lib/models/x/.gitmodules",
        "lib/models/x/.github/workflows/x.yml",
        "lib/models/x/__init__.so",
        "lib/models/x/__init__.cpython-311-x86_64-linux-gnu.so",
        "lib/models/x/__pycache__/__init__.cpython-311.pyc",
        "lib/models/x/model.pyc",
        "lib/models/x/aux.py",
        "lib/models/x/__init__.py::$DATA",
        "lib/models/x/.git/config",
        "lib/models/x/deep/.GIT/hooks/post-checkout",
        "lib/models/x/a\nb.py",
        "lib/models/x/a\u202eyp.exe",
        "lib/models/x/a\udcff.py",
        "lib/models/x/a\\b.py",
        "lib/models/x/../y/z.py",
        "lib/models/x//z.py",
        "lib/models/x/./z.py",
        "lib/models/x/z ",
        "lib/models/x/z.",
        "/lib/models/x/z.py",
        "C:/lib/models/x/z.py",
        ".github/workflows/lib/models/x.yml",
        "other/lib/models/x/z.py",
    ],
)
def test_everything_else_is_no_plugin_and_says_why(path: str) -> None:
    place = locate(path, "lib")
    assert (place.owner, place.plugin) == (Owner.OTHER, None)
    assert place.reason


def test_a_plugin_tells_its_folder() -> None:
    assert PluginKey("models", "alexnet").path("brainscore_vision") == "brainscore_vision/models/alexnet"


@pytest.mark.parametrize("name", ["test.py", "test_it.py", "tests.py", "deep/test_x.py"])
def test_files_that_pytest_is_given(name: str) -> None:
    assert is_test_file(f"lib/models/x/{name}")


@pytest.mark.parametrize("name", ["model.py", "my_test.py", "test.txt", "test/data.py", "testing.pyc"])
def test_files_that_pytest_is_not_given(name: str) -> None:
    assert not is_test_file(f"lib/models/x/{name}")


@pytest.mark.parametrize(
    "path", ["__MACOSX/x/._a", "x/.DS_Store", "Thumbs.db", "x/__pycache__/a.py", "a.pyc", ".git/config"]
)
def test_what_computers_leave_behind(path: str) -> None:
    assert is_noise(path)


@pytest.mark.parametrize(
    ("one", "other"), [("Words", "words"), ("caf\u00e9", "cafe\u0301"), ("STRASSE", "straße"), ("K", "\u212a")]
)
def test_names_that_are_one_on_other_computers(one: str, other: str) -> None:
    assert collision_key(one) == collision_key(other)


@given(st.text())
def test_what_is_proposed_as_a_name_can_be_one(name: str) -> None:
    assert plugin_name_fault(plugin_name_like(name)) is None


@given(st.text(max_size=300))
def test_a_name_in_a_message_is_short_and_harmless(name: str) -> None:
    assert shown(name).isprintable()
    assert len(shown(name)) <= 123


@given(st.text(), st.text())
def test_no_path_is_a_plugins_that_leads_elsewhere(before: str, after: str) -> None:
    path = f"lib/models/{before}/{after}"
    place = locate(path, "lib")
    if place.owner is Owner.PLUGIN:
        assert path_fault(path) is None
        assert path.startswith(f"{place.plugin.path('lib')}/")  # type: ignore[union-attr]
