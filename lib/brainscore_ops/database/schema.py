"""The schema's revisions: which there are, which one a database has, their SQL, and bringing a database to one of them."""

from __future__ import annotations

import hashlib
import io
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from sqlalchemy import inspect, text
from sqlalchemy.exc import ProgrammingError

from brainscore_ops.database.conditions import find_broken, insist
from brainscore_ops.database.conditions import repair as mend
from brainscore_ops.errors import Fault, RefusedError, StepFailedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alembic.script import Script
    from sqlalchemy.engine import Connection

    from brainscore_ops.database.conditions import Finding, OneRow
    from brainscore_ops.database.connection import Database

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = "migrate"
BRAINSCORE_REVISION = "0001"
"""Brain-Score's own schema, before this system added anything."""

LIBRARY_TABLES = "procrastinate_"
"""How the names of tables begin that a library brings and no model describes."""

COMPARISON: dict[str, Any] = {
    "autogenerate_plugins": ["alembic.autogenerate.*", "~alembic.autogenerate.comments"],
    "include_name": lambda name, kind, _: not (kind == "table" and name.startswith(LIBRARY_TABLES)),
}
"""How a database is compared with the models: comments are the migrations' own marks."""

UPGRADE, DOWNGRADE = "upgrade", "downgrade"


class SchemaOutdatedError(StepFailedError):
    """The database's schema is not the one that this code works with."""

    code = "schema-outdated"
    fault = Fault.OPERATOR


class SchemaUnknownError(RefusedError):
    """The database has tables, and nothing that says which revision they are of."""

    code = "schema-unknown"
    fault = Fault.OPERATOR


class UnknownRevisionError(UsageError):
    """There is no such revision, or the one that the database has is none of this code's."""

    code = "unknown-revision"


@dataclass(frozen=True)
class Revision:
    """A step between two states of the schema."""

    id: str
    title: str
    """What it is for, in one sentence."""
    conditions: tuple[OneRow, ...]
    accepted: Mapping[str, str]
    """What squawk finds in it and why it is right all the same: rule → reason."""
    contracts: str | None
    """The revision that this one makes an end of: what it takes away is what that one replaced."""

    def sql(self, direction: str = UPGRADE) -> str:
        """The statements that it runs, without those of the transaction around them."""
        return _sql(self.id, direction)

    @property
    def digest(self) -> str:
        """SHA-256 of its SQL."""
        return hashlib.sha256(self.sql().encode()).hexdigest()


@dataclass(frozen=True)
class Applied:
    """A revision that was applied, or taken back."""

    revision: str
    direction: str
    seconds: float
    repaired: tuple[Finding, ...] = ()
    """The rows that were in its way and went to the archive."""


def upgrade(database: Database, target: str = "head") -> str:
    """Bring the database to a later revision; nothing happens when it is there.

    Two processes that do it at once take turns.

    :returns: the revision that it has now
    :raises SchemaUnknownError: for tables that were not made by these migrations
    :raises ConditionBrokenError: for rows that a revision does not allow
    """
    if target in ("head", newest_revision()) and current_revision(database) == newest_revision():
        return newest_revision()  # whoever works with it need not be waited for
    with database.lock(MIGRATION_LOCK), database.engine.connect() as connection, connection.begin():
        if read_revision(connection) is None and inspect(connection).get_table_names():
            raise SchemaUnknownError(
                "expected an empty database or one that records its schema's revision, found tables and no record",
                remedy="`brainscore-ops db adopt` takes over a database of Brain-Score's; for anything else give this deployment "
                "a database of its own.",
            )
        apply(connection, target)
    return current_revision(database) or ""


def apply(connection: Connection, target: str, *, repair: bool = False, run_id: str | None = None) -> list[Applied]:
    """Bring the schema to a revision, earlier or later, in the caller's transaction.

    Each step's conditions are looked at right before it; its name, digest and duration are entered in ``schema_change``.

    :param repair: whether rows that break a condition are mended; otherwise they end it
    :raises ConditionBrokenError: for rows that a revision does not allow
    :raises UnknownRevisionError: no such revision
    """
    done: list[Applied] = []
    entered = 0
    for revision, direction in steps(read_revision(connection), target):
        started = time.monotonic()
        findings = find_broken(connection, revision.conditions, revision.id) if direction == UPGRADE else []
        if not repair:
            insist(findings)
        for finding in findings:
            mend(connection, finding)
        _step(connection, revision, direction)
        done.append(Applied(revision.id, direction, time.monotonic() - started, tuple(findings)))
        # The table itself comes with one of the revisions: those before it are entered when it is there.
        if connection.scalar(text("SELECT to_regclass('schema_change') IS NOT NULL")):
            for applied in done[entered:]:
                record_change(connection, applied, run_id)
            entered = len(done)
    return done


