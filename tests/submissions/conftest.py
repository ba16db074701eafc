"""A deployment with its embedded services and a small library, and hands to send it archives and pull requests."""

from __future__ import annotations

import itertools
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from brainscore_ops import services
from brainscore_ops.database.connection import Database
from brainscore_ops.errors import OpsError
from brainscore_ops.forge.client import ForgeClient, Person, PullRequest
from brainscore_ops.forge.embedded.access import set_role
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.testing import PluginTestReport
from brainscore_ops.plugins.tree import GitTree
from brainscore_ops.scoring.pair import PairOutcome
from brainscore_ops.scoring.plan import Pair
from brainscore_ops.settings import Workspace, load_deployment
from brainscore_ops.submissions import gate, intake, merging, plugin_tests, proposal, scoring_request
from brainscore_ops.submissions.context import Context
from brainscore_ops.submissions.life import timeline
from brainscore_ops.submissions.scoring_request import ScoringReport

from .attacker import Attacker

ROOT = Path(__file__).parents[2]
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
ADA, BOB = "ada@example.org", "bob@example.org"


def model_files(name: str, identifier: str | None = None) -> dict[str, str]:
    return {
        f"models/{name}/__init__.py": "from brainscore_example import model_registry\n"
        f"model_registry['{identifier or name}'] = lambda: None\n",
        f"models/{name}/test.py": "def test_nothing():\n    pass\n",
    }


def benchmark_files(name: str, identifier: str) -> dict[str, str]:
    return {
        f"benchmarks/{name}/__init__.py": "from brainscore_example import benchmark_registry\n"
        f"benchmark_registry['{identifier}'] = lambda: None\n",
        f"benchmarks/{name}/test.py": "def test_nothing():\n    pass\n",
    }


@dataclass
class House:
    """The deployment, and what people and runbooks do with it."""

    context: Context
    folder: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def archive(self, files: dict[str, str]) -> Path:
        path = self.folder / f"archive-{next(self.numbers)}.zip"
        with zipfile.ZipFile(path, "w") as file:
            for name, content in files.items():
                file.writestr(name, content)
        return path

    def receive(self, files: dict[str, str], email: str = ADA, **values) -> intake.Received:
        facts = {"submitter": "Ada", "name": "a submission", "public": True, **values}
        return intake.receive(self.context, self.archive(files), email=email, **facts)

    def accept(self, files: dict[str, str], email: str = ADA, **values) -> int:
        received = self.receive(files, email, **values)
        intake.accept(self.context, received, intake.validate(self.context, received))
        return received.submission

    def propose(self, submission: int) -> int:
        prepared = proposal.prepare(self.context, submission)
        proposal.propose(self.context, prepared)
        return proposal.open_pull_request(self.context, prepared).pull_request.number

    def proposed(self, files: dict[str, str], email: str = ADA, **values) -> int:
        """The number of the pull request of a submission that was accepted and proposed."""
        return self.propose(self.accept(files, email, **values))

    def by_hand(self, files: dict[str, str], base: str | None = None) -> PullRequest:
        """A pull request that somebody opened on the forge."""
        branch = f"by-hand-{next(self.numbers)}"
        contents = {path: text.encode() for path, text in files.items()}
        self.context.forge.propose(
            branch=branch,
            base_sha=base or self.main(),
            files=contents,
            message=branch,
            author=Person("Eve", "eve@example.org"),
            when=WHEN,
        )
        return self.context.forge.open_pull_request(branch=branch, title=branch, body="")

    def client(self, login: str, *, name: str = "", email: str = "", role: str = "write") -> ForgeClient:
        """Somebody's own client for the forge."""
        deployment = self.context.deployment
        store = services.forge_store(deployment)
        store.create_user(login, name or login.capitalize(), email or f"{login}@example.org")
        repository = store.repository(self.context.repository)
        set_role(store, repository, login, role)
        return ForgeClient(
            api_url=self.context.forge.api_url,
            repository=self.context.forge.repository,
            token=store.create_token(login, ("repo",)),
        )

    def review(self, pull_request: int, login: str, event: str, *, role: str = "maintain") -> None:
        """Somebody's review of the head as it is now."""
        reviewer = self.client(login, role=role)._repository.get_pull(pull_request).complete()
        reviewer.create_review(body="As I see it.", event=event)

    def at_private(self) -> House:
        """The same, with the private repository at hand."""
        return House(self.context.private_side, self.folder, self.numbers)

    def files(self, commit: str) -> list[str]:
        """What a commit of the repository holds."""
        self.context.mirror.fetch()
        return [entry.path for entry in GitTree(self.context.mirror.path, commit).entries()]

    def main(self) -> str:
        return self.context.forge.default_branch()[1]

    def set_status(self, pull_request: int, state: str = "success") -> None:
        head = self.context.forge.pull_request(pull_request).head_sha
        self.context.forge.set_status(head, context=plugin_tests.STATUS_CONTEXT, state=state, description="by a test")

    def pass_tests(self, pull_request: int) -> None:
        """What test_plugins leaves behind when all tests pass; the tests themselves are not run here."""
        candidate = plugin_tests.find_candidate(self.context, pull_request)
        passed = PluginTestReport(PluginKey("models", "any"), passed=True, reason="passed", message="", tests_passed=1)
        plugin_tests.conclude(self.context, candidate, plugin_tests.TestReport(candidate.head_sha, (passed,)))

    def force_green(self, pull_request: int) -> None:
        """Have everything about the tests as if they had passed, also where they could not have run."""
        try:
            self.pass_tests(pull_request)
        except OpsError:
            self.set_status(pull_request)

    def merge(self, pull_request: int) -> merging.Merged:
        verdict = gate.examine(self.context, pull_request)
        merging.insist(self.context, verdict)
        return merging.merge(self.context, verdict)

    def merged(self, files: dict[str, str], email: str = ADA, **values) -> int:
        number = self.proposed(files, email, **values)
        self.pass_tests(number)
        self.merge(number)
        return number

    def unmet(self, pull_request: int) -> list[str]:
        return [ruling.rule for ruling in gate.examine(self.context, pull_request).rulings if not ruling.passed]

    def states(self, submission: int) -> list[str]:
        return [event.state for event in timeline(self.context.database, submission).events]


