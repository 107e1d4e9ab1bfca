"""Workers over every store: they share segments, take over from each other, and no event is lost or applied twice."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from diptych import Event
from diptych.errors import Unavailable
from diptych.log import EventLog
from diptych.read import (
    Generation,
    Job,
    Pause,
    ProjectionSettings,
    ProjectionWorker,
    Repair,
    State,
    Superseded,
    ViewStore,
)
from diptych.stores import Store
from diptych.stores.memory import MemoryStore
from tests.read.engine import (
    BROKEN,
    LEASE,
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
    worker,
    working,
)
from tests.read.ledger import (
    ACCOUNTS,
    LINKS,
    Added,
    Closed,
    Dull,
    Marked,
    Swept,
    checkpoint_of,
    expected_accounts,
    expected_links,
    opened,
    records,
    rows,
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
