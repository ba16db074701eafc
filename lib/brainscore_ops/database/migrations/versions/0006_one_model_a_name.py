"""A model's name is unique within its domain: it is what a plugin registers, and what a score is asked for by."""

from alembic import op

from brainscore_ops.database.conditions import OneRow

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CONDITIONS = [
    OneRow(name="one-row-a-model", table="brainscore_model", key=("domain", "name"), newest_first="id DESC"),
]
ACCEPTED = {
    "disallowed-unique-constraint": "the table has hundreds of rows: its index is built in milliseconds",
    "constraint-missing-not-valid": "uniqueness cannot be added unproven",
}
NAME = "brainscore_model_domain_name_key"


def upgrade() -> None:
    op.create_unique_constraint(NAME, "brainscore_model", ["domain", "name"])


def downgrade() -> None:
    op.drop_constraint(NAME, "brainscore_model", type_="unique")
