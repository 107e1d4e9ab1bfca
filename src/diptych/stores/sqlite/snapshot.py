"""Reading views: a bounded pool of connections that the database holds to reading, and snapshots on them."""

import asyncio
import secrets
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Context
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Self, TypeVar

from diptych.errors import DiptychError, Forbidden, Malformed, NotCaughtUp, TooLarge, Unavailable
from diptych.messages import View
from diptych.read import Generation, Key, Kind, Letter, NeverFilled, Selector, ViewShape
from diptych.read.views import MAX_ROWS
from diptych.stores.sqlite.connection import Explained, open_reader, translate
from diptych.stores.sqlite.generations import answering, generations
from diptych.stores.sqlite.letters import count_letters, first_letter
from diptych.stores.sqlite.reader import INLINE_TICKS, UNBOUNDED, Budget, on_a_thread, raise_unless_interrupted
from diptych.stores.sqlite.rows import RowTable, unscaled
from diptych.stores.sqlite.select import SqliteSelect

V = TypeVar("V", bound=View)
T = TypeVar("T")

READERS = 8
"""Snapshots that one process may hold at a time; further queries wait for one of them."""

SHARED_SECONDS = 0.001
"""How old a snapshot may be that serves one more query in its turn of the event loop.

Only what another process has written since then can be missing in it.
"""

_VERSION = "PRAGMA data_version"
"""The same number as long as nobody else writes to the file. It costs less than to look at what may have changed."""

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
    """The pool. A connection belongs to one snapshot at a time.

    Snapshots that are taken one after the other in one turn of the event loop are one to the database, as long as
    nothing that this process writes has changed the views: to begin and end a transaction costs more than to look up a
    row. `changes` gives a number that grows with every change by this process.
    """

    def __init__(
        self,
        path: Path,
        tables: Callable[[ViewShape[Any], int], RowTable[Any]],
        changes: Callable[[], int],
        damaged: str,
    ) -> None:
        """`damaged` says what to do about a damaged file."""
        self.path = path
        self.damaged = damaged
        self.table_of = tables
        self._changes = changes
        self._free: list[_Connection] = []
        self._open: _Connection | None = None
        self._newest: _Connection | None = None
        self._places = asyncio.Semaphore(READERS)

    def close(self) -> None:
        """Closes every connection that no snapshot holds."""
        self._turned()
        for connection in self._free:
            connection.close()
        self._free.clear()

    def snapshot(self) -> "SqliteSnapshot":
        """A snapshot, to be entered; it is taken with the first read, or was taken in this turn."""
        return SqliteSnapshot(self)

    async def take(self) -> "_Connection":
        """A connection in a transaction, as soon as one is free."""
        await self._places.acquire()
        try:
            return self._still_open() or self._begun()
        except BaseException:  # whatever it was, the place is free again
            self._places.release()
            raise

    async def give_back(self, connection: "_Connection") -> None:
        """Gives the connection to the next, with its transaction if that is the newest one of this turn."""
        try:
            await connection.idle()
            if connection is self._newest:
                self._open = connection
            else:
                connection.end()
                self._free.append(connection)
        finally:
            self._places.release()

    def _still_open(self) -> "_Connection | None":
        connection = self._open
        if connection is None:
            return None
        self._open = None
        if connection.is_fresh(self._changes()):
            return connection
        connection.end()
        self._free.append(connection)
        return None

    def _begun(self) -> "_Connection":
        connection = self._free.pop() if self._free else _Connection(self.path, self.damaged)
        connection.begin(self._changes())
        if self._newest is None:
            asyncio.get_running_loop().call_soon(self._turned)
        self._newest = connection
        return connection

    def _turned(self) -> None:
        self._newest = None
        if self._open is not None:
            self._open.end()
            self._free.append(self._open)
            self._open = None


class _Connection:
    """A reading connection that runs cheap work inline, and on a thread what goes past its budget."""

    def __init__(self, path: Path, damaged: str) -> None:
        self._explained = Explained(path, damaged)
        self._free_sql = False
        own = secrets.token_hex(8)  # a statement that is prepared already passes the authorizer: no user may name these
        self._begin, self._end = f"BEGIN /* {own} */", f"ROLLBACK /* {own} */"
        self._thread_turn = asyncio.Lock()
        self._changes = 0
        self._until = 0.0
        self._version = 0
        self.standings: dict[ViewShape[Any], Generation] = {}
        self.handle = open_reader(path)
        self.handle.create_function("decimal", 2, _decimal_text, deterministic=True)
        self._budget = Budget(self.handle)
        self.handle.set_authorizer(self._authorize)

    def close(self) -> None:
        self.handle.close()

    def begin(self, changes: int) -> None:
        """Begins a transaction, when this process has changed the views so many times."""
        self._changes = changes
        self._until = monotonic() + SHARED_SECONDS
        self._budget.allow(UNBOUNDED)
        with self._explained:
            self.handle.execute(self._begin)
            version: int = self.handle.execute(_VERSION).fetchone()[0]
        if version != self._version:  # somebody has written to the file since this connection looked at it
            self._version = version
            self.standings.clear()

    def is_fresh(self, changes: int) -> bool:
        """Whether a snapshot that is asked for now may be the one of this transaction."""
        return self._changes == changes and monotonic() < self._until and self.handle.in_transaction

    async def idle(self) -> None:
        """Waits for a read that a handler has left running."""
        if self._thread_turn.locked():
            async with self._thread_turn:
                pass

    def end(self) -> None:
        """Ends the transaction."""
        self._free_sql = False
        self._budget.allow(UNBOUNDED)
        if self.handle.in_transaction:
            self.handle.execute(self._end)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs work that only reads, inline at first. A cancelled caller interrupts it, and waits for its end.

        Raises Unavailable.
        """
        with self._explained:
            return await self._run(work, free_sql=False)

    async def run_free_sql(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `run`, for a statement that came from outside. Raises SQLite's own errors."""
        return await self._run(work, free_sql=True)

    async def _run(self, work: Callable[[sqlite3.Connection], T], *, free_sql: bool) -> T:
        if not self._thread_turn.locked():
            self._budget.allow(INLINE_TICKS)
            self._free_sql = free_sql
            try:
                return work(self.handle)
            except sqlite3.OperationalError as error:
                raise_unless_interrupted(error)
        async with self._thread_turn:
            self._budget.allow(UNBOUNDED)
            self._free_sql = free_sql
            return await on_a_thread(partial(work, self.handle), self.handle.interrupt)

    def _authorize(self, action: int, *_: object) -> int:
        return sqlite3.SQLITE_OK if not self._free_sql or action in _READING else sqlite3.SQLITE_DENY


