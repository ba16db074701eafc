"""Environments: made once from what is asked for, and nothing of strangers is run outside the sandbox meanwhile."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from brainscore_ops.errors import Fault
from brainscore_ops.plugins.environment import (
    Environment,
    EnvironmentBuildError,
    EnvironmentStore,
    EnvironmentUnavailableError,
    PythonUnavailableError,
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
        current = bare_environment.path.parent / "current"
        current.rename(current.with_name("aside"))
        next_one = environment_store.ensure(Requirements("", ()))
        assert next_one.path != bare_environment.path
        assert run(sandbox, next_one, "import pytest").reason == "ok"
        current.with_name("aside").replace(current)
        shutil.rmtree(next_one.path)

    def test_without_what_the_library_overrides(self, environment_store):
        never = "iniconfig; python_version < '0'\n"
        environment = environment_store.ensure(Requirements("iniconfig\n", (), overrides=never))
        assert "\niniconfig==" not in environment.lock

    def test_byte_code_is_made_beforehand(self, bare_environment):
        assert list(bare_environment.path.glob("lib/python*/site-packages/pytest/__pycache__/*.pyc"))

    def test_from_a_recorded_lock(self, environment_store, bare_environment):
        assert environment_store.environment_from_lock(bare_environment.lock) == bare_environment

    def test_a_lock_for_another_python_is_refused(self, environment_store, bare_environment):
        other = bare_environment.lock.replace("# python 3.", "# python 4.", 1)
        with pytest.raises(PythonUnavailableError, match=r"Python ==4.* is asked for; here there is .*3\.") as caught:
            environment_store.environment_from_lock(other)
        assert "uv python install" in caught.value.remedy


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


class LateRegistry:
    """A registry that tells of its release, as of one that may be remembered for long, only when it was asked often enough."""

    def __init__(self, folder: Path, unaware: int) -> None:
        wheel(folder, "late", {"late.py": "HERE = True"})
        content = (folder / "late-1.0-py3-none-any.whl").read_bytes()
        self.hash = hashlib.sha256(content).hexdigest()
        self.asked = 0
        late = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = content
                if self.path == "/simple/late/":
                    late.asked += 1
                    body = b'<a href="/late-1.0-py3-none-any.whl">late-1.0-py3-none-any.whl</a>'
                    body = b"" if late.asked <= unaware else body
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/zip")
                self.send_header("Cache-Control", "max-age=600")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/simple"

    def __enter__(self) -> LateRegistry:
        threading.Thread(target=self._server.serve_forever, args=(0.05,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class TestARegistryThatDoesNotKnowWhatWasLocked:
    def made(self, registry, bare_environment, tmp_path, sandbox, monkeypatch) -> Environment:
        monkeypatch.setattr("brainscore_ops.plugins.registry._PAUSES_BEFORE_RELEASE_IS_GONE", (0.1, 0.2))
        for name, value in {"UV_DEFAULT_INDEX": registry.url, "UV_CACHE_DIR": str(tmp_path / "cache")}.items():
            monkeypatch.setenv(name, value)
        first_line = bare_environment.lock.splitlines()[0]
        lock = f"{first_line}\nlate==1.0 \\\n    --hash=sha256:{registry.hash}\n"
        return EnvironmentStore(tmp_path / "store", sandbox=sandbox).environment_from_lock(lock)

    def test_it_may_know_it_a_moment_later(self, bare_environment, tmp_path, sandbox, monkeypatch):
        with LateRegistry(tmp_path, unaware=2) as registry:
            made = self.made(registry, bare_environment, tmp_path, sandbox, monkeypatch)
        assert run(sandbox, made, "import late; print(late.HERE)").stdout == "True\n"

    def test_a_release_that_stays_away_is_not_the_submitters_fault(
        self, bare_environment, tmp_path, sandbox, monkeypatch
    ):
        with (
            LateRegistry(tmp_path, unaware=99) as registry,
            pytest.raises(EnvironmentUnavailableError, match=r"no longer has .*late==1\.0") as caught,
        ):
            self.made(registry, bare_environment, tmp_path, sandbox, monkeypatch)
        assert (caught.value.code, caught.value.exit_code, registry.asked) == ("release-gone", 4, 3)


SETUP = """
import os, socket
from setuptools import setup
try:
    socket.create_connection(("1.1.1.1", 53), timeout=1)
    print("the network is open")
except OSError:
    pass
