"""The tables of a TableProjection on PostgreSQL: how they are named and made, and how handlers write them.

Every function works on a connection, inside the transaction of whoever calls it.
"""

from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from functools import lru_cache
from typing import Any

import asyncpg

from diptych.errors import Malformed
from diptych.read import HANDLER_TIMEOUT, Checkpoint, Statement, TableChanges, TableShape, ViewShape
from diptych.read.tables import Row
from diptych.read.views import MAX_ROWS
from diptych.stores.postgres.connection import LOST, Connection, is_lost, milliseconds
from diptych.stores.postgres.free_sql import mark
from diptych.stores.postgres.rows import RowTable, short
from diptych.stores.rows import Named, quoted, read_names

TURN_TIMEOUT = timedelta(seconds=3)
"""How long handlers wait for those of a worker that has lost its lease, or for rows that are locked."""

_WRONG = (
    asyncpg.exceptions.SyntaxOrAccessError,
    asyncpg.exceptions.DataError,
    asyncpg.exceptions.IntegrityConstraintViolationError,
    asyncpg.exceptions.CardinalityViolationError,
    asyncpg.exceptions.FeatureNotSupportedError,
    asyncpg.exceptions.ProgramLimitExceededError,
    asyncpg.exceptions.RaiseError,
    asyncpg.InterfaceError,
    ValueError,
    TypeError,
    OverflowError,
)
"""What is wrong with a statement or its values, whenever it is run."""


class OwnTables:
    """The tables of one generation, in the schema of views; `create` makes them and their indexes."""

    def __init__(self, shape: TableShape, number: int, schema: str) -> None:
        self._view = shape.name
        name = f"{short(shape.name)}_{number}"
        tables = {own: f"{quoted(schema)}.{quoted(f'{name}${own}')}" for own in shape.tables}
        indexes = {own: quoted(f"{name}${own}") for own in shape.indexes}  # in the schema of their tables
        self._names = tables | indexes
        statements = (*shape.tables.values(), *shape.indexes.values())
        self.create = [read_names(statement, mark, self._names).sql for statement in statements]
        self._named = lru_cache(256)(self._read)

    async def write(
        self, connection: Connection, sql: Mapping[str, str], at: Checkpoint, changes: TableChanges
    ) -> None:
        """Has the handlers write them, alone among those who do. Raises HandlerFailed.

        The segment itself is not locked meanwhile: it can be paused, and given to others.
        """
        lock, statement = str(milliseconds(TURN_TIMEOUT)), str(milliseconds(HANDLER_TIMEOUT))
        await connection.execute(sql["write_alone"], self._view, at.generation, lock, statement)
        with closing(changes.begin()) as handlers:
            while (asked := handlers.statement) is not None:
                try:
                    rows = await self._run(connection, asked)
                except (*_WRONG, asyncpg.exceptions.QueryCanceledError) as error:
                    if is_lost(connection, error):
                        raise
                    handlers.fail(_said(error))
                else:
                    handlers.answer(rows)

    async def _run(self, connection: Connection, statement: Statement) -> list[Row]:
        named = self._named(statement.sql)
        rows = await connection.fetch(named.sql, *named.values(statement.binds))
        if len(rows) > MAX_ROWS:
            raise ValueError(f"the statement gives more than {MAX_ROWS} rows; add a LIMIT")
        if rows and len(set(rows[0].keys())) < len(rows[0]):
            raise ValueError("two columns of the rows have one name; say AS")
        return [dict(row) for row in rows]

    def _read(self, sql: str) -> Named:
        return read_names(sql, mark, self._names)


async def create(connection: Connection, shape: ViewShape[Any], number: int, schema: str) -> None:
    """Makes what a generation of a view stands in. Raises Malformed where its own SQL for that does not run."""
    if not isinstance(shape, TableShape):
        await connection.execute(RowTable(shape, number, schema).create())
        return
    try:
        for statement in OwnTables(shape, number, schema).create:
            await connection.execute(statement)
    except (asyncpg.exceptions.InsufficientPrivilegeError, *LOST):
        raise
    except _WRONG as error:
        raise Malformed(f"{shape.name} cannot make its tables: {error}") from error


def _said(error: Exception) -> Exception:
    if isinstance(error, asyncpg.exceptions.QueryCanceledError):
        return TimeoutError(f"a statement may take {HANDLER_TIMEOUT.total_seconds():g} s")
    return error
