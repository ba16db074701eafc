"""How the tables of a database differ from what its revision makes them, and whether that matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from brainscore_ops.database.schema import BRAINSCORE_REVISION, apply, read_revision
from brainscore_ops.database.structure import Column, Structure, TableStructure, read_structure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection

_SCRATCH = "brainscore_ops_comparison"
_ADDED_LATER = {("brainscore_model", "group")}
"""Columns that revision 0004 adds where they are missing."""
_DEFAULT_LATER = {("brainscore_user", "is_quota_exempt")}
"""Columns of the website's without a default in the database: revision 0004 gives them one."""
_UNREAD = "brainscore_benchmarkmeta"
"""The first form of benchmark metadata: two forms of it are about, and nothing here reads or writes either."""
_NOBODY = "nothing reads or writes it"


@dataclass(frozen=True)
class Difference:
    """One thing that a database has otherwise than its revision makes it."""

    where: str
    """Table, or table and column."""
    expected: str
    found: str
    harmless: str
    """Why it does not matter; empty where it does."""


def find_drift(connection: Connection) -> list[Difference]:
    """What matters of the differences between the tables and what the database's revision makes them."""
    revision = read_revision(connection) or ""
    differences = compare(structure_at(connection, revision), read_structure(connection), revision=revision)
    return [difference for difference in differences if not difference.harmless]


def structure_at(connection: Connection, revision: str) -> dict[str, TableStructure]:
    """What a revision makes, seen by making it in a schema that is gone again when this returns."""
    with connection.begin_nested() as scratch:
        connection.execute(text(f"CREATE SCHEMA {_SCRATCH}"))
        connection.execute(text(f"SET LOCAL search_path TO {_SCRATCH}"))
        apply(connection, revision)
        made = read_structure(connection, _SCRATCH)
        scratch.rollback()
    return made


def compare(expected: Structure, found: Structure, *, revision: str) -> Iterator[Difference]:
    """Every way in which tables differ from what a revision makes, harmless or not. Other tables are not looked at.

    Brain-Score's tables come from several programs: other widths, names and defaults, and more columns, are harmless. What a
    later revision adds is harmless at :data:`~brainscore_ops.database.schema.BRAINSCORE_REVISION` alone.
    """
    adopted = revision == BRAINSCORE_REVISION
    for name, table in sorted(expected.items()):
        if name not in found:
            yield Difference(name, "the table", "none", "")
            continue
        unread = _NOBODY if name == _UNREAD else ""
        for difference in _compare_tables(name, table, found[name], "revision 0004 adds it" if adopted else ""):
            yield Difference(difference.where, difference.expected, difference.found, difference.harmless or unread)


def _compare_tables(name: str, expected: TableStructure, found: TableStructure, later: str) -> Iterator[Difference]:
    for column, wanted in expected.columns.items():
        where = f"{name}.{column}"
        there = found.columns.get(column)
        if there is None:
            yield Difference(where, wanted.type, "no such column", later if (name, column) in _ADDED_LATER else "")
            continue
        refers_to_unread = any(key[0] == (column,) and key[1] == _UNREAD for key in expected.foreign_keys)
        yield from _compare_columns(where, wanted, there, _NOBODY if refers_to_unread else "")
    for column in sorted(set(found.columns) - set(expected.columns)):
        there = found.columns[column]
        if there.nullable or there.default is not None:
            yield Difference(f"{name}.{column}", "no such column", there.type, "rows can be written without it")
        else:
            given = later and "revision 0004 gives it a default" if (name, column) in _DEFAULT_LATER else ""
            yield Difference(
                f"{name}.{column}", "no column that has to be given a value", f"{there.type} NOT NULL", given
            )
    if found.primary_key != expected.primary_key:
        yield Difference(name, f"primary key {_names(expected.primary_key)}", _names(found.primary_key), "")
    for columns, table, _ in sorted(expected.foreign_keys):
        if not any(key[0] == columns and key[1] == table for key in found.foreign_keys):
            unread = _NOBODY if table == _UNREAD else ""
            yield Difference(name, f"a foreign key from {_names(columns)} to {table}", "none", unread)
    for columns in sorted(expected.unique - found.unique):
        yield Difference(name, f"{_names(columns)} unique", "no such rule", "")
    for index in sorted(expected.indexes):
        if not found.is_indexed(index[0]) and tuple(sorted(index)) not in expected.unique:
            yield Difference(name, f"an index on {_names(index)}", "none", later)
    for columns in sorted(found.unique - expected.unique - {tuple(sorted(found.primary_key))}):
        yield Difference(name, "no rule", f"{_names(columns)} unique", "stricter than needed")


def _compare_columns(where: str, expected: Column, found: Column, unread: str) -> Iterator[Difference]:
    if found.family != expected.family:
        yield Difference(where, expected.type, found.type, unread)
    elif found.type != expected.type:
        yield Difference(where, expected.type, found.type, "holds the same values, within its width")
    if expected.default in ("nextval", "identity") and found.default not in ("nextval", "identity"):
        yield Difference(where, "a key that counts by itself", found.default or "no default", unread)
    if found.nullable != expected.nullable:
        why = "a value is always written" if expected.nullable else "it may be empty in old rows"
        yield Difference(where, _null(expected), _null(found), why)


def _names(columns: tuple[str, ...]) -> str:
    return f"({', '.join(columns)})"


def _null(column: Column) -> str:
    return "NULL allowed" if column.nullable else "NOT NULL"