FACTS = {
    "value": 0.5, "error": 0.1, "raw": 0.4, "ceiling": 0.8, "ceiling_error": 0.01, "benchmark_version": 1,
    "benchmark_parent": "neural", "benchmark_bibtex": None, "packages": {}, "wall_seconds": 1.0, "cpu_seconds": 1.0,
    "peak_memory_bytes": 1,
}  # fmt: skip
CRASHED = {"code": "scoring-crashed", "fault": "submission", "message": "it crashed", "log": "the end"}
LOST = {"code": "worker-lost", "fault": "infrastructure", "message": "the worker is gone", "log": ""}


def outcome(pair: Pair, failure=None, **facts) -> PairOutcome:
    """What becomes of a pair, written by hand."""
    return PairOutcome(
        model=pair.model,
        benchmark=pair.benchmark,
        state="failed" if failure else "scored",
        result=None if failure else {**FACTS, **facts},
        failure=failure,
        environment_digest="e" * 64,
        sandboxed=True,
        node="here",
        run_id=None,
    )


def planned(house, number):
    target = scoring_request.find_target(house.context, number, "")
    return target, scoring_request.make_plan(house.context, target)


def record(house, number, make):
    """Record an outcome for each planned pair, and conclude."""
    target, plan = planned(house, number)
    report = ScoringReport(tuple(make(pair) for pair in plan.pairs))
    scoring_request.record(house.context, target, plan, report)
    scoring_request.conclude(house.context, target, plan, report)
    return target.submission


def rows(house, table, **conditions):
    with house.context.database.session() as session:
        query = select(table)
        for name, value in conditions.items():
            query = query.where(getattr(table, name) == value)
        return session.scalars(query).all()


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with building(tmp_path_factory.mktemp("house")) as made:
        yield made


@contextmanager
def building(folder: Path) -> Iterator[House]:
    """A deployment of its own, with the example library; nothing of it is left afterwards."""
    deployment = load_deployment("local", Workspace(ROOT, folder / "state", folder / "outputs"))
    services.up(deployment)
    store = services.forge_store(deployment)
    store.create_repository(deployment.library.repository, default_branch="main")
    store.import_folder(
        deployment.library.repository,
        ROOT / "examples" / "library",
        message="The library",
        author=Person("L", "library@example.org"),
        when=WHEN,
    )
    context = Context(deployment=deployment, database=Database.of(deployment), run_id=None)
    yield House(context, folder)
    context.database.close()
    services.down(deployment, remove=True)


@pytest.fixture(scope="session")
def eve(house: House) -> Attacker:
    client = house.client("eve")
    url = client.clone_url.replace("://", f"://x-access-token:{client.token()}@")
    folder = house.folder / "eve.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", url, folder], check=True)
    return Attacker(client, folder)


@pytest.fixture(scope="session")
def push(house: House) -> Callable[[str, dict[str, str]], None]:
    """A commit on a branch, pushed by git."""

    def push(branch: str, files: dict[str, str]) -> None:
        forge = house.context.forge
        url = forge.clone_url.replace("://", f"://x-access-token:{forge.token()}@")
        folder = house.folder / f"clone-{next(house.numbers)}"
        subprocess.run(["git", "clone", "-q", "--branch", branch, url, folder], check=True)
        for path, text in files.items():
            (folder / path).write_text(text)
        git = ["git", "-C", folder, "-c", "user.name=Eve", "-c", "user.email=eve@example.org"]
        for command in (["add", "--all"], ["commit", "-qm", "more"], ["push", "-q"]):
            subprocess.run([*git, *command], check=True)

    return push
