"""The tables that the ops system adds beside Brain-Score's: runs, the life of submissions, mails, where scores come from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from brainscore_ops.database.brainscore_tables import Base, Score, Submission

Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Document = Annotated[dict[str, Any], mapped_column(JSONB)]
Word = Annotated[str, mapped_column(String(100))]
Digest = Annotated[str, mapped_column(String(64))]
Commit = Annotated[str, mapped_column(String(40))]
Prose = Annotated[str, mapped_column(Text)]


PRIVATE = "/private"
"""What the library of private submissions ends in: ``brainscore_vision/private``, which no package is called."""


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


class Run(Base):
    """One execution of a runbook. Its record is the executed notebook at ``record_path``."""

    __tablename__ = "run"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    deployment: Mapped[Word]
    runbook: Mapped[Word] = mapped_column(index=True)
    runbook_digest: Mapped[Digest]
    """SHA-256 of the notebook as it stands in git."""
    code_version: Mapped[Word]
    """The version of this library and, in a checkout, its commit."""
    parameters: Mapped[Document]
    triggered_by: Mapped[Word]
    """Who or what asked for it: ``cli:ada``, ``demo``, ``ci``."""
    host: Mapped[Word]
    process: Mapped[int]
    started_at: Mapped[Moment] = mapped_column(index=True)
    ended_at: Mapped[Moment | None]
    state: Mapped[Word] = mapped_column(index=True)
    """One of :class:`brainscore_ops.runbooks.states.RunState`."""
    failing_step: Mapped[Word | None]
    error: Mapped[Document | None]
    """:meth:`brainscore_ops.errors.OpsError.as_dict` of what ended it."""
    summary: Mapped[Document] = mapped_column(default=dict)
    """The scraps that its notebook glued."""
    record_path: Mapped[Prose | None]
    """Relative to the deployment's outputs folder."""
    record_digest: Mapped[Digest | None]
    submission_id: Mapped[int | None] = mapped_column(ForeignKey("brainscore_submission.id"), index=True)
    kind: Mapped[Word] = mapped_column(server_default="run")
    """One of :class:`brainscore_ops.runbooks.runs.RunKind`."""
    continues: Mapped[str | None] = mapped_column(String(100))
    """The run that this one goes on from. No foreign key: that one may be known from a file only, and later."""


class RecordLink(Base):
    """A link of the chain of records: what a run that ended was, sealed with the link before. Rows are added and never changed.

    There is one for every run that was closed, and a further one where what was closed changed by rule: see :class:`LinkKind`.
    """

    __tablename__ = "record_link"
    __table_args__ = (Index("record_link_run_id_number_idx", "run_id", "number"),)

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """From 1, without gaps."""
    run_id: Mapped[str] = mapped_column(String(100))
    """No foreign key: what removes a run must not take its link with it."""
    kind: Mapped[Word]
    """One of :class:`brainscore_ops.database.record_chain.LinkKind`."""
    at: Mapped[Moment]
    state: Mapped[Word | None]
    """The run's; NULL where its removal was accepted."""
    facts_digest: Mapped[Digest | None]
    """Of the run's row, :func:`brainscore_ops.database.record_chain.facts_digest`; NULL where its removal was accepted."""
    record_digest: Mapped[Digest | None]
    """SHA-256 of the executed notebook; NULL where there is none."""
    accepted_by: Mapped[Word | None]
    """Who accepted what was found; NULL for what the system did itself."""
    reason: Mapped[Prose | None]
    """Why it was accepted."""
    previous_digest: Mapped[Digest] = mapped_column(unique=True)
    """Of the link before: no two links follow the same one."""
    digest: Mapped[Digest] = mapped_column(unique=True)
    """SHA-256 of all the above."""


class SchemaChange(Base):
    """A revision that was applied to this database, or taken back. Alembic's own table knows only where it stands."""

    __tablename__ = "schema_change"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    revision: Mapped[str] = mapped_column(String(32))
    direction: Mapped[Word]
    """``upgrade``, ``downgrade``, or ``adopt`` where the tables were found as the revision makes them."""
    sql_digest: Mapped[Digest]
    """SHA-256 of the revision's SQL: what runs on production is what ran before."""
    seconds: Mapped[float] = mapped_column(Double)
    run_id: Mapped[str | None] = mapped_column(String(100))
    applied_at: Mapped[Moment]


