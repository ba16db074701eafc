"""The queue of runbooks that wait to be run: procrastinate's own tables, and beside them what became of each attempt."""

import re
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SCHEMA = Path(__file__).parents[1] / "libraries" / "procrastinate-3.10.0.sql"
"""As that version of the library has it. It is kept here, since what a revision runs stays the same when the library moves on."""

_TABLES, _TYPES, _FUNCTIONS = r"CREATE TABLE (\w+)", r"CREATE TYPE (\w+)", r"CREATE FUNCTION (\w+)\(.*?\bRETURNS (\w+)"


def upgrade() -> None:
    # Colons are marks of parameters otherwise.
    op.execute(sa.text(re.sub(r"(?<!:):(?=\w)", r"\:", SCHEMA.read_text(encoding="utf-8"))))
    op.create_table(
        "job_attempt",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("host", sa.String(length=100), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run_id", sa.String(length=100), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("reason_code", sa.String(length=100), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "number", name="job_attempt_pkey"),
    )
    op.create_index("job_attempt_run_id_idx", "job_attempt", ["run_id"], unique=False)


def downgrade() -> None:
    op.drop_table("job_attempt")
    sql = SCHEMA.read_text(encoding="utf-8")
    functions = re.findall(_FUNCTIONS, sql, flags=re.DOTALL)
    # A function that returns rows needs their table, and a table's triggers need their functions.
    of_rows = [name for name, returned in functions if returned == "procrastinate_jobs"]
    op.execute(f"DROP FUNCTION {', '.join(of_rows)}")
    op.execute(f"DROP TABLE {', '.join(reversed(re.findall(_TABLES, sql)))}")
    op.execute(f"DROP FUNCTION {', '.join(name for name, _ in functions if name not in of_rows)}")
    op.execute(f"DROP TYPE {', '.join(reversed(re.findall(_TYPES, sql)))}")
