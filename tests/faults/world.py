"""A store with the context of `chaos` on it, the processes that write and project it, and what must hold in the end."""

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from diptych import BoundedContext, DiptychError
from diptych.log import EventLog
from diptych.read import Audit, Fold, Generation, Repair, Selector, Superseded, ViewStore
from diptych.stores import store_at
from tests.faults.chaos import CODE, MENDED, Last, Pulse, Sum, Ticked, Ticker, Trail, groups, poisonous, ticked
from tests.faults.tools import end, new_append, said, start, until

CALM = 90.0


class World:
    """The log, the views in their places, and the processes that were started on them."""

    def __init__(self, url: str, code: str, seed: int, log: EventLog, places: dict[bool, ViewStore]) -> None:
        self.url = url
        self.code = code
        self.log = log
        self._places = places
        self._ticker = Ticker(log, seed)
        self.workers: list[Process] = []
        self.writers: list[Process] = []

    @property
    def folds(self) -> list[Fold[Any]]:
        """The folds of the code that runs."""
        return folds_of(CODE[self.code])

    def fold(self, view: type[Any]) -> Fold[Any]:
        return next(fold for fold in self.folds if fold.shape.view is view)

    def views(self, fold: Fold[Any]) -> ViewStore:
        """Where a view is kept."""
        return self._places[fold.shape.sync]

    async def append(self, events: int) -> None:
        """So many events of random keys, in appends of a few."""
        while events > 0:
            events -= await self._ticker.tick(min(events, 5))

    async def poison(self, key: str) -> None:
        """An event that broken code cannot apply: it and all later ones of its key are held back."""
        n = next(n for n in range(1, 10_000) if poisonous(Ticked(key=key, n=n)))
        await self.log.append(new_append(f"tick-{key}")._replace(events=[ticked(key, n)]))

    async def start_worker(self, code: str | None = None, **options: Any) -> Process:
        worker = await start("chaos", "project", self.url, code or self.code, **options)
        self.workers.append(worker)
        assert (await said(worker))["ready"]
        return worker

    async def start_writer(self, seed: int, **options: Any) -> Process:
        writer = await start("chaos", "write", self.url, self.code, seed, **options)
        self.writers.append(writer)
        assert (await said(writer))["ready"]
        return writer

    async def end_writers(self) -> None:
        """Has them end between two appends."""
        for writer in self.writers:
            await ended(writer)
        self.writers.clear()

    async def end_all(self) -> None:
        """Kills whatever still runs, or stands still."""
        for process in (*self.writers, *self.workers):
            await end(process)

    async def live(self, fold: Fold[Any]) -> Generation | None:
        """The generation that answers."""
        found = await self.views(fold).generations(fold.shape)
        return next((one for one in found if one.live and one.fits(fold.shape, self.log.log_id)), None)

    async def repair(self, fold: Fold[Any]) -> None:
        """Retries everything that is held back in what answers."""
        if (live := await self.live(fold)) is not None:
            one = Repair(fold, self.log, self.views(fold), live.number)
            for hold in await one.holds():
                await one.retry(hold)

    async def stands(self, fold: Fold[Any]) -> Generation:
        """What answers, once everything that the log has is applied or parked."""

        async def there() -> bool:
            live = await self.live(fold)
            return live is not None and live.position == (await self.log.head()).position

        await until(there, CALM)
        live = await self.live(fold)
        assert live is not None
        return live

    async def settled(self, *, repairing: bool = False) -> None:
        """Waits until nothing is held back any more, and every view has come to the log's end."""

        async def is_settled() -> bool:
            try:
                return all([await self._is_settled(fold, repairing=repairing) for fold in self.folds])
            except (DiptychError, Superseded):  # the store is away, or somebody else is at it
                return False

        await until(is_settled, CALM)

    async def _is_settled(self, fold: Fold[Any], *, repairing: bool) -> bool:
        live = await self.live(fold)
        if live is None or live.pause is not None:
            return False
        if live.parked and repairing:
            await self.repair(fold)
        return not live.parked and live.failure is None and live.position >= (await self.log.head()).position

    async def check(self) -> None:
        """Every key has seen its events in order, each once, and every view is a fold of the log."""
        rows = {fold.shape.view: await self.rows(fold) for fold in self.folds}
        expected = await self.expected()
        assert {row.key: row.seen for row in rows[Trail]} == expected.trails
        assert {row.group: (row.events, row.total) for row in rows[Sum]} == expected.sums
        assert {row.key: row.n for row in rows[Last]} == {key: n for key, n in expected.lasts.items() if n % 10}
        if Pulse in rows:
            pulses = {key: (len(seen), seen[-1]) for key, seen in expected.trails.items()}
            assert {row.key: (row.events, row.last) for row in rows[Pulse]} == pulses
        for fold in self.folds:
            assert [found async for found in Audit(fold, self.log, self.views(fold)).run()] == []

    async def expected(self) -> "Expected":
        expected = Expected()
        position = 0
        while events := (await self.log.read(position, 1000)).events:
            for stored in events:
                if stored.type == "Ticked":
                    event = MENDED.catalogue.decode(stored)
                    assert isinstance(event, Ticked)
                    expected.see(event, stored.position)
            position = events[-1].position
        return expected

    async def rows(self, fold: Fold[Any]) -> list[Any]:
        async with self.views(fold).snapshot() as snapshot:
            await snapshot.generation(fold.shape)
            return await snapshot.select(fold.shape, Selector())


class Expected:
    """What the views have to show, by a fold that knows nothing of Diptych's."""

    def __init__(self) -> None:
        self.trails: dict[str, list[int]] = {}
        self.sums: dict[str, tuple[int, int]] = {}
        self.lasts: dict[str, int] = {}

    def see(self, event: Ticked, position: int) -> None:
        self.trails.setdefault(event.key, []).append(position)
        for group in groups(event):
            count, total = self.sums.get(group, (0, 0))
            self.sums[group] = (count + 1, total + event.n)
        self.lasts[event.key] = event.n


@asynccontextmanager
async def world_at(url: str, code: str = "mended", seed: int = 0) -> AsyncIterator[World]:
    """A world on a store, whose processes end with it."""
    store = store_at(url)
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(CODE[code].log(store))
        places: dict[bool, ViewStore] = {}
        for in_step in (False, True):
            places[in_step] = await stack.enter_async_context(store.views(in_step=in_step))
        world = World(url, code, seed, log, places)
        try:
            yield world
        finally:
            await world.end_all()


def folds_of(context: BoundedContext) -> list[Fold[Any]]:
    return [fold for fold in context.folds if isinstance(fold, Fold)]


async def ended(process: Process) -> None:
    """Has a process end by itself."""
    assert process.stdin is not None
    process.stdin.close()
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 20)
    await end(process)
