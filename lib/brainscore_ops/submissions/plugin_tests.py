"""Plugin tests: what a pull request changes is tested in its own environment, and the verdict is set on the head commit.

What is tested is what merging the head into the default branch gives, not the head alone: a branch that began long ago is
tested with today's library, and nothing has to be pushed to it for that. The base is recorded; when it has moved on so that
the result may differ, the gate asks for new tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Badge, Code, Shown, Table
from brainscore_ops.errors import Fault, OpsError, Problem, RefusedError, StepFailedError, UnavailableError
from brainscore_ops.notify.contexts import InstallFailed, PluginFailure, TestsFailed
from brainscore_ops.plugins.changes import Changes, analyse_changes
from brainscore_ops.plugins.environment import EnvironmentBuildError
from brainscore_ops.plugins.layout import PluginKey, locate, shown
from brainscore_ops.plugins.merge_result import merge_result
from brainscore_ops.plugins.overlay import colliding
from brainscore_ops.plugins.requirements import requirements_for
from brainscore_ops.plugins.testing import PluginTestReport, run_plugin_tests
from brainscore_ops.scoring.pair import environments_of, limits_of, sandbox_of
from brainscore_ops.submissions import mail
from brainscore_ops.submissions.comments import fenced
from brainscore_ops.submissions.life import BEFORE_MERGE, State, life_of_pull_request, move, note
from brainscore_ops.submissions.overlays import library_head, whole_library
from brainscore_ops.submissions.pull_requests import follow

if TYPE_CHECKING:
    from brainscore_ops.database.ops_tables import SubmissionLife
    from brainscore_ops.forge.client import PullRequest
    from brainscore_ops.plugins.environment import Environment
    from brainscore_ops.submissions.context import Context

STATUS_CONTEXT = "brainscore-ops/plugin-tests"

Say = Callable[[str], None]


class PluginTestsFailedError(StepFailedError):
    """The tests of a plugin did not pass, or could not be run because of the plugin."""

    code = "tests-failed"
    fault = Fault.SUBMISSION


class PullRequestClosedError(RefusedError):
    """What is closed is not tested."""

    code = "pull-request-closed"
    fault = Fault.OPERATOR


class PluginTestsInterruptedError(UnavailableError):
    """The machine did not let the tests come to their end: nothing is said of the plugin."""

    code = "tests-interrupted"


@dataclass(frozen=True)
class Candidate(Shown):
    """What is to be tested: a pull request's head, merged into the default branch."""

    pull_request: PullRequest
    submission: int | None
    """The submission that it is, or proposes; None for one that changes no plugin."""
    base_sha: str
    """The public library's commit that it is tested with."""
    result_sha: str
    """The commit that merging gives, a private plugin's laid over the public library: what the tests see."""
    changes: Changes
    """What that commit changes on the base."""
    library: str

    @property
    def head_sha(self) -> str:
        """The commit that the verdict is about."""
        return self.pull_request.head_sha

    @property
    def plugins(self) -> tuple[PluginKey, ...]:
        """The plugins to test: those that changed and that the head still has, and those that a shared file reaches."""
        reached = (locate(path, self.library).plugin for path in self.changes.tests_to_run)
        return tuple(sorted({*self.changes.added, *self.changes.changed, *(plugin for plugin in reached if plugin)}))

    def table(self) -> Table:
        return Table(
            f"Pull request {self.pull_request.number} at {self.head_sha[:10]}",
            [
                ("submission", self.submission or "none: it changes no plugin"),
                ("base", Code(self.base_sha)),
                *self.changes.facts(),
            ],
        )


@dataclass(frozen=True)
class Environments(Shown):
    """The environment that each plugin is tested in."""

    of_plugin: Mapping[PluginKey, Environment]

    def table(self) -> Table:
        return Table(
            "Environments",
            [
                [f"{plugin.type}/{plugin.name}", len(environment.packages), Code(environment.lock_digest, 16)]
                for plugin, environment in self.of_plugin.items()
            ],
            ["plugin", "packages", "lock"],
        )


@dataclass(frozen=True)
class TestReport(Shown):
    """How the tests of every changed plugin went."""

    __test__ = False  # pytest: not a test

    head_sha: str
    reports: tuple[PluginTestReport, ...]

    def table(self) -> Table:
        return Table(
            f"Plugin tests at {self.head_sha[:10]}",
            [
                [
                    f"{report.plugin.type}/{report.plugin.name}",
                    Badge("passed" if report.passed else report.reason, "good" if report.passed else "bad"),
                    f"{report.tests_passed} passed, {report.tests_failed} failed",
                    f"{report.wall_seconds:.1f} s",
                    f"{report.peak_memory_bytes / 1e6:.0f} MB",
                ]
                for report in self.reports
            ],
            ["plugin", "verdict", "tests", "time", "memory"],
        )


