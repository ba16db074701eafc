"""The website's accounts: names and quotas, sessions, mailed links, tokens, and how often something was tried."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("user_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("quota", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["brainscore_user.id"], name="account_user_id_fkey"),
        sa.PrimaryKeyConstraint("user_id", name="account_pkey"),
    )
    op.create_table(
        "portal_session",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("browser", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["brainscore_user.id"], name="portal_session_user_id_fkey"),
        sa.PrimaryKeyConstraint("digest", name="portal_session_pkey"),
    )
    op.create_index("portal_session_expires_at_idx", "portal_session", ["expires_at"], unique=False)
    op.create_index("portal_session_user_id_idx", "portal_session", ["user_id"], unique=False)
    op.create_table(
        "account_ticket",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=100), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("digest", name="account_ticket_pkey"),
    )
    op.create_index("account_ticket_email_idx", "account_ticket", ["email"], unique=False)
    op.create_index("account_ticket_expires_at_idx", "account_ticket", ["expires_at"], unique=False)
    op.create_table(
        "api_token",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["brainscore_user.id"], name="api_token_user_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="api_token_pkey"),
        sa.UniqueConstraint("digest", name="api_token_digest_key"),
    )
    op.create_index("api_token_user_id_idx", "api_token", ["user_id"], unique=False)
    op.create_table(
        "rate_limit",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="rate_limit_pkey"),
    )
    op.create_index("rate_limit_expires_at_idx", "rate_limit", ["expires_at"], unique=False)


def downgrade() -> None:
    for table in ("rate_limit", "api_token", "account_ticket", "portal_session", "account"):
        op.drop_table(table)
