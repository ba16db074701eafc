"""Mailed links that are for one account, whatever address they go to."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account_ticket", sa.Column("user_id", sa.Integer))


def downgrade() -> None:
    op.drop_column("account_ticket", "user_id")
