"""Runs Alembic on the connection that the caller holds, so that it is in the caller's transaction and under its lock."""

from alembic import context

from brainscore_ops.database import ops_tables  # noqa: F401 - defines the tables
from brainscore_ops.database.brainscore_tables import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
