"""Reading views: snapshots on transactions that the database itself holds to reading."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, TypeVar

import asyncpg

from diptych.errors import DiptychError, Forbidden, Malformed, NotCaughtUp, TooLarge, Unavailable
from diptych.messages import View
from diptych.read import Generation, Key, Kind, Letter, NeverFilled, RowsGone, Selector, State, ViewShape
from diptych.read.views import MAX_ROWS
from diptych.stores.postgres.address import Address
from diptych.stores.postgres.connection import DRIVER_ERRORS, Connection, Pool, translate
from diptych.stores.postgres.free_sql import as_subquery
from diptych.stores.postgres.generations import Tables, generations_of, live_of
from diptych.stores.postgres.letters import Letters
from diptych.stores.postgres.rows import RowTable, find_rows
from diptych.stores.postgres.select import PostgresSelect
from diptych.stores.rows import quoted

V = TypeVar("V", bound=View)
T = TypeVar("T")

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

_WRONG_SQL = (
    asyncpg.exceptions.SyntaxOrAccessError,
    asyncpg.exceptions.DataError,
    asyncpg.exceptions.FeatureNotSupportedError,
    asyncpg.exceptions.ProgramLimitExceededError,
    asyncpg.InterfaceError,
    ValueError,
    TypeError,
    OverflowError,
)
_FORBIDDEN = (
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    asyncpg.exceptions.ActiveSQLTransactionError,
    asyncpg.exceptions.InsufficientPrivilegeError,
)


class ViewReaders:
    """Gives snapshots. A connection belongs to one of them at a time."""

    def __init__(self, address: Address, pool: Pool, sql: Mapping[str, str], tables: Tables) -> None:
        self._address = address
        self._pool = pool
        self._sql = sql
        self._tables = tables

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator["PostgresSnapshot"]:
        """A snapshot, which is taken with the first read."""
        turn = asyncio.Lock()

        async def end(connection: Connection) -> None:
            """Ends the transaction, when a read that a handler left running is over."""
            async with turn:
                await connection.execute("ROLLBACK")

        async with self._pool.held(lambda connection: connection.execute(BEGIN), end) as connection:
            snapshot = PostgresSnapshot(self._address, connection, turn, self._sql, self._tables)
            try:
                yield snapshot
            finally:
                snapshot.close()


class PostgresSnapshot:
    """See `diptych.read.Snapshot`."""

    def __init__(
        self,
        address: Address,
        connection: Connection,
        turn: asyncio.Lock,
        sql: Mapping[str, str],
        tables: Tables,
    ) -> None:
        """`turn` is held for each statement."""
        self._address = address
        self._connection = connection
        self._turn = turn
        self._sql = sql
        self._make_table = tables
        self._numbers: dict[ViewShape[Any], int] = {}
        self._over = False

    def close(self) -> None:
        """Refuses every read from now on."""
        self._over = True

    async def generation(self, shape: ViewShape[Any]) -> Generation:
        live = self._sql["live"]
        rows = await self._run(lambda connection: connection.fetch(live, shape.name, shape.fingerprint))
        found = live_of(rows) or await self._filling(shape)
        self._numbers[shape] = found.number
        return found

    async def _filling(self, shape: ViewShape[Any]) -> Generation:
        rows = await self._run(lambda connection: connection.fetch(self._sql["generations"], shape.name))
        there = generations_of(rows)
        if not there:
            where = self._address.shown
            raise NeverFilled(f"View {shape.name} was never filled in {where}; no worker has run there.")
        for found in there:
            if found.state is State.FILLING and found.fingerprint == shape.fingerprint:
                return found
        position = there[-1].position
        raise NotCaughtUp(
            shape.name, position, position, "another version of the code, with another shape of it, fills it"
        )

    async def held(self, shape: ViewShape[Any], keys: Collection[str] | None, upto: int) -> Letter | None:
        number = self._numbers[shape]
        return await self._run(lambda connection: self._letters(connection, shape).first(number, keys, upto))

    async def dead_letters(self, shape: ViewShape[Any], after: int = 0, upto: int | None = None) -> int:
        number = self._numbers[shape]
        return await self._run(lambda connection: self._letters(connection, shape).count(number, after, upto))

    async def get_many(self, shape: ViewShape[V], keys: Sequence[Key]) -> Mapping[Key, V]:
        table = self._table(shape)
        return await self._run(lambda connection: find_rows(connection, table, keys))

    async def select(self, shape: ViewShape[V], selector: Selector) -> list[V]:
        table = self._table(shape)
        limit = MAX_ROWS + 1 if selector.limit is None else selector.limit
        sql, binds = PostgresSelect(table).rows(selector, limit)
        rows = await self._run(lambda connection: connection.fetch(sql, *binds))
        if selector.limit is None and len(rows) > MAX_ROWS:
            raise TooLarge(f"More than {MAX_ROWS} rows of {shape.name} fit; use limit() or page().")
        return [table.decode(row) for row in rows]

    async def count(self, shape: ViewShape[Any], selector: Selector) -> int:
        sql, binds = PostgresSelect(self._table(shape)).count(selector)
        number: int = await self._run(lambda connection: connection.fetchval(sql, *binds))
        return number

    async def total(self, shape: ViewShape[Any], field: str, selector: Selector) -> Any:
        column = shape.column(field)
        sql, binds = PostgresSelect(self._table(shape)).total(column, selector)
        found = await self._run(lambda connection: connection.fetchval(sql, *binds))
        kind = {Kind.DECIMAL: Decimal, Kind.REAL: float}.get(column.kind, int)
        return kind(found or 0)

    async def sql(self, statement: str, binds: Mapping[str, object]) -> list[dict[str, Any]]:
        query, values = as_subquery(statement, binds, MAX_ROWS + 1)

        async def work(connection: Connection) -> tuple[list[str], list[asyncpg.Record]]:
            path = f"{quoted(self._address.views_schema)}, pg_catalog"
            await connection.execute(f"SAVEPOINT free_sql; SET LOCAL search_path = {path}")
            try:
                prepared = await connection.prepare(query)
                names = [attribute.name for attribute in prepared.get_attributes()]
                return names, await prepared.fetch(*values)
            finally:  # SQL that fails does not end the snapshot
                await connection.execute("ROLLBACK TO free_sql")

        try:
            names, rows = await self._in_turn(work)
        except (*DRIVER_ERRORS, ValueError, TypeError, OverflowError) as error:
            raise _sql_error(error, self._address) from error
        if len(set(names)) < len(names):
            raise Malformed("This SQL does not run: two columns of the answer have one name; say AS")
        if len(rows) > MAX_ROWS:
            raise TooLarge(f"The statement gives more than {MAX_ROWS} rows; add a LIMIT.")
        return [dict(row) for row in rows]

    def _table(self, shape: ViewShape[V]) -> RowTable[V]:
        """The table of a view whose generation was read."""
        return self._make_table(shape, self._numbers[shape])

    def _letters(self, connection: Connection, shape: ViewShape[Any]) -> Letters:
        return Letters(connection, self._sql, shape.name)

    async def _run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            return await self._in_turn(work)
        except asyncpg.exceptions.UndefinedTableError as error:
            raise RowsGone(
                f"A view's table is not there ({error}). Its view was begun anew, so ask again; or somebody has "
                "dropped it, so have it filled anew: diptych projection rebuild"
            ) from error
        except DRIVER_ERRORS as error:
            raise translate(error, self._address) from error

    async def _in_turn(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._turn:
            if self._over:
                raise Unavailable("This query has ended, and its views are closed: await every read in its handler.")
            return await work(self._connection)


def _sql_error(error: BaseException, address: Address) -> DiptychError:
    if isinstance(error, _FORBIDDEN):
        return Forbidden(f"Views are read-only: sql() takes one SELECT ({error}).")
    if isinstance(error, _WRONG_SQL):
        return Malformed(f"This SQL does not run: {error}")
    return translate(error, address)
