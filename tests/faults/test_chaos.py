"""Chaos, seeded: processes and sessions are killed, stopped and woken, views rebuilt, divided, paused and repaired.

In the end every view is a pure fold of the log, and every key has seen its events in order, each exactly once. The seed
of each run stands in its name, and what was done in its output.
"""

import asyncio
import random
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from diptych import DiptychError
from diptych.read import Division, Fold, Pause, Stopped, Superseded
from diptych.read.now import utc_now
from diptych.worker import new_identity
from tests.faults.chaos import LEASE
from tests.faults.conftest import Place
from tests.faults.postgres_tools import kill
from tests.faults.tools import ROOT, end
from tests.faults.world import World, ended, world_at

DEEDS = 6
MANY_DEEDS = 40
SEEDS = [
    pytest.param(0, DEEDS, id="seed 0"),
    *[pytest.param(seed, MANY_DEEDS, id=f"seed {seed}", marks=pytest.mark.soak) for seed in range(1, 3)],
]


class Chaos:
    """What is done to a world."""

    def __init__(self, world: World, place: Place, seed: int) -> None:
        self.world = world
        self.place = place
        self.dice = random.Random(seed)

    @property
    def deeds(self) -> list[Callable[[], Any]]:
        """What may happen on this store."""
        anywhere = [
            *(self.kill_worker, self.stop_and_wake, self.restart_worker, self.restart_writer),
            *(self.pause_for_a_while, self.divide, self.rebuild, self.retry),
        ]
        return anywhere if self.place.server is None else [*anywhere, self.end_sessions, self.restart_server]

    async def kill_worker(self) -> None:
        await end(self._some_worker())
        await self.world.start_worker()

    async def stop_and_wake(self) -> None:
        worker = self.dice.choice(self.world.workers)
        worker.send_signal(signal.SIGSTOP)
        await asyncio.sleep(LEASE.total_seconds() * self.dice.choice((0.3, 1.6)))
        worker.send_signal(signal.SIGCONT)

    async def restart_worker(self) -> None:
        await ended(self._some_worker())
        await self.world.start_worker()

    async def restart_writer(self) -> None:
        await end(self.world.writers.pop(0))
        await self.world.start_writer(self.dice.randrange(1000))

    async def pause_for_a_while(self) -> None:
        fold = self._some_fold()
        views = self.world.views(fold)
        with suppress(DiptychError):
            await views.pause(fold.shape, Pause(utc_now(), "chaos"))
        await asyncio.sleep(0.5)
        await self._surely(lambda: views.resume(fold.shape))

    async def divide(self) -> None:
        fold = self._some_fold()
        with suppress(Stopped, DiptychError):
            await Division(new_identity(), fold, self.world.log, self.world.views(fold)).run(self.dice.randint(1, 5))

    async def rebuild(self) -> None:
        """By the command line, which may be killed on its way."""
        name = self._some_fold().shape.name
        words = ("projection", "rebuild", name, "--with-letters", "--store", self.world.url)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "diptych", *words, "--target", f"tests.faults.chaos:{self.world.code.upper()}"),
            stdout=PIPE,
            stderr=PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
        patience = self.dice.choice((self.dice.random() * 3, 20))
        await asyncio.wait([asyncio.create_task(process.communicate())], timeout=patience)
        await end(process)

    async def retry(self) -> None:
        with suppress(DiptychError, Superseded):
            await self.world.repair(self._some_fold())

    async def end_sessions(self) -> None:
        """Everybody's who does one kind of work on PostgreSQL."""
        for _ in range(3):
            purpose = self.dice.choice(("writer", "reader", "projector", "query", "listener"))
            await self._surely(partial(kill, self.world.url, purpose))

    async def restart_server(self) -> None:
        server = self.place.server
        assert server is not None
        await asyncio.to_thread(server.stop, self.dice.choice((signal.SIGQUIT, signal.SIGINT)))
        await asyncio.sleep(self.dice.random())
        await asyncio.to_thread(server.start)

    async def mend(self) -> None:
        """All processes are replaced by others whose handlers fail no more."""
        self.world.code = "mended"
        for worker in self.world.workers:
            await end(worker)
        self.world.workers.clear()
        for _ in range(2):
            await self.world.start_worker()

    def _some_fold(self) -> Fold[Any]:
        return self.dice.choice(self.world.folds)

    def _some_worker(self) -> Any:
        return self.world.workers.pop(self.dice.randrange(len(self.world.workers)))

    async def _surely(self, deed: Callable[[], Any]) -> None:
        """Does it as soon as the store can be reached."""
        while True:
            try:
                await deed()
            except (DiptychError, OSError):
                await asyncio.sleep(0.1)
            else:
                return


@pytest.mark.parametrize(("seed", "deeds"), SEEDS)
async def test_every_view_is_a_fold_of_the_log_after_chaos(place: Place, seed: int, deeds: int) -> None:
    async with world_at(place.url, "broken", seed) as world:
        chaos = Chaos(world, place, seed)
        await world.append(200)
        for number in range(2):
            await world.start_worker()
            await world.start_writer(number)
        for number in range(deeds):
            deed = chaos.dice.choice(chaos.deeds)
            print(f"seed {seed}, {number}: {deed.__name__}")  # noqa: T201 - pytest shows it where the run fails
            await asyncio.gather(deed(), world.append(chaos.dice.randint(10, 60)))
            if number == deeds // 2:
                await chaos.mend()
        await world.end_writers()
        await world.settled(repairing=True)
        await world.check()
