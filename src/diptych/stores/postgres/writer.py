"""The one connection that appends: made when it is first needed and made anew when it was lost.

An append whose connection dies is sent again on a new one: the ledger has its command id if it was kept, and it is
judged again if it was not. The session that was lost is ended before, so that it cannot come to life in between.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import asyncpg

from diptych.errors import DiptychError, ProjectionFailed, Unavailable
from diptych.stores.postgres.address import Address
from diptych.stores.postgres.connection import (
    BAD_DATA,
    DRIVER_ERRORS,
    Connection,
    close,
    connect,
    errors_of,
    is_lost,
    milliseconds,
)
from diptych.stores.postgres.schema import check_schema

RESOLVE_TIMEOUT = timedelta(seconds=20)
"""How long it is tried to find out what became of an append whose connection died."""

END_TIMEOUT = timedelta(seconds=2)
"""How long a lost session may take to end."""

BETWEEN_STATEMENTS = {"idle_in_transaction_session_timeout": str(milliseconds(timedelta(seconds=5)))}
"""How long a process that has stopped in the middle of an append keeps the log from others."""

RETRY_FIRST = timedelta(milliseconds=20)
RETRY_MOST = timedelta(seconds=1)


class Session(NamedTuple):
    """A connection as the server knows it."""

    pid: int
    began: datetime


class Undecided(Exception):
    """The statement was sent, its connection died, and what became of it could not be found out in time."""


Work = Callable[[Connection], Awaitable[asyncpg.Record]]
"""One statement, or one transaction, that may come twice."""


class Writer:
    """Does one work at a time, and once more where its connection dies: it has to be one that may come twice."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._sql = address.statements("log.sql")
        self._connection: Connection | None = None
        self._session: Session | None = None

    async def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            await close(self._connection)

    async def fetch(self, sql: str, binds: Sequence[Any]) -> asyncpg.Record:
        """The one row that the statement gives. See `run` for what it raises."""
        return await self.run(lambda connection: _row(connection, sql, binds))

    async def run(self, work: Work) -> asyncpg.Record:
        """What the work gives.

        Raises Undecided, Unavailable (it was never sent), and the driver's errors for work that did nothing. What keeps
        it from being sent again says nothing of the first time, and is tried until the time is over.
        """
        connection = await self._ready()
        try:
            return await work(connection)
        except BaseException as error:
            if not is_lost(connection, error):
                raise
            cause = error
        connection.terminate()
        return await self._again(work, cause)

    async def _again(self, work: Work, cause: BaseException) -> asyncpg.Record:
        lost = self._session
        deadline = time.monotonic() + RESOLVE_TIMEOUT.total_seconds()
        pause = RETRY_FIRST
        while time.monotonic() < deadline:
            try:
                connection = await self._ready()
                if lost is not None:
                    await self._end(connection, lost)
                return await work(connection)
            except (ProjectionFailed, *BAD_DATA):  # the first time, too
                raise
            except DiptychError as error:
                cause = error
            except DRIVER_ERRORS as error:  # why nothing was kept now says nothing of the first time
                cause = error
                if self._connection is not None and is_lost(self._connection, error):
                    self._connection.terminate()
            await asyncio.sleep(pause.total_seconds())
            pause = min(pause * 2, RETRY_MOST)
        raise Undecided(str(cause) or type(cause).__name__) from cause

    async def _ready(self) -> Connection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        connection = await connect(self._address, "writer", BETWEEN_STATEMENTS)
        try:
            self._session = await self._known(connection)
        except BaseException:  # whatever it was, the connection is not left open
            connection.terminate()
            raise
        self._connection = connection
        return connection

    async def _known(self, connection: Connection) -> Session | None:
        """What the server calls the session, or None behind a pooler, where a session is everybody's in turn.

        Raises NotAStore, and Unavailable where it must not append.
        """
        with errors_of(self._address):
            await check_schema(connection, self._address)
            pid, began, fresh = await _row(connection, self._sql["myself"], ())
        if not fresh:
            raise Unavailable(
                f"{self._address.shown} has another default_transaction_isolation for this role than 'read committed', "
                "which a log is appended in; set it with ALTER ROLE."
            )
        return Session(pid, began) if pid == connection.get_server_pid() else None

    async def _end(self, connection: Connection, lost: Session) -> None:
        """Ends the lost session, and waits until it is gone.

        One that may not be ended is left alone: it can keep nothing twice.
        """
        with suppress(asyncpg.exceptions.InsufficientPrivilegeError):
            await connection.fetchval(self._sql["end_session"], *lost, milliseconds(END_TIMEOUT))


async def _row(connection: Connection, sql: str, binds: Sequence[Any]) -> asyncpg.Record:
    row = await connection.fetchrow(sql, *binds)
    assert row is not None  # noqa: S101 - a function that is called gives a row
    return row
