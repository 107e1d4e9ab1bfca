"""Connections to PostgreSQL: how they are opened, how long they may take, and what their errors mean to a user."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

import asyncpg

from diptych.errors import Malformed, NotAStore, Unavailable
from diptych.stores.postgres.address import Address
from diptych.stores.urls import ENCODED

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

T = TypeVar("T")

CONNECT_TIMEOUT = timedelta(seconds=5)
"""How long a new connection may take."""

STATEMENT_TIMEOUT = timedelta(seconds=30)
"""How long the server works on one statement before it gives up."""

GRACE = timedelta(seconds=5)
"""How much longer a server may be silent before its connection counts as lost."""

LONG_TIMEOUT = timedelta(hours=12)
"""How long it works on one that copies or indexes all rows of a view, in the place of STATEMENT_TIMEOUT."""

ACQUIRE_TIMEOUT = timedelta(seconds=10)
"""How long a read waits for one of the connections."""

READERS = 4
"""Connections that one opening reads with at most."""

BY_INDEX: Mapping[str, str] = {"enable_seqscan": "off", "enable_bitmapscan": "off", "enable_sort": "off"}
"""For statements that all have their index: the planner must not think otherwise of a table that it knows little of."""

UNSYNCED: Mapping[str, str] = {"synchronous_commit": "off"}
"""For what can be done again: a crash of the server may cost its last moments, each transaction as a whole."""

LOST = (
    ConnectionError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.AdminShutdownError,
    asyncpg.exceptions.CrashShutdownError,
    asyncpg.exceptions.CannotConnectNowError,
    asyncpg.exceptions.IdleSessionTimeoutError,
)
"""What says that a connection is gone, and not what became of the statement on it."""

BAD_DATA = (
    asyncpg.exceptions.DataError,
    asyncpg.exceptions.IntegrityConstraintViolationError,
    asyncpg.exceptions.ProgramLimitExceededError,
    UnicodeError,
    OverflowError,
    TypeError,
    ValueError,
)
"""What says that the values of a statement cannot be stored, whenever it is sent."""

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


async def connect(address: Address, purpose: str, settings: Mapping[str, str] = MappingProxyType({})) -> Connection:
    """A connection with bounded waits and these settings of the server. Raises Unavailable, Malformed.

    A pooler such as PgBouncer does not take settings at the start of a session; then the client's bounds alone hold.
    """
    wanted = {
        "application_name": f"diptych {purpose}",
        "statement_timeout": str(milliseconds(STATEMENT_TIMEOUT)),
        "idle_in_transaction_session_timeout": str(milliseconds(STATEMENT_TIMEOUT)),
        "default_transaction_isolation": "read committed",
        "jit": "off",
        **settings,
    }
    with errors_of(address):
        try:
            return await _connect(address, wanted)
        except asyncpg.exceptions.ProtocolViolationError as error:
            if "startup parameter" not in str(error):
                raise
            return await _connect(address, {"application_name": wanted["application_name"]})
        except (
            ValueError,
            OverflowError,
        ):  # the driver's parser has more than one kind of it, and quotes what may be of a password
            raise Malformed(
                f"{address.shown} does not say where the database is: look at its host, port and parameters. {ENCODED}"
            ) from None


async def _connect(address: Address, settings: dict[str, str]) -> Connection:
    return await asyncpg.connect(
        address.dsn,
        timeout=CONNECT_TIMEOUT.total_seconds(),
        command_timeout=(STATEMENT_TIMEOUT + GRACE).total_seconds(),
        server_settings=settings,
    )


async def at_length(connection: Connection, sql: str, *binds: object) -> None:
    """Runs a statement, in a transaction, that may take as long as many rows take."""
    await connection.execute(f"SET LOCAL statement_timeout = {milliseconds(LONG_TIMEOUT)}")
    await connection.execute(sql, *binds, timeout=LONG_TIMEOUT.total_seconds())


def milliseconds(time: timedelta) -> int:
    """Whole milliseconds."""
    return time // timedelta(milliseconds=1)


def is_lost(connection: Connection, error: BaseException) -> bool:
    """Whether the error tells of a connection that is gone, so that what it was doing is not known."""
    return isinstance(error, LOST) or (isinstance(error, DRIVER_ERRORS) and connection.is_closed())


@contextmanager
def errors_of(address: Address) -> Generator[None]:
    """Says what the driver's errors mean, with the store's URL and what to do."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise translate(error, address) from error


