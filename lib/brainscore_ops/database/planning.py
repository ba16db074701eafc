"""A database that is only planned on: what is written, in one transaction that later steps see, is noted and taken back."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, inspect, text
from sqlalchemy.orm import Session

from brainscore_ops.database.connection import Database
from brainscore_ops.planning import TO_BE_MADE, is_planning, planned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection
    from sqlalchemy.orm import ORMExecuteState, UOWTransaction

    from brainscore_ops.settings import DatabaseSecret, Deployment

LOCK_SECONDS = 20
"""How long a plan waits for rows that somebody writes."""
_NO_PART = {"run_id", "html", "text", "jenkins_id", "password", "token", "unsubscribe_url"}
"""Columns that say which run wrote a row, or at length what others say in short, or are drawn by lot."""


def database_of(deployment: Deployment) -> Database:
    """A deployment's database, for a step of a run: one that is only planned on, where the run is only planned.

    :raises SecretError: where the secret is missing, or not for this deployment
    """
    return (PlanningDatabase if is_planning() else Database).of(deployment)


class PlanningDatabase(Database):
    """A deployment's database, for a run that is only planned.

    All its sessions are parts of one transaction, which is never committed: it ends with this process. Connections outside of it
    can only read; they may hold advisory locks. Rows that it has written stay locked for others as long as it goes on.
    """

    def __init__(self, secret: DatabaseSecret, **options: Any) -> None:
        super().__init__(secret, **options)
        event.listen(self.engine, "checkout", _let_read)
        self._transaction: Connection | None = None
        self._one_at_a_time = threading.RLock()
        self._made: set[tuple[str, Any]] = set()
        """Table and key of what is there only in this plan: no number of it means anything outside."""

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A part of the plan's transaction: what it writes is written down, and seen by those that come after it."""
        with self._one_at_a_time:
            if self._transaction is None:
                self._transaction = self._connect()
                self._transaction.begin()
                self._transaction.execute(text("SET TRANSACTION READ WRITE"))
                self._transaction.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
            joined = Session(self._transaction, expire_on_commit=False, join_transaction_mode="create_savepoint")
            event.listen(joined, "after_flush", self._write_down_rows)
            event.listen(joined, "do_orm_execute", self._write_down_statement)
            with joined as session, session.begin():
                yield session

    @contextmanager
    def moment(self) -> Iterator[Session]:
        """See :meth:`Database.moment`; here it is a part of the plan's transaction, whose isolation is that of any other."""
        with self.session() as session:
            yield session

    def transact(self, work: Callable[[Session], Any]) -> Any:
        """See :meth:`session`."""
        with self.session() as session:
            return work(session)

    def beside(self, name: str) -> Database:
        """See :meth:`Database.beside`; that one can only be read, too."""
        return PlanningDatabase(self.secret.model_copy(update={"database": name}), patience=self._patience)

    def close(self) -> None:
        """Take everything back."""
        if self._transaction is not None:
            self._transaction.rollback()
            self._transaction.close()
            self._transaction = None
        super().close()

    def _write_down_rows(self, session: Session, _flushing: UOWTransaction) -> None:
        for row in session.new:
            self._made.add((_table(row), _key(row)))
        for row in session.new:
            values = {name: self._value(row, name) for name in _columns(row) if name not in _keys_of_database(row)}
            planned(
                "row", f"add to {_table(row)}: {_short(values)}", action="add", table=_table(row), values=_given(values)
            )
        for row in session.dirty:
            state = inspect(row)
            changed = [name for name in _columns(row) if state.attrs[name].history.has_changes()]
            values = {name: self._value(row, name) for name in changed}
            if _given(values):
                which = self._named(_table(row), _key(row))
                planned(
                    "row",
                    f"change {_table(row)} {which}: {_short(values)}",
                    action="change", table=_table(row), key=which, values=_given(values),
                )  # fmt: skip
        for row in session.deleted:
            which = self._named(_table(row), _key(row))
            planned("row", f"remove {_table(row)} {which}", action="remove", table=_table(row), key=which)

    def _write_down_statement(self, state: ORMExecuteState) -> None:
        if not (state.is_insert or state.is_update or state.is_delete):
            return
        statement: Any = state.statement
        table = statement.table.name
        verb = "add to" if state.is_insert else "change" if state.is_update else "remove from"
        rows = len(state.parameters) if isinstance(state.parameters, list) else 1
        given = (
            statement.compile(dialect=state.session.get_bind().dialect).params if state.is_insert and rows == 1 else {}
        )
        if table == "outbox" and given:
            planned("mail", f"to {given['recipient']}: {given['subject']}", template=given["template"])
            return
        columns = statement.table.columns
        values = _given({name: self._cleared(columns[name], value) for name, value in given.items() if name in columns})
        said = f": {rows} rows" if rows > 1 else f": {_short(values)}" if values else ""
        planned("row", f"{verb} {table}{said}", action=verb, table=table, rows=rows, values=values)

    def _value(self, row: Any, name: str) -> Any:
        return self._cleared(inspect(row).mapper.columns[name], getattr(row, name))

    def _cleared(self, column: Any, value: Any) -> Any:
        """A value as a plan has it: nothing of the moment, and no number that only this plan knows."""
        if isinstance(value, datetime | date) or column.name in _NO_PART:
            return None
        for key in column.foreign_keys:
            value = self._named(key.column.table.name, value)
        return value.value if isinstance(value, Enum) else value

    def _named(self, table: str, key: Any) -> Any:
        return TO_BE_MADE if (table, key) in self._made else key


def _let_read(connection: Any, *_: Any) -> None:
    # By the session's default, which holds in autocommit mode as well; what a former use said for itself is taken back.
    connection.readonly = None
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    connection.commit()


def _table(row: Any) -> str:
    return str(inspect(row).mapper.local_table.name)


def _columns(row: Any) -> list[str]:
    return [attribute.key for attribute in inspect(row).mapper.column_attrs]


def _key(row: Any) -> Any:
    identity = inspect(row).mapper.primary_key_from_instance(row)
    return identity[0] if len(identity) == 1 else tuple(identity)


def _keys_of_database(row: Any) -> set[str]:
    """The attributes that the database numbers."""
    mapper = inspect(row).mapper
    numbered = mapper.local_table.autoincrement_column
    return set() if numbered is None else {mapper.get_property_by_column(numbered).key}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", {}, [])}


def _short(values: dict[str, Any], longest: int = 160) -> str:
    said = ", ".join(f"{name} {value}" for name, value in _given(values).items())
    return said if len(said) <= longest else f"{said[: longest - 1]}…"