class SqliteSnapshot:
    """See `diptych.read.Snapshot`."""

    def __init__(self, readers: ViewReaders) -> None:
        self._readers = readers
        self._held: _Connection | None = None

    async def __aenter__(self) -> Self:
        self._held = await self._readers.take()
        return self

    async def __aexit__(self, *_: object) -> None:
        connection = self._connection
        self._held = None
        await self._readers.give_back(connection)

    async def generation(self, shape: ViewShape[Any]) -> Generation:
        standings = self._connection.standings
        if (known := standings.get(shape)) is not None:
            return known
        found = await self._connection.run(lambda handle: answering(handle, shape))
        if found is None:
            raise await self._absent(shape)
        standings[shape] = found
        return found

    async def held(self, shape: ViewShape[Any], keys: Collection[str] | None, upto: int) -> Letter | None:
        number = self._connection.standings[shape].number
        return await self._connection.run(lambda handle: first_letter(handle, shape.name, number, keys, upto))

    async def dead_letters(self, shape: ViewShape[Any], after: int = 0, upto: int | None = None) -> int:
        number = self._connection.standings[shape].number
        return await self._connection.run(lambda handle: count_letters(handle, shape.name, number, after, upto))

    async def get_many(self, shape: ViewShape[V], keys: Sequence[Key]) -> Mapping[Key, V]:
        table = self._table(shape)
        return await self._connection.run(lambda handle: find_rows(handle, table, keys))

    async def select(self, shape: ViewShape[V], selector: Selector) -> list[V]:
        table = self._table(shape)
        limit = MAX_ROWS + 1 if selector.limit is None else selector.limit
        statement = SqliteSelect(table).rows(selector, limit)

        def work(handle: sqlite3.Connection) -> list[V]:
            return [table.decode(row) for row in handle.execute(*statement).fetchall()]

        rows = await self._connection.run(work)
        if selector.limit is None and len(rows) > MAX_ROWS:
            raise TooLarge(f"More than {MAX_ROWS} rows of {shape.name} fit; use limit() or page().")
        return rows

    async def count(self, shape: ViewShape[Any], selector: Selector) -> int:
        statement = SqliteSelect(self._table(shape)).count(selector)
        number: int = (await self._connection.run(lambda handle: handle.execute(*statement).fetchone()))[0]
        return number

    async def total(self, shape: ViewShape[Any], field: str, selector: Selector) -> Any:
        column = shape.column(field)
        statement = SqliteSelect(self._table(shape)).total(column, selector)
        upper, lower, approximate = await self._connection.run(lambda handle: handle.execute(*statement).fetchone())
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
            rows = await self._connection.run_free_sql(work)
        except (sqlite3.Error, sqlite3.Warning, ValueError, TypeError, OverflowError) as error:
            raise _sql_error(error, self._readers) from error
        if len(rows) > MAX_ROWS:
            raise TooLarge(f"The statement gives more than {MAX_ROWS} rows; add a LIMIT.")
        return rows

    async def _absent(self, shape: ViewShape[Any]) -> DiptychError:
        """Why nothing answers."""
        others = await self._connection.run(lambda handle: generations(handle, shape.name))
        if not others:
            return NeverFilled(f"View {shape.name} was never filled in {self._readers.path}; no worker has run there.")
        position = others[-1].position
        return NotCaughtUp(
            shape.name, position, position, "another version of the code, with another shape of it, fills it"
        )

    def _table(self, shape: ViewShape[V]) -> RowTable[V]:
        """The table of a view whose generation was read."""
        return self._readers.table_of(shape, self._connection.standings[shape].number)

    @property
    def _connection(self) -> _Connection:
        if self._held is None:
            raise Unavailable("This query has ended, and its views are closed: await every read in its handler.")
        return self._held


def find_rows(handle: sqlite3.Connection, table: RowTable[V], keys: Sequence[Key]) -> dict[Key, V]:
    """The rows of these keys that exist, by key."""
    key_of = table.shape.key_of
    decode = table.decode
    found: dict[Key, V] = {}
    for sql, binds in table.lookups(keys):
        for values in handle.execute(sql, binds):
            row = decode(values)
            found[key_of(row)] = row
    return found


def _sql_error(error: Exception, readers: ViewReaders) -> DiptychError:
    code = getattr(error, "sqlite_errorcode", None)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH):
        return Forbidden("Views are read-only: sql() takes one SELECT.")
    if isinstance(error, sqlite3.Error) and code not in _WRONG_SQL:
        return translate(error, readers.path, readers.damaged)
    return Malformed(f"This SQL does not run: {error}")


def _decimal_text(value: object, digits: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, int) or not isinstance(digits, int):
        raise TypeError("decimal(value, scale) takes two integers")
    return f"{unscaled(value, digits):f}"
