"""Scoring what a merge brought: the pairs are planned, computed on the cluster, recorded, and the submitter is told."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from brainscore_ops.database.brainscore_tables import BenchmarkType, Model, Submission
from brainscore_ops.database.ops_tables import Run, ScoreProvenance, SubmissionLife, now
from brainscore_ops.database.viewer import PUBLIC, Viewer
from brainscore_ops.display import Shown, Table, number, with_error
from brainscore_ops.errors import Fault, OpsError, RefusedError, UnavailableError, UsageError
from brainscore_ops.notify.contexts import Delayed, Scored
from brainscore_ops.notify.contexts import PairOutcome as MailedPair
from brainscore_ops.plugins.changes import analyse_changes
from brainscore_ops.plugins.git import find_commit
from brainscore_ops.plugins.library_code import LibraryCode, read_library_code
from brainscore_ops.plugins.metadata import Metadata, read_metadata
from brainscore_ops.plugins.overlay import layers
from brainscore_ops.plugins.tree import GitTree
from brainscore_ops.scoring.attempt_rows import close_abandoned, enter_attempts, measurements
from brainscore_ops.scoring.classes import asked_by_plugins, choose_class
from brainscore_ops.scoring.dispatch import Task, compute
from brainscore_ops.scoring.existing import private_models, read_existing
from brainscore_ops.scoring.lock_rows import record_locks
from brainscore_ops.scoring.pair import PairOutcome, job_of
from brainscore_ops.scoring.plan import ChangedPlugins, Pair, Plan, plan_pairs
from brainscore_ops.scoring.progress import ScoringBoard
from brainscore_ops.scoring.recording import (
    RECORDING_LOCK,
    Origin,
    Origins,
    Recorded,
    record_outcomes,
    settle_published,
)
from brainscore_ops.submissions import mail
from brainscore_ops.submissions.accounts import LIBRARY_ACCOUNT, find_or_create_user
from brainscore_ops.submissions.life import State, find_life, life_of_pull_request, move, note, submission_of
from brainscore_ops.submissions.merging import record_merge
from brainscore_ops.submissions.metadata import store_metadata
from brainscore_ops.submissions.overlays import library_head, whole_library
from brainscore_ops.submissions.pull_requests import follow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

    from brainscore_ops.plugins.layout import PluginKey
    from brainscore_ops.scoring.attempts import Attempt
    from brainscore_ops.scoring.worker import Execute
    from brainscore_ops.submissions.context import Context

SCORES_COMMENT = "brainscore-ops/scores"
_LIBRARY_SUBMISSION = "Library"


class NotMergedError(RefusedError):
    """What was not merged is not scored."""

    code = "not-merged"
    fault = Fault.OPERATOR


class NoPullRequestError(UsageError):
    """What is private is scored for one owner at a time, and none was named."""

    code = "no-pull-request"


class ScoringDelayedError(UnavailableError):
    """Pairs could not be computed for reasons that are not their plugins'."""

    code = "scoring-delayed"


@dataclass(frozen=True)
class Target(Shown):
    """What is to be scored: a commit of the library, and what brought it about."""

    commit: str
    """With all that is scored; of a private submission, its owner's plugins laid over the public library."""
    base: str | None
    """The commit before; None where everything that the library holds is in question."""
    submission: int | None
    plugins: frozenset[PluginKey] | None = None
    """The plugins that changed; None where everything is in question."""

    def table(self) -> Table:
        return Table(
            f"Scoring at {self.commit[:10]}",
            [
                ("what changed since", self.base or "everything is in question"),
                ("plugins", "\n".join(map(str, sorted(self.plugins or ())))),
                ("submission", self.submission or "none: the library itself"),
            ],
        )


@dataclass(frozen=True)
class ScoringReport(Shown):
    """What became of the pairs of a plan."""

    pairs: tuple[PairOutcome, ...]

    @property
    def scored(self) -> int:
        """How many pairs have a score."""
        return sum(pair.state == "scored" for pair in self.pairs)

    @property
    def failed(self) -> int:
        """How many have none."""
        return len(self.pairs) - self.scored

    @property
    def delayed(self) -> tuple[PairOutcome, ...]:
        """The pairs that failed for no reason of their own, and are worth another try."""
        return tuple(pair for pair in self.pairs if pair.failure and pair.failure["fault"] != Fault.SUBMISSION)

    def table(self) -> Table:
        return Table(
            f"{self.scored} pairs scored, {self.failed} failed",
            [
                [
                    pair.model,
                    pair.benchmark,
                    with_error((pair.result or {}).get("value"), (pair.result or {}).get("error")),
                    number((pair.result or {}).get("ceiling")),
                    pair.failure["message"] if pair.failure else "",
                ]
                for pair in self.pairs
            ],
            ["model", "benchmark", "score", "ceiling", "why there is none"],
        )


