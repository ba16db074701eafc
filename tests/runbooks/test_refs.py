"""Runs of a branch: a clone of this repository, a branch of it that changes a notebook and the library, and the real command."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from brainscore_ops.database.connection import Database
from brainscore_ops.database.marker import mark
from brainscore_ops.runbooks import refs
from brainscore_ops.settings import DatabaseSecret, Workspace, load_deployment
from brainscore_ops.settings.secrets import write_secret

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "brainscore-ops"
OURS = ("lib", "notebooks", "params", "pyproject.toml", ".gitignore", "README.md")

PROBE = """
from brainscore_ops.parameters import RunbookParameters
from pydantic import Field


class ProbeParameters(RunbookParameters):
    deployment: str = Field("test", description="the deployment")
    seconds: float = Field(0, description="how long to wait")


WORD = "of main"
"""


def notebook(*steps: str) -> str:
    cells = [
        {
            "cell_type": "code",
            "metadata": {"tags": [tag]},
            "source": source,
            "outputs": [],
            "execution_count": None,
            "id": f"cell{number}",
        }
        for number, (tag, source) in enumerate(
            [
                ("parameters", 'deployment: str = "test"\nseconds: float = 0'),
                *((f"step:s{i}", s) for i, s in enumerate(steps)),
            ]
        )
    ]
    purpose = {"purpose": "To be run in a test.", "parameters": "brainscore_ops.probe:ProbeParameters"}
    return json.dumps({"cells": cells, "metadata": {"brainscore_ops": purpose}, "nbformat": 4, "nbformat_minor": 5})


SAY = "from brainscore_ops import probe\nfrom brainscore_ops.runbooks.scraps import glue\nglue('library', probe.WORD)"
WHERE = "import os\nglue('workspace', os.environ['BRAINSCORE_OPS_WORKSPACE'])"
WAIT = "import time\nopen('marker', 'w').close()\ntime.sleep(seconds)"


@dataclass
class Checkout:
    """A checkout of the ops repository that somebody works with."""

    root: Path
    outside: Path

    @property
    def deployment(self):
        return load_deployment("test", Workspace(self.root, self.outside / "state", self.outside / "outputs"))

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", *identity, "-C", str(self.root), *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def branch(self, name: str, files: dict[str, str], start: str = "main") -> str:
        """A commit on a new branch; the checkout is back on main afterwards."""
        self.git("checkout", "-q", "-b", name, start)
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", f"What {name} changes")
        self.git("checkout", "-q", "main")
        return self.git("rev-parse", name)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "BRAINSCORE_OPS_WORKSPACE": str(self.root),
            "BRAINSCORE_OPS_STATE": str(self.outside / "state"),
            "BRAINSCORE_OPS_OUTPUTS": str(self.outside / "outputs"),
            **variables,
        }
        return subprocess.Popen(
            [str(COMMAND), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=self.outside,
        )

    def command(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=200)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def run(self, ref: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.command("run", "probe", "--deployment", "test", "--ref", ref, *arguments)

    def state(self) -> dict[str, object]:
        """All of the checkout that a run of a ref has to leave alone; but for what git itself notes of worktrees, that is all."""
        files = {
            str(path.relative_to(self.root)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and path.relative_to(self.root).parts[0] != ".git"
        }
        return {
            "files": files,
            "index": hashlib.sha256((self.root / ".git" / "index").read_bytes()).hexdigest(),
            "status": self.git("status", "--porcelain"),
            "head": (self.root / ".git" / "HEAD").read_text(),
            "refs": self.git("for-each-ref"),
            "worktrees": self.git("worktree", "list"),
            "venv": venv(),
        }

    def worktrees(self) -> list[Path]:
        home = self.deployment.state / "refs"
        return [path for path in home.glob("*") if path.name != "environments"] if home.exists() else []


def venv() -> set[str]:
    return {path.name for path in Path(sys.prefix).glob("lib/python*/site-packages/*")}


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    """A repository with what this one has, and a runbook to try things with."""
    root = tmp_path_factory.mktemp("ops") / "ops"
    root.mkdir()
    for name in OURS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / name)
    (root / "lib" / "brainscore_ops" / "probe.py").write_text(PROBE)
    (root / "notebooks" / "runbooks" / "probe.ipynb").write_text(
        notebook(SAY, WHERE, WAIT.replace("marker", "/dev/null"))
    )
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    made = Checkout(root, root.parent)
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "The ops repository")
    return root


@pytest.fixture
def checkout(template, tmp_path, runs_postgres):
    root = tmp_path / "ops"
    subprocess.run(["git", "clone", "-q", str(template), str(root)], check=True)
    made = Checkout(root, tmp_path)
    (root / "params" / "test.yaml").write_text(
        yaml.safe_dump({**yaml.safe_load((ROOT / "params" / "test.yaml").read_text()), "embedded": []})
    )
    made.git("commit", "-q", "-am", "A database of its own")
    deployment = made.deployment
    write_secret(deployment.secrets_file, "test/database", runs_postgres)
    database = Database(DatabaseSecret.model_validate(runs_postgres))
    mark(database, deployment)
    database.close()
    return made


def test_notebook_and_library_are_those_of_the_branch_and_the_checkout_stays_as_it_is(checkout):
    commit = checkout.branch(
        "my-branch",
        {
            "lib/brainscore_ops/probe.py": PROBE.replace("of main", "of my-branch"),
            "notebooks/runbooks/probe.ipynb": notebook(SAY, "glue('notebook', 'of my-branch')", WHERE),
        },
    )
    before = checkout.state()
    done = checkout.run("my-branch", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    scraps = result["scraps"]
    assert (scraps["library"], scraps["notebook"]) == ("of my-branch", "of my-branch")
    assert not Path(scraps["workspace"]).exists()
    assert f"my-branch: {commit[:12]} What my-branch changes" in done.stderr

    record = json.loads(Path(result["record"]).read_text())["metadata"]["brainscore_ops"]["run"]
    assert Path(result["record"]).is_relative_to(checkout.outside / "outputs" / "test")
    assert record["code_version"].endswith(f"+g{commit[:12]}")
    assert checkout.state() == before
    assert checkout.worktrees() == []


def test_the_exit_code_and_the_words_are_those_of_the_branch(checkout):
    refusing = "from brainscore_ops.errors import RefusedError\nraise RefusedError('the branch says no')"
    checkout.branch("refusing", {"notebooks/runbooks/probe.ipynb": notebook(refusing)})
    done = checkout.run("refusing")
    assert done.returncode == 3
    assert "the branch says no" in done.stdout
    assert checkout.worktrees() == []


def test_parameters_go_along_from_wherever_they_come(checkout):
    checkout.branch("values", {"notebooks/runbooks/probe.ipynb": notebook(SAY, "glue('seconds', seconds)")})
    (checkout.outside / "values.yaml").write_text("seconds: 3\n")
    assert json.loads(checkout.run("values", "-f", "values.yaml", "--json").stdout)["scraps"]["seconds"] == 3
    done = checkout.run("values", "-f", "values.yaml", "-p", "seconds", "4", "--json")
    assert json.loads(done.stdout)["scraps"]["seconds"] == 4


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def waiting(checkout):
    """A run of a branch that waits, and its process."""
    marker = checkout.outside / "marker"
    checkout.branch("slow", {"notebooks/runbooks/probe.ipynb": notebook(WAIT.replace("marker", str(marker)))})
    process = checkout.start("run", "probe", "--deployment", "test", "--ref", "slow", "-p", "seconds", "100")
    wait_for(marker, process)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_stop_is_closed_in_order_and_leaves_nothing(checkout, waiting, number):
    waiting.send_signal(number)
    out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    assert "probe: interrupted" in out
    assert checkout.worktrees() == []
    assert len(checkout.git("worktree", "list").splitlines()) == 1


def test_what_a_killed_process_left_is_cleared_away_once_nothing_works_in_it(checkout, waiting):
    import psutil

    (child,) = psutil.Process(waiting.pid).children()
    waiting.kill()
    waiting.wait()
    (folder,) = [path for path in checkout.worktrees() if path.is_dir()]
    ref = refs.find_ref(checkout.root, "main")
    with refs.checked_out(checkout.deployment, ref):
        assert folder.exists()  # the run still goes on in it
    child.terminate()
    psutil.wait_procs([child], timeout=60)
    with refs.checked_out(checkout.deployment, ref):
        assert not folder.exists()
    assert checkout.worktrees() == []


def test_an_unknown_ref_is_told_with_the_names_that_come_close(checkout):
    checkout.branch("my-branch", {"x": "x"})
    done = checkout.run("my-brnch", "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (2, "unknown-ref")
    assert "Did you mean my-branch?" in error["remedy"]
    assert checkout.worktrees() == []


@pytest.mark.parametrize("name", ["--upload-pack=touch x", "-b", "main..", "", "a b"])
def test_a_name_that_is_none_is_no_option_of_gits(checkout, name):
    with pytest.raises(refs.UnknownRefError):
        refs.find_ref(checkout.root, name)


def test_a_branch_that_was_fetched_needs_no_local_one(checkout, template):
    subprocess.run(["git", "-C", str(template), "branch", "-f", "theirs", "main"], check=True)
    checkout.git("fetch", "-q", "origin")
    assert refs.find_ref(checkout.root, "theirs").commit == checkout.git("rev-parse", "origin/theirs")


def test_changes_that_no_commit_has_are_said_not_to_run(checkout):
    checkout.branch("clean", {"x": "x"})
    assert refs.find_ref(checkout.root, "clean").notes == ()
    (checkout.root / "README.md").write_text("changed")
    (note,) = refs.find_ref(checkout.root, "clean").notes
    assert "1 uncommitted changes" in note
    elsewhere = checkout.outside / "elsewhere"
    checkout.git("worktree", "add", "-q", str(elsewhere), "clean")
    (elsewhere / "x").write_text("y")
    notes = refs.find_ref(checkout.root, "clean").notes
    assert [str(checkout.root) in notes[0], str(elsewhere) in notes[1]] == [True, True]


def production(checkout):
    return load_deployment("prod", checkout.deployment.workspace)


def test_production_runs_what_the_remotes_default_branch_is_at_this_moment(checkout, template):
    there = checkout.git("rev-parse", "origin/main")
    refs.insist_allowed(production(checkout), refs.find_ref(checkout.root, there))
    with pytest.raises(refs.RefRefusedError, match="expected the default branch") as refusal:
        refs.insist_allowed(production(checkout), refs.find_ref(checkout.root, "main"))  # it is ahead of origin's
    assert refusal.value.exit_code == 3
    # What the checkout believes of its remote is no proof.
    checkout.git("update-ref", "refs/remotes/origin/main", checkout.git("rev-parse", "main"))
    with pytest.raises(refs.RefRefusedError):
        refs.insist_allowed(production(checkout), refs.find_ref(checkout.root, "origin/main"))


def test_production_waits_for_a_remote_that_is_away(checkout):
    checkout.git("remote", "set-url", "origin", str(checkout.outside / "nowhere"))
    with pytest.raises(refs.RemoteUnavailableError) as error:
        refs.insist_allowed(production(checkout), refs.find_ref(checkout.root, "main"))
    assert error.value.exit_code == 4


def test_without_a_remote_the_default_branch_is_main(checkout):
    checkout.git("remote", "remove", "origin")
    checkout.branch("other", {"x": "x"})
    refs.insist_allowed(production(checkout), refs.find_ref(checkout.root, "main"))
    with pytest.raises(refs.RefRefusedError):
        refs.insist_allowed(production(checkout), refs.find_ref(checkout.root, "other"))


def test_the_command_refuses_a_branch_for_production(checkout):
    checkout.branch("other", {"x": "x"})
    done = checkout.command("run", "probe", "--deployment", "prod", "--ref", "other", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (3, "ref-refused")
    assert not (checkout.outside / "state" / "prod" / "refs").exists()


@pytest.mark.parametrize("settings", [{"tier": "dev"}, None])
def test_a_branch_cannot_make_another_deployment_of_this_one(checkout, settings):
    if settings is None:
        checkout.git("checkout", "-q", "-b", "odd", "main")
        checkout.git("rm", "-q", "params/test.yaml")
        checkout.git("commit", "-q", "-m", "No settings")
        checkout.git("checkout", "-q", "main")
    else:
        checkout.branch("odd", {"params/test.yaml": yaml.safe_dump(settings)})
    with pytest.raises(refs.RefRefusedError):
        refs.insist_allowed(checkout.deployment, refs.find_ref(checkout.root, "odd"))


def test_only_the_deployments_own_secrets_go_along(checkout):
    tell = "import os\nglue('names', sorted(name for name in os.environ if 'SECRET' in name))"
    checkout.branch("curious", {"notebooks/runbooks/probe.ipynb": notebook(SAY, tell)})
    variables = {
        "BRAINSCORE_OPS_SECRET_TEST_FORGE": '{"token": "a-forge-token"}',
        "BRAINSCORE_OPS_SECRET_PROD_DATABASE": '{"password": "of production"}',
        "AWS_SECRET_ACCESS_KEY": "an-access-key",
    }
    done = checkout.command("run", "probe", "--deployment", "test", "--ref", "curious", "--json", **variables)
    assert json.loads(done.stdout)["scraps"]["names"] == ["BRAINSCORE_OPS_SECRET_TEST_FORGE"]


# --- The environment ---------------------------------------------------------------------------------------------------


def document() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_this_environment_serves_this_repository():
    assert refs.is_served_by_this_python(document())


@pytest.mark.parametrize(
    "change",
    [
        {"dependencies": ["click>=99"]},
        {"dependencies": ["a-package-that-nobody-has"]},
        {"requires-python": ">=4"},
        {"scripts": {"brainscore-ops": "brainscore_ops.elsewhere:main"}},
        {"entry-points": {"papermill.engine": {"another": "brainscore_ops.another:Engine"}}},
    ],
)
def test_it_does_not_serve_what_asks_for_more(change):
    project = {**document()["project"], **change}
    assert not refs.is_served_by_this_python({"project": project})


def test_what_other_systems_need_does_not_matter_here():
    assert refs.is_served_by_this_python({"project": {"dependencies": ["nothing-here; sys_platform == 'win32'"]}})


SMALL = """
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"
[project]
name = "small"
version = "1"
dependencies = ["six>=1.16", "{package}"]
"""


def test_an_environment_is_made_once_for_what_is_asked_for(tmp_path):
    for name in ("one", "two"):
        package = tmp_path / name / "small"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (tmp_path / name / "pyproject.toml").write_text(SMALL.format(package="iniconfig<2.1"))
    said: list[str] = []
    python = refs.environment_of(tmp_path / "one", tmp_path / "cache", said.append)
    assert python != Path(sys.executable)
    assert len(said) == 1
    shown = subprocess.run(
        [python, "-c", "import six, small, iniconfig; print('all there')"], capture_output=True, text=True
    )
    assert shown.stdout == "all there\n"
    assert refs.environment_of(tmp_path / "two", tmp_path / "cache", said.append) == python
    assert len(said) == 1


def test_packages_that_cannot_be_had_are_told_and_nothing_half_made_is_used(tmp_path):
    (tmp_path / "pyproject.toml").write_text(SMALL.format(package="six>99"))
    for _ in range(2):
        with pytest.raises(refs.RefEnvironmentError) as error:
            refs.environment_of(tmp_path, tmp_path / "cache", lambda _: None)
        assert "six" in error.value.log
