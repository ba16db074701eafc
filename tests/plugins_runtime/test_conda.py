"""Plugins with an environment.yml: conda packages from a channel of real files, solved and linked without running any."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import io
import json
import sys
import tarfile
from pathlib import Path

import pytest
from rattler.index import index_fs

from brainscore_ops.errors import Fault
from brainscore_ops.plugins.conda import CondaUnavailableError
from brainscore_ops.plugins.environment import (
    EnvironmentBuildError,
    EnvironmentStore,
    EnvironmentUnavailableError,
    RequirementsRefusedError,
    requirements_for,
)
from brainscore_ops.plugins.layout import PluginKey

from .test_environment import run, source_release

MODEL, BENCHMARK = PluginKey("models", "condas"), PluginKey("benchmarks", "half")
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
VERSION = ".".join(map(str, sys.version_info[:3]))


class Channel:
    """A conda channel of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = folder.as_uri()

    def add(self, name: str, version: str, files=(), links=(), depends=(), noarch: bool = False) -> Path:
        """Add a package, by its files' names and contents, and links' names and targets."""
        subdir = "noarch" if noarch else "linux-64"
        path = self.folder / subdir / f"{name}-{version}-0.tar.bz2"
        path.parent.mkdir(parents=True, exist_ok=True)
        index = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": list(depends)}
        index |= {"subdir": subdir, **({"noarch": "python"} if noarch else {})}
        paths = [
            {
                "_path": place,
                "path_type": kind,
                "sha256": hashlib.sha256(content).hexdigest(),
                "size_in_bytes": len(content),
            }
            for kind, entries in (
                ("hardlink", [(place, text.encode()) for place, text in files]),
                ("softlink", [(place, b"") for place, _ in links]),
            )
            for place, content in entries
        ]
        info = {
            "info/index.json": json.dumps(index),
            "info/paths.json": json.dumps({"paths_version": 1, "paths": paths}),
            **({"info/link.json": '{"noarch": {"type": "python"}, "package_metadata_version": 1}'} if noarch else {}),
        }
        with tarfile.open(path, "w:bz2") as archive:
            for place, text in [*files, *info.items()]:
                member = tarfile.TarInfo(place)
                member.size, member.mode = len(text.encode()), 0o755
                archive.addfile(member, io.BytesIO(text.encode()))
            for place, target in links:
                member = tarfile.TarInfo(place)
                member.type, member.linkname = tarfile.SYMTYPE, target
                archive.addfile(member)
        asyncio.run(index_fs(self.folder))
        return path


@pytest.fixture(scope="session")
def channel(tmp_path_factory) -> Channel:
    """With a package of Python code, and a Python: this one's, linked file by file."""
    made = Channel(tmp_path_factory.mktemp("channel"))
    base = Path(sys.base_prefix)
    library = base / "lib" / f"python{MINOR}"
    links = [("bin/python", str(base / "bin" / f"python{MINOR}"))]
    links += [(f"lib/python{MINOR}/{one.name}", str(one)) for one in library.iterdir() if one.name != "site-packages"]
    made.add("python", VERSION, files=[(f"lib/python{MINOR}/site-packages/README.txt", "here\n")], links=links)
    trap = made.folder / "link-script-was-run"
    made.add(
        "tiny",
        "1.0",
        files=[("site-packages/tiny.py", "answer = 42\n"), ("bin/.tiny-post-link.sh", f"#!/bin/sh\ntouch {trap}\n")],
        depends=["python"],
        noarch=True,
    )
    made.add("tiny", "2.0", files=[("site-packages/tiny.py", "answer = 43\n")], depends=["python"], noarch=True)
    return made


@pytest.fixture
def store(environment_store, sandbox, channel, tmp_path) -> EnvironmentStore:
    return EnvironmentStore(environment_store.root, sandbox=sandbox, channels=(channel.address,))


@pytest.fixture
def asked(stub_library, channel):
    def requirements(dependencies: str, channels: str = ""):
        text = f"name: whatever\nchannels: [{channels or channel.address}]\ndependencies:\n{dependencies}"
        stub_library.write("models/condas/environment.yml", text)
        return requirements_for(stub_library.checkout, "brainscore_stub", [MODEL, BENCHMARK])

    return requirements


