"""A version of a benchmark is one row: two of them split its scores, and resolve differently each time."""

from alembic import op

from brainscore_ops.database.conditions import OneRow

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CONDITIONS = [
    OneRow(
        name="one-row-a-benchmark-version",
        table="brainscore_benchmarkinstance",
        key=("benchmark_type_id", "version"),
        newest_first="id DESC",
    )
]
ACCEPTED = {
    "disallowed-unique-constraint": "the table has hundreds of rows: its index is built in milliseconds",
    "constraint-missing-not-valid": "uniqueness cannot be added unproven",
}
NAME = "brainscore_benchmarkinstance_benchmark_type_id_version_key"


def upgrade() -> None:
    op.create_unique_constraint(NAME, "brainscore_benchmarkinstance", ["benchmark_type_id", "version"])


def downgrade() -> None:
    op.drop_constraint(NAME, "brainscore_benchmarkinstance", type_="unique")