class ArchivedRow(Base):
    """A row that a repair took out of its table."""

    __tablename__ = "archived_row"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    table_name: Mapped[Word]
    row: Mapped[Document]
    """The row, column → value."""
    kept: Mapped[Prose]
    """The key of the row that stands in its place."""
    reason: Mapped[Prose]
    """The condition and the revision that called for it."""
    archived_at: Mapped[Moment]


class SubmissionLife(Base):
    """Where a submission stands, and the facts that its runbooks found."""

    __tablename__ = "submission_life"
    __table_args__ = (
        UniqueConstraint("library", "pull_request"),
        CheckConstraint(f"NOT (public AND library LIKE '%{PRIVATE}')", name="submission_life_private_is_not_public"),
    )

    submission_id: Mapped[int] = mapped_column(ForeignKey("brainscore_submission.id"), primary_key=True)
    key: Mapped[Digest] = mapped_column(unique=True)
    """The identity of what was sent in: the same archive from the same person is the same submission."""
    name: Mapped[str] = mapped_column(String(200))
    submitter: Mapped[str] = mapped_column(String(200))
    """The submitter's name, as commits are authored."""
    library: Mapped[Word]
    """The library that it is proposed to, whose pull requests are numbered together: the package, and with :data:`PRIVATE` at its
    end that package's private repository."""
    public: Mapped[bool]
    """Whether the scores are for everybody to see. Those of private code never are."""
    archive_name: Mapped[str | None] = mapped_column(String(255))
    archive_digest: Mapped[Digest | None]
    archive_path: Mapped[Prose | None]
    """Where the accepted archive is kept, relative to the deployment's state folder."""
    plugins: Mapped[Document] = mapped_column(default=dict)
    """Plugin type → names of the plugins' folders."""
    identifiers: Mapped[Document] = mapped_column(default=dict)
    """Kind (models, benchmarks …) → identifiers that the plugins register."""
    state: Mapped[Word] = mapped_column(index=True)
    """One of :class:`brainscore_ops.submissions.life.State`."""
    reason_code: Mapped[Word | None]
    reason: Mapped[Prose | None]
    """Why, in words that the submitter understands; where the state is a failure."""
    fault: Mapped[Word | None]
    pull_request: Mapped[int | None]
    pull_request_url: Mapped[Prose | None]
    branch: Mapped[str | None] = mapped_column(String(255))
    base_sha: Mapped[Commit | None]
    """What the plugin tests and the gate compared the head with."""
    head_sha: Mapped[Commit | None]
    tested_sha: Mapped[Commit | None]
    """The head that the plugin tests ran on."""
    tested_base_sha: Mapped[Commit | None]
    """What that head was merged with when the plugin tests ran."""
    merge_sha: Mapped[Commit | None]
    publishes_id: Mapped[int | None] = mapped_column(ForeignKey("submission_life.submission_id"), index=True)
    """The private submission whose plugins this one brings into the public library."""
    removal_sha: Mapped[Commit | None]
    """Of a private submission that was published: the commit that removed its plugins from the private repository."""
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]

    submission: Mapped[Submission] = relationship()
    publishes: Mapped[SubmissionLife | None] = relationship(remote_side=[submission_id], back_populates="carriers")
    carriers: Mapped[list[SubmissionLife]] = relationship(
        order_by="SubmissionLife.submission_id", back_populates="publishes"
    )
    """Of a private submission: those that carried it to the public library, or tried to."""

    @property
    def private(self) -> bool:
        """Whether its code is in the private repository, for its owner and the staff alone."""
        return self.library.endswith(PRIVATE)

    events: Mapped[list[SubmissionEvent]] = relationship(order_by="SubmissionEvent.id", back_populates="life")


