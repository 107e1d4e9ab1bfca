"""Fault 6 inside one process: a log that lost its end under those who follow it keeps nobody waiting, or busy."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

import pytest

from diptych.log import EventLog
from diptych.stores import store_at
from diptych.stores.postgres.address import address_of
from tests.faults.postgres_tools import session
from tests.faults.tools import new_append

SOON = timedelta(seconds=10)

Lose = Callable[[int], Awaitable[None]]


@asynccontextmanager
async def on_sqlite(path: Path) -> AsyncIterator[tuple[EventLog, Lose]]:
    async with store_at(f"sqlite:///{path}").log() as log:

        async def lose(end: int) -> None:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("DELETE FROM event WHERE position > ?", (end,))

        yield log, lose


@asynccontextmanager
async def on_postgres(url: str) -> AsyncIterator[tuple[EventLog, Lose]]:
    async with store_at(url).log() as log:

        async def lose(end: int) -> None:
            async with session(url) as other:
                await other.execute(address_of(url).placed("DELETE FROM diptych.event WHERE position > $1"), end)

        yield log, lose


Opening = AbstractAsyncContextManager[tuple[EventLog, Lose]]


@pytest.fixture(params=["sqlite", "postgres"])
def opening(request: pytest.FixtureRequest, path: Path) -> Opening:
    """A log, and what makes it lose its events after a position, as an older copy does that is put in its place."""
    return on_sqlite(path) if request.param == "sqlite" else on_postgres(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def opened(opening: Opening) -> AsyncIterator[tuple[EventLog, Lose]]:
    """One with ten events, all of which it has rung for."""
    async with opening as (log, lose):
        await log.append(new_append("order-1", events=10))
        assert await log.wait_past(9, SOON)
        yield log, lose


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
