"""Faults 10, 11 and 12: workers that stand still, whose clocks jump, whose segments change, under load."""

import asyncio
import os
import random
import signal
import sqlite3
import struct
from asyncio.subprocess import Process
from contextlib import closing, suppress
from pathlib import Path

from diptych import DiptychError
from diptych.read import Division, Stopped
from diptych.stores.sqlite import SqliteStore
from diptych.worker import new_identity
from tests.faults.chaos import Last, Sum, Trail
from tests.faults.conftest import Place, Preloaded
from tests.faults.tools import end, until
from tests.faults.world import CALM, World, world_at

HOUR = 3600


async def owned_by(world: World, *processes: Process) -> bool:
    """Whether every segment is one of these processes', and each of them has one."""
    owners = {owner for fold in world.folds for owner in await owners_of(world, fold.shape.view)}
    pids = {str(process.pid) for process in processes}
    return {str(owner).split(":")[-2] if owner else None for owner in owners} == pids


async def owners_of(world: World, view: type) -> list[str | None]:
    live = await world.live(world.fold(view))
    return [] if live is None else [at.owner for at in live.checkpoints]


async def stood_still(world: World, worker: Process) -> None:
    """Stops a process, which on SQLite may have the file's lock then: whoever wants it waits, whatever they do."""
    while True:
        worker.send_signal(signal.SIGSTOP)
        if not world.url.startswith("sqlite") or can_write(Path(world.url.removeprefix("sqlite:///"))):
            return
        worker.send_signal(signal.SIGCONT)
        await asyncio.sleep(0.01)


def can_write(path: Path) -> bool:
    for file in (path, SqliteStore(path).views_path):
        with closing(sqlite3.connect(file, timeout=1, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
    return True


# 10: a lease


async def test_10_a_worker_that_stands_still_past_its_lease_writes_nothing_when_it_wakes(url: str) -> None:
    async with world_at(url) as world:
        await world.append(200)
        stopped = await world.start_worker()
        await world.start_writer(10)
        for _ in range(2):
            await asyncio.sleep(0.5)  # it is in the middle of something
            await stood_still(world, stopped)
            other = await world.start_worker()
            await until(lambda other=other: owned_by(world, other), CALM)
            await world.append(50)
            stopped.send_signal(signal.SIGCONT)  # with what it had in hand
            await until(lambda other=other: owned_by(world, stopped, other), CALM)
            await end(other)
        await world.end_writers()
        await world.settled()
        await world.check()


# 11: the clock


class Clock:
    """The wall clock of whoever is started with its environment."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._file = folder / "shift"
        self.shift(0)
        self._file.chmod(0o644)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(self._file)}

    def shift(self, seconds: int) -> None:
        """By so many seconds from the real time, in all processes, at once."""
        with self._file.open("r+b" if self._file.exists() else "w+b") as file:
            file.write(struct.pack("q", seconds))


async def test_11_clocks_that_jump_by_an_hour_lose_and_double_nothing(
    place: Place, tmp_path: Path, preloaded: Preloaded
) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    clocks = [Clock(folder, preloaded("shifted_clock.c", folder)) for folder in folders]
    if (server := place.server) is not None:
        clocks.append(Clock(server.folder, preloaded("shifted_clock.c", server.folder)))
        await asyncio.to_thread(server.stop, signal.SIGINT)
        await asyncio.to_thread(lambda: server.start(**clocks[-1].environment))
    dice = random.Random(11)
    async with world_at(place.url) as world:
        for clock in clocks[:2]:
            environment = os.environ | clock.environment
            await world.start_worker(env=environment)
            await world.start_writer(11, env=environment)
        for number in range(8):
            for clock in clocks:
                clock.shift(dice.choice((-HOUR, 0, HOUR)))
            await world.append(30)
            await asyncio.sleep(0.3)
            if number % 3 == 2:  # somebody takes over, whatever the time is
                await end(world.workers.pop(0))
                await world.start_worker(env=os.environ | clocks[0].environment)
        await world.end_writers()
        await world.settled()
        await world.check()
        times = [event.recorded_at for event in (await world.log.read_records(0, 100_000)).events]
        assert times == sorted(times)
        assert max(times) - min(times) > HOUR / 2 * 1_000_000, "the clocks have jumped"


# 12: segments


async def test_12_a_view_is_split_merged_and_rebalanced_under_load(url: str) -> None:
    async with world_at(url) as world:
        await world.append(100)
        first = await world.start_worker()
        for seed in range(2):
            await world.start_writer(seed)
        for segments in (7, 3):
            others = [await world.start_worker() for _ in range(2)]
            await until(lambda others=others: owned_by(world, first, *others), CALM)
            await asyncio.gather(*[surely_divided(world, view, segments) for view in (Trail, Sum, Last)])
            for other in others:
                await end(other)
            world.workers[1:] = []
        await world.end_writers()
        await world.settled()
        await world.check()
        for view in (Trail, Sum, Last):
            assert len(await owners_of(world, view)) == 3
            assert len(set(await owners_of(world, view))) == 1


async def surely_divided(world: World, view: type, segments: int) -> None:
    fold = world.fold(view)
    division = Division(new_identity(), fold, world.log, world.views(fold))

    async def is_divided() -> bool:
        with suppress(Stopped, DiptychError):  # the file is busy, or a worker slow
            await division.run(segments)
            return True
        return False

    await until(is_divided, CALM)
