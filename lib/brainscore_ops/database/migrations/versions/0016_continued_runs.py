"""Runs that go on from a failed one, and those in which somebody steps through or only plans."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("kind", sa.String(100), nullable=False, server_default="run"))
    op.add_column("run", sa.Column("continues", sa.String(100)))


def downgrade() -> None:
    op.drop_column("run", "continues")
    op.drop_column("run", "kind")
