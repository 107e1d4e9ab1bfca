"""Workers over every store: when a view goes live, stands still in a pause, and is repaired while they are at work."""

import asyncio
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from diptych.log import EventLog
from diptych.read import (
    Job,
    Pause,
    ProjectionSettings,
    Repair,
    State,
    Superseded,
    ViewStore,
)
from tests.read.engine import (
    BROKEN,
    MENDED,
    SHAPE,
    SINCE,
    Broken,
    NewStore,
    Proxy,
    catch_up,
    hold,
    parked,
    projector_of,
    reaches,
    until,
    working,
)
from tests.read.ledger import (
    ACCOUNTS,
    Added,
    Dull,
    Marked,
    checkpoint_of,
    expected_accounts,
    opened,
    records,
    rows,
    standing,
    tell,
)
from tests.read.team import FOUR, appending, events, shared, team

# Going live


async def test_a_first_filling_goes_live_when_it_has_caught_up_and_not_before(new_store: NewStore) -> None:
    class Held(Proxy):
        gate: asyncio.Event

        async def read_records(self, after: int, *args: Any) -> Any:
            if after >= 20:
                await self.gate.wait()
            return await self._real.read_records(after, *args)

    async with opened(new_store()) as (log, views):
        held = Held(log)
        held.gate = asyncio.Event()
        await tell(log, *events(40))
        async with working(cast("EventLog", held), views, ACCOUNTS, settings=ProjectionSettings(batch=10)):

            async def half() -> bool:
                return (await standing(views, SHAPE)).position == 20

            await until(half)
            await asyncio.sleep(0.6)
            assert (await standing(views, SHAPE)).state is State.FILLING
            held.gate.set()
            assert (await reaches(views, SHAPE, 40, seconds=2)).live


async def test_a_view_of_an_empty_log_is_live_when_its_worker_has_begun(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views), working(log, views, ACCOUNTS):
        assert (await standing(views, SHAPE)).live


async def test_a_first_filling_goes_live_under_load_too(new_store: NewStore) -> None:
    """The log is ahead of the view whenever somebody looks."""

    class Busy(Proxy):
        async def head(self) -> Any:
            await tell(self._real, Dull(), Added(key="a", amount=Decimal(1)))
            return await self._real.head()

    async with opened(new_store()) as (log, views):
        await tell(log, *events(10))
        async with working(cast("EventLog", Busy(log)), views, ACCOUNTS):
            assert (await reaches(views, SHAPE, 10)).live


async def test_a_worker_looks_no_more_often_than_it_must_once_its_view_is_live(new_store: NewStore) -> None:
    class Counting(Proxy):
        beats = 0

        async def beat(self, *args: Any) -> Any:
            self.beats += 1
            return await self._real.beat(*args)

    async with opened(new_store()) as (log, views):
        counting = Counting(views)
        await tell(log, *events(4))
        async with working(log, cast("ViewStore", counting), ACCOUNTS, lease=timedelta(seconds=60)):
            await reaches(views, SHAPE, 4)
            begun, before = time.monotonic(), counting.beats
            for number in range(5, 45):
                await tell(log, Added(key="a", amount=Decimal(1)))
                await reaches(views, SHAPE, number)
            assert counting.beats - before <= (time.monotonic() - begun) / 0.5 + 2


async def test_whoever_fills_a_generation_of_a_number_fills_that_and_leaves_the_live_one_alone(
    new_store: NewStore,
) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *events(20))
        live = await catch_up(ACCOUNTS, log, views)
        begun = await views.begin(SHAPE, log.log_id, 2)
        idle = asyncio.Event()
        await tell(log, *events(5))
        async with working(log, views, Job(ACCOUNTS, number=begun.number, on_idle=idle.set)):
            await idle.wait()

            async def filled() -> bool:
                generations = {one.number: one for one in await views.generations(SHAPE)}
                return generations[begun.number].position == 25

            await until(filled)
            found = {one.number: one for one in await views.generations(SHAPE)}
            assert found[begun.number].state is State.FILLING
            assert found[live.number] == live


async def test_a_worker_may_serve_a_view_and_fill_another_generation_of_it(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *events(20))
        await catch_up(ACCOUNTS, log, views)
        begun = await views.begin(SHAPE, log.log_id)
        async with working(log, views, Job(ACCOUNTS), Job(ACCOUNTS, number=begun.number)):
            await tell(log, *events(5))
            await reaches(views, SHAPE, 25)

            async def filled() -> bool:
                return all(one.position == 25 for one in await views.generations(SHAPE))

            await until(filled)
            epochs = [one.checkpoints[0].epoch for one in await views.generations(SHAPE)]
            await asyncio.sleep(0.6)
            assert [one.checkpoints[0].epoch for one in await views.generations(SHAPE)] == epochs, "both have peace"