def find_target(context: Context, pull_request: int | None, commit: str) -> Target:
    """The commit to score: that of a merged pull request, or everything that the library holds at a commit.

    :param commit: used where no pull request is given; empty for the head of the default branch
    :raises NotMergedError: where the pull request is not merged
    :raises NoPullRequestError: where none is named of the private repository, which is scored owner by owner
    """
    if pull_request is None:
        return _everything(context, commit)
    pull = context.forge.pull_request(pull_request)
    if not pull.merged or pull.merge_sha is None:
        raise NotMergedError(
            f"expected pull request {pull_request} to be merged, found it {pull.state}",
            remedy="Run the merge runbook first: it says which rule holds it.",
        )
    # A maintainer may have merged it by hand, or opened it, unmet by any runbook: from here on that is the same.
    submission = follow(context, pull)
    merged = record_merge(context, pull_request, head_sha=pull.head_sha, merge_sha=pull.merge_sha)
    # What is private is scored as it is now: once more when the public library has another benchmark.
    at = context.forge.default_branch()[1] if context.private else merged.merge_sha
    return _target(context, pull_request, merged.base_sha, merged.merge_sha, at, submission)


def preview_target(context: Context, pull_request: int | None, commit: str) -> Target:
    """The same for a plan that is only looked at: nothing is recorded, and the pull request need not be merged."""
    if pull_request is None:
        return _everything(context, commit)
    pull = context.forge.pull_request(pull_request)
    context.mirror.fetch()
    head = pull.merge_sha if pull.merged and pull.merge_sha else pull.head_sha
    base = find_commit(context.mirror.path, f"{head}^") if head == pull.merge_sha else pull.base_sha
    return _target(context, pull_request, base, head, head, submission_of(context, pull_request))


def _everything(context: Context, commit: str) -> Target:
    if context.private:
        raise NoPullRequestError(
            "expected the number of a pull request of the private repository, found none",
            remedy="Name one: what is private is scored for one owner at a time.",
        )
    head = commit or context.forge.default_branch()[1]
    context.mirror.fetch()
    return Target(commit=head, base=None, submission=None)


def _target(context: Context, pull_request: int, base: str, commit: str, at: str, submission: int | None) -> Target:
    """What changed between two commits, to be scored at a third."""
    library = library_head(context)
    context.mirror.fetch()
    plugins = frozenset(analyse_changes(context.mirror.path, base, commit, context.library).plugins)
    whole = whole_library(context, at, pull_request, base=library, plugins=plugins)
    return Target(whole, base, submission, plugins)


def make_plan(context: Context, target: Target) -> Plan:
    """The pairs that the change calls for, and that are not settled."""
    code = read_code(context, target.commit)
    with context.database.session() as session:
        existing = read_existing(session)
        private = find_private_models(context, session, target.submission if context.private else None)
    return plan_pairs(code, changed=changed_by(target, code), existing=existing, private_models=private)


def missing_pairs(context: Context, pull_request: int) -> int:
    """How many pairs a merged pull request of the private repository calls for now that have no outcome yet."""
    context.mirror.fetch()
    with context.database.session() as session:
        life = life_of_pull_request(session, context.home, pull_request)
        if life is None or life.merge_sha is None or life.base_sha is None:
            return 0
        base, merge, submission = life.base_sha, life.merge_sha, life.submission_id
    head = context.forge.default_branch()[1]
    return len(make_plan(context, _target(context, pull_request, base, merge, head, submission)).pairs)


def read_code(context: Context, commit: str) -> LibraryCode:
    """The library's code at a commit of its mirror."""
    return read_library_code(GitTree(context.mirror.path, commit), context.library, commit)


def in_layers(context: Context, code: LibraryCode) -> LibraryCode:
    """Code as scores name it: by the library's commit, and by that of the private plugins which were laid over it."""
    if not context.private:
        return code
    commit, private = layers(context.mirror.path, code.commit)
    return replace(code, commit=commit, private_commit=private)


