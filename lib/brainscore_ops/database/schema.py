"""The schema's revisions: which one a database has, and bringing it to the newest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from brainscore_ops.errors import Fault, RefusedError, StepFailedError

if TYPE_CHECKING:
    from brainscore_ops.database.connection import Database

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = "migrate"


class SchemaOutdatedError(StepFailedError):
    """The database's schema is not the one that this code works with."""

    code = "schema-outdated"
    fault = Fault.OPERATOR


class SchemaUnknownError(RefusedError):
    """The database has tables, and nothing that says which revision they are of."""

    code = "schema-unknown"
    fault = Fault.OPERATOR


def upgrade(database: Database, target: str = "head") -> str:
    """Bring the database to a revision; nothing happens when it is there.

    Two processes that do it at once take turns.

    :returns: the revision that it has now
    :raises SchemaUnknownError: for tables that were not made by these migrations
    """
    with database.lock(MIGRATION_LOCK), database.engine.connect() as connection:
        if current_revision(database) is None and inspect(connection).get_table_names():
            raise SchemaUnknownError(
                "expected an empty database or one that records its schema's revision, found tables and no record",
                remedy="Give this deployment a database of its own.",
            )
        connection.rollback()
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, target)
        connection.commit()
    return current_revision(database) or ""


def current_revision(database: Database) -> str | None:
    """The revision that the database has; None where it records none."""
    with database.connection() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str:
    """The revision that this code works with."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def require_newest(database: Database) -> None:
    """:raises SchemaOutdatedError: unless the database has the newest revision"""
    found, expected = current_revision(database), newest_revision()
    if found != expected:
        raise SchemaOutdatedError(
            f"expected the database's schema at revision {expected}, found {found or 'none'}",
            remedy="Migrate it first; for an embedded one `brainscore-ops up` does.",
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
