"""Runs Alembic on the connection that the caller holds, so that it is in the caller's transaction and under its lock; without a
connection it writes the SQL that it would run.
"""

from alembic import context

from brainscore_ops.database import account_tables, ops_tables  # noqa: F401 - define the tables
from brainscore_ops.database.brainscore_tables import Base
from brainscore_ops.database.schema import COMPARISON

connection = context.config.attributes.get("connection")
if connection is None:
    # Named parameters: a per cent sign in the SQL stands for itself.
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},
        target_metadata=Base.metadata,
        literal_binds=True,
    )
else:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True, **COMPARISON)
with context.begin_transaction():
    context.run_migrations()
