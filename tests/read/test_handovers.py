"""After a rebuild and a division, those who project a view go on with it at once: nobody waits for their next look."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from diptych.log import EventLog
from diptych.read import Division, Job, ProjectionWorker, Rebuild, ViewStore
from diptych.read.worker import TURN
from tests.read.engine import SHAPE, NewStore, reaches, working
from tests.read.ledger import ACCOUNTS, Added, expected_accounts, opened, records, rows, tell

Change = Callable[[EventLog, ViewStore], Awaitable[None]]


async def rebuilt(log: EventLog, views: ViewStore) -> None:
    rebuild = Rebuild(ACCOUNTS, log, views)
    await rebuild.begin()
    worker = ProjectionWorker("rebuilder", [Job(ACCOUNTS, number=rebuild.number, on_idle=rebuild.idle)], log, views)
    async with worker.at_work():
        await rebuild.finish()


async def divided(log: EventLog, views: ViewStore) -> None:
    await Division("divider", ACCOUNTS, log, views).run(2)


async def late(log: EventLog, views: ViewStore) -> float:
    """How long an event takes to be in the view, in seconds."""
    await tell(log, Added(key="late", amount=Decimal(1)))
    told = time.monotonic()
    await reaches(views, SHAPE, (await log.head()).position)
    return time.monotonic() - told


@pytest.mark.parametrize("change", [rebuilt, divided])
@pytest.mark.parametrize("load", [True, False])
async def test_whoever_projects_a_view_goes_on_at_once(new_store: NewStore, change: Change, *, load: bool) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, *[Added(key="abc"[number % 3], amount=Decimal(1)) for number in range(100)])
        async with working(log, views, ACCOUNTS):
            await reaches(views, SHAPE, 100)

            over = asyncio.Event()

            async def append() -> None:
                while load and not over.is_set():
                    await tell(log, Added(key="a", amount=Decimal(1)))
                    await asyncio.sleep(0.01)

            appending = asyncio.create_task(append())
            gaps = []
            for _ in range(3):
                await change(log, others)
                gaps.append(await late(log, others))
            over.set()
            await appending
            await reaches(views, SHAPE, (await log.head()).position)
        assert sorted(gaps)[1] < TURN.total_seconds() / 2
        assert await rows(views, SHAPE) == expected_accounts(await records(log))
