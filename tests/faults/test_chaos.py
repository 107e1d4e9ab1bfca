"""Chaos, seeded: workers are killed, stopped and woken, views rebuilt, divided, paused and repaired, under load.

In the end every view is a pure fold of the log, and every key has seen its events in order, each exactly once. The seed
of each run stands in its name, and what was done in its output.
"""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from diptych import BoundedContext, DiptychError
from diptych.log import EventLog, NewEvent
from diptych.read import Audit, Division, Fold, Pause, Repair, Selector, Stopped, Superseded, ViewStore
from diptych.read.projector import utc_now
from diptych.stores import store_at
from diptych.worker import new_identity
from tests.faults.chaos import BROKEN, KEYS, LEASE, MENDED, Last, Sum, Ticked, Trail, groups
from tests.faults.tools import ROOT, end, new_append, said, start, until

SOAK = os.environ.get("SOAK") == "1"
ACTIONS = 60 if SOAK else 8
SEEDS = range(30) if SOAK else range(1)
CALM = 60.0


class Chaos:
    """One run of it: the store, the workers' processes, and what is done to them."""

    def __init__(self, url: str, seed: int, log: EventLog, views: ViewStore) -> None:
        self.url = url
        self.dice = random.Random(seed)
        self.log = log
        self.views = views
        self.workers: list[Process] = []
        self.counts = dict.fromkeys([f"k{number}" for number in range(KEYS)], 0)
        self.mended = False

    async def append(self, events: int) -> None:
        """So many events of random keys, in appends of a few."""
        while events > 0:
            key = self.dice.choice(list(self.counts))
            number = min(self.dice.randint(1, 5), events)
            events -= number
            new = []
            for _ in range(number):
                self.counts[key] += 1
                new.append(_event(key, self.counts[key]))
            await self.log.append(new_append(f"tick-{key}")._replace(events=new))

    async def start_worker(self) -> None:
        worker = await start("chaos", self.url, "mended" if self.mended else "broken")
        assert (await said(worker))["ready"]
        self.workers.append(worker)

    # What may happen

    async def kill(self) -> None:
        worker = self.dice.choice(self.workers)
        self.workers.remove(worker)
        await end(worker)
        await self.start_worker()

    async def stop_and_wake(self) -> None:
        worker = self.dice.choice(self.workers)
        worker.send_signal(signal.SIGSTOP)
        await self.append(30)
        await asyncio.sleep(LEASE.total_seconds() * self.dice.choice((0.3, 1.6)))
        worker.send_signal(signal.SIGCONT)

    async def restart(self) -> None:
        worker = self.workers.pop(0)
        assert worker.stdin is not None
        worker.stdin.close()
        await asyncio.wait_for(worker.wait(), 20)
        await end(worker)
        await self.start_worker()

    async def pause_for_a_while(self) -> None:
        fold = self._fold()
        await self.views.pause(fold.shape, Pause(utc_now(), "chaos"))
        await self.append(20)
        await asyncio.sleep(0.3)
        await self.views.resume(fold.shape)

    async def divide(self) -> None:
        with suppress(Stopped, DiptychError):
            await Division(new_identity(), self._fold(), self.log, self.views).run(self.dice.randint(1, 5))

    async def rebuild(self) -> None:
        """By the command line, which may be killed on its way."""
        name = self._fold().shape.name
        target = f"tests.faults.chaos:{'MENDED' if self.mended else 'BROKEN'}"
        words = ("projection", "rebuild", name, "--with-letters", "--target", target, "--store", self.url)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "diptych", *words, stdout=PIPE, stderr=PIPE, cwd=ROOT, start_new_session=True
        )
        if self.dice.random() < 0.5:
            await asyncio.sleep(self.dice.random() * 1.5)
        else:
            await asyncio.wait([asyncio.create_task(process.wait())], timeout=20)
        await end(process)

    async def retry(self) -> None:
        fold = self._fold()
        with suppress(DiptychError, Superseded):
            await repair(fold, self.log, self.views)

    def _fold(self) -> Fold[Any]:
        return self.dice.choice(folds_of(MENDED if self.mended else BROKEN))

    async def mend(self) -> None:
        """All workers are replaced by others whose handlers fail no more."""
        self.mended = True
        for worker in self.workers:
            await end(worker)
        self.workers.clear()
        for _ in range(2):
            await self.start_worker()


