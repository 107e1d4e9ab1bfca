"""Reading views: a bounded pool of connections that the database holds to reading, and snapshots on them."""

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Context
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from diptych.errors import DiptychError, Forbidden, Malformed, TooLarge, Unavailable
from diptych.messages import View
from diptych.read import Checkpoint, Key, Kind, NeverFilled, Selector, ViewShape
from diptych.read.views import MAX_ROWS
from diptych.stores.sqlite import select
from diptych.stores.sqlite.connection import DISPOSABLE, errors_of, open_reader, translate
from diptych.stores.sqlite.generations import live_checkpoint
from diptych.stores.sqlite.reader import INLINE_TICKS, UNBOUNDED, Budget, on_a_thread, raise_unless_interrupted
from diptych.stores.sqlite.rows import RowTable, unscaled

V = TypeVar("V", bound=View)
T = TypeVar("T")

READERS = 8
"""Snapshots that one process may hold at a time; further queries wait for one of them."""

_WIDE = Context(prec=64)

_WRONG_SQL = {
    None,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_RANGE,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_INTERNAL,
}
_READING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}


class ViewReaders:
    """The pool. A connection belongs to one snapshot at a time."""

    def __init__(self, path: Path, tables: Callable[[ViewShape[Any], int], RowTable[Any]]) -> None:
        self._path = path
        self._tables = tables
        self._free: list[_Connection] = []
        self._places = asyncio.Semaphore(READERS)

    def close(self) -> None:
        """Closes every connection that no snapshot holds."""
        for connection in self._free:
            connection.close()
        self._free.clear()

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator["SqliteSnapshot"]:
        """A snapshot, which is taken with the first read."""
        async with self._places:
            connection = self._free.pop() if self._free else _Connection(self._path)
            snapshot = SqliteSnapshot(connection, self._path, self._tables)
            try:
                connection.begin()
                yield snapshot
            finally:
                snapshot.over = True
                await connection.end()
                self._free.append(connection)


