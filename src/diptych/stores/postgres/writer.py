"""The one connection that appends: made when it is first needed and made anew when it was lost.

An append whose connection dies is sent again on a new one: the ledger has its command id if it was kept, and it is
judged again if it was not. The session that was lost is ended before, so that it cannot come to life in between.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import asyncpg

from diptych.errors import DiptychError, Unavailable
from diptych.stores.postgres.address import Address
from diptych.stores.postgres.connection import (
    DRIVER_ERRORS,
    Connection,
    close,
    connect,
    errors_of,
    is_lost,
)
from diptych.stores.postgres.schema import check_schema

RESOLVE_TIMEOUT = timedelta(seconds=20)
"""How long it is tried to find out what became of an append whose connection died."""

RETRY_FIRST = timedelta(milliseconds=20)
RETRY_MOST = timedelta(seconds=1)


class LostSession(NamedTuple):
    """A session whose connection is gone, as the server knows it."""

    pid: int
    began: datetime


class Undecided(Exception):
    """The statement was sent, its connection died, and what became of it could not be found out in time."""


class Writer:
    """Sends one statement at a time, and sends it again where its connection dies: it has to be one that may come twice."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._sql = address.statements("log.sql")
        self._connection: Connection | None = None
        self._session: LostSession | None = None

    async def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            await close(self._connection)

    async def fetch(self, sql: str, binds: Sequence[Any]) -> asyncpg.Record:
        """The one row that the statement gives.

        Raises Undecided, Unavailable (it was never sent), and the driver's errors for a statement that did nothing.
        """
        connection = await self._ready()
        try:
            return await _row(connection, sql, binds)
        except BaseException as error:
            if not is_lost(connection, error):
                raise
            cause = error
        connection.terminate()
        return await self._again(sql, binds, cause)

    async def _again(self, sql: str, binds: Sequence[Any], cause: BaseException) -> asyncpg.Record:
        lost = self._session
        deadline = time.monotonic() + RESOLVE_TIMEOUT.total_seconds()
        pause = RETRY_FIRST
        while time.monotonic() < deadline:
            try:
                connection = await self._ready()
                if lost is not None:
                    await self._end(connection, lost)
                return await _row(connection, sql, binds)
            except DiptychError as error:
                cause = error
            except BaseException as error:
                if self._connection is None or not is_lost(self._connection, error):
                    raise
                cause = error
                self._connection.terminate()
            await asyncio.sleep(pause.total_seconds())
            pause = min(pause * 2, RETRY_MOST)
        raise Undecided(str(cause) or type(cause).__name__) from cause

    async def _ready(self) -> Connection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        connection = await connect(self._address, "writer")
        try:
            with errors_of(self._address):
                await check_schema(connection, self._address)
                row = await connection.fetchrow(self._sql["myself"])
        except BaseException:  # whatever it was, the connection is not left open
            connection.terminate()
            raise
        self._session = None if row is None else LostSession(*row)
        self._connection = connection
        return connection

    async def _end(self, connection: Connection, lost: LostSession) -> None:
        """Ends the lost session and waits until it is gone. One that may not be ended is left alone: nothing it keeps
        can be kept twice.
        """
        try:
            await connection.execute(self._sql["end_session"], *lost)
            while await connection.fetchval(self._sql["session_is_there"], *lost):
                await asyncio.sleep(RETRY_FIRST.total_seconds())
        except asyncpg.exceptions.InsufficientPrivilegeError:
            return


async def _row(connection: Connection, sql: str, binds: Sequence[Any]) -> asyncpg.Record:
    row = await connection.fetchrow(sql, *binds)
    assert row is not None  # noqa: S101 - a function that is called gives a row
    return row
