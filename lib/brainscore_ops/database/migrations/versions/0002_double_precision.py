"""Scores and sizes in double precision: single precision keeps seven digits, and a rescored pair has to compare as equal.

brainscore_core makes these columns in single precision, the website's Django in double precision. Only what is single is
changed (the website's materialized views could not bear more), and is marked, so that going back changes only that again. By way
of their text, 0.6 stays 0.6: the nearest single is 0.60000002.
"""

from alembic import op

from brainscore_ops.database.ddl import do_if, has_column, has_type, is_marked

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = [
    ("brainscore_benchmark_data_meta", "duration_ms"),
    ("brainscore_benchmark_stimuli_meta", "total_size_mb"),
    ("brainscore_benchmarkinstance", "ceiling"),
    ("brainscore_benchmarkinstance", "ceiling_error"),
    ("brainscore_modelmeta", "model_size_mb"),
    ("brainscore_score", "error"),
    ("brainscore_score", "score_ceiled"),
    ("brainscore_score", "score_raw"),
]
MARK = "single precision before revision 0002"


def upgrade() -> None:
    for table, column in COLUMNS:
        op.execute(
            do_if(
                has_column(table, column, has_type("real")),
                f"ALTER TABLE {table} ALTER COLUMN {column} TYPE double precision USING {column}::text::double precision",
                f"COMMENT ON COLUMN {table}.{column} IS '{MARK}'",
            )
        )


def downgrade() -> None:
    for table, column in COLUMNS:
        op.execute(
            do_if(
                has_column(table, column, is_marked(MARK)),
                f"ALTER TABLE {table} ALTER COLUMN {column} TYPE real",
                f"COMMENT ON COLUMN {table}.{column} IS NULL",
            )
        )