class ForgeAccount(Base):
    """An account on the forge, and the user that it belongs to."""

    __tablename__ = "forge_account"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """The forge's own number of it. Logins change hands, numbers do not."""
    login: Mapped[Word]
    """As it was when the account was last seen."""
    user_id: Mapped[int] = mapped_column(ForeignKey("brainscore_user.id"), index=True)


class SubmissionEvent(Base):
    """One entry of a submission's timeline."""

    __tablename__ = "submission_event"
    __table_args__ = (UniqueConstraint("submission_id", "key"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    submission_id: Mapped[int] = mapped_column(ForeignKey("submission_life.submission_id"))
    key: Mapped[str] = mapped_column(String(200))
    """What makes it happen once: ``tested:<head SHA>``."""
    at: Mapped[Moment]
    state: Mapped[Word]
    message: Mapped[Prose]
    reason_code: Mapped[Word | None]
    fault: Mapped[Word | None]
    log: Mapped[Prose | None]
    """The end of the log, where there is one to show."""
    run_id: Mapped[str | None] = mapped_column(String(100))
    """The run that caused it. No foreign key: a run on a compute node is recorded after what it did."""

    life: Mapped[SubmissionLife] = relationship(back_populates="events")


class OutboxMessage(Base):
    """A mail, written in the transaction that it reports, and sent after it."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    message_id: Mapped[str] = mapped_column(String(255), unique=True)
    """The mail's ``Message-ID``, derived from what it reports: one event, one mail."""
    submission_id: Mapped[int | None] = mapped_column(ForeignKey("brainscore_submission.id"), index=True)
    template: Mapped[Word]
    recipient: Mapped[str] = mapped_column(String(320))
    subject: Mapped[Prose]
    text: Mapped[Prose]
    html: Mapped[Prose]
    unsubscribe_url: Mapped[Prose | None]
    """Where its reader says that no more mails of this kind are wanted; NULL for one that is always sent."""
    created_at: Mapped[Moment]
    sent_at: Mapped[Moment | None] = mapped_column(index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[Prose | None]


class EnvironmentLock(Base):
    """The exact packages of an environment that scores were computed in: enough to build it again anywhere."""

    __tablename__ = "environment_lock"

    digest: Mapped[Digest] = mapped_column(primary_key=True)
    """SHA-256 of ``text``: :attr:`ScoreProvenance.environment_digest`."""
    text: Mapped[Prose]
    """``name==version`` with hashes for each package, and which Python."""
    requirements_digest: Mapped[Digest | None] = mapped_column(index=True)
    """Of what was asked for. A later lock for the same requirements supersedes this one."""
    recorded_at: Mapped[Moment]


class ScoreHistory(Base):
    """What a rescoring replaced, or failed to replace: nothing that was once on the leaderboard is lost."""

    __tablename__ = "score_history"
    __table_args__ = (UniqueConstraint("identity", "event", "recorded_at"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    identity: Mapped[Digest]
    """Of the pair: its present numbers stand in ``score_provenance``."""
    event: Mapped[Word]
    """``replaced``: these were the numbers before; ``not-replaced``: this rescoring failed, and the score stayed."""
    document: Mapped[Document]
    """Every column of ``score_provenance`` as it was; for a rescoring that failed, its outcome."""
    recorded_at: Mapped[Moment]
    """When what the document holds was recorded, or was computed in vain."""
    at: Mapped[Moment]
    run_id: Mapped[str | None] = mapped_column(String(100))
    """The run that replaced it."""


class PlanRequest(Base):
    """A plan that waits, or waited, for a maintainer's approval."""

    __tablename__ = "plan_request"

    digest: Mapped[Digest] = mapped_column(primary_key=True)
    """Of everything that the plan would do."""
    subject: Mapped[str] = mapped_column(String(300), index=True)
    """What it is a plan for: ``benchmark_version Scott2019.concreteness-ridge``. Plans change; what they are for does not."""
    document: Mapped[Document]
    """What it would do and what that costs, as it was shown."""
    requested_at: Mapped[Moment]
    run_id: Mapped[str | None] = mapped_column(String(100))


class Approval(Base):
    """Somebody's leave to carry out exactly one plan, for a time. Rows are added and never changed."""

    __tablename__ = "approval"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    plan_digest: Mapped[Digest] = mapped_column(ForeignKey("plan_request.digest"), index=True)
    approved_by: Mapped[Word]
    approved_at: Mapped[Moment]
    expires_at: Mapped[Moment]


class CanaryScore(Base):
    """A known pair, scored to see whether anything drifted. It stands on no leaderboard."""

    __tablename__ = "canary_score"

    identity: Mapped[Digest] = mapped_column(primary_key=True)
    """Of both plugins, the shared code and the environment: when one of them changes, the canary is scored again."""
    model: Mapped[str] = mapped_column(String(255), index=True)
    benchmark: Mapped[str] = mapped_column(String(255))
    state: Mapped[Word]
    """``scored`` or ``failed``."""
    value: Mapped[float | None] = mapped_column(Double)
    reason_code: Mapped[Word | None]
    reason: Mapped[Prose | None]
    fault: Mapped[Word | None]
    model_digest: Mapped[Digest]
    benchmark_digest: Mapped[Digest]
    shared_digest: Mapped[Digest]
    environment_digest: Mapped[Digest | None]
    library_commit: Mapped[Commit]
    run_id: Mapped[str | None] = mapped_column(String(100))
    checked_at: Mapped[Moment]
    """When all that it depends on was last found to be so."""


class ScoreProvenance(Base):
    """What a score was computed from, and the exact numbers. One row for each identity of a pair."""

    __tablename__ = "score_provenance"

    identity: Mapped[Digest] = mapped_column(primary_key=True)
    """Of model, benchmark and the digests of their plugins: :func:`brainscore_ops.scoring.plan.pair_identity`."""
    score_id: Mapped[int | None] = mapped_column(ForeignKey("brainscore_score.id"), unique=True)
    model: Mapped[str] = mapped_column(String(255), index=True)
    benchmark: Mapped[str] = mapped_column(String(255), index=True)
    benchmark_version: Mapped[int | None]
    model_digest: Mapped[Digest]
    benchmark_digest: Mapped[Digest]
    library_commit: Mapped[Commit]
    private_commit: Mapped[Commit | None]
    """The private repository's, where private plugins were laid over the library."""
    shared_digest: Mapped[Digest | None]
    """Of the code besides both plugins that the score depends on, :meth:`LibraryCode.shared_by`: no part of the identity."""
    environment_digest: Mapped[Digest | None]
    """Of the lock, which stands in ``environment_lock``."""
    seed: Mapped[int | None]
    """Of Python's hashes, as the sandbox set it."""
    recomputed_from: Mapped[Digest | None]
    """The identity of the score whose raw value this one was computed from, where no model was run."""
    packages: Mapped[Document] = mapped_column(default=dict)
    """Package → version, in the plugin's environment."""
    state: Mapped[Word]
    """``scored`` or ``failed``."""
    value: Mapped[float | None] = mapped_column(Double)
    """What the benchmark returned: ceiled where there is a ceiling."""
    raw: Mapped[float | None] = mapped_column(Double)
    error: Mapped[float | None] = mapped_column(Double)
    ceiling: Mapped[float | None] = mapped_column(Double)
    ceiling_error: Mapped[float | None] = mapped_column(Double)
    reason_code: Mapped[Word | None]
    reason: Mapped[Prose | None]
    fault: Mapped[Word | None]
    log: Mapped[Prose | None]
    sandboxed: Mapped[bool]
    wall_seconds: Mapped[float | None] = mapped_column(Double)
    cpu_seconds: Mapped[float | None] = mapped_column(Double)
    peak_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    node: Mapped[Word | None]
    run_id: Mapped[str | None] = mapped_column(String(100))
    """The run of ``score_pair`` that is its record."""
    submission_id: Mapped[int | None] = mapped_column(ForeignKey("brainscore_submission.id"), index=True)
    recorded_at: Mapped[Moment]

    score: Mapped[Score | None] = relationship()


class DeploymentMarker(Base):
    """Whose database this is: one row, written when the tables are made or taken over, and looked at on every connection."""

    __tablename__ = "deployment_marker"
    __table_args__ = (CheckConstraint("id = 1", name="deployment_marker_one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, default=1)
    tier: Mapped[Word]
    """One of :class:`brainscore_ops.settings.Tier`."""
    deployment: Mapped[Word]
    """The name of the deployment that marked it."""
    marked_at: Mapped[Moment]


class ScoreAttempt(Base):
    """One try of a pair: where, with what, and how it ended. Written from the files that drivers and workers leave."""

    __tablename__ = "score_attempt"
    __table_args__ = (
        Index("score_attempt_model_benchmark_idx", "model", "benchmark"),
        Index("score_attempt_open_idx", "deadline", postgresql_where=text("ended_at IS NULL")),
    )

    identity: Mapped[Digest] = mapped_column(primary_key=True)
    """Of the pair. No foreign key: attempts come before scores."""
    number: Mapped[int] = mapped_column(primary_key=True)
    """From 1."""
    model: Mapped[str] = mapped_column(String(255))
    benchmark: Mapped[str] = mapped_column(String(255), index=True)
    library_commit: Mapped[Commit]
    resource_class: Mapped[Word]
    driver: Mapped[Word] = mapped_column(index=True)
    """The run that asked for it."""
    submission_id: Mapped[int | None] = mapped_column(ForeignKey("brainscore_submission.id"), index=True)
    state: Mapped[Word] = mapped_column(index=True)
    """One of :class:`brainscore_ops.scoring.attempts.AttemptState`."""
    queued_at: Mapped[Moment]
    deadline: Mapped[Moment | None]
    """When it is given up, in the state that it is in; NULL in a final one."""
    started_at: Mapped[Moment | None]
    ended_at: Mapped[Moment | None]
    job_id: Mapped[Word | None]
    """SLURM's number."""
    node: Mapped[Word | None]
    partition: Mapped[Word | None]
    kind: Mapped[Word | None]
    """One of :class:`brainscore_ops.scoring.attempts.FailureKind`."""
    reason_code: Mapped[Word | None]
    reason: Mapped[Prose | None]
    fault: Mapped[Word | None]
    wall_seconds: Mapped[float | None] = mapped_column(Double)
    cpu_seconds: Mapped[float | None] = mapped_column(Double)
    peak_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    run_id: Mapped[str | None] = mapped_column(String(100))
    """The run of ``score_pair`` that is its record."""


class JobAttempt(Base):
    """One attempt at a job of the queue. The jobs themselves stand in the tables of the queue's library, procrastinate."""

    __tablename__ = "job_attempt"

    job_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Of ``procrastinate_jobs``. No foreign key: those tables are the library's, which may remake them."""
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 1."""
    host: Mapped[Word]
    process: Mapped[int]
    started_at: Mapped[Moment]
    ended_at: Mapped[Moment | None]
    """NULL while it goes on, and for ever where its worker died."""
    run_id: Mapped[str | None] = mapped_column(String(100), index=True)
    exit_code: Mapped[int | None]
    reason_code: Mapped[Word | None]
    reason: Mapped[Prose | None]


class WebhookDelivery(Base):
    """An event that the forge told us, acted on once. Rows are removed when nobody would send them again."""

    __tablename__ = "webhook_delivery"

    id: Mapped[Word] = mapped_column(primary_key=True)
    """The forge's own number of it, ``X-GitHub-Delivery``."""
    digest: Mapped[Digest] = mapped_column(unique=True)
    """SHA-256 of its body: that is what is signed, and the number is not."""
    event: Mapped[Word]
    received_at: Mapped[Moment] = mapped_column(index=True)


class MailChoice(Base):
    """Which mails somebody wants."""

    __tablename__ = "mail_choice"

    user_id: Mapped[int] = mapped_column(ForeignKey("brainscore_user.id"), primary_key=True, autoincrement=False)
    token: Mapped[Digest] = mapped_column(unique=True)
    """Who has it may choose, and nothing else: it stands in the links of mails."""
    results_only: Mapped[bool] = mapped_column(default=False)
    """Whether nothing is sent but what becomes of a submission: scores, a refusal, a failure, a question."""
    chosen_at: Mapped[Moment | None]