def test_conda_packages_and_what_comes_from_pypi(store, asked, sandbox, channel):
    requirements = asked("  - tiny=1.0\n  - pip\n  - pip:\n    - iniconfig>=2\n")
    assert requirements.plugin_requirements == (("brainscore_stub/models/condas", "iniconfig>=2"),)
    environment = store.ensure(requirements)
    code = "import iniconfig, pytest, sys, tiny; print(tiny.answer, sys.prefix, sys.base_prefix)"
    outcome = run(sandbox, environment, code)
    assert (outcome.stdout.split(), outcome.stderr) == (["42", str(environment.path), f"{environment.path}/conda"], "")
    digest = hashlib.sha256((channel.folder / "noarch" / "tiny-1.0-0.tar.bz2").read_bytes()).hexdigest()
    assert f"# conda {channel.address}/noarch/tiny-1.0-0.tar.bz2 sha256:{digest}\n" in environment.lock
    assert f"/linux-64/python-{VERSION}-0.tar.bz2 sha256:" in environment.lock
    assert "\niniconfig==" in environment.lock
    assert not (channel.folder / "link-script-was-run").exists()
    assert store.ensure(requirements) == environment


def test_from_the_lock_alone(store, asked, sandbox, channel, tmp_path):
    environment = store.ensure(asked("  - tiny<2\n"))
    elsewhere = EnvironmentStore(tmp_path / "elsewhere", sandbox=sandbox)
    again = elsewhere.environment_from_lock(environment.lock)
    assert again.lock_digest == environment.lock_digest
    assert run(sandbox, again, "import tiny; print(tiny.answer)").stdout == "42\n"
    other = environment.lock.replace("tiny-1.0-0.tar.bz2", "tiny-1.1-0.tar.bz2")
    with pytest.raises(EnvironmentUnavailableError, match="no longer has"):
        elsewhere.environment_from_lock(other)


def test_what_cannot_be_solved(store, asked):
    with pytest.raises(EnvironmentBuildError, match="No candidates were found for tiny >=3") as caught:
        store.ensure(asked("  - tiny>=3\n"))
    assert (caught.value.exit_code, caught.value.fault) == (3, Fault.SUBMISSION)


def test_a_channel_that_does_not_answer_is_nobodys_fault(environment_store, sandbox, asked):
    nowhere = "http://127.0.0.1:9/channel"
    store = EnvironmentStore(environment_store.root, sandbox=sandbox, channels=(nowhere,))
    with pytest.raises(EnvironmentUnavailableError, match="could not be used") as caught:
        store.ensure(asked("  - tiny\n", nowhere))
    assert caught.value.exit_code == 4


def test_only_the_channels_that_a_deployment_allows(store, asked, channel):
    with pytest.raises(RequirementsRefusedError, match="'mine' may not be used here") as caught:
        store.ensure(asked("  - tiny\n", "mine"))
    assert [(one.code, one.where) for one in caught.value.problems] == [
        ("channel-not-allowed", "brainscore_stub/models/condas/environment.yml")
    ]


def test_without_what_reads_it_it_is_refused(store, asked, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CondaUnavailableError, match="py-rattler is missing") as caught:
        store.ensure(asked("  - tiny\n"))
    assert "requirements.txt" in caught.value.remedy
    assert caught.value.exit_code == 3


def test_only_a_section_for_pip_needs_no_conda(store, asked, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "\niniconfig==" in store.ensure(asked("  - pip:\n    - iniconfig\n")).lock


def test_what_comes_from_pypi_as_source_is_built_in_the_sandbox(store, asked, sandbox, tmp_path, monkeypatch):
    source_release(tmp_path, "stubconda")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    environment = store.ensure(asked("  - tiny=1.0\n  - pip:\n    - stubconda\n"))
    assert run(sandbox, environment, "import stubconda, tiny; print(stubconda.answer, tiny.answer)").stdout == "42 42\n"


@pytest.mark.parametrize(
    ("dependencies", "said"),
    [
        ("  - https://example.org/evil.conda\n", "found 'https://example.org/evil.conda'"),
        ("  - evil::tiny\n", "found 'evil::tiny'"),
        ("  - tiny[channel=evil]\n", r"found 'tiny\[channel=evil\]'"),
        ("  - {npm: [left-pad]}\n", "left-pad"),
        ("  - pip:\n    - -r /etc/passwd\n", "An option stands where a package is expected"),
        ("  - pip:\n    - evil @ https://example.org/evil.whl\n", "is to come from an address"),
        ("  - tiny\nvariables: {PATH: /evil}\n", "no effect here of: variables"),
        ("  tiny: 1\n", "A list of 'dependencies' is expected"),
        ("  - [\n", "It is no YAML"),
    ],
)
def test_a_file_that_asks_for_something_else(asked, dependencies, said):
    with pytest.raises(RequirementsRefusedError, match=said) as caught:
        asked(dependencies)
    assert caught.value.problems[0].where.startswith("brainscore_stub/models/condas/environment.yml")