def translate(error: BaseException, address: Address) -> Unavailable:  # noqa: C901 - one case for each kind
    """The error that a user gets for one of the driver's."""
    where = address.shown
    match error:
        case asyncpg.exceptions.InvalidCatalogNameError():
            return Unavailable(f"{where}: {error}; make it with `createdb`, then run `diptych store migrate`.")
        case asyncpg.exceptions.InvalidPasswordError() | asyncpg.exceptions.InvalidAuthorizationSpecificationError():
            return Unavailable(f"{where} lets nobody in like this: {error}. Check user and password.")
        case asyncpg.exceptions.UndefinedTableError() | asyncpg.exceptions.InvalidSchemaNameError():
            return NotAStore(f"{where} lacks tables of a store: {error}. Run `diptych store migrate --store URL`.")
        case asyncpg.exceptions.InsufficientPrivilegeError():
            return Unavailable(f"{where}: {error}. Give this role what docs/postgres.md lists.")
        case asyncpg.exceptions.TooManyConnectionsError():
            return Unavailable(f"{where} takes no more connections: {error}; try again later.")
        case asyncpg.exceptions.DiskFullError():
            return Unavailable(f"{where} cannot grow: the disk is full. This was not kept; free some space.")
        case asyncpg.exceptions.ReadOnlySQLTransactionError():
            return Unavailable(f"{where} only reads: it is a standby, or was made read-only.")
        case asyncpg.exceptions.InvalidSQLStatementNameError() | asyncpg.exceptions.DuplicatePreparedStatementError():
            return Unavailable(
                f"{where} is behind a pooler that does not keep prepared statements; PgBouncer does from version 1.21 "
                "on, with max_prepared_statements over 0."
            )
        case asyncpg.exceptions.QueryCanceledError():
            seconds = STATEMENT_TIMEOUT.total_seconds()
            return Unavailable(f"{where} gave up on a statement: {error} (a statement may take {seconds:g} s).")
        case TimeoutError():
            return Unavailable(f"{where} does not answer; try again later.")
        case OSError():
            return Unavailable(f"{where}: the database cannot be reached: {_sentence(error)}")
        case _:
            return Unavailable(f"{where}: {_sentence(error)}")


def _sentence(error: BaseException) -> str:
    """The error's own words, with a full stop: others may follow."""
    return (str(error) or type(error).__name__).rstrip(".") + "."


class Pool:
    """Connections for work that may be done twice: where a connection was lost, it is done again on a new one."""

    def __init__(
        self, address: Address, purpose: str, size: int, settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._address = address
        self._settings = settings
        self._purpose = purpose
        self._size = size
        self._places = asyncio.Semaphore(size)
        self._free: list[Connection] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def close(self) -> None:
        """Closes every connection that is not in use; one that is, when it is given back."""
        self._closed = True
        if self._ending:
            await asyncio.wait(self._ending)
        while self._free:
            await close(self._free.pop())

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Does the work on a connection. Raises Unavailable, and what the work raises."""
        await self._take_place()
        try:
            with errors_of(self._address):
                connection, result = await self._done(work)
            await self._give_back(connection)
            return result
        finally:
            self._places.release()

    @asynccontextmanager
    async def held(
        self, begin: Callable[[Connection], Awaitable[object]], end: Callable[[Connection], Awaitable[object]]
    ) -> AsyncGenerator[Connection]:
        """A connection for as long as the context lasts, on which `begin` was done. Raises Unavailable.

        The context does not wait for `end`: a round trip that the caller has no use for.
        """
        await self._take_place()
        try:
            with errors_of(self._address):
                connection, _ = await self._done(begin)
        except BaseException:  # whatever it was, the place is free again
            self._places.release()
            raise
        try:
            yield connection
        finally:
            task = asyncio.get_running_loop().create_task(self._end(connection, end))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            if self._closed:  # nobody else waits for it any more
                await asyncio.wait([task])

    async def _end(self, connection: Connection, end: Callable[[Connection], Awaitable[object]]) -> None:
        try:
            await end(connection)
        except DRIVER_ERRORS:
            connection.terminate()
        finally:
            await self._give_back(connection)
            self._places.release()

    async def _take_place(self) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        seconds = ACQUIRE_TIMEOUT.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
        except TimeoutError:
            where = self._address.shown
            raise Unavailable(f"All {self._size} connections to {where} have been busy for {seconds:g} s.") from None

    async def _done(self, work: Callable[[Connection], Awaitable[T]]) -> tuple[Connection, T]:
        """A connection that the work was done on, and what it gave."""
        while self._free:
            connection = self._free.pop()
            try:
                return connection, await work(connection)
            except BaseException as error:
                if not await self._drop_if_lost(connection, error):
                    raise
        connection = await connect(self._address, self._purpose, self._settings)
        try:
            return connection, await work(connection)
        except BaseException as error:
            await self._drop_if_lost(connection, error)
            raise

    async def _drop_if_lost(self, connection: Connection, error: BaseException) -> bool:
        if is_lost(connection, error):
            connection.terminate()
            return True
        await self._give_back(connection)
        return False

    async def _give_back(self, connection: Connection) -> None:
        if connection.is_closed():
            return
        if connection.is_in_transaction():  # whoever began it was kept from ending it
            connection.terminate()
        elif self._closed:
            await close(connection)
        else:
            self._free.append(connection)


async def close(connection: Connection) -> None:
    """Closes a connection, politely if the server answers."""
    try:
        with suppress(*DRIVER_ERRORS):
            await connection.close(timeout=CONNECT_TIMEOUT.total_seconds())
    finally:
        if not connection.is_closed():
            connection.terminate()
