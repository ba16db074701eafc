"""Environments: made once from what is asked for, and nothing of strangers is run outside the sandbox meanwhile."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from brainscore_ops.errors import Fault
from brainscore_ops.plugins.environment import (
    EnvironmentBuildError,
    EnvironmentStore,
    EnvironmentUnavailableError,
    Requirements,
    requirements_for,
)
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.projects import ProjectBuildError
from brainscore_ops.plugins.sandbox import Limits

if TYPE_CHECKING:
    from pathlib import Path

MODEL = PluginKey("models", "built")


def run(sandbox, environment, code: str):
    return sandbox.run(
        [environment.python, "-c", code],
        readonly=environment.visible,
        writable={},
        cwd="/tmp",
        environment={},
        limits=Limits(wall_seconds=60),
    )


def wheel(folder: Path, name: str, files: dict[str, str]) -> None:
    """A released package, as a registry would have it."""
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")


class TestMaking:
    def test_it_has_what_was_asked_for_and_pytest(self, bare_environment, sandbox):
        assert run(sandbox, bare_environment, "import pytest, sys; print(sys.prefix)").stdout.strip() == str(
            bare_environment.path
        )

    def test_the_lock_names_versions_hashes_and_python_and_no_registry(self, bare_environment):
        assert bare_environment.lock.startswith(f"# python {sys.version.split()[0]} ")
        assert "\npytest==" in bare_environment.lock
        assert "--hash=sha256:" in bare_environment.lock
        assert "://" not in bare_environment.lock
        assert bare_environment.lock_digest == hashlib.sha256(bare_environment.lock.encode()).hexdigest()

    def test_it_is_made_once(self, environment_store, bare_environment):
        before = (bare_environment.path / "pyvenv.cfg").stat().st_mtime_ns
        assert environment_store.ensure(Requirements("", ())) == bare_environment
        assert (bare_environment.path / "pyvenv.cfg").stat().st_mtime_ns == before

    def test_several_make_one(self, environment_store, sandbox):
        stores = [EnvironmentStore(environment_store.root, sandbox=sandbox) for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            made = list(pool.map(lambda store: store.ensure(Requirements("iniconfig\n", ())), stores))
        assert len({one.lock_digest for one in made}) == 1

    def test_a_ruin_of_an_interrupted_attempt_is_made_anew(self, environment_store, bare_environment, sandbox):
        (bare_environment.path / "complete").unlink()
        next(bare_environment.path.glob("lib/python*/site-packages/pytest/__init__.py")).unlink()
        again = environment_store.ensure(Requirements("", ()))
        assert run(sandbox, again, "import pytest").reason == "ok"

    def test_without_what_the_library_overrides(self, environment_store):
        never = "iniconfig; python_version < '0'\n"
        environment = environment_store.ensure(Requirements("iniconfig\n", (), overrides=never))
        assert "\niniconfig==" not in environment.lock

    def test_byte_code_is_made_beforehand(self, bare_environment):
        assert list(bare_environment.path.glob("lib/python*/site-packages/pytest/__pycache__/*.pyc"))

    def test_from_a_recorded_lock(self, environment_store, bare_environment):
        assert environment_store.ensure_lock(bare_environment.lock) == bare_environment

    def test_a_lock_for_another_python_is_refused(self, environment_store, bare_environment):
        other = bare_environment.lock.replace("# python 3.", "# python 4.", 1)
        with pytest.raises(EnvironmentBuildError, match="another Python") as caught:
            environment_store.ensure_lock(other)
        assert caught.value.fault == Fault.OPERATOR


class TestRefusing:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("iniconfig<1\niniconfig>=2", "you require iniconfig"),
            ("iniconfig==999", "there is no version of iniconfig==999"),
        ],
    )
    def test_what_cannot_be_met(self, environment_store, text, said):
        with pytest.raises(EnvironmentBuildError, match=said) as caught:
            environment_store.ensure(Requirements("", (("brainscore_stub/models/x", text),)))
        assert (caught.value.exit_code, caught.value.fault) == (3, Fault.SUBMISSION)
        assert caught.value.log

    def test_a_failure_is_not_kept(self, environment_store):
        before = {path.name for path in environment_store.root.rglob("*") if "locks" not in path.parts}
        for _ in range(2):
            with pytest.raises(EnvironmentBuildError):
                environment_store.ensure(Requirements("iniconfig==998\n", ()))
        after = {path.name for path in environment_store.root.rglob("*") if "locks" not in path.parts}
        assert {name for name in after - before if name.endswith(".txt")} == set()

    def test_a_registry_that_does_not_answer_is_nobodys_fault(self, tmp_path, sandbox, monkeypatch):
        monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
        with pytest.raises(EnvironmentUnavailableError, match="could not be reached") as caught:
            EnvironmentStore(tmp_path / "store", sandbox=sandbox).ensure(Requirements("", ()))
        assert caught.value.exit_code == 4

    def test_a_password_of_the_registry_is_in_no_message(self, tmp_path, sandbox, monkeypatch):
        monkeypatch.setenv("UV_DEFAULT_INDEX", "http://user:s3cret@127.0.0.1:9/simple")
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
        with pytest.raises(EnvironmentUnavailableError) as caught:
            EnvironmentStore(tmp_path / "store", sandbox=sandbox).ensure(Requirements("", ()))
        assert "s3cret" not in str(caught.value.as_dict())

    def test_a_package_that_is_only_source_code(self, environment_store, tmp_path, monkeypatch):
        source = tmp_path / "onlysource-1.0"
        source.mkdir()
        (source / "setup.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')")
        (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: onlysource\nVersion: 1.0\n")
        subprocess.run(["tar", "czf", f"{tmp_path}/onlysource-1.0.tar.gz", "-C", tmp_path, source.name], check=True)
        monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
        with pytest.raises(EnvironmentBuildError, match="onlysource") as caught:
            environment_store.ensure(Requirements("onlysource\n", ()))
        assert "only as source code" in caught.value.remedy
        assert not (tmp_path / "was-run").exists()


def test_what_a_package_runs_at_the_start_of_python_is_run_in_the_sandbox_only(
    environment_store, sandbox, tmp_path, monkeypatch
):
    trap = f"import os; os.path.exists({str(tmp_path)!r}) and open({str(tmp_path / 'was-run')!r}, 'w')"
    wheel(tmp_path, "startstrap", {"startstrap.pth": trap, "startstrap.py": ""})
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    environment = environment_store.ensure(Requirements("startstrap\n", ()))
    assert run(sandbox, environment, "import startstrap").reason == "ok"
    assert not (tmp_path / "was-run").exists()


class TestProjects:
    """Plugins with a setup.py or pyproject.toml of their own."""

    def asked(self, stub_library, setup: str) -> Requirements:
        stub_library.write("models/built/__init__.py", "")
        stub_library.write("models/built/setup.py", setup)
        return requirements_for(stub_library.checkout, "brainscore_stub", [MODEL])

    def test_a_setup_py_is_built_and_its_requirements_are_installed(self, environment_store, stub_library, sandbox):
        stub_library.write("models/built/helper_of_built/__init__.py", "answer = 42")
        requirements = self.asked(
            stub_library,
            """
            from setuptools import find_packages, setup
            setup(name="built", version="1.0", packages=find_packages(), install_requires=["iniconfig>=2"])
            """,
        )
        environment = environment_store.ensure(requirements)
        assert "\niniconfig==" in environment.lock
        assert f"# built from brainscore_stub/models/built sha256:{requirements.projects[0].digest}" in environment.lock
        assert run(sandbox, environment, "import iniconfig, helper_of_built as it; print(it.answer)").stdout == "42\n"
        assert environment_store.ensure_lock(environment.lock, requirements.projects) == environment

    def test_a_setup_py_sees_nothing_of_ours(self, environment_store, stub_library, tmp_path, monkeypatch):
        monkeypatch.setenv("DATABASE_PASSWORD", "s3cret")
        requirements = self.asked(
            stub_library,
            f"""
            import os, socket
            print("password", os.environ.get("DATABASE_PASSWORD"), os.path.exists({str(tmp_path / "ours")!r}))
            try:
                socket.create_connection(("1.1.1.1", 53), timeout=1)
            except OSError as error:
                raise SystemExit(f"refused: {{error}}")
            """,
        )
        (tmp_path / "ours").touch()
        with pytest.raises(ProjectBuildError, match="cannot be built") as caught:
            environment_store.ensure(requirements)
        assert "password None False" in caught.value.log
        assert "refused: [Errno 101] Network is unreachable" in caught.value.log
        assert (caught.value.exit_code, caught.value.fault) == (3, Fault.SUBMISSION)

    def test_what_it_asks_for_is_checked_too(self, environment_store, stub_library):
        requirements = self.asked(
            stub_library, "from setuptools import setup; setup(name='b', install_requires=['x @ file:///etc/passwd'])"
        )
        with pytest.raises(EnvironmentBuildError, match="is to come from an address"):
            environment_store.ensure(requirements)