# A pause


async def test_a_pause_holds_on_all_workers_at_once_and_they_go_on_after_it(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as operator, team(store) as join:
        members = [await join(settings=FOUR) for _ in range(2)]
        await shared(views, 2)
        load = asyncio.create_task(appending(log, events(300)))
        await asyncio.sleep(0.2)
        await operator.pause(SHAPE, Pause(SINCE, "for a while"))
        held = await standing(views, SHAPE)
        await asyncio.sleep(1)
        paused = await standing(views, SHAPE)
        assert [at.position for at in paused.checkpoints] == [at.position for at in held.checkpoints]
        assert not any(member.worker._running for member in members), "nobody works in vain"
        assert paused.hindrance == f"it is paused since {SINCE}: for a while"
        await operator.resume(SHAPE)
        resumed = time.monotonic()
        while (await standing(views, SHAPE)).position == paused.position:
            assert time.monotonic() - resumed < 2
            await asyncio.sleep(0.01)
        await load
        await reaches(views, SHAPE, 300)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


async def test_a_page_that_was_being_applied_when_the_pause_came_is_not_kept(new_store: NewStore) -> None:
    class Slow(Proxy):
        async def commit(self, *args: Any) -> Any:
            await self._real.pause(SHAPE, Pause(SINCE, "now"))
            return await self._real.commit(*args)

    async with opened(new_store()) as (log, views):
        await tell(log, *events(5))
        with pytest.raises(Superseded):
            await (await projector_of(ACCOUNTS, log, cast("ViewStore", Slow(views)))).step()
        generation = await standing(views, SHAPE)
        assert (generation.position, generation.pause) == (0, Pause(SINCE, "now"))
        assert await rows(views, SHAPE) == []


async def test_a_paused_view_is_not_filled_and_does_not_go_live(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await views.prepare(SHAPE, log.log_id)
        await views.pause(SHAPE, Pause(SINCE, "now"))
        async with working(log, views, ACCOUNTS):
            await tell(log, *events(5))
            await asyncio.sleep(0.6)
            assert not (await standing(views, SHAPE)).live
            await views.resume(SHAPE)
            await reaches(views, SHAPE, 5)


async def test_a_projection_that_pauses_itself_is_left_in_peace(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"), Broken(key="b"))
        async with working(log, views, BROKEN, settings=ProjectionSettings(max_parked=1)):

            async def paused() -> bool:
                return (await standing(views, SHAPE)).pause is not None

            await until(paused)
            before = await standing(views, SHAPE)
            await asyncio.sleep(0.6)
            assert await standing(views, SHAPE) == before


# Dead letters, while workers are at work


async def test_a_key_that_is_retried_under_load_joins_the_live_flow_without_a_gap(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), team(store) as join:
        await tell(log, Broken(key="a"))
        await join(BROKEN, settings=FOUR)
        await reaches(views, SHAPE, 1)
        load = asyncio.create_task(appending(log, [Marked(key="a")] * 150 + [Added(key="b", amount=Decimal(1))] * 20))
        await asyncio.sleep(0.1)
        repair = Repair(MENDED, log, views, (await standing(views, SHAPE)).number)
        retried = await repair.retry(hold("a"))
        assert retried.left is None
        await load
        await reaches(views, SHAPE, 171)
        assert await parked(views) == []
        (first, _) = await rows(views, SHAPE)
        assert [int(mark.split("|")[0]) for mark in first.marks] == list(range(2, 152)), "each in order, once"


async def test_two_retries_at_once_apply_each_letter_once(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others, team(store) as join:
        await tell(log, Broken(key="a"), *[Marked(key="a")] * 600)
        await join(BROKEN)
        await reaches(views, SHAPE, 601)
        number = (await standing(views, SHAPE)).number
        retried = await asyncio.gather(*[Repair(MENDED, log, own, number).retry(hold("a")) for own in (views, others)])
        assert sum(one.applied for one in retried) == 601
        (row,) = await rows(views, SHAPE)
        assert [int(mark.split("|")[0]) for mark in row.marks] == list(range(2, 602))
        assert (await checkpoint_of(views, SHAPE)).parked == 0
        await tell(log, Marked(key="a"))
        await reaches(views, SHAPE, 602)
        assert len((await rows(views, SHAPE))[0].marks) == 601
