"""Faults 6 and 23 on PostgreSQL: dumps that are restored elsewhere or too late, failovers that lose the log's end."""

import asyncio
import shutil
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from diptych import App, NotCaughtUp, Receipt
from diptych.stores.postgres.address import address_of
from diptych.stores.sqlite import SqliteStore
from tests.app.shop import OrderById, OrderCount, ShipOrder, order, shop
from tests.conftest import new_store
from tests.faults.postgres_tools import check_tables, opened, session
from tests.faults.tools import check_whole, events_of, rebuild, token_at, until
from tests.postgres import Server
from tests.read.engine import reaches, working
from tests.read.ledger import ACCOUNTS, Added, standing, tell


async def dumped(server: Server, url: str, file: Path) -> Path:
    """A dump of both schemas of a store."""
    address = address_of(url)
    schemas = [f"--schema={name}" for name in (address.schema, address.views_schema)]
    await tool(server, "pg_dump", "--format=custom", f"--file={file}", *schemas, f"--dbname={address.dsn}")
    return file


async def restored(server: Server, dump: Path, url: str) -> None:
    """Restores a dump in the database of the URL, in the place of what is there of it."""
    await tool(
        server, "pg_restore", "--clean", "--if-exists", "--no-owner", f"--dbname={address_of(url).dsn}", str(dump)
    )


async def tool(server: Server, name: str, *arguments: str) -> None:
    """Runs one of the release's programs."""
    await run(str(server.programs / name), *arguments)


async def run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, complaint = await process.communicate()
    assert process.returncode == 0, complaint


async def new_database(server: Server, url: str, name: str) -> str:
    """The URL of the same store in a new database of a server."""
    async with session(server.url()) as other:
        await other.execute(f"DROP DATABASE IF EXISTS {name}")
        await other.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    return server.url(address_of(url).schema).replace("/postgres?", f"/{name}?")


async def place(app: App, *numbers: int) -> Receipt:
    """Places orders, and gives the last receipt."""
    receipts = [await app.execute(order(f"{number}"), command_id=f"place-{number}") for number in numbers]
    return receipts[-1]


async def test_6_a_store_that_is_restored_elsewhere_goes_on_as_the_same_log(
    each_postgres: Server, postgres: Server, tmp_path: Path
) -> None:
    url = await asyncio.to_thread(new_store, each_postgres)
    async with shop.open(url) as app:
        first = await place(app, 1, 2, 3)
        await app.caught_up(first.token)
        log_id = app.log.log_id
    dump = await dumped(each_postgres, url, tmp_path / "dump")

    elsewhere = await new_database(postgres, url, "elsewhere")
    await restored(postgres, dump, elsewhere)
    async with shop.open(elsewhere) as app:
        assert app.log.log_id == log_id
        assert await app.ask(OrderCount(), after=first.token) == 3
        assert await place(app, 3) == first  # a command that was accepted before the dump
        shipped = await app.execute(ShipOrder(order_id="1"))
        assert shipped.token.position == 4
        row = await app.ask(OrderById(order_id="1"), after=shipped.token)
        assert row is not None
        assert row.status == "shipped"
        assert len(await check_whole(app)) == 4
    await check_tables(elsewhere)


async def test_6_an_older_dump_goes_on_from_where_it_was_made_and_answers_no_token_from_after_it(
    each_postgres: Server, tmp_path: Path
) -> None:
    url = await asyncio.to_thread(new_store, each_postgres)
    async with shop.open(url) as app:
        await app.caught_up((await place(app, 1, 2)).token)
        dump = await dumped(each_postgres, url, tmp_path / "dump")
        lost = await place(app, 3, 4, 5)
        await app.caught_up(lost.token)
    await restored(each_postgres, dump, url)
    async with shop.open(url) as app:
        with pytest.raises(NotCaughtUp):
            await app.ask(OrderCount(), after=lost.token, timeout=timedelta(milliseconds=200))
        again = await place(app, 3)
        assert again.token.position == 3
        # The dump has the worker that was at work then: its lease has to end.
        assert await app.ask(OrderCount(), after=again.token, timeout=timedelta(seconds=20)) == 3
        await check_whole(app)
    await check_tables(url)


