"""Scores and sizes in double precision: single precision keeps seven digits, and a rescored pair has to compare as equal."""

import sqlalchemy as sa
from alembic import op

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


def upgrade() -> None:
    for table, column in COLUMNS:
        op.alter_column(table, column, existing_type=sa.REAL(), type_=sa.Double(), existing_nullable=True)


def downgrade() -> None:
    for table, column in COLUMNS:
        op.alter_column(table, column, existing_type=sa.Double(), type_=sa.REAL(), existing_nullable=True)
