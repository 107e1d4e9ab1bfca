"""Workers over every store: they share segments, take over from each other, and no event is lost or applied twice."""

import asyncio
import itertools
import time
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from diptych.errors import Unavailable
from diptych.read import (
    Pause,
    Superseded,
    ViewStore,
)
from diptych.stores.memory import MemoryStore
from tests.read.engine import (
    LEASE,
    SHAPE,
    SINCE,
    NewStore,
    Proxy,
    reaches,
    until,
    worker,
    working,
)
from tests.read.ledger import (
    ACCOUNTS,
    LINKS,
    Added,
    Swept,
    expected_accounts,
    expected_links,
    opened,
    records,
    rows,
    standing,
    tell,
)
from tests.read.team import FOUR, appending, events, owners, shared, team

# Together


async def test_workers_share_the_segments_and_each_event_is_applied_once(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), team(store) as join:
        await join(settings=FOUR)
        assert owners(await shared(views, 1)).total() == 4
        await join(settings=FOUR)
        assert sorted(owners(await shared(views, 2)).values()) == [2, 2]
        await appending(log, events(200))
        await reaches(views, SHAPE, 200)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))
        await join(settings=FOUR)
        await shared(views, 3)


async def test_projections_are_spread_over_workers_that_can_run_them(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), team(store) as join:
        await join(ACCOUNTS, LINKS, me="w1")
        await join(ACCOUNTS, LINKS, me="w2")
        await shared(views, 1)

        async def spread() -> bool:
            found = {(await standing(views, fold.shape)).checkpoints[0].owner for fold in (ACCOUNTS, LINKS)}
            return found == {"w1", "w2"}

        await until(spread)
        await tell(log, Swept(keys=["a", "b"]), Added(key="a", amount=Decimal(1)))
        await reaches(views, SHAPE, 2)
        await reaches(views, LINKS.shape, 2)
        assert await rows(views, LINKS.shape) == expected_links(await records(log))


async def test_a_worker_that_ends_hands_over_at_once(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), team(store) as join:
        first = await join(settings=FOUR, lease=timedelta(hours=1))
        await join(settings=FOUR, lease=timedelta(hours=1))
        await shared(views, 2)
        await first.end()
        assert None in owners(await standing(views, SHAPE))
        await shared(views, 1, seconds=2)
        await tell(log, *events(20))
        await reaches(views, SHAPE, 20)


async def test_the_segments_of_a_worker_that_died_are_taken_over_after_the_lease(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), team(store) as join:
        first = await join(settings=FOUR)
        second = await join(settings=FOUR)
        await shared(views, 2)
        load = asyncio.create_task(appending(log, events(300)))
        await asyncio.sleep(0.1)
        await first.kill()
        died = time.monotonic()
        await shared(views, 1, seconds=LEASE.total_seconds() + 5)
        assert time.monotonic() - died > LEASE.total_seconds() / 2
        await load
        await reaches(views, SHAPE, 300)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))
        assert second.worker._me.id in owners(await standing(views, SHAPE))


