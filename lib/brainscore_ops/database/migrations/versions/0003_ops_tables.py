"""The tables of the ops system: runs, the life of submissions, the outbox, where scores come from."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.String(length=255), nullable=False),
        sa.Column("submission_id", sa.Integer(), nullable=True),
        sa.Column("template", sa.String(length=100), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["submission_id"], ["brainscore_submission.id"], name="outbox_submission_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="outbox_pkey"),
        sa.UniqueConstraint("message_id", name="outbox_message_id_key"),
    )
    op.create_index("outbox_sent_at_idx", "outbox", ["sent_at"], unique=False)
    op.create_index("outbox_submission_id_idx", "outbox", ["submission_id"], unique=False)
    op.create_table(
        "run",
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("deployment", sa.String(length=100), nullable=False),
        sa.Column("runbook", sa.String(length=100), nullable=False),
        sa.Column("runbook_digest", sa.String(length=64), nullable=False),
        sa.Column("code_version", sa.String(length=100), nullable=False),
        sa.Column("parameters", postgresql.JSONB(), nullable=False),
        sa.Column("triggered_by", sa.String(length=100), nullable=False),
        sa.Column("host", sa.String(length=100), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(length=100), nullable=False),
        sa.Column("failing_step", sa.String(length=100), nullable=True),
        sa.Column("error", postgresql.JSONB(), nullable=True),
        sa.Column("summary", postgresql.JSONB(), nullable=False),
        sa.Column("record_path", sa.Text(), nullable=True),
        sa.Column("record_digest", sa.String(length=64), nullable=True),
        sa.Column("submission_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["submission_id"], ["brainscore_submission.id"], name="run_submission_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="run_pkey"),
    )
    op.create_index("run_runbook_idx", "run", ["runbook"], unique=False)
    op.create_index("run_started_at_idx", "run", ["started_at"], unique=False)
    op.create_index("run_state_idx", "run", ["state"], unique=False)
    op.create_index("run_submission_id_idx", "run", ["submission_id"], unique=False)
    op.create_table(
        "submission_life",
        sa.Column("submission_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("submitter", sa.String(length=200), nullable=False),
        sa.Column("library", sa.String(length=100), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("archive_name", sa.String(length=255), nullable=True),
        sa.Column("archive_digest", sa.String(length=64), nullable=True),
        sa.Column("archive_path", sa.Text(), nullable=True),
        sa.Column("plugins", postgresql.JSONB(), nullable=False),
        sa.Column("identifiers", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.String(length=100), nullable=False),
        sa.Column("reason_code", sa.String(length=100), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("fault", sa.String(length=100), nullable=True),
        sa.Column("pull_request", sa.Integer(), nullable=True),
        sa.Column("pull_request_url", sa.Text(), nullable=True),
        sa.Column("branch", sa.String(length=255), nullable=True),
        sa.Column("base_sha", sa.String(length=40), nullable=True),
        sa.Column("head_sha", sa.String(length=40), nullable=True),
        sa.Column("tested_sha", sa.String(length=40), nullable=True),
        sa.Column("merge_sha", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["brainscore_submission.id"], name="submission_life_submission_id_fkey"
        ),
        sa.PrimaryKeyConstraint("submission_id", name="submission_life_pkey"),
        sa.UniqueConstraint("key", name="submission_life_key_key"),
        sa.UniqueConstraint("library", "pull_request", name="submission_life_library_pull_request_key"),
    )
    op.create_index("submission_life_state_idx", "submission_life", ["state"], unique=False)
    op.create_table(
        "submission_event",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("submission_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=100), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("reason_code", sa.String(length=100), nullable=True),
        sa.Column("fault", sa.String(length=100), nullable=True),
        sa.Column("log", sa.Text(), nullable=True),
        sa.Column("run_id", sa.String(length=100), nullable=True),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["submission_life.submission_id"], name="submission_event_submission_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="submission_event_pkey"),
        sa.UniqueConstraint("submission_id", "key", name="submission_event_submission_id_key_key"),
    )
    op.create_table(
        "score_provenance",
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("score_id", sa.Integer(), nullable=True),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("benchmark", sa.String(length=255), nullable=False),
        sa.Column("benchmark_version", sa.Integer(), nullable=True),
        sa.Column("model_digest", sa.String(length=64), nullable=False),
        sa.Column("benchmark_digest", sa.String(length=64), nullable=False),
        sa.Column("library_commit", sa.String(length=40), nullable=False),
        sa.Column("environment_digest", sa.String(length=64), nullable=True),
        sa.Column("packages", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.String(length=100), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("raw", sa.Double(), nullable=True),
        sa.Column("error", sa.Double(), nullable=True),
        sa.Column("ceiling", sa.Double(), nullable=True),
        sa.Column("ceiling_error", sa.Double(), nullable=True),
        sa.Column("reason_code", sa.String(length=100), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("fault", sa.String(length=100), nullable=True),
        sa.Column("log", sa.Text(), nullable=True),
        sa.Column("sandboxed", sa.Boolean(), nullable=False),
        sa.Column("wall_seconds", sa.Double(), nullable=True),
        sa.Column("cpu_seconds", sa.Double(), nullable=True),
        sa.Column("peak_memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("node", sa.String(length=100), nullable=True),
        sa.Column("run_id", sa.String(length=100), nullable=True),
        sa.Column("submission_id", sa.Integer(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["score_id"], ["brainscore_score.id"], name="score_provenance_score_id_fkey"),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["brainscore_submission.id"], name="score_provenance_submission_id_fkey"
        ),
        sa.PrimaryKeyConstraint("identity", name="score_provenance_pkey"),
        sa.UniqueConstraint("score_id", name="score_provenance_score_id_key"),
    )
    op.create_index("score_provenance_benchmark_idx", "score_provenance", ["benchmark"], unique=False)
    op.create_index("score_provenance_model_idx", "score_provenance", ["model"], unique=False)
    op.create_index("score_provenance_submission_id_idx", "score_provenance", ["submission_id"], unique=False)


def downgrade() -> None:
    op.drop_table("score_provenance")
    op.drop_table("submission_event")
    op.drop_table("submission_life")
    op.drop_table("run")
    op.drop_table("outbox")