async def test_6_an_older_log_under_newer_views_halts_them_until_they_are_filled_anew(
    each_postgres: Server, tmp_path: Path
) -> None:
    url = await asyncio.to_thread(new_store, each_postgres)
    address = address_of(url)
    tables = [f"--table={name}" for name in ("event", "event_tag", "event_kind", "ledger")]
    async with shop.open(url) as app:
        await app.caught_up((await place(app, 1, 2)).token)
        dump = await dumped(each_postgres, url, tmp_path / "dump")
        await app.caught_up((await place(app, 3, 4)).token)
    async with session(url) as other:
        await other.execute(
            address.placed("TRUNCATE diptych.event, diptych.event_tag, diptych.event_kind, diptych.ledger")
        )
    await tool(each_postgres, "pg_restore", "--data-only", *tables, f"--dbname={address.dsn}", str(dump))

    async with shop.open(url) as app:
        assert [event.position for event in await events_of(app)] == [1, 2]
        last = await place(app, 5, 6, 7)  # past the position that the views have seen
        with pytest.raises(NotCaughtUp, match="lost its end"):
            await app.ask(OrderCount(), after=last.token, timeout=timedelta(seconds=5))
    await rebuild(url)
    async with shop.open(url) as app:
        assert await app.ask(OrderCount(), after=last.token) == 5
        await check_whole(app)
    await check_tables(url)


# 23: a failover


async def fail_over(server: Server, copy: Path) -> None:
    """The server dies, and one with an older copy of its files comes up in its place."""
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(shutil.rmtree, server.folder / "data")
    await run("cp", "-a", str(copy), str(server.folder / "data"))
    await asyncio.to_thread(server.start)


async def copied(server: Server) -> Path:
    """A copy of the server's files as they are now."""
    copy = server.folder / "copy"
    await asyncio.to_thread(server.stop)
    await run("cp", "-a", str(server.folder / "data"), str(copy))
    await asyncio.to_thread(server.start)
    return copy


async def test_23_a_failover_that_loses_the_logs_end_is_survived_by_a_running_app(own_postgres: Server) -> None:
    url = await asyncio.to_thread(new_store, own_postgres)
    async with shop.open(url) as app:
        await app.caught_up((await place(app, 1, 2, 3)).token)
        await app.execute(ShipOrder(order_id="1"))
        await app.caught_up(token_at(app, 4))
        copy = await copied(own_postgres)
        await app.execute(ShipOrder(order_id="2"))
        await app.caught_up((await place(app, *range(4, 40))).token)
        await fail_over(own_postgres, copy)

        assert (await app.log.head()).position == 4
        assert not await app.log.wait_past(4, timedelta(milliseconds=100)), "what was told of before is gone"
        again = await app.execute(ShipOrder(order_id="2"))  # the state that is kept of it says that it was shipped
        assert (again.token.position, again.version) == (5, 2)
        assert await app.ask(OrderCount(), after=again.token, timeout=timedelta(seconds=10)) == 3
        await place(app, *range(4, 60))
        assert len(await check_whole(app)) == 61
    await check_tables(url)


async def test_23_a_checkpoint_that_is_ahead_of_the_log_is_noticed_by_a_running_projector_and_halts_its_view(
    own_postgres: Server, path: Path
) -> None:
    url = await asyncio.to_thread(new_store, own_postgres)
    async with opened(url) as log, SqliteStore(path).views() as views, working(log, views, ACCOUNTS):
        await tell(log, *[Added(key="a", amount=Decimal(1))] * 5)
        copy = await copied(own_postgres)
        await tell(log, *[Added(key="a", amount=Decimal(1))] * 5)
        await reaches(views, ACCOUNTS.shape, 10)
        await fail_over(own_postgres, copy)
        await tell(log, *[Added(key="b", amount=Decimal(1))] * 20)

        async def has_halted() -> bool:
            return (await standing(views, ACCOUNTS.shape)).astray

        await until(has_halted)
        halted = await standing(views, ACCOUNTS.shape)
        assert halted.position == 10
        assert "lost its end" in (halted.hindrance or "")
