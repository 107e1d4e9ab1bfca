"""What the fault tests on PostgreSQL share: sessions that do harm, a proxy that loses replies, a look at the tables."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg

from diptych.log import Append
from diptych.stores.postgres import PostgresStore
from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.append import binds
from diptych.stores.postgres.connection import Connection
from diptych.stores.postgres.log import PostgresLog

FAIL_AT = """
CREATE FUNCTION diptych.fail() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE SQLSTATE '{state}' USING MESSAGE = 'made to fail'; END; $$;
CREATE TRIGGER fail BEFORE INSERT ON diptych.{table} FOR EACH ROW
    WHEN ({condition}) EXECUTE FUNCTION diptych.fail();
"""
DISK_FULL = "53100"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresLog]:
    """A log on a store of its own: it hears of others' events only through the database."""
    async with PostgresStore(url).log() as log:
        yield log


@asynccontextmanager
async def session(url: str, name: str = "harm") -> AsyncIterator[Connection]:
    """A connection of somebody else."""
    connection = await asyncpg.connect(address_of(url).dsn, server_settings={"application_name": name})
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def failing(url: str, table: str, condition: str, state: str) -> AsyncIterator[None]:
    """Every insert of such a row fails, for as long as the context lasts."""
    address = address_of(url)
    async with session(url) as other:
        await other.execute(address.placed(FAIL_AT.format(table=table, condition=condition, state=state)))
        try:
            yield
        finally:
            await other.execute(address.placed("DROP FUNCTION diptych.fail CASCADE"))


async def append_in(connection: Connection, url: str, *appends: Append) -> list[int]:
    """Appends in the connection's own transaction, and gives the kinds of the answers."""
    sql = address_of(url).statements("log.sql")["append_group"]
    row = await connection.fetchrow(sql, "5000", None, [], True, *binds(appends))
    assert row is not None
    return list(row["kinds"])


async def kill(url: str, purpose: str) -> int:
    """Ends every session that Diptych has for this purpose, and says how many there were."""
    async with session(url) as other:
        sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1"
        return int(await other.fetchval(sql, f"diptych {purpose}"))


async def has(log: PostgresLog, position: int) -> bool:
    """Whether the log has an event there."""
    return (await log.head()).position >= position


async def waits_for_the_lock(url: str) -> int | None:
    """The process of a session that waits for the log's lock, if there is one."""
    async with session(url) as other:
        sql = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted LIMIT 1"
        pid: int | None = await other.fetchval(sql)
        return pid


async def check_tables(url: str) -> None:
    """The log is gapless, each stream too, and the ledger and the tags tell of no event that is not there."""
    address = address_of(url)
    async with session(url) as connection:

        async def value(sql: str) -> object:
            return await connection.fetchval(address.placed(sql))

        head = await value("SELECT coalesce(max(position), 0) FROM diptych.event")
        assert await value("SELECT count(*) FROM diptych.event") == head
        assert await value("SELECT coalesce(sum(events), 0) FROM diptych.ledger") == head
        assert not await value(f"SELECT count(*) FROM diptych.event_tag WHERE position > {head}")
        assert not await value(
            "SELECT count(*) FROM (SELECT FROM diptych.event GROUP BY stream HAVING count(*) <> max(version)) AS bad"
        )
        assert not await value(
            "SELECT count(*) FROM (SELECT recorded_at < lag(recorded_at) OVER (ORDER BY position) AS fell "
            "FROM diptych.event) AS times WHERE fell"
        )


class Proxy:
    """Stands between a client and the server, on a socket of its own, and can lose what the server says."""

    def __init__(self, behind: Path) -> None:
        self._behind = behind / ".s.PGSQL.5432"
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self.mute = False
        self.swallowed = asyncio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Path]:
        """Gives the folder of its socket."""
        with tempfile.TemporaryDirectory(prefix="diptych-proxy-") as name:
            folder = Path(name)
            server = await asyncio.start_unix_server(self._serve, folder / ".s.PGSQL.5432")
            try:
                yield folder
            finally:
                server.close()
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Ends every connection of a client, and lets new ones through."""
        self.mute = False
        for client in self._clients:
            client.close()
        self._clients.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(str(self._behind))
        self._clients.add(writer)
        for task in (
            asyncio.create_task(self._pass_on(reader, server_writer, from_server=False)),
            asyncio.create_task(self._pass_on(server_reader, writer, from_server=True)),
        ):
            self._tasks.add(task)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, from_server: bool) -> None:
        with suppress(ConnectionError, OSError):
            while data := await source.read(65536):
                if from_server and self.mute:
                    self.swallowed.set()
                    continue
                sink.write(data)
                await sink.drain()
        sink.close()
