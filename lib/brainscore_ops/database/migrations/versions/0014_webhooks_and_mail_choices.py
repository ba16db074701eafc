"""What GitHub told us by webhooks, each once, and who wants no mails but results."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=100), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="webhook_delivery_pkey"),
        sa.UniqueConstraint("digest", name="webhook_delivery_digest_key"),
    )
    op.create_index("webhook_delivery_received_at_idx", "webhook_delivery", ["received_at"], unique=False)
    op.create_table(
        "mail_choice",
        sa.Column("user_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("results_only", sa.Boolean(), nullable=False),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["brainscore_user.id"], name="mail_choice_user_id_fkey"),
        sa.PrimaryKeyConstraint("user_id", name="mail_choice_pkey"),
    )


def downgrade() -> None:
    op.drop_table("mail_choice")
    op.drop_table("webhook_delivery")
