"""Faults 6 and 23 without a broken connection: a log that lost its end under those who follow it, and their views.

Nobody is kept waiting, or busy, and no view goes on past what it has not seen.
"""

import asyncio
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from diptych.log import EventLog
from diptych.stores import store_at
from diptych.stores.postgres.address import address_of
from diptych.stores.sqlite import SqliteStore
from tests.faults.commands import ran
from tests.faults.postgres_tools import session
from tests.faults.tools import new_append, until
from tests.faults.world import CALM, World, world_at

SOON = timedelta(seconds=10)

Lose = Callable[[int], Awaitable[None]]


async def lose(url: str, end: int) -> None:
    """Has the log lose its events after a position, as an older copy has that is put in its place."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            connection.execute("DELETE FROM event WHERE position > ?", (end,))
        return
    async with session(url) as other:
        await other.execute(address_of(url).placed("DELETE FROM diptych.event WHERE position > $1"), end)


@pytest.fixture
async def opened(url: str) -> AsyncIterator[tuple[EventLog, Lose]]:
    """A log with ten events, all of which it has rung for."""
    async with store_at(url).log() as log:
        await log.append(new_append("order-1", events=10))
        assert await log.wait_past(9, SOON)
        yield log, partial(lose, url)


async def test_6_a_follower_behind_the_lost_end_waits_and_hears_of_what_is_kept_instead(
    opened: tuple[EventLog, Lose],
) -> None:
    log, lose = opened
    await lose(5)
    began = time.process_time()
    assert not await log.wait_past(5, timedelta(milliseconds=300))
    assert time.process_time() - began < 0.15, "it was kept busy"
    waiting = asyncio.create_task(log.wait_past(5, SOON))
    await asyncio.sleep(0.1)
    outcome = await log.append(new_append("order-2"))
    assert outcome.position == 6
    assert await asyncio.wait_for(waiting, 1)
    assert [event.position for event in (await log.read(5)).events] == [6]


async def test_6_a_follower_past_the_lost_end_waits_until_the_log_has_grown_past_it(
    opened: tuple[EventLog, Lose],
) -> None:
    log, lose = opened
    await lose(5)
    waiting = asyncio.create_task(log.wait_past(10, SOON))
    for number in range(6):
        await asyncio.sleep(0.02)
        assert not waiting.done()
        await log.append(new_append(f"later-{number}"))
    assert await asyncio.wait_for(waiting, 2)
    assert (await log.head()).position == 11


# The views of a log that lost its end


@asynccontextmanager
async def put_back(url: str) -> AsyncIterator[None]:
    """Puts log and views back to what they are now, in the places where they are."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        files = [path, SqliteStore(path).views_path]
        copies = [file.with_suffix(".copy") for file in files]
        for file, copy in zip(files, copies, strict=True):
            copy_file(file, copy)
        yield
        for file, copy in zip(files, copies, strict=True):
            copy_file(copy, file)
        return
    address = address_of(url)
    async with session(url) as other:
        sql = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = ANY ($1)"
        tables = [row[0] for row in await other.fetch(sql, [address.schema, address.views_schema])]
        for number, table in enumerate(tables):
            await other.execute(f"CREATE TEMPORARY TABLE copy_{number} AS TABLE {table}")
        yield
        async with other.transaction():
            await other.execute("SET LOCAL session_replication_role = replica")
            for number, table in enumerate(tables):
                await other.execute(f"DELETE FROM {table}")
                await other.execute(f"INSERT INTO {table} TABLE copy_{number}")


def copy_file(source: Path, target: Path) -> None:
    """As SQLite has it, while both may be in use."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target, timeout=30)) as other:
        one.backup(other)


async def halted(world: World) -> None:
    """Waits until every view has noticed."""

    async def have() -> bool:
        found = [await world.live(fold) for fold in world.folds]
        return all(one is not None and one.astray for one in found)

    await until(have, CALM)


async def check_lost(world: World, seen: dict[type[Any], list[Any]]) -> None:
    """Nothing was applied past what was lost; a rebuild of each view mends it."""
    for fold in world.folds:
        assert await world.rows(fold) == seen[fold.shape.view]
    names = [fold.shape.name for fold in world.folds]
    came_to = await ran(world.url, "projection", "rebuild", *names, target="tests.faults.chaos:ASYNC")
    assert came_to.code == 0, came_to.err
    await world.settled()
    await world.check()


@pytest.mark.parametrize("grown", [-20, 0, 40], ids=["shorter", "as long", "longer"])
async def test_23_a_view_ahead_of_its_log_halts_while_its_workers_run_and_nothing_breaks(url: str, grown: int) -> None:
    async with world_at(url, "async") as world:
        await world.append(100)
        for _ in range(2):
            await world.start_worker()
        await world.settled()
        seen = {fold.shape.view: await world.rows(fold) for fold in world.folds}
        for worker in world.workers if grown >= 0 else ():  # so that they see no state between the old log and the new
            worker.send_signal(signal.SIGSTOP)
        await lose(url, 60)
        await world.append(40 + grown)
        for worker in world.workers:
            worker.send_signal(signal.SIGCONT)
        await halted(world)
        await check_lost(world, seen)


async def test_6_views_that_are_put_back_with_their_log_go_on_where_they_are(url: str) -> None:
    """As a dump has them that is restored in place, under workers that were farther."""
    async with world_at(url, "async") as world:
        await world.append(100)
        await world.start_worker()
        await world.settled()
        async with put_back(url):
            await world.append(100)
            await world.settled()
        await world.append(30)
        await world.settled()
        await world.check()
