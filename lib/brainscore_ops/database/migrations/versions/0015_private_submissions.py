"""Private submissions: what publishes them, when their private copy went, and which private code a score was computed from."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ACCEPTED = {
    "constraint-missing-not-valid": "the table has one row a submission: thousands are looked at in milliseconds",
    "require-concurrent-index-creation": "as above: its index is built as quickly",
    "adding-foreign-key-constraint": "the column is new and empty: there is nothing to check",
}
CHECK = "submission_life_private_is_not_public"


def upgrade() -> None:
    op.add_column("submission_life", sa.Column("publishes_id", sa.Integer))
    op.create_foreign_key(
        "submission_life_publishes_id_fkey", "submission_life", "submission_life", ["publishes_id"], ["submission_id"]
    )
    op.create_index("submission_life_publishes_id_idx", "submission_life", ["publishes_id"])
    op.add_column("submission_life", sa.Column("removal_sha", sa.String(40)))
    op.create_check_constraint(CHECK, "submission_life", "NOT (public AND library LIKE '%/private')")
    op.add_column("score_provenance", sa.Column("private_commit", sa.String(40)))


def downgrade() -> None:
    op.drop_column("score_provenance", "private_commit")
    op.drop_constraint(CHECK, "submission_life", type_="check")
    op.drop_column("submission_life", "removal_sha")
    op.drop_index("submission_life_publishes_id_idx", "submission_life")
    op.drop_constraint("submission_life_publishes_id_fkey", "submission_life", type_="foreignkey")
    op.drop_column("submission_life", "publishes_id")
