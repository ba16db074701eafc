"""What plugins ask to have installed: read as text, and checked line by line before anything acts on it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from brainscore_ops.errors import Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from brainscore_ops.plugins.layout import PluginKey

_MAX_FILE_BYTES = 256 * 1024
_MAX_SOURCE_BYTES = 64 * 1024 * 1024
_NO_SOURCES = {"__pycache__", ".git"}

# No addresses, no channel of its own ('channel::name') and none of the options in brackets.
_CONDA_SPEC = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(\s*[=<>!~ ][A-Za-z0-9=<>!~ ,|.*+_-]*)?")
_ENVIRONMENT = "Name packages under 'dependencies', and what comes from PyPI in a list 'pip' among them."
_REPOSITORY = (
    "Code is not taken from repositories: what stands at such an address can change, and lock and hash cannot hold it. Name "
    "the package's release instead, or copy the code into the plugin's folder."
)
_DIRECT = "Name a released package and its version instead, as in 'numpy>=1.26'."


class EnvironmentBuildError(RefusedError):
    """What is asked for cannot be installed: the message says why, and the ``log`` has all of it."""

    code = "environment-not-built"


class RequirementsRefusedError(EnvironmentBuildError):
    """Some of the requirements cannot be installed here, whatever else is asked for: all of them at once."""

    code = "requirements-refused"


@dataclass(frozen=True)
class Project:
    """A plugin that is a Python project of its own: it is built, in the sandbox, before it can be installed."""

    path: str
    """The plugin's folder from the root of the repository."""
    folder: Path
    """Where its sources are now."""
    build_requirements: tuple[str, ...]
    backend: str
    """The build backend as PEP 517 spells it: ``setuptools.build_meta:__legacy__``."""
    digest: str
    """SHA-256 of its sources."""
    backend_path: tuple[str, ...] = ()
    """Where the backend is, if it is among the sources."""
    requires_python: str = ""


@dataclass(frozen=True)
class CondaRequirements:
    """What a plugin's environment.yml asks for, besides its section for pip."""

    path: str
    """The file from the root of the repository."""
    channels: tuple[str, ...]
    """In the file's order; empty where it names none."""
    specs: tuple[str, ...]
    """``numpy=1.26``, ``python >=3.10``."""


@dataclass(frozen=True)
class Requirements:
    """Everything that an environment is made for. Equal digests make equal environments."""

    library_requirements: str
    """The library's requirements.txt."""
    plugin_requirements: tuple[tuple[str, str], ...]
    """Path of each plugin, and the text of its requirements.txt or the pip section of its environment.yml."""
    projects: tuple[Project, ...] = ()
    overrides: str = ""
    """The library's overrides.txt: what replaces requirements of packages (uv's ``--overrides``). Plugins have none."""
    conda: tuple[CondaRequirements, ...] = ()

    @property
    def python(self) -> str:
        """Which Pythons will do, as a version specifier: ``<3.13,>=3.10``; empty where any will."""
        asked = SpecifierSet()
        for project in self.projects:
            asked &= SpecifierSet(project.requires_python)
        return str(asked)

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of what is asked for, wherever the checkout lies."""
        projects = [(one.path, one.digest) for one in self.projects]
        document: list[object] = [self.library_requirements, self.overrides, self.plugin_requirements, projects]
        document += [[one.path, one.channels, one.specs] for one in self.conda]
        return hashlib.sha256(json.dumps(document).encode()).hexdigest()


def requirements_for(checkout: Path, library: str, plugins: Sequence[PluginKey]) -> Requirements:
    """Read what a library and some of its plugins need.

    That is requirements.txt and overrides.txt at the root of the repository, and in each plugin's folder
    requirements.txt, environment.yml, pyproject.toml and setup.py. Nothing is run.

    :param checkout: the root of the repository
    :param plugins: in any order; each counts once
    :raises RequirementsRefusedError: with every requirement that is not a released package by its name, and every
        file that cannot be read
    """
    problems: list[Problem] = []
    library_text = _text(checkout / "requirements.txt", "requirements.txt", problems)
    overrides = _text(checkout / "overrides.txt", "overrides.txt", problems)
    texts, projects, conda = [], [], []
    for plugin in sorted(set(plugins)):
        path = plugin.path(library)
        folder = checkout / path
        if folder.resolve() != checkout.resolve() / path:
            problems.append(
                Problem("no-ordinary-folder", "The plugin's folder is a link; an ordinary one is expected.", path)
            )
            continue
        text = _text(folder / "requirements.txt", f"{path}/requirements.txt", problems)
        if text.strip():
            texts.append((path, text))
        for name in ("environment.yml", "environment.yaml"):
            if os.path.lexists(folder / name):
                asked, from_pip = _conda(folder / name, f"{path}/{name}", problems)
                conda += [asked] if asked.specs else []
                texts += [(path, from_pip)] if from_pip else []
        if (folder / "pyproject.toml").exists() or (folder / "setup.py").exists():
            project = read_project(folder, path, problems)
            if project:
                projects.append(project)

    for where, text in (
        ("requirements.txt", library_text),
        ("overrides.txt", overrides),
        *((f"{path}/requirements.txt", text) for path, text in texts),
    ):
        problems += _faults(where, enumerate_lines(text))
    if problems:
        raise RequirementsRefusedError("The requirements cannot be installed here.", problems=problems)
    return Requirements(library_text, tuple(texts), tuple(projects), overrides, tuple(conda))


def requirement_faults(where: str, requirements: Iterable[str]) -> list[Problem]:
    """What is wrong with requirements that did not come from a file with lines, such as a built package's metadata."""
    return _faults(where, ((None, requirement) for requirement in requirements))


