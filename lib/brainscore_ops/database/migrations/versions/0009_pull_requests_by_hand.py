"""Pull requests that were opened by hand: whose they are, and what the plugin tests of each ran against."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("submission_life", sa.Column("tested_base_sha", sa.String(40)))
    op.create_table(
        "forge_account",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("login", sa.String(100), nullable=False),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("brainscore_user.id"), nullable=False),
    )
    op.create_index("forge_account_user_id_idx", "forge_account", ["user_id"])


def downgrade() -> None:
    op.drop_table("forge_account")
    op.drop_column("submission_life", "tested_base_sha")