def find_candidate(context: Context, pull_request: int) -> Candidate:
    """Fetch a pull request, and see what it changes; its head gets a pending status.

    One that was opened by hand enters here: it becomes a submission like any other.

    :raises PullRequestClosedError: where it is closed or merged; its submission is what it is then
    :raises PluginTestsFailedError: where it conflicts with the default branch, after the submitter was told
    """
    pull = context.forge.pull_request(pull_request)
    submission = follow(context, pull)
    if pull.state != "open":
        raise PullRequestClosedError(
            f"expected pull request {pull_request} to be open, found it {'merged' if pull.merged else 'closed'}",
            remedy="There is nothing to test, unless somebody opens it again.",
        )
    library_sha = library_head(context)
    _, base_sha = context.forge.default_branch()
    context.mirror.fetch()  # after that was read: what it names is there
    repository, library = context.mirror.path, context.library
    changes = analyse_changes(repository, base_sha, pull.head_sha, library)
    merge = merge_result(repository, base_sha, pull.head_sha)
    taken = colliding(repository, library_sha, changes.added, library) if context.private else ()
    if merge.commit is None or taken:
        candidate = Candidate(pull, submission, library_sha, pull.head_sha, changes, library)
        failure = _conflict([*merge.conflicts, *(plugin.path(library) for plugin in taken)])
        _fail(context, candidate, failure, TestsFailed, failures=())
        raise failure
    changes = analyse_changes(repository, base_sha, merge.commit, library)
    if _status(context, pull.head_sha) != "success":
        _set_status(context, pull.head_sha, "pending", "The plugin tests are running.")
    result = whole_library(context, merge.commit, pull.number, base=library_sha, plugins=changes.plugins)
    return Candidate(pull, submission, library_sha, result, changes, library)


def build_environments(context: Context, candidate: Candidate) -> Environments:
    """The environment of each plugin, built where it is not there yet.

    :raises PluginTestsFailedError: where a plugin's requirements cannot be installed, after the submitter was told
    """
    environments = environments_of(context.deployment)
    built = {}
    for plugin in candidate.plugins:
        try:
            checkout = context.checkout(candidate.result_sha)
            built[plugin] = environments.ensure(requirements_for(checkout, context.library, [plugin]))
        except EnvironmentBuildError as error:
            failure = PluginTestsFailedError(
                f"the requirements of {plugin.type}/{plugin.name} could not be installed: {error.message}",
                code="not-installable",
                remedy="Correct the plugin's requirements so that they install beside the library's, and submit it again.",
                problems=error.problems,
                log=error.log,
            )
            name = f"{plugin.type}/{plugin.name}"
            _fail(context, candidate, failure, InstallFailed, plugin=name, log=failure.log)
            raise failure from None
        except OpsError as error:
            _set_error(context, candidate, error)
            raise
    return Environments(built)


def run_tests(context: Context, candidate: Candidate, environments: Environments, say: Say | None = None) -> TestReport:
    """Run the tests of every changed plugin in the sandbox; a failure of one does not stop the others.

    :raises PluginTestsInterruptedError: where the machine ended them
    """
    checkout = context.checkout(candidate.result_sha)
    sandbox, limits = sandbox_of(context.deployment), limits_of(context.deployment)
    reports = []
    try:
        for plugin, environment in environments.of_plugin.items():
            report = run_plugin_tests(
                environment, checkout, context.library, plugin, sandbox=sandbox, limits=limits, on_line=say
            )
            if report.reason == "killed":
                raise PluginTestsInterruptedError(report.message, remedy="Run this again.", log=report.log)
            reports.append(report)
    except OpsError as error:
        _set_error(context, candidate, error)
        raise
    return TestReport(candidate.head_sha, tuple(reports))