def enumerate_lines(text: str) -> Iterator[tuple[int, str]]:
    """The requirements of a requirements.txt and their lines; without comments, hashes and continuations."""
    pending, began = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        began = began if pending else number
        content = re.sub(r"(^|\s)#.*$", "", line)
        if content.rstrip().endswith("\\"):
            pending += content.rstrip()[:-1] + " "
            continue
        requirement = re.sub(r"\s--hash[= ]\S+", "", pending + content).strip()
        pending = ""
        if requirement:
            yield began, requirement
    if pending.strip():
        yield began, pending.strip()


def _faults(where: str, requirements: Iterable[tuple[int | None, str]]) -> list[Problem]:
    problems = []
    for number, requirement in requirements:
        place = where if number is None else f"{where}:{number}"
        shown = requirement if len(requirement) <= 120 else f"{requirement[:120]}…"
        if requirement.startswith("-"):
            problems.append(
                Problem(
                    "option-in-requirements",
                    f"An option stands where a package is expected: {shown!r}.",
                    where=place,
                    remedy="Only packages can be listed: no indexes, other files or editable installs.",
                )
            )
            continue
        try:
            parsed = Requirement(requirement)
        except InvalidRequirement:
            direct = "://" in requirement or requirement.startswith((".", "/"))
            code, what = ("direct-reference", "An address") if direct else ("not-a-requirement", "Something else")
            problems.append(
                Problem(code, f"{what} stands where a package is expected: {shown!r}.", place, _remedy(requirement))
            )
            continue
        if parsed.url:
            problems.append(
                Problem(
                    "direct-reference",
                    f"{parsed.name} is to come from an address: {shown!r}.",
                    place,
                    _remedy(parsed.url),
                )
            )
    return problems


def _remedy(address: str) -> str:
    return _REPOSITORY if re.match(r"(git|hg|svn|bzr)\+", address) else _DIRECT


def _conda(path: Path, where: str, problems: list[Problem]) -> tuple[CondaRequirements, str]:
    """What an environment.yml asks for from conda channels, and from pip."""
    nothing = CondaRequirements(where, (), ()), ""

    def wrong(message: str) -> None:
        problems.append(Problem("not-an-environment", message, where, _ENVIRONMENT))

    try:
        document = yaml.safe_load(_text(path, where, problems))
    except (yaml.YAMLError, RecursionError) as error:
        wrong(f"It is no YAML: {str(error)[:200]}.")
        return nothing
    if not isinstance(document, dict) or not isinstance(document.get("dependencies"), list):
        wrong("A list of 'dependencies' is expected.")
        return nothing
    if unknown := sorted(map(str, document.keys() - {"name", "channels", "dependencies", "prefix"})):
        wrong(f"There is no effect here of: {', '.join(unknown)[:200]}.")
    channels = document.get("channels", [])
    if not isinstance(channels, list) or not all(isinstance(one, str) for one in channels):
        wrong("'channels' is expected to be a list of names.")
        return nothing
    specs, from_pip = [], []
    for entry in document["dependencies"]:
        if isinstance(entry, dict) and entry.keys() == {"pip"} and isinstance(entry["pip"], list):
            from_pip += [str(one) for one in entry["pip"]]
        elif isinstance(entry, str) and _CONDA_SPEC.fullmatch(entry.strip()):
            specs.append(entry.strip())
        else:
            wrong(f"A package's name and version is expected, as in 'numpy=1.26'; found {str(entry)[:100]!r}.")
    problems += requirement_faults(f"{where} (pip)", from_pip)
    specs = [spec for spec in specs if spec != "pip"]  # that is what the section needs, and we have our own
    return CondaRequirements(where, tuple(one for one in channels if one != "nodefaults"), tuple(specs)), "\n".join(
        from_pip
    )


