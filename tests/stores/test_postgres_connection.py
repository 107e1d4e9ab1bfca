"""Connections to PostgreSQL: bounded waits, and errors that say what is wrong, where, and what to do."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from diptych import DiptychError, NotAStore, Unavailable
from diptych.stores.postgres import PostgresStore, connection
from diptych.stores.postgres import log as log_module
from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.connection import Connection, Pool, translate
from tests.faults.postgres_tools import kill, opened, session
from tests.faults.tools import new_append
from tests.postgres import Server

HERE = address_of("postgresql://ann:secret@localhost/shop")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (asyncpg.InvalidCatalogNameError("no shop"), Unavailable, "createdb"),
        (asyncpg.InvalidPasswordError("wrong"), Unavailable, "Check user and password"),
        (asyncpg.UndefinedTableError("event"), NotAStore, "diptych store migrate"),
        (asyncpg.InsufficientPrivilegeError("event"), Unavailable, "docs/postgres.md"),
        (asyncpg.TooManyConnectionsError("100"), Unavailable, "takes no more connections"),
        (asyncpg.DiskFullError("full"), Unavailable, "free some space"),
        (asyncpg.ReadOnlySQLTransactionError("insert"), Unavailable, "standby"),
        (asyncpg.QueryCanceledError("timeout"), Unavailable, "a statement may take 30 s"),
        (TimeoutError(), Unavailable, "does not answer"),
        (ConnectionRefusedError("refused"), Unavailable, "the database cannot be reached: refused."),
        (FileNotFoundError(2, "No such file"), Unavailable, "the database cannot be reached: [Errno 2] No such file."),
        (asyncpg.InterfaceError(""), Unavailable, "InterfaceError."),
        (asyncpg.InternalClientError("Over."), Unavailable, ": Over."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_of_the_driver_says_where_it_was_and_what_to_do(
    error: BaseException, kind: type[DiptychError], words: str
) -> None:
    said = translate(error, HERE)
    assert type(said) is kind
    assert words in str(said)
    assert str(said).endswith(".")
    assert not str(said).endswith("..")
    assert "postgresql://ann:***@localhost/shop" in str(said)


async def test_reads_wait_for_a_connection_for_so_long_and_no_longer(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ACQUIRE_TIMEOUT", timedelta(milliseconds=100))
    pool = Pool(address_of(postgres_url), "test", 2)
    slow = [asyncio.create_task(pool.run(lambda one: one.execute("SELECT pg_sleep(0.5)"))) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(Unavailable, match=r"All 2 connections .* have been busy for 0.1 s"):
        await pool.run(lambda one: one.fetchval("SELECT 1"))
    await asyncio.gather(*slow)
    assert await pool.run(lambda one: one.fetchval("SELECT 1")) == 1
    await pool.close()


async def test_a_read_that_is_given_up_leaves_a_connection_that_is_used_again(postgres_url: str) -> None:
    pool = Pool(address_of(postgres_url), "test", 1)
    pid = await pool.run(lambda one: one.fetchval("SELECT pg_backend_pid()"))
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.run(lambda one: one.execute("SELECT pg_sleep(30)")), 0.05)
        assert await pool.run(lambda one: one.fetchval("SELECT pg_backend_pid()")) == pid
    await pool.close()


async def test_a_transaction_that_was_left_open_is_not_handed_on(postgres_url: str) -> None:
    pool = Pool(address_of(postgres_url), "test", 1)
    sql = "SELECT pg_backend_pid()"
    pids = [await pool.run(lambda one: one.fetchval(sql)) for _ in range(2)]
    await pool.run(lambda one: one.execute("BEGIN"))
    pids.append(await pool.run(lambda one: one.fetchval(sql)))
    assert pids[0] == pids[1] != pids[2]
    async with pool.held(lambda one: one.execute("BEGIN"), lambda _: asyncio.sleep(0)):
        await pool.close()
    async with session(postgres_url) as other:
        assert not await other.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'diptych test' AND state LIKE 'idle in%'"
        )


async def test_what_ends_a_loan_is_not_waited_for_but_by_whoever_is_next_and_by_close(postgres_url: str) -> None:
    pool = Pool(address_of(postgres_url), "test", 1)
    ended = asyncio.Event()
    done: list[str] = []

    async def end(connection: Connection) -> None:
        await ended.wait()
        await connection.execute("ROLLBACK")
        done.append("ended")

    async with pool.held(lambda one: one.execute("BEGIN"), end):
        pass
    asking = asyncio.create_task(pool.run(lambda one: asyncio.sleep(0, one.is_in_transaction())))
    await asyncio.sleep(0.05)
    assert not asking.done()
    ended.set()
    assert not await asking
    async with pool.held(lambda one: one.execute("BEGIN"), end):
        pass
    await pool.close()
    assert done == ["ended", "ended"]


async def test_a_loan_that_cannot_be_ended_costs_its_connection(postgres_url: str) -> None:
    pool = Pool(address_of(postgres_url), "test", 1)
    async with pool.held(lambda one: one.execute("BEGIN"), lambda one: one.execute("NONSENSE")):
        pass
    assert await pool.run(lambda one: one.fetchval("SELECT 1")) == 1
    await pool.close()


async def test_a_statement_that_takes_too_long_is_unavailable(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "STATEMENT_TIMEOUT", timedelta(milliseconds=100))
    pool = Pool(address_of(postgres_url), "test", 1)
    with pytest.raises(Unavailable, match="gave up on a statement"):
        await pool.run(lambda one: one.execute("SELECT pg_sleep(30)"))
    await pool.close()


async def test_a_pooler_that_takes_no_settings_is_connected_to_without_them(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, refused = asyncpg.connect, 0

    async def picky(dsn: str, **options: Any) -> Connection:
        nonlocal refused
        if set(options["server_settings"]) != {"application_name"}:
            refused += 1
            raise asyncpg.ProtocolViolationError("unsupported startup parameter: statement_timeout")
        return await connect(dsn, **options)

    monkeypatch.setattr(asyncpg, "connect", picky)
    async with opened(postgres_url) as log:
        assert (await log.append(new_append("a-1"))).position == 1
        assert (await log.head()).position == 1
    assert refused >= 2


async def test_a_server_that_speaks_otherwise_is_unavailable(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise asyncpg.ProtocolViolationError("what?")

    monkeypatch.setattr(asyncpg, "connect", broken)
    with pytest.raises(Unavailable, match="what"):
        async with PostgresStore(postgres_url).log():
            pass


async def test_a_session_that_reads_an_old_snapshot_does_not_append(postgres_url: str) -> None:
    """As behind a pooler, for a role with another default."""

    async def strict(one: Connection) -> None:
        await one.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE")

    async with opened(postgres_url) as log:
        real = connection._connect

        async def connect(*arguments: Any) -> Connection:
            one = await real(*arguments)
            await strict(one)
            return one

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection, "_connect", connect)
            with pytest.raises(Unavailable, match="default_transaction_isolation"):
                await log.append(new_append("a-1"))
        assert (await log.append(new_append("a-1"))).position == 1


async def test_synchronous_commit_is_switched_on_where_it_is_off(postgres: Server, postgres_url: str) -> None:
    address = address_of(postgres_url)
    one = await asyncpg.connect(address.dsn, server_settings={"synchronous_commit": "off"})
    sql = address.placed(
        "SELECT kind FROM diptych.append_one('1000', 0, '{}', 'c', 'f', 's-1', 0, '{}', 'T', 1, 'e', '[]', '{}')"
    )
    async with one.transaction():
        assert await one.fetchval(sql) == 0
        assert await one.fetchval("SHOW synchronous_commit") == "on"
    assert await one.fetchval("SHOW synchronous_commit") == "off"
    await one.close()


async def test_nobody_knows_who_kept_the_lock_when_it_is_free_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "LOCK_TIMEOUT", timedelta(milliseconds=50))
    async with opened(postgres_url) as log:

        async def at_once(*_: object) -> None:
            raise asyncpg.LockNotAvailableError("canceling statement due to lock timeout")

        monkeypatch.setattr(log._writer, "fetch", at_once)
        with pytest.raises(Unavailable, match=r"locked for 0.05 s; nothing was kept, try again later.$"):
            await log.append(new_append("a-1"))


async def test_closing_ends_every_session(postgres_url: str) -> None:
    async with opened(postgres_url) as log:
        await log.append(new_append("a-1"))
        await log.wait_past(1, timedelta(milliseconds=50))
    for purpose in ("writer", "reader", "listener"):
        assert await kill(postgres_url, purpose) == 0


async def test_closing_ends_at_any_moment_of_a_listeners_beginning(postgres_url: str) -> None:
    for number in range(60):
        async with asyncio.timeout(5), opened(postgres_url) as log:
            waiting = asyncio.create_task(log.wait_past(0, timedelta(seconds=10)))
            await asyncio.sleep(number / 4000)
            waiting.cancel()
    assert await kill(postgres_url, "listener") == 0