class _Connection:
    """A reading connection that runs cheap work inline, and on a thread what goes past its budget."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free_sql = False
        own = secrets.token_hex(8)  # a statement that is prepared already passes the authorizer: no user may name these
        self._begin, self._end = f"BEGIN /* {own} */", f"ROLLBACK /* {own} */"
        self._turn = asyncio.Lock()
        self.handle = open_reader(path)
        self.handle.create_function("decimal", 2, _decimal_text, deterministic=True)
        self._budget = Budget(self.handle)
        self.handle.set_authorizer(self._authorize)

    def close(self) -> None:
        self.handle.close()

    def begin(self) -> None:
        with errors_of(self._path, DISPOSABLE):
            self.handle.execute(self._begin)

    async def end(self) -> None:
        async with self._turn:  # a handler may have left a read of its own running
            self._free_sql = False
            if self.handle.in_transaction:
                self.handle.execute(self._end)

    async def run(self, work: Callable[[sqlite3.Connection], T], *, free_sql: bool = False) -> T:
        """Runs work that only reads, inline at first. A cancelled caller interrupts it, and waits for its end."""
        async with self._turn:
            self._budget.allow(INLINE_TICKS)
            self._free_sql = free_sql
            try:
                return work(self.handle)
            except sqlite3.OperationalError as error:
                raise_unless_interrupted(error)
            self._budget.allow(UNBOUNDED)
            return await on_a_thread(partial(work, self.handle), self.handle.interrupt)

    def _authorize(self, action: int, *_: object) -> int:
        return sqlite3.SQLITE_OK if not self._free_sql or action in _READING else sqlite3.SQLITE_DENY


class SqliteSnapshot:
    """See `diptych.read.Snapshot`."""

    def __init__(
        self, connection: _Connection, path: Path, tables: Callable[[ViewShape[Any], int], RowTable[Any]]
    ) -> None:
        self._connection = connection
        self._path = path
        self._make_table = tables
        self._tables: dict[ViewShape[Any], RowTable[Any]] = {}
        self.over = False

    async def checkpoint(self, shape: ViewShape[Any]) -> Checkpoint:
        checkpoint = await self._run(lambda handle: live_checkpoint(handle, shape))
        if checkpoint is None:
            raise NeverFilled(f"View {shape.name} was never filled in {self._path}; no projector has run there.")
        self._tables[shape] = self._make_table(shape, checkpoint.epoch)
        return checkpoint

    async def get_many(self, shape: ViewShape[V], keys: Sequence[Key]) -> Mapping[Key, V]:
        table = self._tables[shape]

        def work(handle: sqlite3.Connection) -> dict[Key, V]:
            return find_rows(handle, table, keys)

        return await self._run(work)

    async def select(self, shape: ViewShape[V], selector: Selector) -> list[V]:
        table = self._tables[shape]
        limit = MAX_ROWS + 1 if selector.limit is None else selector.limit
        statement = select.select(table, selector, limit)

        def work(handle: sqlite3.Connection) -> list[V]:
            return [table.decode(row) for row in handle.execute(*statement).fetchall()]

        rows = await self._run(work)
        if selector.limit is None and len(rows) > MAX_ROWS:
            raise TooLarge(f"More than {MAX_ROWS} rows of {shape.name} fit; use limit() or page().")
        return rows

    async def count(self, shape: ViewShape[Any], selector: Selector) -> int:
        statement = select.count(self._tables[shape], selector)
        number: int = (await self._run(lambda handle: handle.execute(*statement).fetchone()))[0]
        return number

    async def total(self, shape: ViewShape[Any], field: str, selector: Selector) -> Any:
        column = shape.column(field)
        statement = select.total(self._tables[shape], column, selector)
        upper, lower, approximate = await self._run(lambda handle: handle.execute(*statement).fetchone())
        if column.kind is Kind.REAL:
            return approximate
        exact = ((upper or 0) << 32) + (lower or 0)
        return unscaled(exact, column.scale) if column.kind is Kind.DECIMAL else exact

    async def sql(self, statement: str, binds: Mapping[str, object]) -> list[dict[str, Any]]:
        def work(handle: sqlite3.Connection) -> list[dict[str, Any]]:
            cursor = handle.execute(statement, binds)
            names = [part[0] for part in cursor.description or ()]
            if len(set(names)) < len(names):
                raise ValueError("two columns of the answer have one name; say AS")
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchmany(MAX_ROWS + 1)]

        try:
            rows = await self._in_use().run(work, free_sql=True)
        except (sqlite3.Error, sqlite3.Warning, ValueError, TypeError, OverflowError) as error:
            raise _sql_error(error, self._path) from error
        if len(rows) > MAX_ROWS:
            raise TooLarge(f"The statement gives more than {MAX_ROWS} rows; add a LIMIT.")
        return rows

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with errors_of(self._path, DISPOSABLE):
            return await self._in_use().run(work)

    def _in_use(self) -> "_Connection":
        if self.over:
            raise Unavailable("This query has ended, and its views are closed: await every read in its handler.")
        return self._connection


def find_rows(handle: sqlite3.Connection, table: RowTable[V], keys: Sequence[Key]) -> dict[Key, V]:
    """The rows of these keys that exist, by key."""
    key_of = table.shape.key_of
    decode = table.decode
    found: dict[Key, V] = {}
    for sql, binds in table.lookups(keys):
        for values in handle.execute(sql, binds).fetchall():
            row = decode(values)
            found[key_of(row)] = row
    return found


def _sql_error(error: Exception, path: Path) -> DiptychError:
    code = getattr(error, "sqlite_errorcode", None)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH):
        return Forbidden("Views are read-only: sql() takes one SELECT.")
    if isinstance(error, sqlite3.Error) and code not in _WRONG_SQL:
        return translate(error, path, DISPOSABLE)
    return Malformed(f"This SQL does not run: {error}")


def _decimal_text(value: object, digits: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, int) or not isinstance(digits, int):
        raise TypeError("decimal(value, scale) takes two integers")
    return f"{unscaled(value, digits):f}"
