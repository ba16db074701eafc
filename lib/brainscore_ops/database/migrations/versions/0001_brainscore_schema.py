"""Brain-Score's schema as ``brainscore_core`` 2.5 makes it: the starting point of every database, ours or adopted."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "brainscore_benchmark_data_meta",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("benchmark_type", sa.String(length=100), nullable=True),
        sa.Column("task", sa.String(length=100), nullable=True),
        sa.Column("region", sa.String(length=100), nullable=True),
        sa.Column("hemisphere", sa.String(length=100), nullable=True),
        sa.Column("num_recording_sites", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.REAL(), nullable=True),
        sa.Column("species", sa.String(length=100), nullable=True),
        sa.Column("datatype", sa.String(length=100), nullable=True),
        sa.Column("num_subjects", sa.Integer(), nullable=True),
        sa.Column("pre_processing", sa.String(length=100), nullable=True),
        sa.Column("brainscore_link", sa.String(length=200), nullable=True),
        sa.Column("extra_notes", sa.String(length=1000), nullable=True),
        sa.Column("data_publicly_available", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="brainscore_benchmark_data_meta_pkey"),
    )
    op.create_table(
        "brainscore_benchmark_metric_meta",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=True),
        sa.Column("reference", sa.String(length=100), nullable=True),
        sa.Column("public", sa.Boolean(), nullable=True),
        sa.Column("brainscore_link", sa.String(length=200), nullable=True),
        sa.Column("extra_notes", sa.String(length=1000), nullable=True),
        sa.PrimaryKeyConstraint("id", name="brainscore_benchmark_metric_meta_pkey"),
    )
    op.create_table(
        "brainscore_benchmark_stimuli_meta",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("num_stimuli", sa.Integer(), nullable=True),
        sa.Column("datatype", sa.String(length=100), nullable=True),
        sa.Column("stimuli_subtype", sa.String(length=100), nullable=True),
        sa.Column("total_size_mb", sa.REAL(), nullable=True),
        sa.Column("brainscore_link", sa.String(length=200), nullable=True),
        sa.Column("extra_notes", sa.String(length=1000), nullable=True),
        sa.PrimaryKeyConstraint("id", name="brainscore_benchmark_stimuli_meta_pkey"),
    )
    op.create_table(
        "brainscore_benchmarkmeta",
        sa.Column("identifier", sa.String(length=255), nullable=False),
        sa.Column("number_of_stimuli", sa.Integer(), nullable=True),
        sa.Column("number_of_recording_sites", sa.Integer(), nullable=True),
        sa.Column("recording_sites", sa.String(length=100), nullable=True),
        sa.Column("behavioral_task", sa.String(length=100), nullable=True),
        sa.PrimaryKeyConstraint("identifier", name="brainscore_benchmarkmeta_pkey"),
    )
    op.create_table(
        "brainscore_reference",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("bibtex", sa.Text(), nullable=False),
        sa.Column("url", sa.String(length=255), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="brainscore_reference_pkey"),
    )
    op.create_table(
        "brainscore_user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_staff", sa.Boolean(), nullable=False),
        sa.Column("is_superuser", sa.Boolean(), nullable=False),
        sa.Column("last_login", sa.DateTime(), nullable=True),
        sa.Column("password", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="brainscore_user_pkey"),
    )
    op.create_index("user_email", "brainscore_user", ["email"], unique=False)
    op.create_table(
        "brainscore_benchmarktype",
        sa.Column("identifier", sa.String(length=255), nullable=False),
        sa.Column("reference_id", sa.Integer(), nullable=True),
        sa.Column("order", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.String(length=255), nullable=True),
        sa.Column("visible", sa.Boolean(), nullable=False),
        sa.Column("domain", sa.String(length=200), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["brainscore_user.id"], name="brainscore_benchmarktype_owner_id_fkey"),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["brainscore_benchmarktype.identifier"], name="brainscore_benchmarktype_parent_id_fkey"
        ),
        sa.ForeignKeyConstraint(
            ["reference_id"], ["brainscore_reference.id"], name="brainscore_benchmarktype_reference_id_fkey"
        ),
        sa.PrimaryKeyConstraint("identifier", name="brainscore_benchmarktype_pkey"),
    )
    op.create_index("benchmarktype_owner_id", "brainscore_benchmarktype", ["owner_id"], unique=False)
    op.create_index("benchmarktype_parent_id", "brainscore_benchmarktype", ["parent_id"], unique=False)
    op.create_index("benchmarktype_reference_id", "brainscore_benchmarktype", ["reference_id"], unique=False)
    op.create_table(
        "brainscore_submission",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("jenkins_id", sa.Integer(), nullable=False),
        sa.Column("submitter_id", sa.Integer(), nullable=False),
        sa.Column("timestamp", sa.DateTime(), nullable=True),
        sa.Column("model_type", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["submitter_id"], ["brainscore_user.id"], name="brainscore_submission_submitter_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="brainscore_submission_pkey"),
    )
    op.create_index("submission_submitter_id", "brainscore_submission", ["submitter_id"], unique=False)
    op.create_table(
        "brainscore_benchmarkinstance",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("benchmark_type_id", sa.String(length=255), nullable=False),
        sa.Column("ceiling", sa.REAL(), nullable=True),
        sa.Column("ceiling_error", sa.REAL(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("meta_id", sa.String(length=255), nullable=True),
        sa.Column("data_meta_id", sa.Integer(), nullable=True),
        sa.Column("metric_meta_id", sa.Integer(), nullable=True),
        sa.Column("stimuli_meta_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["benchmark_type_id"],
            ["brainscore_benchmarktype.identifier"],
            name="brainscore_benchmarkinstance_benchmark_type_id_fkey",
        ),
        sa.ForeignKeyConstraint(
            ["data_meta_id"],
            ["brainscore_benchmark_data_meta.id"],
            name="brainscore_benchmarkinstance_data_meta_id_fkey",
        ),
        sa.ForeignKeyConstraint(
            ["meta_id"], ["brainscore_benchmarkmeta.identifier"], name="brainscore_benchmarkinstance_meta_id_fkey"
        ),
        sa.ForeignKeyConstraint(
            ["metric_meta_id"],
            ["brainscore_benchmark_metric_meta.id"],
            name="brainscore_benchmarkinstance_metric_meta_id_fkey",
        ),
        sa.ForeignKeyConstraint(
            ["stimuli_meta_id"],
            ["brainscore_benchmark_stimuli_meta.id"],
            name="brainscore_benchmarkinstance_stimuli_meta_id_fkey",
        ),
        sa.PrimaryKeyConstraint("id", name="brainscore_benchmarkinstance_pkey"),
    )
    op.create_index(
        "benchmarkinstance_benchmark_type_id", "brainscore_benchmarkinstance", ["benchmark_type_id"], unique=False
    )
    op.create_index("benchmarkinstance_data_meta_id", "brainscore_benchmarkinstance", ["data_meta_id"], unique=False)
    op.create_index("benchmarkinstance_meta_id", "brainscore_benchmarkinstance", ["meta_id"], unique=False)
    op.create_index(
        "benchmarkinstance_metric_meta_id", "brainscore_benchmarkinstance", ["metric_meta_id"], unique=False
    )
    op.create_index(
        "benchmarkinstance_stimuli_meta_id", "brainscore_benchmarkinstance", ["stimuli_meta_id"], unique=False
    )
    op.create_table(
        "brainscore_model",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("reference_id", sa.Integer(), nullable=True),
        sa.Column("submission_id", sa.Integer(), nullable=False),
        sa.Column("domain", sa.String(length=200), nullable=False),
        sa.Column("visual_degrees", sa.Integer(), nullable=True),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("competition", sa.String(length=200), nullable=True),
        sa.Column("group", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["brainscore_user.id"], name="brainscore_model_owner_id_fkey"),
        sa.ForeignKeyConstraint(
            ["reference_id"], ["brainscore_reference.id"], name="brainscore_model_reference_id_fkey"
        ),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["brainscore_submission.id"], name="brainscore_model_submission_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="brainscore_model_pkey"),
    )
    op.create_index("model_owner_id", "brainscore_model", ["owner_id"], unique=False)
    op.create_index("model_reference_id", "brainscore_model", ["reference_id"], unique=False)
    op.create_index("model_submission_id", "brainscore_model", ["submission_id"], unique=False)
    op.create_table(
        "brainscore_modelmeta",
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("architecture", sa.String(length=100), nullable=True),
        sa.Column("model_family", sa.String(length=100), nullable=True),
        sa.Column("total_parameter_count", sa.BigInteger(), nullable=True),
        sa.Column("total_layers", sa.Integer(), nullable=True),
        sa.Column("training_dataset", sa.String(length=100), nullable=True),
        sa.Column("task_specialization", sa.String(length=100), nullable=True),
        sa.Column("brainscore_link", sa.String(length=256), nullable=True),
        sa.Column("hugging_face_link", sa.String(length=256), nullable=True),
        sa.Column("trainable_parameter_count", sa.BigInteger(), nullable=True),
        sa.Column("trainable_layers", sa.Integer(), nullable=True),
        sa.Column("model_size_mb", sa.REAL(), nullable=True),
        sa.Column("extra_notes", sa.String(length=1000), nullable=True),
        sa.Column("runnable", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(["model_id"], ["brainscore_model.id"], name="brainscore_modelmeta_model_id_fkey"),
        sa.PrimaryKeyConstraint("model_id", name="brainscore_modelmeta_pkey"),
    )
    op.create_table(
        "brainscore_score",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("benchmark_id", sa.Integer(), nullable=False),
        sa.Column("end_timestamp", sa.DateTime(), nullable=True),
        sa.Column("error", sa.REAL(), nullable=True),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("score_ceiled", sa.REAL(), nullable=True),
        sa.Column("score_raw", sa.REAL(), nullable=True),
        sa.Column("start_timestamp", sa.DateTime(), nullable=True),
        sa.Column("comment", sa.String(length=1000), nullable=True),
        sa.ForeignKeyConstraint(
            ["benchmark_id"], ["brainscore_benchmarkinstance.id"], name="brainscore_score_benchmark_id_fkey"
        ),
        sa.ForeignKeyConstraint(["model_id"], ["brainscore_model.id"], name="brainscore_score_model_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="brainscore_score_pkey"),
    )
    op.create_index("score_benchmark_id", "brainscore_score", ["benchmark_id"], unique=False)
    op.create_index("score_model_id", "brainscore_score", ["model_id"], unique=False)


def downgrade() -> None:
    op.drop_table("brainscore_score")
    op.drop_table("brainscore_modelmeta")
    op.drop_table("brainscore_model")
    op.drop_table("brainscore_benchmarkinstance")
    op.drop_table("brainscore_submission")
    op.drop_table("brainscore_benchmarktype")
    op.drop_table("brainscore_user")
    op.drop_table("brainscore_reference")
    op.drop_table("brainscore_benchmarkmeta")
    op.drop_table("brainscore_benchmark_stimuli_meta")
    op.drop_table("brainscore_benchmark_metric_meta")
    op.drop_table("brainscore_benchmark_data_meta")
