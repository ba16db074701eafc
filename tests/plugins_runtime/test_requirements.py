"""What plugins ask for is read without running anything, and refused where it is more than a released package."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.requirements import (
    RequirementsRefusedError,
    enumerate_lines,
    requirement_faults,
    requirements_for,
)

if TYPE_CHECKING:
    from pathlib import Path

LIBRARY = "brainscore_stub"
MODEL = PluginKey("models", "zipf")
METRIC = PluginKey("metrics", "ridge")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text("numpy<2\n")
    for plugin in (MODEL, METRIC):
        (tmp_path / plugin.path(LIBRARY)).mkdir(parents=True)
    return tmp_path


def folder(checkout: Path, plugin: PluginKey) -> Path:
    return checkout / plugin.path(LIBRARY)


def test_the_library_and_each_plugin_once(checkout):
    (folder(checkout, MODEL) / "requirements.txt").write_text("wordfreq\n")
    requirements = requirements_for(checkout, LIBRARY, [MODEL, METRIC, MODEL])
    assert requirements.library_requirements == "numpy<2\n"
    assert requirements.plugin_requirements == (("brainscore_stub/models/zipf", "wordfreq\n"),)


def test_the_library_may_replace_what_packages_require(checkout):
    before = requirements_for(checkout, LIBRARY, [])
    (checkout / "overrides.txt").write_text("torch; python_version < '0'\n")
    (folder(checkout, MODEL) / "overrides.txt").write_text("a plugin's is not looked at")
    after = requirements_for(checkout, LIBRARY, [MODEL])
    assert after.overrides == "torch; python_version < '0'\n"
    assert after.digest != before.digest


def test_the_order_of_plugins_and_the_place_of_the_checkout_do_not_count(checkout, tmp_path_factory):
    (folder(checkout, MODEL) / "setup.py").write_text("from setuptools import setup; setup()")
    (folder(checkout, METRIC) / "requirements.txt").write_text("scipy")
    copy = tmp_path_factory.mktemp("copy") / "there"
    copy.symlink_to(checkout)
    first = requirements_for(checkout, LIBRARY, [MODEL, METRIC])
    second = requirements_for(copy, LIBRARY, [METRIC, MODEL])
    assert first.digest == second.digest


def test_a_change_anywhere_counts(checkout):
    digests = {requirements_for(checkout, LIBRARY, [MODEL]).digest}
    for file, text in [("requirements.txt", "scipy"), ("setup.py", "1"), ("setup.py", "2"), ("helper.py", "3")]:
        (folder(checkout, MODEL) / file).write_text(text)
        digests.add(requirements_for(checkout, LIBRARY, [MODEL]).digest)
    assert len(digests) == 5


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("evil @ git+https://example.org/evil.git", "direct-reference"),
        ("evil @ file:///etc/passwd", "direct-reference"),
        ("git+https://example.org/evil.git", "direct-reference"),
        ("https://example.org/evil-1.0.whl", "direct-reference"),
        ("./local", "direct-reference"),
        ("/somewhere/else", "direct-reference"),
        ("-e .", "option-in-requirements"),
        ("-r ../../secret.txt", "option-in-requirements"),
        ("--index-url https://example.org/simple", "option-in-requirements"),
        ("numpy ==", "not-a-requirement"),
        ("numpy; import os", "not-a-requirement"),
        ("numpy --config-settings=x", "not-a-requirement"),
    ],
)
def test_a_line_that_is_no_released_package(checkout, line, code):
    (folder(checkout, MODEL) / "requirements.txt").write_text(f"scipy\n{line}\n")
    with pytest.raises(RequirementsRefusedError) as caught:
        requirements_for(checkout, LIBRARY, [MODEL])
    assert [(one.code, one.where) for one in caught.value.problems] == [
        (code, "brainscore_stub/models/zipf/requirements.txt:2")
    ]


@pytest.mark.parametrize("line", ["evil @ git+https://example.org/evil.git@v1", "git+ssh://git@example.org/evil.git"])
def test_a_repository_is_refused_and_it_is_said_why(checkout, line):
    (folder(checkout, MODEL) / "requirements.txt").write_text(line)
    with pytest.raises(RequirementsRefusedError, match="Code is not taken from repositories"):
        requirements_for(checkout, LIBRARY, [MODEL])


def test_all_problems_at_once(checkout):
    (folder(checkout, MODEL) / "requirements.txt").write_text("-e .\n../x\n")
    (folder(checkout, METRIC) / "environment.yml").write_text("dependencies: r-base")
    (folder(checkout, METRIC) / "pyproject.toml").write_text("[build-system]\nrequires = ['x @ file:///x']")
    with pytest.raises(RequirementsRefusedError) as caught:
        requirements_for(checkout, LIBRARY, [MODEL, METRIC])
    assert sorted(one.code for one in caught.value.problems) == [
        "direct-reference", "direct-reference", "not-an-environment", "option-in-requirements",
    ]  # fmt: skip
    assert caught.value.exit_code == 3


def test_links_to_our_files_are_not_followed(checkout, tmp_path_factory):
    secret = tmp_path_factory.mktemp("ours") / "secret"
    secret.write_text("s3cret")
    (folder(checkout, MODEL) / "requirements.txt").symlink_to(secret)
    (checkout / "brainscore_stub/models/linked").symlink_to(secret.parent)
    with pytest.raises(RequirementsRefusedError) as caught:
        requirements_for(checkout, LIBRARY, [MODEL, PluginKey("models", "linked")])
    assert [one.code for one in caught.value.problems] == ["no-ordinary-folder", "unreadable-requirements"]
    assert "s3cret" not in str(caught.value)


def test_a_pipe_does_not_hold_us_up(checkout):
    os.mkfifo(folder(checkout, MODEL) / "requirements.txt")
    with pytest.raises(RequirementsRefusedError, match="ordinary file"):
        requirements_for(checkout, LIBRARY, [MODEL])


def test_settings_of_tools_make_no_project(checkout):
    (folder(checkout, MODEL) / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100")
    assert requirements_for(checkout, LIBRARY, [MODEL]).projects == ()


def test_a_project_says_how_it_is_built(checkout):
    (folder(checkout, MODEL) / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n[project]\nname = 'zipf'"
    )
    (project,) = requirements_for(checkout, LIBRARY, [MODEL]).projects
    assert (project.backend, project.build_requirements) == ("hatchling.build", ("hatchling",))


def test_what_people_write_in_requirements():
    text = (
        "# a comment\n"
        "numpy>=1.26,<2  # why\n"
        "\n"
        "scipy \\\n"
        "    --hash=sha256:0000 \\\n"
        "    --hash=sha256:1111\n"
        "pandas[excel]; python_version > '3'\n"
    )
    lines = list(enumerate_lines(text))
    assert lines == [(2, "numpy>=1.26,<2"), (4, "scipy"), (7, "pandas[excel]; python_version > '3'")]
    assert requirement_faults("x", [line for _, line in lines]) == []


@given(st.text(max_size=200))
def test_whatever_stands_there_there_is_an_answer(text):
    for problem in requirement_faults("requirements.txt", [line for _, line in enumerate_lines(text)]):
        assert problem.code in {"option-in-requirements", "direct-reference", "not-a-requirement"}
