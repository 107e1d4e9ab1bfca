"""Faults 7, 18 and 22: whatever racing processes were told could have happened one call after the other, also by those
whose processes, sessions and servers are killed meanwhile.

The seed of a round is in the test's name.
"""

import asyncio
import random
from asyncio.subprocess import Process
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from diptych.stores import store_at
from diptych.testing.log_history import Note, check_history
from tests.conftest import new_store
from tests.faults.historian import notes_in
from tests.faults.postgres_tools import check_tables, kill
from tests.faults.tools import check_file, end, say, start, url_of
from tests.postgres import Server

PROCESSES, CLIENTS = 4, 3

SHORT = [pytest.param(150, seed, id=f"seed {seed}") for seed in range(1)]
LONG = [pytest.param(400, seed, id=f"seed {seed}", marks=pytest.mark.soak) for seed in range(1, 8)]

Harm = Callable[[list[Process]], Coroutine[Any, Any, None]]


async def nothing(_processes: list[Process]) -> None:
    """Nobody is harmed."""


async def race(url: str, calls: int, seed: int, harm: Harm = nothing) -> list[Note]:
    """Starts processes with clients each, lets them go, does harm, and gives the notes of them all."""
    processes = [await start("historian", url, name, CLIENTS, calls, seed) for name in range(PROCESSES)]
    harming: asyncio.Task[None] | None = None
    try:
        for process in processes:
            assert await asyncio.wait_for(line_of(process), 30) == b"\n"
        for process in processes:
            await say(process)
        harming = asyncio.create_task(harm(processes))
        outputs = await asyncio.wait_for(asyncio.gather(*map(output, processes)), 300)
    finally:
        if harming is not None:
            harming.cancel()
            await asyncio.gather(harming, return_exceptions=True)
        for process in processes:
            await end(process)
    return [note for one in outputs for note in notes_in(one)]


async def line_of(process: Process) -> bytes:
    assert process.stdout is not None
    return await process.stdout.readline()


async def output(process: Process) -> bytes:
    assert process.stdout is not None
    return await process.stdout.read()


def killing_processes(seed: int) -> Harm:
    """All but one of the processes die, each in the middle of its work."""
    dice = random.Random(seed)

    async def harm(processes: list[Process]) -> None:
        for process in processes[1:]:
            await asyncio.sleep(dice.uniform(0, 0.05))
            with suppress(ProcessLookupError):
                process.kill()

    return harm


async def check(notes: list[Note], url: str) -> int:
    """Checks the notes, and gives how many operations have their place in the order."""
    async with store_at(url).log() as log:
        return len(await check_history(notes, log))


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize(("calls", "seed"), [*SHORT, *LONG])
async def test_7_what_racing_processes_are_told_of_a_file_has_an_order(
    path: Path, calls: int, seed: int, killed: bool
) -> None:
    url = url_of(path)
    async with store_at(url).log():
        pass  # it is made now
    notes = await race(url, calls, seed, killing_processes(seed) if killed else nothing)
    assert await check(notes, url) > calls
    check_file(path)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize(("calls", "seed"), [*SHORT, *LONG])
async def test_7_what_racing_processes_are_told_of_a_database_has_an_order(
    each_postgres: Server, calls: int, seed: int, killed: bool
) -> None:
    url = await asyncio.to_thread(new_store, each_postgres)
    notes = await race(url, calls, seed, killing_processes(seed) if killed else nothing)
    assert await check(notes, url) > calls
    await check_tables(url)


@pytest.mark.parametrize(("calls", "seed"), [pytest.param(120, 0, id="seed 0"), *LONG])
async def test_22_what_processes_are_told_of_a_database_that_is_restarted_has_an_order(
    own_postgres: Server, calls: int, seed: int
) -> None:
    url = await asyncio.to_thread(new_store, own_postgres)
    dice = random.Random(seed)
    restarts = 0

    async def harm(_processes: list[Process]) -> None:
        nonlocal restarts
        for _ in range(calls // 40):
            await asyncio.sleep(dice.uniform(0.02, 0.15))
            await asyncio.to_thread(own_postgres.stop)
            restarts += 1
            await asyncio.to_thread(own_postgres.start)
            await asyncio.sleep(dice.uniform(0.02, 0.15))
            with suppress(OSError):
                await kill(url, "writer")

    notes = await race(url, calls, seed, harm)
    assert restarts > 0
    assert await check(notes, url) > calls
    await check_tables(url)
