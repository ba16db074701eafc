"""What the tables of a database are like, and how two such descriptions differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, DateTime, Float, Integer, String, inspect

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.types import TypeEngine

BOOKKEEPING = "alembic_version"


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    type: str
    """As PostgreSQL writes it: ``VARCHAR(255)``."""
    family: str
    """What programs take for the same: ``text``, ``integer``, ``number``, ``moment``, ``boolean``; otherwise the type itself."""
    nullable: bool
    default: str | None
    """An expression; ``identity`` for a column that counts by itself."""


@dataclass(frozen=True)
class TableStructure:
    """A table, without the names of what belongs to it."""

    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]
    foreign_keys: frozenset[tuple[tuple[str, ...], str, tuple[str, ...]]]
    """(own columns, table, its columns)"""
    unique: frozenset[tuple[str, ...]]
    """The columns of unique constraints and indexes."""
    indexes: frozenset[tuple[str, ...]]
    """The columns of every index, of constraints' too."""

    def is_indexed(self, column: str) -> bool:
        """Whether an index finds rows by this column alone."""
        return any(columns[0] == column for columns in (*self.indexes, self.primary_key) if columns)


Structure = Mapping[str, TableStructure]
"""Table → what it is like."""


def read_structure(connection: Connection, schema: str | None = None) -> dict[str, TableStructure]:
    """Describe every table of a schema, but Alembic's own.

    :param schema: by default the one that the connection works in
    """
    found: Any = inspect(connection)
    keys, foreign, unique, indexes = (
        read(schema=schema)
        for read in (
            found.get_multi_pk_constraint,
            found.get_multi_foreign_keys,
            found.get_multi_unique_constraints,
            found.get_multi_indexes,
        )
    )
    return {
        place[1]: TableStructure(
            columns={str(column["name"]): _column(column) for column in columns},
            primary_key=tuple(keys[place]["constrained_columns"]),
            foreign_keys=frozenset(
                (tuple(key["constrained_columns"]), str(key["referred_table"]), tuple(key["referred_columns"]))
                for key in foreign[place]
            ),
            unique=frozenset(
                tuple(sorted(map(str, item["column_names"])))
                for item in (*unique[place], *(index for index in indexes[place] if index["unique"]))
            ),
            indexes=frozenset(tuple(map(str, index["column_names"])) for index in indexes[place]),
        )
        for place, columns in found.get_multi_columns(schema=schema).items()
        if place[1] != BOOKKEEPING
    }


def _column(reflected: Any) -> Column:
    kind: TypeEngine[Any] = reflected["type"]
    default = "identity" if reflected.get("identity") else reflected["default"]
    if default is not None and default.startswith("nextval("):
        default = "nextval"  # the sequence's name says nothing more
    text = "TIMESTAMP WITH TIME ZONE" if isinstance(kind, DateTime) and kind.timezone else str(kind)
    return Column(type=text, family=_family(kind), nullable=bool(reflected["nullable"]), default=default)


def _family(kind: TypeEngine[Any]) -> str:
    families: list[tuple[type[TypeEngine[Any]], str]] = [
        (String, "text"),
        (Boolean, "boolean"),
        (BigInteger, "integer"),
        (Integer, "integer"),
        (Float, "number"),
        (DateTime, "moment"),
    ]
    return next((name for base, name in families if isinstance(kind, base)), str(kind))