def steps(current: str | None, target: str) -> list[tuple[Revision, str]]:
    """The revisions on the way from one to another, each with its direction, in the order in which they are applied.

    :param target: a revision, ``head`` for the newest, or ``base`` for none
    :raises UnknownRevisionError: no such revision
    """
    line = revision_ids()
    for wanted in (current, target):
        if wanted not in (None, "head", "base", *line):
            raise UnknownRevisionError(
                f"expected a revision of the schema ({line[0]} to {line[-1]}, head or base), found {wanted!r}",
                remedy="If the database is ahead of this code, use the code that migrated it.",
            )
    there = 0 if current is None else line.index(current) + 1
    goal = {"head": len(line), "base": 0}.get(target, line.index(target) + 1 if target in line else 0)
    if goal >= there:
        return [(find_revision(name), UPGRADE) for name in line[there:goal]]
    return [(find_revision(name), DOWNGRADE) for name in reversed(line[goal:there])]


def revision_ids() -> list[str]:
    """Every revision, the first one first; there are no branches."""
    return [script.revision for script in reversed(list(_scripts().walk_revisions()))]


def find_revision(name: str) -> Revision:
    """The revision of that name.

    :raises UnknownRevisionError: no such revision
    """
    try:
        script: Script = _scripts().get_revision(name)
    except ResolutionError as error:
        raise UnknownRevisionError(f"expected a revision of the schema, found {name!r}") from error
    module = script.module
    return Revision(
        id=script.revision,
        title=script.doc,
        conditions=tuple(getattr(module, "CONDITIONS", ())),
        accepted=dict(getattr(module, "ACCEPTED", {})),
        contracts=getattr(module, "CONTRACTS", None),
    )


def current_revision(database: Database) -> str | None:
    """The revision that the database has; None where it records none."""
    with database.connection() as connection:
        return read_revision(connection)


def read_revision(connection: Connection) -> str | None:
    """The revision that the database of a connection has; None where it records none."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str:
    """The revision that this code works with."""
    return _scripts().get_current_head() or ""


def require_newest(database: Database) -> None:
    """:raises SchemaOutdatedError: unless the database has the newest revision"""
    found, expected = current_revision(database), newest_revision()
    if found != expected:
        raise SchemaOutdatedError(
            f"expected the database's schema at revision {expected}, found {found or 'none'}",
            remedy="The `migrate` runbook brings it there; for an embedded one `brainscore-ops up` does.",
        )


@contextmanager
def explained_by_schema(database: Database) -> Iterator[None]:
    """Within the block, a missing table or column is told as what it is where the database is not at the newest revision.

    For what only reads, and works on an older schema as long as that has what it reads.

    :raises SchemaOutdatedError: instead of SQLAlchemy's ProgrammingError, or of the driver's where its cursors are used directly
    """
    try:
        yield
    except (ProgrammingError, psycopg2.ProgrammingError):
        require_newest(database)
        raise


def record_change(connection: Connection, applied: Applied, run_id: str | None) -> None:
    """Enter into ``schema_change`` that a revision was applied, taken back, or found."""
    connection.execute(
        text(
            "INSERT INTO schema_change (revision, direction, sql_digest, seconds, run_id, applied_at) "
            "VALUES (:revision, :direction, :digest, :seconds, :run_id, now())"
        ),
        {
            "revision": applied.revision,
            "direction": applied.direction,
            "digest": find_revision(applied.revision).digest,
            "seconds": applied.seconds,
            "run_id": run_id,
        },
    )


def stamp(connection: Connection, revision: str) -> None:
    """Record that the database has a revision, without running anything of it."""
    config = _config()
    config.attributes["connection"] = connection
    command.stamp(config, revision)


def _step(connection: Connection, revision: Revision, direction: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    if direction == UPGRADE:
        command.upgrade(config, revision.id)
    else:
        command.downgrade(config, _before(revision.id))


def _before(name: str) -> str:
    line = revision_ids()
    place = line.index(name)
    return line[place - 1] if place else "base"


@cache
def _sql(name: str, direction: str) -> str:
    buffer = io.StringIO()
    config = Config(output_buffer=buffer)
    config.set_main_option("script_location", _location())
    before = _before(name)
    if direction == UPGRADE:
        command.upgrade(config, name if before == "base" else f"{before}:{name}", sql=True)
    else:
        command.downgrade(config, f"{name}:{before}", sql=True)
    lines = [line.rstrip() for line in buffer.getvalue().splitlines()]
    # The first revision's script also makes Alembic's own table: that is no part of what it means.
    body = re.sub(r"CREATE TABLE alembic_version \(.*?\);", "", "\n".join(lines), flags=re.DOTALL)
    frame = r"^(BEGIN|COMMIT);$|^-- Running .*$|^(INSERT INTO|UPDATE|DELETE FROM) alembic_version .*$"
    body = re.sub(frame, "", body, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", body).strip() + "\n"


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", _location())
    return config


def _location() -> str:
    return str(MIGRATIONS).replace("%", "%%")
