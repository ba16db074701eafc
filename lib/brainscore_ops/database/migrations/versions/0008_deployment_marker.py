"""The database says which deployment it belongs to, so that credentials that lead to the wrong one are found out."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deployment_marker",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("tier", sa.String(length=100), nullable=False),
        sa.Column("deployment", sa.String(length=100), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name="deployment_marker_one_row"),
        sa.PrimaryKeyConstraint("id", name="deployment_marker_pkey"),
    )


def downgrade() -> None:
    op.drop_table("deployment_marker")
