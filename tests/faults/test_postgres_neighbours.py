"""Several contexts in one database: each has a log to itself, whatever the others do to theirs."""

import asyncio
import time
from datetime import timedelta

import pytest

from diptych.stores.postgres import PostgresStore
from diptych.stores.postgres.log import PostgresLog
from tests.app.shop import OrderCount, order, shop
from tests.conftest import new_store
from tests.faults.postgres_tools import append_in, check_tables, opened, session
from tests.faults.test_postgres_races import RACERS_OF_EACH
from tests.faults.tools import end, new_append, said, start, until
from tests.postgres import Server


@pytest.fixture
def urls(postgres: Server) -> list[str]:
    return [new_store(postgres) for _ in range(3)]


async def test_races_in_each_of_several_logs_are_decided_as_if_each_were_alone(urls: list[str]) -> None:
    rounds, processes_of_each = 40, 2
    processes = {
        (url, number): await start("postgres_racer", url, RACERS_OF_EACH, kind, rounds, number)
        for url, kind in zip(urls, ("version", "tag", "version"), strict=True)
        for number in range(processes_of_each)
    }
    try:
        won = {key: (await asyncio.wait_for(said(process), 120))["won"] for key, process in processes.items()}
    finally:
        for process in processes.values():
            await end(process)
    for url in urls:
        of_each = [won[url, number] for number in range(processes_of_each)]
        assert [sum(round_) for round_ in zip(*of_each, strict=True)] == [1] * rounds
        await check_tables(url)
        async with opened(url) as log:
            assert (await log.head()).position == rounds


async def test_contexts_under_load_see_their_own_events_and_no_other(urls: list[str]) -> None:
    async def work(url: str, orders: int) -> None:
        async with shop.open(url) as app:
            for number in range(0, orders, 10):
                await asyncio.gather(*[app.execute(order(f"{number + each}")) for each in range(10)])
            assert await app.ask(OrderCount(), after=await app.token(), timeout=timedelta(seconds=30)) == orders
            assert len([event async for event in app.events()]) == orders

    await asyncio.gather(*[work(url, 50 * (number + 1)) for number, url in enumerate(urls)])
    for url in urls:
        await check_tables(url)


async def test_whoever_holds_the_lock_of_one_log_holds_up_no_other(urls: list[str]) -> None:
    held, *others = urls
    async with session(held) as holder, holder.transaction():
        await append_in(holder, held, new_append("held-1"))
        for url in others:
            async with opened(url) as log:
                began = time.perf_counter()
                assert (await log.append(new_append("order-1"))).position == 1
                assert time.perf_counter() - began < 2


async def test_a_word_about_one_log_wakes_nobody_who_follows_another(urls: list[str]) -> None:
    one, other, _ = urls
    async with opened(one) as log, opened(other) as follower:
        heard: list[str] = []

        def hear(word: str) -> None:
            heard.append(word)
            PostgresLog._hear(follower, word)

        follower._listener._heard = hear
        waiting = asyncio.create_task(follower.wait_past(0, timedelta(seconds=20)))

        async def hears() -> bool:
            return follower._listener._hearing

        await until(hears)
        for _ in range(20):
            await log.append(new_append("order-1"))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        assert heard == []
        async with opened(other) as own:
            await own.append(new_append("order-1"))
        assert await waiting
        assert heard == ["log 1"]


async def test_a_log_is_migrated_while_its_neighbours_are_at_work(urls: list[str], postgres: Server) -> None:
    async with opened(urls[0]) as log:
        appends = asyncio.create_task(appending(log))
        for number in range(5):
            await PostgresStore(postgres.url(f"neighbour_{number}")).migrate()
        appends.cancel()
        await asyncio.wait([appends])
        assert (await log.head()).position > 10
    await check_tables(urls[0])


async def appending(log: PostgresLog) -> None:
    while True:
        await log.append(new_append("order-1"))