open({trap!r}, "w")
setup(name="{name}", version="{version}", py_modules=["{name}"], install_requires=["iniconfig"])
"""


def source_release(folder: Path, name: str, setup: str = "", version: str = "1.0", pyproject: str = "") -> str:
    """A package that is released only as source code; the digest of its file."""
    source = folder / f"{name}-{version}"
    source.mkdir()
    (source / "setup.py").write_text(setup or SETUP.format(name=name, version=version, trap="/tmp/was-run"))
    (source / f"{name}.py").write_text("answer = 42\n")
    (source / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if pyproject:
        (source / "pyproject.toml").write_text(pyproject)
    archive = folder / f"{source.name}.tar.gz"
    subprocess.run(["tar", "czf", archive, "-C", folder, source.name], check=True)
    return hashlib.sha256(archive.read_bytes()).hexdigest()


class TestWhatIsReleasedOnlyAsSourceCode:
    @pytest.fixture
    def released(self, tmp_path, monkeypatch) -> Path:
        folder = tmp_path / "released"
        folder.mkdir()
        monkeypatch.setenv("UV_FIND_LINKS", str(folder))
        return folder

    def test_it_is_built_in_the_sandbox_and_named_by_its_release(self, environment_store, released, sandbox, tmp_path):
        outside = tmp_path / "was-run"
        digest = source_release(
            released, "stubonlysource", SETUP.format(name="stubonlysource", version="1.0", trap=str(outside))
        )
        with pytest.raises(ProjectBuildError, match="cannot be built") as caught:  # that folder is not there, inside
            environment_store.ensure(Requirements("stubonlysource\n", ()))
        assert "No such file or directory" in caught.value.log
        assert not outside.exists()
        (released / "stubonlysource-1.0").rename(released / "aside")
        digest = source_release(released, "stubonlysource")
        environment = environment_store.ensure(Requirements("stubonlysource\n", ()))
        assert f"# built from stubonlysource-1.0.tar.gz sha256:{digest}, with:\n#   setuptools==" in environment.lock
        assert f"\nstubonlysource==1.0 \\\n    --hash=sha256:{digest}\n" in environment.lock
        assert "stubonlysource==1.0" in environment.packages
        assert (
            run(sandbox, environment, "import stubonlysource, iniconfig; print(stubonlysource.answer)").stdout == "42\n"
        )

    def test_from_the_lock_alone_it_is_built_again(self, environment_store, released, sandbox, tmp_path):
        source_release(released, "stubagain")
        first = environment_store.ensure(Requirements("stubagain\n", ()))
        elsewhere = EnvironmentStore(tmp_path / "elsewhere", sandbox=sandbox)
        second = elsewhere.environment_from_lock(first.lock)
        assert second.lock_digest == first.lock_digest
        assert elsewhere.lock_text(first.lock_digest) == first.lock
        outcome = run(sandbox, second, "import stubagain; print(stubagain.answer)")
        assert (outcome.stdout, outcome.stderr) == ("42\n", "")

    def test_a_release_that_was_changed_since_is_refused(self, environment_store, released, sandbox, tmp_path):
        source_release(released, "stubchanged")
        lock = environment_store.ensure(Requirements("stubchanged\n", ())).lock
        (released / "stubchanged-1.0").rename(released / "aside")
        source_release(
            released, "stubchanged", "from setuptools import setup; setup(name='stubchanged', version='1.0') # other"
        )
        with pytest.raises(
            EnvironmentUnavailableError, match=r"is not the stubchanged-1\.0\.tar\.gz that the lock names"
        ):
            EnvironmentStore(tmp_path / "elsewhere", sandbox=sandbox).environment_from_lock(lock)

    def test_what_it_is_built_with_may_have_to_be_built_too(self, environment_store, released, sandbox):
        source_release(
            released,
            "stubinner",
            "from setuptools import setup; setup(name='stubinner', version='1.0', py_modules=['stubinner'])",
        )
        source_release(
            released,
            "stubouter",
            "import stubinner; from setuptools import setup; setup(name='stubouter', version='1.0', py_modules=['stubouter'])",
            pyproject="[build-system]\nrequires = ['setuptools', 'stubinner']\nbuild-backend = 'setuptools.build_meta'",
        )
        environment = environment_store.ensure(Requirements("stubouter==1.0\n", ()))
        assert "\n#   # built from stubinner-1.0.tar.gz" in environment.lock
        assert run(sandbox, environment, "import stubouter; print(stubouter.answer)").stdout == "42\n"

    def test_what_needs_itself_to_be_built_is_refused(self, environment_store, released):
        for name, other in (("stubhen", "stubegg"), ("stubegg", "stubhen")):
            needs = f"[build-system]\nrequires = ['setuptools', '{other}']\nbuild-backend = 'setuptools.build_meta'"
            source_release(released, name, pyproject=needs)
        with pytest.raises(ProjectBuildError, match="what builds it needs it to be built first"):
            environment_store.ensure(Requirements("stubhen\n", ()))

    def test_a_build_that_fails_shows_its_end_and_is_tried_again_the_next_time(self, environment_store, released):
        source_release(released, "stubbroken", "raise SystemExit('it needs a compiler that is not there')")
        for _ in range(2):
            with pytest.raises(ProjectBuildError, match=r"stubbroken-1\.0\.tar\.gz cannot be built") as caught:
                environment_store.ensure(Requirements("stubbroken\n", ()))
            assert "it needs a compiler that is not there" in caught.value.log
            assert (caught.value.exit_code, caught.value.fault) == (3, Fault.SUBMISSION)

    def test_it_cannot_pass_for_another_package(self, environment_store, released):
        source_release(released, "stubwolf", "from setuptools import setup; setup(name='iniconfig', version='99.0')")
        with pytest.raises(ProjectBuildError, match=r"expected to build stubwolf 1\.0; it built iniconfig 99\.0"):
            environment_store.ensure(Requirements("stubwolf\n", ()))

    def test_the_version_that_is_asked_for_is_taken(self, environment_store, released):
        for version in ("1.0", "2.0", "3.0"):
            setup = f"from setuptools import setup; setup(name='stubseveral', version='{version}', py_modules=['stubseveral'])"
            source_release(released, "stubseveral", setup, version)
        requirements = Requirements("stubseveral>=1\n", (("brainscore_stub/models/x", "stubseveral<3"),))
        assert "stubseveral==2.0" in environment_store.ensure(requirements).packages

    @pytest.mark.parametrize("member", ["../outside", "/tmp/outside"])
    def test_an_archive_that_would_leave_its_folder(self, environment_store, released, member):
        with tarfile.open(released / "stubleaving-1.0.tar.gz", "w:gz") as archive:
            archive.addfile(tarfile.TarInfo(member))
        with pytest.raises(ProjectBuildError, match="cannot be unpacked") as caught:
            environment_store.ensure(Requirements("stubleaving\n", ()))
        assert "outside of the archive" in caught.value.log


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
        assert environment_store.environment_from_lock(environment.lock, checkout=stub_library.checkout) == environment

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

    def test_the_python_that_it_asks_for_is_taken_where_it_is_there(self, environment_store, stub_library, sandbox):
        there = environment_store._registry.uv("python", "list", "--only-installed", "--output-format", "json")
        versions = {one["version"] for one in json.loads(there) if one["implementation"] == "cpython"}
        version = min(versions)  # another than the default, where there is another
        stub_library.write(
            "models/built/pyproject.toml", f'[project]\nname="b"\nversion="1"\nrequires-python="=={version}"'
        )
        environment = environment_store.ensure(
            self.asked(stub_library, "from setuptools import setup; setup(py_modules=[])")
        )
        assert environment.lock.startswith(f"# python {version} ")
        assert run(sandbox, environment, "import platform; print(platform.python_version())").stdout == f"{version}\n"

    def test_a_python_that_is_not_there(self, environment_store, stub_library):
        stub_library.write("models/built/pyproject.toml", '[project]\nname="b"\nversion="1"\nrequires-python="<3.4"')
        with pytest.raises(PythonUnavailableError, match=r"Python <3\.4 is asked for; here there is 3\.") as caught:
            environment_store.ensure(self.asked(stub_library, ""))
        assert (caught.value.exit_code, caught.value.fault) == (3, Fault.SUBMISSION)

    def test_a_link_in_place_of_what_it_built_leads_nowhere(self, environment_store, stub_library, tmp_path):
        wheel(tmp_path, "ours", {"ours.py": "secret = True"})
        requirements = self.asked(
            stub_library,
            f"""
            import atexit, os, shutil
            from setuptools import setup

            def plant():
                shutil.rmtree("/build/wheel")
                os.symlink({str(tmp_path)!r}, "/build/wheel")

            atexit.register(plant)
            setup(name="linked", version="1.0", py_modules=[])
            """,
        )
        with pytest.raises(ProjectBuildError, match="its result is not usable"):
            environment_store.ensure(requirements)

    def test_what_it_asks_for_is_checked_too(self, environment_store, stub_library):
        requirements = self.asked(
            stub_library, "from setuptools import setup; setup(name='b', install_requires=['x @ file:///etc/passwd'])"
        )
        with pytest.raises(EnvironmentBuildError, match="is to come from an address"):
            environment_store.ensure(requirements)
