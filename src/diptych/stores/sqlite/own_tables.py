"""The tables of a TableProjection in the views' file: how they are named and made, and how handlers write them.

Every function works on a connection, inside the transaction of whoever calls it.
"""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from diptych.errors import Malformed
from diptych.read import HANDLER_TIMEOUT, Statement, TableChanges, TableShape, ViewShape
from diptych.read.tables import Row
from diptych.read.views import MAX_ROWS
from diptych.stores.rows import Named, quoted, read_names
from diptych.stores.sqlite.rows import RowTable, table_name, time_text

TICK = 1000
"""SQLite's own instructions after which it is asked whether a statement has taken too long."""

_WRONG = {
    None,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_RANGE,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_CONSTRAINT,
}
"""What is wrong with a statement or its values, whenever it is run."""


class OwnTables:
    """The tables of one generation; `create` makes them and their indexes."""

    def __init__(self, shape: TableShape, generation: int) -> None:
        name = table_name(shape.name, generation)
        self._names = {own: quoted(f"{name}${own}") for own in (*shape.tables, *shape.indexes)}
        statements = (*shape.tables.values(), *shape.indexes.values())
        self.create = [read_names(statement, _mark, self._names).sql for statement in statements]
        self._named = lru_cache(256)(self._read)

    def write(self, handle: sqlite3.Connection, changes: TableChanges) -> None:
        """Has the handlers write them. Raises HandlerFailed."""
        with closing(changes.begin()) as handlers:
            while (statement := handlers.statement) is not None:
                try:
                    rows = self._run(handle, statement)
                except (sqlite3.Error, sqlite3.Warning, ValueError, TypeError, OverflowError) as error:
                    if isinstance(error, sqlite3.Error) and not _is_wrong(error):
                        raise
                    handlers.fail(_said(error))
                else:
                    handlers.answer(rows)

    def _run(self, handle: sqlite3.Connection, statement: Statement) -> list[Row]:
        named = self._named(statement.sql)
        values = [_stored(value) for value in named.values(statement.binds)]
        deadline = time.monotonic() + HANDLER_TIMEOUT.total_seconds()
        handle.set_progress_handler(lambda: time.monotonic() > deadline, TICK)
        try:
            cursor = handle.execute(named.sql, values)
            rows = cursor.fetchmany(MAX_ROWS + 1)
        finally:
            handle.set_progress_handler(None, TICK)
        if len(rows) > MAX_ROWS:
            raise ValueError(f"the statement gives more than {MAX_ROWS} rows; add a LIMIT")
        return _dicts([part[0] for part in cursor.description or ()], rows)

    def _read(self, sql: str) -> Named:
        return read_names(sql, _mark, self._names)


class TableWriting:
    """Changes of tables, as `RowChanges` are changes of rows; what is no TableChanges changes nothing."""

    def __init__(self, tables: OwnTables, changes: TableChanges | Mapping[Any, Any]) -> None:
        self._tables = tables
        self._changes = changes

    def write(self, handle: sqlite3.Connection) -> None:
        """Writes them. Raises HandlerFailed."""
        if isinstance(self._changes, TableChanges):
            self._tables.write(handle, self._changes)


def create(handle: sqlite3.Connection, shape: ViewShape[Any], generation: int) -> None:
    """Makes what a generation of a view stands in. Raises Malformed where its own SQL for that does not run."""
    if not isinstance(shape, TableShape):
        handle.execute(RowTable(shape, generation).create)
        return
    try:
        for statement in OwnTables(shape, generation).create:
            handle.execute(statement)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        if isinstance(error, sqlite3.Error) and not _is_wrong(error):
            raise
        raise Malformed(f"{shape.name} cannot make its tables: {error}") from error


def completed(shape: ViewShape[Any], generation: int) -> list[str]:
    """The statements that make what was put off while a generation was filled. Handlers find by their indexes."""
    return [] if isinstance(shape, TableShape) else RowTable(shape, generation).complete()


def _mark(number: int) -> str:
    return f"?{number}"


def _dicts(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Row]:
    if len(set(names)) < len(names):
        raise ValueError("two columns of the rows have one name; say AS")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _stored(value: object) -> object:
    """A value as the columns of views hold it."""
    match value:
        case datetime():
            return time_text(value)
        case date():
            return value.isoformat()
        case UUID():
            return str(value)
        case Decimal():
            raise TypeError("SQLite has no exact Decimal: bind a whole number of its last digit")
        case _:
            return value


def _is_wrong(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF in _WRONG or code == sqlite3.SQLITE_INTERRUPT


def _said(error: Exception) -> Exception:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
        return TimeoutError(f"a statement may take {HANDLER_TIMEOUT.total_seconds():g} s")
    return error