def _text(path: Path, where: str, problems: list[Problem]) -> str:
    if not path.exists():
        return ""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _MAX_FILE_BYTES:
            problems.append(
                Problem(
                    "unreadable-requirements",
                    f"An ordinary file of at most {_MAX_FILE_BYTES} bytes is expected.",
                    where,
                )
            )
            return ""
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem("unreadable-requirements", f"Text in UTF-8 is expected: {error}.", where))
        return ""


def read_project(folder: Path, path: str, problems: list[Problem], digest: str | None = None) -> Project | None:
    """How a folder is built into a wheel, by its pyproject.toml and setup.py; None where it is no project.

    :param path: what the folder is called in problems
    :param problems: takes what is wrong
    :param digest: SHA-256 of its sources, where it is known
    """
    # PEP 518: without a [build-system] table it is setuptools' legacy backend, as pip would have it.
    build: dict[str, Any] = {}
    where = f"{path}/pyproject.toml"
    text = _text(folder / "pyproject.toml", where, problems)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(Problem("unreadable-requirements", f"It is no TOML: {error}.", where))
        return None
    if "build-system" not in document and "project" not in document and not (folder / "setup.py").exists():
        return None  # settings of tools only
    build = document.get("build-system", {})
    requires = build.get("requires", ["setuptools>=64"]) if isinstance(build, dict) else None
    backend = build.get("build-backend", "setuptools.build_meta:__legacy__") if isinstance(build, dict) else None
    backend_path = build.get("backend-path", []) if isinstance(build, dict) else None
    if (
        not isinstance(backend, str)
        or not isinstance(requires, list)
        or not all(isinstance(one, str) for one in requires)
        or not re.fullmatch(r"[\w.]+(:[\w.]+)?", backend)
        or not isinstance(backend_path, list)
        or not all(isinstance(one, str) for one in backend_path)
    ):
        problems.append(Problem("unreadable-requirements", "Its [build-system] table is not as PEP 517 has it.", where))
        return None
    problems += requirement_faults(f"{where} [build-system]", requires)
    digest = _source_digest(folder, path, problems) if digest is None else digest
    requires_python = _requires_python(document, where, problems)
    return Project(path, folder.absolute(), tuple(requires), backend, digest, tuple(backend_path), requires_python)


def _requires_python(document: dict[str, Any], where: str, problems: list[Problem]) -> str:
    """What Pythons a pyproject.toml asks for; one that says so in its setup.py is heard when it is built."""
    table = document.get("project")
    asked = table.get("requires-python", "") if isinstance(table, dict) else ""
    try:
        return str(SpecifierSet(asked if isinstance(asked, str) else "?"))
    except InvalidSpecifier:
        problems.append(
            Problem(
                "not-a-python-version",
                f"requires-python is expected to be like '>=3.10,<3.13'; found {asked!r}.",
                where,
            )
        )
        return ""


def _source_digest(folder: Path, path: str, problems: list[Problem]) -> str:
    digest, size = hashlib.sha256(), 0
    for file in sorted(folder.rglob("*")):
        if _NO_SOURCES.intersection(file.relative_to(folder).parts) or (file.is_dir() and not file.is_symlink()):
            continue
        if file.is_symlink() or not file.is_file():
            problems.append(
                Problem("no-ordinary-file", "A project is built from ordinary files only.", f"{path}/{file.name}")
            )
            continue
        size += file.stat().st_size
        if size > _MAX_SOURCE_BYTES:
            problems.append(
                Problem(
                    "project-too-large", f"A project that is to be built has at most {_MAX_SOURCE_BYTES} bytes.", path
                )
            )
            break
        name = str(file.relative_to(folder)).encode("utf-8", "surrogateescape")
        content = file.read_bytes()
        digest.update(b"%d %d " % (len(name), len(content)) + name + content)
    return digest.hexdigest()
