"""Statements of migrations that depend on what they find in the database, and are the same text wherever they run."""

from __future__ import annotations


def do_if(condition: str, *statements: str) -> str:
    """A statement that runs others where a condition holds.

    :param condition: a boolean expression
    """
    body = "\n".join(f"    {statement};" for statement in statements)
    return f"DO $$ BEGIN\n  IF {condition} THEN\n{body}\n  END IF;\nEND $$"


def has_column(table: str, column: str, *conditions: str) -> str:
    """The condition that a table has a column, and that more is true of its row in ``pg_attribute``."""
    wanted = [f"attrelid = '{table}'::regclass", f"attname = '{column}'", "NOT attisdropped", *conditions]
    return f"EXISTS (SELECT FROM pg_attribute WHERE {' AND '.join(wanted)})"


def has_type(name: str) -> str:
    """The condition on a column that it is of a type."""
    return f"atttypid = '{name}'::regtype"


def is_marked(mark: str) -> str:
    """The condition on a column that its comment is ``mark``: what a revision changed, and takes back when it is taken back."""
    return f"col_description(attrelid, attnum) = '{mark}'"
