"""What an adopted database may lack, the history of the schema, and the archive of rows that a repair took away."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from brainscore_ops.database.ddl import do_if, has_column, has_type, is_marked

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COUNTS = [("brainscore_modelmeta", "total_parameter_count"), ("brainscore_modelmeta", "trainable_parameter_count")]
"""Parameters are counted in 64 bits; the website's tables began with 32."""

INDEXES = [
    ("user_email", "brainscore_user", "email"),
    ("benchmarktype_owner_id", "brainscore_benchmarktype", "owner_id"),
    ("benchmarktype_parent_id", "brainscore_benchmarktype", "parent_id"),
    ("benchmarktype_reference_id", "brainscore_benchmarktype", "reference_id"),
    ("submission_submitter_id", "brainscore_submission", "submitter_id"),
    ("model_owner_id", "brainscore_model", "owner_id"),
    ("model_reference_id", "brainscore_model", "reference_id"),
    ("model_submission_id", "brainscore_model", "submission_id"),
    ("benchmarkinstance_benchmark_type_id", "brainscore_benchmarkinstance", "benchmark_type_id"),
    ("benchmarkinstance_data_meta_id", "brainscore_benchmarkinstance", "data_meta_id"),
    ("benchmarkinstance_meta_id", "brainscore_benchmarkinstance", "meta_id"),
    ("benchmarkinstance_metric_meta_id", "brainscore_benchmarkinstance", "metric_meta_id"),
    ("benchmarkinstance_stimuli_meta_id", "brainscore_benchmarkinstance", "stimuli_meta_id"),
    ("score_benchmark_id", "brainscore_score", "benchmark_id"),
    ("score_model_id", "brainscore_score", "model_id"),
]
"""Every foreign key is looked up by; where an index under another name serves it, there is no second one."""

MARK_32 = "32 bits before revision 0004"
MARK_ADDED = "added by revision 0004"
NO_INDEX = """NOT EXISTS (
    SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
    WHERE indrelid = '{table}'::regclass AND attname = '{column}' AND indisvalid AND indpred IS NULL)"""


def upgrade() -> None:
    op.create_table(
        "archived_row",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("table_name", sa.String(length=100), nullable=False),
        sa.Column("row", postgresql.JSONB(), nullable=False),
        sa.Column("kept", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="archived_row_pkey"),
    )
    op.create_table(
        "schema_change",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.String(length=32), nullable=False),
        sa.Column("direction", sa.String(length=100), nullable=False),
        sa.Column("sql_digest", sa.String(length=64), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("run_id", sa.String(length=100), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="schema_change_pkey"),
    )
    for table, column in COUNTS:
        op.execute(
            do_if(
                has_column(table, column, has_type("integer")),
                f"ALTER TABLE {table} ALTER COLUMN {column} TYPE bigint",
                f"COMMENT ON COLUMN {table}.{column} IS '{MARK_32}'",
            )
        )
    op.execute(
        do_if(
            f"NOT {has_column('brainscore_model', 'group')}",
            'ALTER TABLE brainscore_model ADD COLUMN "group" varchar(200)',
            f"COMMENT ON COLUMN brainscore_model.\"group\" IS '{MARK_ADDED}'",
        )
    )
    # Django gives its columns defaults in Python alone: whoever else adds a user has to be told by the database.
    op.execute(
        do_if(
            has_column("brainscore_user", "is_quota_exempt", "NOT atthasdef"),
            "ALTER TABLE brainscore_user ALTER COLUMN is_quota_exempt SET DEFAULT false",
            f"COMMENT ON COLUMN brainscore_user.is_quota_exempt IS '{MARK_ADDED}'",
        )
    )
    for index, table, column in INDEXES:
        op.execute(
            do_if(
                NO_INDEX.format(table=table, column=column),
                f"CREATE INDEX {index} ON {table} ({column})",
                f"COMMENT ON INDEX {index} IS '{MARK_ADDED}'",
            )
        )


def downgrade() -> None:
    for index, _, _ in INDEXES:
        marked = f"obj_description(to_regclass('{index}'), 'pg_class') = '{MARK_ADDED}'"
        op.execute(do_if(marked, f"DROP INDEX {index}"))
    op.execute(
        do_if(
            has_column("brainscore_user", "is_quota_exempt", is_marked(MARK_ADDED)),
            "ALTER TABLE brainscore_user ALTER COLUMN is_quota_exempt DROP DEFAULT",
            "COMMENT ON COLUMN brainscore_user.is_quota_exempt IS NULL",
        )
    )
    op.execute(
        do_if(
            has_column("brainscore_model", "group", is_marked(MARK_ADDED)),
            'ALTER TABLE brainscore_model DROP COLUMN "group"',
        )
    )
    for table, column in COUNTS:
        op.execute(
            do_if(
                has_column(table, column, is_marked(MARK_32)),
                f"ALTER TABLE {table} ALTER COLUMN {column} TYPE integer",
                f"COMMENT ON COLUMN {table}.{column} IS NULL",
            )
        )
    op.drop_table("schema_change")
    # What a repair took away has no other place: it is never dropped unread.
    op.execute(
        do_if(
            "EXISTS (SELECT FROM archived_row)",
            "RAISE EXCEPTION 'archived_row holds rows that a repair took away; export and empty it first'",
        )
    )
    op.drop_table("archived_row")
