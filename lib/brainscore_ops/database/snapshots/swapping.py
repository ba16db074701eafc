"""Putting a restored database in the place of the live one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from brainscore_ops.database.connection import Database, DatabaseUnavailableError
from brainscore_ops.database.snapshots.scratch import literal, quoted
from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import StepFailedError
from brainscore_ops.planning import TO_BE_MADE, planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from brainscore_ops.database.snapshots.differences import Forecast

MAINTENANCE = ("postgres", "template1")
"""The databases from which others are renamed: one cannot rename the one that one is in."""
TRIES = 5
LONGEST_NAME = 63
IN_USE = "55006"
BRAINSCORE_TABLES = "public.brainscore_"
"""How the names of tables begin that nothing but submissions and scores changes; in others runs enter themselves."""
_LISTS = {"search_path", "session_preload_libraries", "local_preload_libraries", "temp_tablespaces"}
"""Settings that are lists of names, quoted one by one where they are kept."""


class SwapFailedError(StepFailedError):
    """The databases could not be renamed; the live one is where it was."""

    code = "swap-failed"


@dataclass(frozen=True)
class Swapped(Shown):
    """A database took the place of the live one."""

    live: str
    former: str
    """The name under which the one that was live is kept."""
    closed_connections: int
    seconds: float

    def table(self) -> Table:
        return Table(
            f"{self.live} is the restored database now",
            [
                ("the former one", f"{self.former} (drop it when it is not needed any more)"),
                ("connections closed", self.closed_connections),
                ("took", f"{self.seconds:.1f} s"),
            ],
        )


def plan_swap(live: Database, restored: str, expected: Forecast) -> None:
    """Write down that ``restored`` would take the place of the live database, in a run that is only planned.

    Whatever is written into Brain-Score's own tables until then makes it another plan: it would be put aside.
    """
    name = live.secret.database
    with live.connection() as connection:
        others = connection.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = :name AND application_name <> current_setting('application_name')"
            ),
            {"name": name},
        )
    own = {table: rows for table, rows in expected.rows.items() if table.startswith(BRAINSCORE_TABLES)}
    if own:
        said = [
            f"{table.removeprefix('public.')} ({_count(now)} now, {_count(then)} then)"
            for table, (now, then) in own.items()
        ]
        planned("rows", f"what the snapshot holds takes the place of what differs now: {', '.join(said)}", tables=own)
    former = f"{name[: LONGEST_NAME - 24]}_before_{TO_BE_MADE}"
    planned(
        "database",
        f"rename {name} to {former}, and {restored} to {name}, in one transaction",
        note=f"{others} connections would be closed",
        live=name,
        restored=restored,
        contents={
            table: checksum for table, checksum in expected.checksums.items() if table.startswith(BRAINSCORE_TABLES)
        },
    )
    planned("row", f"enter the runs of {former} into {name}")


def swap_databases(
    live: Database, restored: str, *, now: datetime | None = None, say: Callable[[str], None] = print
) -> Swapped:
    """Give ``restored`` the name of the live database; the live one is kept under a dated name.

    Connections to both are closed. Owner, rights, settings and connection limit of the live database go over to the restored one.
    Both renames are one transaction: killed or failed at any moment, the live name is that of a whole database.

    :raises SwapFailedError: where it could not be done; nothing has changed
    """
    name, started = live.secret.database, time.monotonic()
    former = f"{name[: LONGEST_NAME - 24]}_before_{now or datetime.now(UTC):%Y%m%dt%H%M%S}"
    live.close()
    maintenance = _maintenance(live)
    try:
        with maintenance.lock(f"swap:{name}"), maintenance.connection() as connection:
            closed = 0
            for attempt in range(1, TRIES + 1):
                closed += sum(_close_connections(connection, database) for database in (name, restored))
                try:
                    _rename_both(connection, name, restored, former)
                    break
                except DBAPIError as error:
                    if getattr(error.orig, "pgcode", None) != IN_USE or attempt == TRIES:
                        raise SwapFailedError(
                            f"{restored} could not take the place of {name}: {str(error.orig).strip()}",
                            remedy=f"Nothing has changed: {name} is live, {restored} is there. Where it is in use, stop what "
                            "keeps connecting to it (the website, workers), then run this again.",
                        ) from error
                    say(f"somebody connected in between: try {attempt + 1} of {TRIES} …")
    finally:
        maintenance.close()
    return Swapped(name, former, closed, round(time.monotonic() - started, 3))


def _maintenance(live: Database) -> Database:
    for name in MAINTENANCE:
        database = live.beside(name)
        try:
            with database.connection():
                return database
        except DatabaseUnavailableError:
            database.close()
    raise SwapFailedError(
        f"expected to be let into one of the databases {' and '.join(MAINTENANCE)} of the server: "
        "a database cannot be renamed from within",
        remedy="Give the user the right to connect to one of them.",
    )


def _count(rows: int | None) -> str:
    return "no table" if rows is None else f"{rows:,}"


def _close_connections(connection: Connection, name: str) -> int:
    statement = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = :name"
    return int(connection.scalar(text(statement), {"name": name}) or 0)


def _rename_both(connection: Connection, live: str, restored: str, former: str) -> None:
    connection.execute(text("BEGIN"))
    try:
        for statement in _properties(connection, live, restored):
            connection.execute(text(statement))
        connection.execute(text(f"ALTER DATABASE {quoted(live)} RENAME TO {quoted(former)}"))
        connection.execute(text(f"ALTER DATABASE {quoted(restored)} RENAME TO {quoted(live)}"))
        connection.execute(text("COMMIT"))
    except BaseException:
        if not connection.invalidated:
            connection.execute(text("ROLLBACK"))
        raise


def _properties(connection: Connection, live: str, restored: str) -> list[str]:
    """The statements that give one database what the other has beside its contents; no dump holds it."""
    parameters = {"name": live}
    oid, owner, limit, has_rights, restored_owner = connection.execute(
        text(
            "SELECT d.oid, pg_get_userbyid(d.datdba), d.datconnlimit, d.datacl IS NOT NULL, "
            "(SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = :restored) "
            "FROM pg_database d WHERE d.datname = :name"
        ),
        {**parameters, "restored": restored},
    ).one()
    target = quoted(restored)
    statements = [f"ALTER DATABASE {target} CONNECTION LIMIT {limit}"] if limit != -1 else []
    if owner != restored_owner:
        statements.append(f"ALTER DATABASE {target} OWNER TO {quoted(owner)}")
    if has_rights:
        statements.append(f"REVOKE ALL ON DATABASE {target} FROM PUBLIC")
        rights = text(
            "SELECT coalesce(r.rolname, ''), a.privilege_type, a.is_grantable FROM pg_database d, aclexplode(d.datacl) a "
            "LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE d.datname = :name"
        )
        for grantee, right, grantable in connection.execute(rights, parameters):
            option = " WITH GRANT OPTION" if grantable else ""
            statements.append(
                f"GRANT {right} ON DATABASE {target} TO {quoted(grantee) if grantee else 'PUBLIC'}{option}"
            )
    settings = text(
        "SELECT coalesce(r.rolname, ''), setting FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole, "
        "unnest(s.setconfig) AS setting WHERE s.setdatabase = :oid"
    )
    for role, setting in connection.execute(settings, {"oid": oid}):
        key, _, value = setting.partition("=")
        written = value.replace(":", r"\:") if key in _LISTS else literal(value)
        whose = f"ROLE {quoted(role)} IN DATABASE {target}" if role else f"DATABASE {target}"
        statements.append(f"ALTER {whose} SET {key} TO {written}")
    return statements
