"""Fault 30: minutes of load with conflicts and restarts. Memory stays flat, the lag ends, and views are folds."""

import asyncio
import random
import statistics
from asyncio.subprocess import Process
from pathlib import Path

import pytest

from tests.faults.tools import end
from tests.faults.world import ended, world_at

ROUNDS = 60
MEBIBYTE = 2**20


def resident(process: Process) -> float:
    """The memory that a process has, in MiB."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text("ascii").split()[1])
    return pages * 4096 / MEBIBYTE


@pytest.mark.soak
async def test_30_after_long_load_with_conflicts_and_restarts_memory_is_flat_and_views_are_folds(url: str) -> None:
    dice = random.Random(30)
    async with world_at(url) as world:
        stays = await world.start_worker()
        writes = await world.start_writer(30)
        await world.start_writer(31)
        memory: list[tuple[float, float]] = []
        for number in range(ROUNDS):
            come_and_gone = await world.start_worker()
            await world.append(20)
            await asyncio.sleep(dice.uniform(0.5, 3))
            await (ended if number % 2 else end)(come_and_gone)
            world.workers.remove(come_and_gone)
            memory.append((resident(stays), resident(writes)))
        await world.end_writers()
        await world.settled()
        await world.check()
    for process in zip(*memory, strict=True):
        early, late = process[ROUNDS // 4 : ROUNDS // 2], process[-ROUNDS // 4 :]
        assert statistics.median(late) < 1.1 * statistics.median(early) + 4, "memory grows"
