"""Workers of one store that come, share segments, end and die: what the tests of workers have in common."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import Any

from diptych import Event
from diptych.log import EventLog
from diptych.read import (
    Generation,
    ProjectionSettings,
    ProjectionWorker,
    ViewStore,
)
from diptych.stores import Store
from tests.read.engine import (
    SHAPE,
    until,
    worker,
)
from tests.read.ledger import (
    ACCOUNTS,
    Added,
    Closed,
    Marked,
    Swept,
    standing,
    tell,
)

FOUR = ProjectionSettings(segments=4)


def events(count: int) -> list[Event]:
    """Events whose number and order show in the rows."""
    kinds: Sequence[Callable[[int], Event]] = [
        lambda number: Added(key="abcde"[number % 5], amount=Decimal(number)),
        lambda number: Marked(key="abcde"[number % 5]),
        lambda number: Added(key="edcba"[number % 5], amount=Decimal(number)),
        lambda number: Swept(keys=["a", "c"]) if number % 40 == 3 else Closed(key="e"),
    ]
    return [kinds[number % 4](number) for number in range(count)]


class Mortal:
    """A worker with connections of its own, which may end without a word."""

    def __init__(self, worker: ProjectionWorker, log: EventLog, views: ViewStore) -> None:
        self.worker = worker
        self.log = log
        self.views = views
        self.task = asyncio.create_task(worker.run())

    async def kill(self) -> None:
        tasks = [self.task, *[running.task for running in self.worker._running.values()]]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.worker.end()


@asynccontextmanager
async def team(store: Store) -> AsyncGenerator[Callable[..., Any]]:
    """Gives a function that has another worker begin; all have ended afterwards."""
    async with AsyncExitStack() as stack:

        async def join(*folds: Any, change: Callable[[Any], Any] = lambda views: views, **more: Any) -> Mortal:
            log = await stack.enter_async_context(store.log())
            views = change(await stack.enter_async_context(store.views()))
            one = worker(log, views, *(folds or [ACCOUNTS]), **more)
            await one.begin()
            mortal = Mortal(one, log, views)
            stack.push_async_callback(mortal.kill)
            return mortal

        yield join


def owners(generation: Generation) -> Counter[str | None]:
    return Counter(at.owner for at in generation.checkpoints)


async def shared(views: ViewStore, among: int, shape: Any = SHAPE, seconds: float = 10) -> Generation:
    """Waits until so many workers have all segments, each as many as the others."""

    async def fair() -> bool:
        found = owners(await standing(views, shape))
        return None not in found and len(found) == among and max(found.values()) - min(found.values()) <= 1

    await until(fair, seconds)
    return await standing(views, shape)


async def appending(log: EventLog, new: Sequence[Event]) -> None:
    for event in new:
        await tell(log, event)
        await asyncio.sleep(0.002)
