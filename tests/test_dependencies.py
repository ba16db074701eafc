"""The two lists of dependencies, pyproject.toml's and environment.yml's, name the same packages in the same versions."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
OWNERS_CHOICE = {
    "jupyterlab",
    "papermill",
    "ipywidgets",
    "pandas",
    "sqlalchemy",
    "psycopg2-binary",
    "pygithub",
    "dask-jobqueue",
    "scrapbook",
    "nbval",
}


def of_pyproject() -> dict[str, str]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return dict(map(split, document["project"]["dependencies"]))


def of_environment() -> dict[str, str]:
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    named = [entry for entry in entries if isinstance(entry, str)]
    from_pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    found = dict(map(split, [*named, *from_pip]))
    return {name: versions for name, versions in found.items() if name not in {"python", "pip"}}


def split(requirement: str) -> tuple[str, str]:
    name, versions = re.fullmatch(r"([\w.-]+)(.*)", requirement).groups()
    return name.lower(), versions


def test_both_lists_name_the_same_packages_in_the_same_versions():
    assert of_environment() == of_pyproject()


def test_the_packages_that_this_workspace_is_built_on_are_among_them():
    assert of_pyproject().keys() >= OWNERS_CHOICE


def test_every_package_has_a_lowest_version():
    assert [name for name, versions in of_pyproject().items() if not versions.startswith(">=")] == []
