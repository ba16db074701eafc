"""What rescoring needs: locks, the code that plugins share, history, plans with their approvals, and canaries."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ADDED = ("shared_digest", "seed", "recomputed_from")


def upgrade() -> None:
    op.add_column("score_provenance", sa.Column("shared_digest", sa.String(length=64), nullable=True))
    op.add_column("score_provenance", sa.Column("seed", sa.Integer(), nullable=True))
    op.add_column("score_provenance", sa.Column("recomputed_from", sa.String(length=64), nullable=True))
    op.create_table(
        "environment_lock",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("requirements_digest", sa.String(length=64), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="environment_lock_pkey"),
    )
    op.create_index("environment_lock_requirements_digest_idx", "environment_lock", ["requirements_digest"])
    op.create_table(
        "score_history",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=100), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_id", sa.String(length=100), nullable=True),
        sa.PrimaryKeyConstraint("id", name="score_history_pkey"),
        sa.UniqueConstraint("identity", "event", "recorded_at", name="score_history_identity_event_recorded_at_key"),
    )
    op.create_table(
        "plan_request",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_id", sa.String(length=100), nullable=True),
        sa.PrimaryKeyConstraint("digest", name="plan_request_pkey"),
    )
    op.create_index("plan_request_subject_idx", "plan_request", ["subject"])
    op.create_table(
        "approval",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("plan_digest", sa.String(length=64), nullable=False),
        sa.Column("approved_by", sa.String(length=100), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["plan_digest"], ["plan_request.digest"], name="approval_plan_digest_fkey"),
        sa.PrimaryKeyConstraint("id", name="approval_pkey"),
    )
    op.create_index("approval_plan_digest_idx", "approval", ["plan_digest"])
    op.create_table(
        "canary_score",
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("benchmark", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=100), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("reason_code", sa.String(length=100), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("fault", sa.String(length=100), nullable=True),
        sa.Column("model_digest", sa.String(length=64), nullable=False),
        sa.Column("benchmark_digest", sa.String(length=64), nullable=False),
        sa.Column("shared_digest", sa.String(length=64), nullable=False),
        sa.Column("environment_digest", sa.String(length=64), nullable=True),
        sa.Column("library_commit", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=100), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("identity", name="canary_score_pkey"),
    )
    op.create_index("canary_score_model_idx", "canary_score", ["model"])


def downgrade() -> None:
    for table in ("canary_score", "approval", "plan_request", "score_history", "environment_lock"):
        op.drop_table(table)
    for name in reversed(ADDED):
        op.drop_column("score_provenance", name)
