"""Reading a database of an earlier revision with the code of the newest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import REAL, MetaData, Table, inspect, text
from sqlalchemy.dialects.postgresql import dialect
from sqlalchemy.schema import CreateTable

from brainscore_ops.database.brainscore_tables import Base

if TYPE_CHECKING:
    from sqlalchemy import Column
    from sqlalchemy.engine import Connection
    from sqlalchemy.types import TypeEngine


def stand_in_for_newest(connection: Connection) -> list[str]:
    """Let this transaction see what later revisions add, as it is before anybody filled it.

    A table that is missing is empty; a column that is missing holds its default; one in single precision is read as the decimal
    number that it shows. They are temporary objects, which PostgreSQL
    finds before the tables of the same name; they go when the caller's transaction is rolled back.

    :returns: the tables that something stands in for
    """
    inspector = inspect(connection)
    there = set(inspector.get_table_names())
    replaced = []
    for table in Base.metadata.tables.values():
        if table.name not in there:
            _make_empty(connection, table)
        else:
            known = {column["name"]: column["type"] for column in inspector.get_columns(table.name)}
            if not any(column.name not in known or _is_single(known[column.name]) for column in table.columns):
                continue
            columns = ", ".join(
                f'{_read(column, known.get(column.name))} AS "{column.name}"' for column in table.columns
            )
            connection.execute(
                text(f'CREATE TEMPORARY VIEW "{table.name}" AS SELECT {columns} FROM public."{table.name}" AS t')
            )
        replaced.append(table.name)
    return replaced


def _make_empty(connection: Connection, table: Table) -> None:
    bare = Table(
        table.name,
        MetaData(),
        *(column._copy() for column in table.columns),
        prefixes=["TEMPORARY"],
    )
    for column in bare.columns:
        column.foreign_keys.clear()
    connection.execute(CreateTable(bare, include_foreign_key_constraints=[]))


def _read(column: Column[object], there: TypeEngine[object] | None) -> str:
    """The expression that has a column's value, as revision 0002 and its followers would have it."""
    if there is None:
        default = getattr(column.server_default, "arg", None)
        kind = column.type.compile(dialect=dialect())  # type: ignore[no-untyped-call]
        return f"CAST({'NULL' if default is None else repr(str(default))} AS {kind})"
    return f't."{column.name}"::text::double precision' if _is_single(there) else f't."{column.name}"'


def _is_single(kind: TypeEngine[object]) -> bool:
    return isinstance(kind, REAL)