def find_private_models(context: Context, session: Session, submission: int | None = None) -> set[str]:
    """The models that are scored for their owners alone, those that have no row yet among them.

    :param submission: whose submitter's own models are not meant: they meet his private benchmarks
    """
    asked_by = session.get(Submission, submission) if submission is not None else None
    owner = asked_by.submitter_id if asked_by else None
    return private_models(session, context.deployment.library.domain, but_of=owner) | {
        name
        for life in _lives(context, session)
        if not life.public and life.state != State.PUBLISHED and life.submission.submitter_id != owner
        for name in life.identifiers.get("models", ())
    }


def compute_pairs(context: Context, plan: Plan, execute: Execute, target: Target | None = None) -> ScoringReport:
    """Compute every pair of the plan that has not come to an end before, while a table shows how each stands.

    Outcomes are files first: what a run that was killed had computed is there for the next one.

    :param execute: how a worker executes the ``score_pair`` notebook with given parameters
    :param target: for whom
    """
    deployment = context.deployment
    tasks = tasks_of(context, plan, target.submission if target else None)
    board = ScoringBoard(plan.pairs)
    board.show()

    def tell(attempts: Sequence[Attempt]) -> None:
        board.update(attempts)
        unwritten.update({(attempt.identity, attempt.number): attempt for attempt in attempts})
        with suppress(
            UnavailableError, SQLAlchemyError
        ):  # they are in files: what is not entered now is entered next time
            with context.database.session() as session:
                enter_attempts(session, unwritten.values())
            unwritten.clear()

    unwritten: dict[tuple[str, int], Attempt] = {}
    with context.database.session() as session:
        close_abandoned(session, deployment.shared / "results")
    driver = context.run_id or f"by-hand-{secrets.token_hex(4)}"
    done = compute(deployment, tasks, execute, driver=driver, tell=tell)
    board.finish(done)
    return ScoringReport(tuple(done[pair.results_key] for pair in plan.pairs))


def tasks_of(context: Context, plan: Plan, submission: int | None) -> list[Task]:
    """The pairs of a plan, each with the resource class that it begins in."""
    if not plan.pairs:
        return []
    deployment = context.deployment
    checkout = context.checkout(plan.library_commit)
    with context.database.session() as session:
        measured = measurements(session, {(pair.model, pair.benchmark) for pair in plan.pairs})
    tasks = []
    for pair in plan.pairs:
        offered, refused = deployment.default_class, None
        try:
            plugins = {
                ("models", pair.model_plugin): pair.model,
                ("benchmarks", pair.benchmark_plugin): pair.benchmark,
            }
            asked = asked_by_plugins(checkout, context.library, plugins)
            known = measured.get((pair.model, pair.benchmark))
            offered, _ = choose_class(asked, known, deployment.resource_classes, deployment.scoring)
        except OpsError as error:
            refused = error
        job = job_of(pair, deployment=deployment, checkout=checkout, submission=submission)
        tasks.append(Task(pair.results_key, job, plan.library_commit, submission, offered, refused))
    return tasks


def record(context: Context, target: Target, plan: Plan, report: ScoringReport) -> Recorded:
    """Write the outcomes into the database, each once, with the locks of the environments that they were computed in, and what
    models and benchmarks say of themselves.
    """
    outcomes = dict(zip((pair.identity for pair in plan.pairs), report.pairs, strict=True))
    code = read_code(context, plan.library_commit)
    metadata = _metadata(context, target, plan, code)
    if not context.private:
        with context.database.lock(RECORDING_LOCK), context.database.session() as session:
            settle_published(session, code, plan.known)
    return record_all(context, plan.library_commit, plan.pairs, outcomes, target.submission, metadata)


def record_all(
    context: Context,
    commit: str,
    pairs: Sequence[Pair],
    outcomes: Mapping[str, PairOutcome],
    submission: int | None,
    metadata: Metadata | None = None,
) -> Recorded:
    """Write the outcomes of pairs into the database in one transaction.

    :param commit: the library's, that the pairs were scored at
    :param outcomes: a pair's identity → what became of it
    :param submission: what they were scored for
    :param metadata: what models and benchmarks say of themselves, to be stored with them
    """
    code = in_layers(context, read_code(context, commit))
    locks = {outcome.environment_digest for outcome in outcomes.values() if outcome.environment_digest}
    with context.database.lock(RECORDING_LOCK), context.database.session() as session:
        record_locks(session, context.deployment.shared, locks)
        origins = _origins(context, session)
        recorded = record_outcomes(session, code, pairs, outcomes, origins, submission, context.run_id)
        if metadata is not None:
            store_metadata(session, metadata, context.deployment.library.domain)
        return recorded