def conclude(context: Context, candidate: Candidate, report: TestReport) -> None:
    """Set the verdict on the head commit, and record it.

    :raises PluginTestsFailedError: where a plugin did not pass, after the submitter was told
    """
    failed = [plugin for plugin in report.reports if not plugin.passed]
    if failed or not report.reports:
        failure = _failure(failed)
        failures = tuple(
            PluginFailure(
                plugin=f"{plugin.plugin.type}/{plugin.plugin.name}",
                tests=tuple(f"{test}: {message}" for test, message in plugin.failures),
                log=plugin.log,
            )
            for plugin in failed
        )
        _fail(context, candidate, failure, TestsFailed, failures=failures)
        raise failure
    message = _passed(report)
    _set_status(context, candidate.head_sha, "success", message)
    with context.database.session() as session:
        life = life_of_pull_request(session, context.home, candidate.pull_request.number, lock=True)
        if life is not None and life.merge_sha is None:
            _note_tested(life, candidate)
            if life.state in BEFORE_MERGE:
                move(
                    session,
                    life,
                    State.TESTED,
                    key=f"{candidate.head_sha}:{candidate.base_sha}",
                    message=message,
                    run_id=context.run_id,
                )


def _note_tested(life: SubmissionLife, candidate: Candidate) -> None:
    life.head_sha = life.tested_sha = candidate.head_sha
    life.tested_base_sha = candidate.base_sha


def _conflict(conflicts: Iterable[str]) -> PluginTestsFailedError:
    paths = [shown(path) for path in conflicts]
    listed = ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
    return PluginTestsFailedError(
        f"it conflicts with the library as it is now: both changed {listed}",
        code="conflict",
        remedy="Bring it up to date with the default branch, or choose other names, and submit it again.",
    )


def _passed(report: TestReport) -> str:
    tests, plugins = sum(plugin.tests_passed for plugin in report.reports), len(report.reports)
    return f"{tests} test{'' if tests == 1 else 's'} of {plugins} plugin{'' if plugins == 1 else 's'} passed."


def _failure(failed: list[PluginTestReport]) -> PluginTestsFailedError:
    if not failed:
        return PluginTestsFailedError(
            "expected at least one plugin to test, found none in this pull request",
            code="nothing-to-test",
            remedy="Add or change a plugin, or ask a maintainer to look at it.",
        )
    names = ", ".join(f"{report.plugin.type}/{report.plugin.name}" for report in failed)
    return PluginTestsFailedError(
        f"the tests of {names} did not pass",
        remedy="Make the plugin's tests pass, and submit it again.",
        problems=[
            Problem("test-failed", message, where=f"{report.plugin.type}/{report.plugin.name} {test}")
            for report in failed
            for test, message in (report.failures or (("", report.message),))
        ],
        log=failed[0].log,
    )


def _fail(
    context: Context,
    candidate: Candidate,
    failure: PluginTestsFailedError,
    letter: type[InstallFailed | TestsFailed],
    **facts: Any,
) -> None:
    """Set the failure on the head commit and in the timeline, and write the letter to the submitter with these facts."""
    _set_status(context, candidate.head_sha, "failure", failure.message)
    with context.database.session() as session:
        life = life_of_pull_request(session, context.home, candidate.pull_request.number, lock=True)
        if life is not None and life.merge_sha is None:
            _note_tested(life, candidate)
            move(
                session,
                life,
                State.TESTS_FAILED,
                key=f"{candidate.head_sha}:{candidate.base_sha}",
                failure=failure,
                run_id=context.run_id,
            )
            said = letter(**mail.about(life), reason=failure.message, remedy=failure.remedy, **facts)
            mail.queue(session, context.deployment, life, said, event=f"{failure.code}-{candidate.head_sha}")
    mail.deliver(context)
    context.forge.comment(candidate.pull_request.number, key=STATUS_CONTEXT, body=_comment(failure))


def _set_error(context: Context, candidate: Candidate, error: OpsError) -> None:
    # Not "failure": nothing is said of the plugin, and a later run tests it.
    _set_status(context, candidate.head_sha, "error", f"The tests could not be run: {error.code}.")
    with context.database.session() as session:
        life = life_of_pull_request(session, context.home, candidate.pull_request.number, lock=True)
        if life is not None and life.merge_sha is None:
            note(session, life, error, key=context.run_id or candidate.head_sha, run_id=context.run_id)


def _comment(failure: OpsError) -> str:
    problems = [f"{problem.where.strip()}: {problem.message}" for problem in failure.problems]
    said = "\n\n".join(text for text in ("\n".join(problems)[:3000], failure.log[-3000:]) if text)
    summary = f"The plugin tests did not pass ({failure.code})."
    return f"**{summary}** {failure.remedy}\n\n{fenced(said or failure.message)}"


def _status(context: Context, sha: str) -> str | None:
    status = context.forge.statuses(sha).get(STATUS_CONTEXT)
    return status.state if status else None


def _set_status(context: Context, sha: str, state: str, description: str) -> None:
    context.forge.set_status(sha, context=STATUS_CONTEXT, state=state, description=description[:140])
