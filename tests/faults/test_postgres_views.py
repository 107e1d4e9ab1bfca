"""Fault 22 on PostgreSQL, for views: the database is restarted, or its sessions end, in the middle of everything."""

import asyncio
import random
import signal
from asyncio.subprocess import Process
from collections.abc import Iterator

import pytest

from tests.conftest import new_store, programs_of
from tests.faults.chaos import Last
from tests.faults.conftest import EACH
from tests.faults.postgres_tools import kill
from tests.faults.world import World, world_at
from tests.postgres import Server, running


async def test_22_a_server_that_dies_again_and_again_under_its_writers_and_workers_costs_nothing(
    own_postgres: Server,
) -> None:
    dice = random.Random(22)
    async with world_at(await asyncio.to_thread(new_store, own_postgres)) as world:
        for seed in range(2):
            await world.start_worker()
            await world.start_writer(seed)
        for _ in range(3):
            await asyncio.sleep(dice.uniform(0.2, 1))
            await kill(world.url, "projector")
            await kill(world.url, "writer")
            await asyncio.sleep(dice.uniform(0.2, 1))
            await asyncio.to_thread(own_postgres.stop)
            await asyncio.to_thread(own_postgres.start)
            await world.append(10)
        await world.end_writers()
        await world.settled()
        await world.check()


@pytest.fixture(params=EACH)
def forgetful_postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that forgets, when it dies, what nobody waited for to be on the disk."""
    with running(programs_of(request.param), wal_writer_delay="10000ms") as server:
        yield server


async def crash_that_puts_back(world: World, worker: Process, server: Server) -> None:
    """Has the server die, with the worker stopped, until a view is behind: what is synced for others saves it."""
    for _ in range(10):
        await world.append(50)
        await world.settled()
        worker.send_signal(signal.SIGSTOP)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        live = await world.live(world.fold(Last))
        assert live is not None
        if live.position < (await world.log.head()).position:
            return
        worker.send_signal(signal.SIGCONT)
    pytest.fail("whatever crashes, the views have everything")


async def test_22_views_that_a_crash_has_put_back_are_projected_again_though_no_event_comes(
    forgetful_postgres: Server,
) -> None:
    async with world_at(await asyncio.to_thread(new_store, forgetful_postgres)) as world:
        await world.append(100)
        worker = await world.start_worker()
        await world.settled()
        await crash_that_puts_back(world, worker, forgetful_postgres)
        worker.send_signal(signal.SIGCONT)
        await world.settled()
        await world.check()
