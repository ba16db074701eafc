"""A score is one row per model, version of the benchmark, and what it was computed from."""

import sqlalchemy as sa
from alembic import op

from brainscore_ops.database.conditions import OneRow

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

CONDITIONS = [
    OneRow(
        name="one-row-a-score",
        table="brainscore_score",
        # The scores that this system computed are told apart by score_provenance; all others are of no known provenance.
        key=(
            "model_id",
            "benchmark_id",
            "coalesce((SELECT p.identity FROM score_provenance p WHERE p.score_id = t.id), '')",
        ),
        newest_first="end_timestamp DESC NULLS LAST, id DESC",
    )
]
ACCEPTED = {
    "disallowed-unique-constraint": "150,000 rows take a fifth of a second; a failure leaves nothing",
    "constraint-missing-not-valid": "uniqueness cannot be added unproven",
}
NAME = "brainscore_score_model_id_benchmark_id_provenance_key"


def upgrade() -> None:
    op.add_column("brainscore_score", sa.Column("provenance", sa.String(64), nullable=False, server_default=""))
    op.execute(
        "UPDATE brainscore_score SET provenance = p.identity FROM score_provenance p WHERE p.score_id = brainscore_score.id"
    )
    op.create_unique_constraint(NAME, "brainscore_score", ["model_id", "benchmark_id", "provenance"])


def downgrade() -> None:
    op.drop_constraint(NAME, "brainscore_score", type_="unique")
    op.drop_column("brainscore_score", "provenance")
