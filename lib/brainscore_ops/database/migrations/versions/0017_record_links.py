"""The chain of records: what every closed run was, each link sealed with the one before it."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "record_link",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=100), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=100), nullable=True),
        sa.Column("facts_digest", sa.String(length=64), nullable=True),
        sa.Column("record_digest", sa.String(length=64), nullable=True),
        sa.Column("accepted_by", sa.String(length=100), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("previous_digest", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="record_link_pkey"),
        sa.UniqueConstraint("previous_digest", name="record_link_previous_digest_key"),
        sa.UniqueConstraint("digest", name="record_link_digest_key"),
    )
    op.create_index("record_link_run_id_number_idx", "record_link", ["run_id", "number"])


def downgrade() -> None:
    op.drop_table("record_link")