def folds_of(context: BoundedContext) -> list[Fold[Any]]:
    """Those that fold rows, which are all."""
    return [fold for fold in context.folds if isinstance(fold, Fold)]


def _event(key: str, n: int) -> NewEvent:
    return MENDED.catalogue.encode(Ticked(key=key, n=n), os.urandom(16))[0]


async def repair(fold: Fold[Any], log: EventLog, views: ViewStore) -> None:
    """Retries everything that is held back in the live generation."""
    for generation in await views.generations(fold.shape):
        if generation.live:
            one = Repair(fold, log, views, generation.number)
            for hold in await one.holds():
                await one.retry(hold)


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_view_is_a_fold_of_the_log_after_chaos(url: str, seed: int) -> None:
    store = store_at(url)
    async with store.log() as log, store.views() as views:
        chaos = Chaos(url, seed, log, views)
        deeds: list[Callable[[], Any]] = [
            chaos.kill,
            chaos.stop_and_wake,
            chaos.restart,
            chaos.pause_for_a_while,
            chaos.divide,
            chaos.rebuild,
            chaos.retry,
        ]
        try:
            await chaos.append(200)
            for _ in range(2):
                await chaos.start_worker()
            for number in range(ACTIONS):
                deed = chaos.dice.choice(deeds)
                print(f"seed {seed}, {number}: {deed.__name__}")  # noqa: T201 - pytest shows it where the run fails
                await asyncio.gather(deed(), chaos.append(chaos.dice.randint(20, 120)))
                if number == ACTIONS // 2:
                    await chaos.mend()
            if not chaos.mended:
                await chaos.mend()
            await settled(chaos)
            await check(chaos)
        finally:
            for worker in chaos.workers:
                with suppress(ProcessLookupError):
                    worker.send_signal(signal.SIGCONT)
                await end(worker)


async def settled(chaos: Chaos) -> None:
    """Waits until nothing is held back any more, and every view has come to the log's end."""

    async def is_settled() -> bool:
        head = (await chaos.log.head()).position
        for fold in folds_of(MENDED):
            live = next((one for one in await chaos.views.generations(fold.shape) if one.live), None)
            if live is None or live.pause is not None:
                return False
            if live.parked:
                with suppress(DiptychError, Superseded):
                    await repair(fold, chaos.log, chaos.views)
                return False
            if live.position < head:
                return False
        return True

    await until(is_settled, CALM)


async def check(chaos: Chaos) -> None:
    """Every key has seen its events in order, each once, and every view is a fold of the log."""
    trails: dict[str, list[int]] = {}
    sums: dict[str, tuple[int, int]] = {}
    lasts: dict[str, int] = {}
    position = 0
    while events := (await chaos.log.read(position, 1000)).events:
        for stored in events:
            event = MENDED.catalogue.decode(stored)
            assert isinstance(event, Ticked)
            trails.setdefault(event.key, []).append(stored.position)
            for group in groups(event):
                count, total = sums.get(group, (0, 0))
                sums[group] = (count + 1, total + event.n)
            lasts[event.key] = event.n
        position = events[-1].position
    rows = {view: await all_rows(chaos.views, fold) for fold in folds_of(MENDED) for view in [fold.shape.view]}
    assert {row.key: row.seen for row in rows[Trail]} == trails
    assert {row.group: (row.events, row.total) for row in rows[Sum]} == sums
    assert {row.key: row.n for row in rows[Last]} == {key: n for key, n in lasts.items() if n % 10}
    for fold in folds_of(MENDED):
        assert [found async for found in Audit(fold, chaos.log, chaos.views).run()] == []


async def all_rows(views: ViewStore, fold: Fold[Any]) -> list[Any]:
    async with views.snapshot() as snapshot:
        await snapshot.generation(fold.shape)
        return await snapshot.select(fold.shape, Selector())