async def test_a_worker_whose_process_is_known_to_have_ended_is_not_waited_for(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (_, views), team(store) as join:
        first = await join(me="first", lease=timedelta(hours=1))
        await first.kill()
        await join(lease=timedelta(hours=1), gone=lambda identity: identity == "first")
        await shared(views, 1, seconds=2)
        assert "first" not in owners(await standing(views, SHAPE))


class Stopping(Proxy):
    """The read store of a process that is stopped in the midst of a commit, as by SIGSTOP, and goes on later."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.awake = asyncio.Event()
        self.awake.set()
        self.stopped = asyncio.Event()
        self.refused = 0

    async def commit(self, *args: Any) -> Any:
        if not self.awake.is_set():
            self.stopped.set()
            await self.awake.wait()
        try:
            return await self._real.commit(*args)
        except Superseded:
            self.refused += 1
            raise

    async def beat(self, *args: Any) -> Any:
        if not self.awake.is_set():
            await self.awake.wait()
            await asyncio.sleep(0.1)  # what was under way is refused first, and not only cancelled
        return await self._real.beat(*args)


async def test_a_worker_that_wakes_up_after_others_took_over_writes_nothing_and_begins_anew(
    new_store: NewStore,
) -> None:
    store = new_store()
    async with opened(store) as (log, views), team(store) as join:
        sleeper = await join(change=Stopping, settings=FOUR)
        stopping = cast("Stopping", sleeper.views)
        await shared(views, 1)
        stopping.awake.clear()
        await tell(log, *events(30))
        await stopping.stopped.wait()
        other = await join(settings=FOUR)

        async def taken_over() -> bool:
            return owners(await standing(views, SHAPE)) == {other.worker._me.id: 4}

        await until(taken_over)
        await reaches(views, SHAPE, 30)
        stopping.awake.set()
        await shared(views, 2)
        assert stopping.refused, "what it was about to write was refused"
        await tell(log, *events(30))
        await reaches(views, SHAPE, 60)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


async def test_a_worker_that_was_taken_for_dead_in_vain_goes_on(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), team(store) as join:
        await join(me="w", settings=FOUR)
        for number in range(1, 4):
            (known,) = [one for one in await views.workers() if one.id == "w"]
            with suppress(AssertionError):
                assert await views.expel("w", known.beat)
            await tell(log, *events(10))
            await reaches(views, SHAPE, number * 10)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))
        assert owners(await standing(views, SHAPE)) == {"w": 4}


@pytest.mark.parametrize("orderly", [True, False], ids=["ended", "killed"])
async def test_a_rolling_restart_loses_and_doubles_nothing(new_store: NewStore, orderly: bool) -> None:
    store = new_store()
    async with opened(store) as (log, views), team(store) as join:
        members = [await join(settings=FOUR) for _ in range(2)]
        load = asyncio.create_task(appending(log, events(400)))
        for _ in range(4):
            await asyncio.sleep(0.2)
            members.append(await join(settings=FOUR))
            leaver = members.pop(0)
            await (leaver.end() if orderly else leaver.kill())
        await load
        await reaches(views, SHAPE, 400, seconds=20)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))
        await shared(views, 2)


async def test_a_clock_that_jumps_changes_nothing(new_store: NewStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store()
    async with opened(store) as (log, views), team(store) as join:
        for _ in range(2):
            await join(settings=FOUR)
        before = await shared(views, 2)
        jumps = itertools.cycle([0.0, 4e9, 1e9, 2e9])
        monkeypatch.setattr(time, "time", lambda: next(jumps))
        monkeypatch.setattr(time, "time_ns", lambda: int(next(jumps) * 1e9))
        await appending(log, events(100))
        await asyncio.sleep(LEASE.total_seconds() * 1.5)
        after = await reaches(views, SHAPE, 100)
        assert [(at.owner, at.epoch) for at in after.checkpoints] == [(at.owner, at.epoch) for at in before.checkpoints]


async def test_a_worker_whose_own_clock_runs_wild_costs_handovers_and_nothing_else(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), team(store) as join:
        hours = itertools.count(0, 3600)
        await join(settings=FOUR)
        await join(settings=FOUR, clock=lambda: next(hours))  # an hour goes by between any two looks
        await appending(log, events(200))
        await reaches(views, SHAPE, 200, seconds=20)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


# What goes wrong


async def test_workers_outlive_an_outage_of_the_store(new_store: NewStore) -> None:
    class Outage(Proxy):
        away = False

        def __getattr__(self, name: str) -> Any:
            if self.away:
                return self._fail
            return super().__getattr__(name)

        async def _fail(self, *args: Any, **named: Any) -> Any:
            raise Unavailable("the store is away")

    store = new_store()
    async with opened(store) as (log, views), team(store) as join:
        members = [await join(change=Outage, settings=FOUR) for _ in range(2)]
        await shared(views, 2)
        for away in (True, False):
            for member in members:
                cast("Outage", member.views).away = away
            await appending(log, events(20))
            await asyncio.sleep(LEASE.total_seconds() * 1.5)
        await reaches(views, SHAPE, 40)
        await shared(views, 2)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


async def test_a_worker_outlives_what_nobody_has_foreseen(memory: MemoryStore) -> None:
    class Odd(Proxy):
        times = 2

        async def prepare(self, *args: Any) -> Any:
            if self.times and self.times < 2:
                self.times -= 1
                raise RuntimeError("nobody has foreseen this")
            return await self._real.prepare(*args)

    async with opened(memory) as (log, views):
        odd = Odd(views)
        async with working(log, cast("ViewStore", odd), ACCOUNTS):
            odd.times = 1
            await asyncio.sleep(0.5)
            assert odd.times == 0
            await tell(log, *events(5))
            await reaches(views, SHAPE, 5)
            await views.expel("nobody", 1)


async def test_a_worker_ends_whenever_it_is_told_to_also_in_the_moment_in_which_it_is_woken(
    memory: MemoryStore,
) -> None:
    async with opened(memory) as (log, views):
        for turns in range(6):
            one = worker(log, views, ACCOUNTS)
            await one.begin()
            running = asyncio.create_task(one.run())
            await asyncio.sleep(0.01)
            one._look.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            running.cancel()
            done, _ = await asyncio.wait([running], timeout=2)
            assert done == {running}
            await one.end()


async def test_a_worker_that_cannot_begin_says_so(memory: MemoryStore) -> None:
    class Away(Proxy):
        async def beat(self, *args: Any) -> Any:
            raise Unavailable("the store is away")

        async def leave(self, *args: Any) -> Any:
            raise Unavailable("the store is away")

    async with opened(memory) as (log, views):
        with pytest.raises(Unavailable):
            async with working(log, cast("ViewStore", Away(views)), ACCOUNTS):
                raise AssertionError("it did not begin")


async def test_a_generation_that_is_dropped_under_its_worker_is_begun_anew(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await views.prepare(SHAPE, log.log_id)
        await views.pause(SHAPE, Pause(SINCE, "now"))
        await tell(log, *events(5))
        async with working(log, views, ACCOUNTS):
            (generation,) = await views.generations(SHAPE)
            await views.drop(SHAPE, generation.number)
            await views.resume(SHAPE)
            assert (await reaches(views, SHAPE, 5)).number > generation.number
        assert await rows(views, SHAPE) == expected_accounts(await records(log))
