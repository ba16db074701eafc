"""The attempts at each pair: where, with what, and how each ended."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "score_attempt",
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("benchmark", sa.String(length=255), nullable=False),
        sa.Column("library_commit", sa.String(length=40), nullable=False),
        sa.Column("resource_class", sa.String(length=100), nullable=False),
        sa.Column("driver", sa.String(length=100), nullable=False),
        sa.Column("submission_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=100), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("job_id", sa.String(length=100), nullable=True),
        sa.Column("node", sa.String(length=100), nullable=True),
        sa.Column("partition", sa.String(length=100), nullable=True),
        sa.Column("kind", sa.String(length=100), nullable=True),
        sa.Column("reason_code", sa.String(length=100), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("fault", sa.String(length=100), nullable=True),
        sa.Column("wall_seconds", sa.Double(), nullable=True),
        sa.Column("cpu_seconds", sa.Double(), nullable=True),
        sa.Column("peak_memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("run_id", sa.String(length=100), nullable=True),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["brainscore_submission.id"], name="score_attempt_submission_id_fkey"
        ),
        sa.PrimaryKeyConstraint("identity", "number", name="score_attempt_pkey"),
    )
    op.create_index("score_attempt_benchmark_idx", "score_attempt", ["benchmark"], unique=False)
    op.create_index("score_attempt_driver_idx", "score_attempt", ["driver"], unique=False)
    op.create_index("score_attempt_model_benchmark_idx", "score_attempt", ["model", "benchmark"], unique=False)
    op.create_index(
        "score_attempt_open_idx",
        "score_attempt",
        ["deadline"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("score_attempt_state_idx", "score_attempt", ["state"], unique=False)
    op.create_index("score_attempt_submission_id_idx", "score_attempt", ["submission_id"], unique=False)


def downgrade() -> None:
    op.drop_table("score_attempt")