def conclude(context: Context, target: Target, plan: Plan, report: ScoringReport) -> mail.Delivered:
    """Record where the submission stands, and tell the submitter, by mail and on the pull request.

    :raises ScoringDelayedError: where pairs failed for no reason of their own: a later run tries these again
    """
    late = delay_of(report)
    shown: list[ScoreProvenance] = []
    pull_request = None
    if target.submission is not None:
        with context.database.session() as session:
            life = find_life(session, target.submission, lock=True)
            pull_request, rows = life.pull_request, _rows(session, plan)
            owner = Viewer(user_id=life.submission.submitter_id)
            # A private pull request is seen by its owner, too: on the website.
            shown = _seen_by(context, session, rows, owner if context.private else PUBLIC)
            rows = _seen_by(context, session, rows, owner)
            if late is not None:
                note(session, life, late, key=f"scoring:{context.run_id}", run_id=context.run_id)
                delayed = Delayed(**mail.about(life), step="computing its scores", reason=late.message)
                mail.queue(session, context.deployment, life, delayed, event=f"delayed-{target.commit}")
            elif life.state == State.MERGED:
                _conclude(context, session, life, rows, target.commit)
    delivered = mail.deliver(context)
    if late is not None:
        raise late
    if shown and pull_request is not None:
        context.forge.comment(pull_request, key=SCORES_COMMENT, body=_comment(shown))
    return delivered


def delay_of(report: ScoringReport) -> ScoringDelayedError | None:
    """What to raise for pairs that failed for no reason of their own; None where there are none."""
    failures = [pair.failure for pair in report.delayed if pair.failure]
    if not failures:
        return None
    reasons = ", ".join(sorted({str(failure["code"]) for failure in failures}))
    return ScoringDelayedError(
        f"{len(failures)} of {len(report.pairs)} pairs could not be computed ({reasons})",
        remedy="Mend what the records of these pairs name, and run this again: it computes what is missing.",
        log=failures[0]["log"],
    )


def insist_on_all(report: ScoringReport) -> ScoringReport:
    """:raises ScoringDelayedError: where pairs failed for no reason of their own: a later run tries these again"""
    if (late := delay_of(report)) is not None:
        raise late
    return report


def _rows(session: Session, plan: Plan) -> list[ScoreProvenance]:
    identities = [pair.identity for pair in (*plan.pairs, *plan.known)]
    query = select(ScoreProvenance).where(ScoreProvenance.identity.in_(identities))
    return list(session.scalars(query.order_by(ScoreProvenance.benchmark, ScoreProvenance.model)))


def _seen_by(context: Context, session: Session, rows: list[ScoreProvenance], viewer: Viewer) -> list[ScoreProvenance]:
    """Those of the scores that somebody may see; a comment on a pull request is seen by everybody who sees its repository."""
    domain = context.deployment.library.domain
    models = set(session.scalars(select(Model.name).where(Model.domain == domain, ~viewer.sees_model())))
    hidden = select(BenchmarkType.identifier).where(BenchmarkType.domain == domain, ~viewer.sees_benchmark())
    benchmarks = set(session.scalars(hidden))
    return [row for row in rows if row.model not in models and row.benchmark not in benchmarks]


def _conclude(
    context: Context, session: Session, life: SubmissionLife, rows: list[ScoreProvenance], commit: str
) -> None:
    scored = [row for row in rows if row.state == "scored"]
    failed = [row for row in rows if row.state != "scored"]
    # A benchmark on which somebody else's model fails is no failure of the benchmark's.
    own = [row for row in failed if row.model in life.identifiers.get("models", ()) or not scored]
    state = State.SCORED if not own else State.PARTLY_SCORED if scored else State.SCORING_FAILED
    message = f"{len(scored)} {'score is' if len(scored) == 1 else 'scores are'} in"
    message += f"; {len(failed)} could not be computed." if failed else "."
    failure = _as_error(own[0]) if own else None
    move(session, life, state, key=commit, message=message, failure=failure, run_id=context.run_id)
    records = _record_urls(context, session, failed)
    scores = tuple(
        MailedPair(
            row.model,
            row.benchmark,
            row.value,
            row.error,
            row.ceiling,
            row.reason or "",
            run_id=row.run_id or "",
            record_url=records.get(row.run_id or "", ""),
        )
        for row in rows
    )
    mail.queue(session, context.deployment, life, Scored(**mail.about(life), scores=scores), event=f"scored-{commit}")


