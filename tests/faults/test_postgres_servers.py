"""Faults 18 and 22 on PostgreSQL: servers and sessions are killed at random instants, and clients remember."""

import asyncio
import os
import random
import signal
from contextlib import suppress

import pytest

from tests.conftest import new_store
from tests.faults.crowd import Crowd, through
from tests.faults.postgres_tools import kill, session
from tests.postgres import Server

WAYS = ["at once", "kill -9", "kill -9 of a session", "terminated sessions"]


async def harm(server: Server, url: str, way: str) -> None:
    """What may happen to a server; it is back afterwards."""
    match way:
        case "at once":  # as `pg_ctl restart -m immediate`
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
        case "kill -9":  # the sessions go on until they notice
            await asyncio.to_thread(server.stop, signal.SIGKILL)
            await asyncio.to_thread(server.start)
        case "kill -9 of a session":  # the server ends all others, and recovers
            async with session(url) as other:
                sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'diptych writer' LIMIT 1"
                pid = await other.fetchval(sql)
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        case _:
            for purpose in ("writer", "reader", "listener"):
                await kill(url, purpose)


async def rounds(server: Server, ways: list[str], seed: int) -> None:
    url = await asyncio.to_thread(new_store, server)
    dice = random.Random(seed)

    async def do(crowd: Crowd) -> None:
        for way in ways:
            await asyncio.sleep(dice.uniform(0, 0.05))
            await harm(server, url, way)
            await crowd.goes_on()

    await through(url, do)


async def test_18_a_server_that_is_killed_in_any_way_keeps_what_it_acknowledged_and_followers_go_on(
    own_postgres: Server,
) -> None:
    await rounds(own_postgres, WAYS, seed=18)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
async def test_18_a_server_that_is_killed_hundreds_of_times_keeps_what_it_acknowledged(
    own_postgres: Server, seed: int
) -> None:
    await rounds(own_postgres, random.Random(seed).choices(WAYS, k=60), seed)