def _record_urls(context: Context, session: Session, rows: list[ScoreProvenance]) -> dict[str, str]:
    """Where the records of failed pairs can be read, by run, if the deployment serves its outputs."""
    served = context.deployment.mail.records.rstrip("/")
    if not served:
        return {}
    runs = session.execute(select(Run.id, Run.record_path).where(Run.id.in_([row.run_id for row in rows])))
    return {run: f"{served}/{quote(path)}" for run, path in runs if path}


def _comment(rows: list[ScoreProvenance]) -> str:
    table = Table(
        "",
        [[row.model, row.benchmark, with_error(row.value, row.error), number(row.ceiling), row.reason] for row in rows],
        ["model", "benchmark", "score", "ceiling", ""],
    )
    # Identifiers and reasons are strangers' text: in a fence, and without what could end it.
    return f"The scores are in.\n\n```text\n{str(table).strip().replace('`', chr(39))}\n```"


def _as_error(row: ScoreProvenance) -> OpsError:
    return OpsError(
        f"{row.model} on {row.benchmark}: {row.reason}",
        code=row.reason_code,
        fault=Fault(row.fault or Fault.SUBMISSION),
        log=row.log or "",
    )


def _metadata(context: Context, target: Target, plan: Plan, code: LibraryCode) -> Metadata:
    """Of all that changed, and of all that the plan scores: its rows may have had to wait for a score."""
    catalogue = code.catalogue
    changed = changed_by(target, code)
    pairs = (*plan.pairs, *plan.known)
    models = catalogue.models.keys() & {*changed.models, *(pair.model for pair in pairs)}
    benchmarks = catalogue.benchmarks.keys() & {*changed.benchmarks, *(pair.benchmark for pair in pairs)}
    if changed.everything:
        models, benchmarks = set(catalogue.models), set(catalogue.benchmarks)
    plugins = {catalogue.plugin_of_model(name) for name in models}
    plugins |= {catalogue.plugin_of_benchmark(name) for name in benchmarks}
    return read_metadata(GitTree(context.mirror.path, target.commit), catalogue, plugins)


def changed_by(target: Target, code: LibraryCode) -> ChangedPlugins:
    """What changed for a target, by its identifiers."""
    if target.plugins is None:
        return ChangedPlugins(everything=True)
    catalogue, plugins = code.catalogue, target.plugins
    return ChangedPlugins(
        models=frozenset(model for model in catalogue.models if catalogue.plugin_of_model(model) in plugins),
        benchmarks=frozenset(
            benchmark for benchmark in catalogue.benchmarks if catalogue.plugin_of_benchmark(benchmark) in plugins
        ),
    )


def _lives(context: Context, session: Session) -> list[SubmissionLife]:
    return list(session.scalars(select(SubmissionLife).where(SubmissionLife.library.in_(context.homes))))


def _origins(context: Context, session: Session) -> Origins:
    # What was published is the public submission's: its benchmarks are for everybody to see.
    lives = [life for life in _lives(context, session) if life.state != State.PUBLISHED]
    merged = [life for life in lives if life.merge_sha is not None]
    # Who changes somebody's plugin does not become its owner: of several the first counts.
    merged.sort(key=lambda life: life.submission_id, reverse=True)
    return Origins(
        domain=context.deployment.library.domain,
        library=_library_origin(session),
        submitted={
            (kind, identifier): Origin(life.submission.submitter_id, life.submission_id, life.public)
            for life in merged
            for kind, identifiers in life.identifiers.items()
            for identifier in identifiers
        },
    )


def _library_origin(session: Session) -> Origin:
    owner = find_or_create_user(session, LIBRARY_ACCOUNT)
    row = session.scalar(
        select(Submission).where(Submission.submitter_id == owner.id, Submission.model_type == _LIBRARY_SUBMISSION)
    )
    if row is None:
        row = Submission(
            jenkins_id=0,
            submitter_id=owner.id,
            timestamp=now().replace(tzinfo=None),
            model_type=_LIBRARY_SUBMISSION,
            status="successful",
        )
        session.add(row)
        session.flush()
    return Origin(owner.id, row.id, public=True)
