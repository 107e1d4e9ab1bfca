"""Rebuilds over every store: the view is a fold of the log before, after and in between, whoever else is at work."""

import asyncio
from decimal import Decimal
from typing import Any, cast

import pytest

from diptych import Projection, View
from diptych.log import EventLog
from diptych.read import (
    Fold,
    Generation,
    Job,
    Pause,
    ProjectionSettings,
    Projector,
    Rebuild,
    Repair,
    State,
    Stopped,
    Superseded,
    ViewStore,
)
from diptych.stores.memory import MemoryStore
from tests.read.engine import (
    BROKEN,
    MENDED,
    SHAPE,
    SINCE,
    Broken,
    NewStore,
    Posing,
    Proxy,
    catch_up,
    hold,
    parked,
    reaches,
    working,
)
from tests.read.ledger import (
    ACCOUNTS,
    Account,
    Added,
    Dull,
    Marked,
    accounts,
    checkpoint_of,
    expected_accounts,
    fold_of,
    opened,
    records,
    rows,
    standing,
    tell,
)


def added(count: int, first: int = 0) -> list[Added]:
    return [Added(key="abc"[number % 3], amount=Decimal(number)) for number in range(first, first + count)]


def doubled() -> Fold[Account]:
    """The fold of accounts with a handler mended: it counts twice. The shape is the same."""
    projection = Projection(Account)
    projection.handlers = [
        handler for handler in accounts.handlers if "Added" not in str(handler.function.__annotations__)
    ]

    @projection.on
    def added_twice(row: Account | None, event: Added) -> Account:
        row = row or Account(key=event.key)
        return row.replace(count=row.count + 2, total=row.total + event.amount)

    return fold_of(projection)


DOUBLED = doubled()


def counts(found: list[Account]) -> list[int]:
    return [row.count for row in found]


def filling(fold: Fold[Any], rebuild: Rebuild, log: EventLog, views: ViewStore, batch: int = 4) -> Any:
    """A worker that fills the generation of a rebuild."""
    return working(log, views, Job(fold, ProjectionSettings(batch=batch), rebuild.number, rebuild.idle))


async def rebuilt(  # noqa: PLR0913 - what a rebuild is told
    fold: Fold[Any],
    log: EventLog,
    views: ViewStore,
    *,
    workers: int = 1,
    batch: int = 4,
    anew: bool = False,
    **how: bool,
) -> Rebuild:
    rebuild = Rebuild(fold, log, views)
    await rebuild.begin(workers, anew=anew)
    async with filling(fold, rebuild, log, views, batch):
        live = await rebuild.finish(**how)
    assert (live.state, live.number) == (State.LIVE, rebuild.number)
    return rebuild


async def fill(fold: Fold[Any], log: EventLog, views: ViewStore, pages: int) -> Generation:
    """What a rebuild that died after so many pages of 4 events has left."""
    begun = await Rebuild(fold, log, views).begin()
    projector = Projector(fold, log, views, begun.checkpoints[0], ProjectionSettings(batch=4))
    await projector.begin()
    for _ in range(pages):
        await projector.step()
    return begun


async def test_a_mended_handler_changes_every_row_and_the_old_ones_answer_until_then(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(30))
        before = await catch_up(ACCOUNTS, log, views)
        rebuild = Rebuild(DOUBLED, log, views)
        begun = await rebuild.begin()
        assert (rebuild.began_at, rebuild.position, rebuild.head) == (0, 0, 30)
        assert begun.number == rebuild.number > before.number
        assert counts(await rows(views, SHAPE)) == [10, 10, 10]
        async with filling(DOUBLED, rebuild, log, views):
            live = await rebuild.finish()
        assert (rebuild.position, live.position) == (30, 30)
        assert [one.number for one in await views.generations(SHAPE)] == [rebuild.number], "the one before is gone"
        assert counts(await rows(views, SHAPE)) == [20, 20, 20]


async def test_the_generation_before_is_kept_if_that_is_asked_for(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(9))
        before = await catch_up(ACCOUNTS, log, views)
        rebuild = await rebuilt(DOUBLED, log, views, keep=True)
        states = {one.number: one.state for one in await views.generations(SHAPE)}
        assert states == {before.number: State.KEPT, rebuild.number: State.LIVE}
        assert await views.drop(SHAPE, before.number)
        assert counts(await rows(views, SHAPE)) == [6, 6, 6]


async def test_a_view_that_was_never_filled_is_there_after_a_rebuild(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await rebuilt(ACCOUNTS, log, views)
        await tell(log, *added(5))
        await rebuilt(ACCOUNTS, log, views)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


@pytest.mark.parametrize("workers", [2, 3])
async def test_several_workers_fill_a_generation_together(new_store: NewStore, workers: int) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, *added(100))
        await catch_up(ACCOUNTS, log, views)
        rebuild = Rebuild(DOUBLED, log, views)
        begun = await rebuild.begin(workers)
        assert len(begun.checkpoints) == workers
        async with filling(DOUBLED, rebuild, log, views), filling(DOUBLED, rebuild, log, others):
            live = await rebuild.finish()
        assert len(live.checkpoints) == workers
        assert sum(counts(await rows(views, SHAPE))) == 200


@pytest.mark.parametrize("pages", [0, 1, 3, 8])
async def test_a_rebuild_that_died_goes_on_where_it_was(new_store: NewStore, pages: int) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(30))
        await catch_up(ACCOUNTS, log, views)
        await fill(ACCOUNTS, log, views, pages)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))
        await tell(log, *added(3))
        rebuild = await rebuilt(ACCOUNTS, log, views)
        assert rebuild.began_at == min(4 * pages, 30)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


async def test_what_was_filled_is_thrown_away_if_it_is_to_be_anew(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(30))
        await fill(ACCOUNTS, log, views, 4)
        rebuild = await rebuilt(DOUBLED, log, views, anew=True)
        assert rebuild.began_at == 0
        assert counts(await rows(views, SHAPE)) == [20, 20, 20]


async def test_a_rebuild_that_races_appends_and_a_worker_ends_with_a_fold(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, *added(200))
        async with working(log, views, ACCOUNTS, settings=ProjectionSettings(batch=3)):
            await reaches(views, SHAPE, 200)

            async def append() -> None:
                for number in range(200):
                    await tell(log, Added(key="abcd"[number % 4], amount=Decimal(number)))
                    await asyncio.sleep(0.001)

            load = asyncio.create_task(append())
            first = await rebuilt(ACCOUNTS, log, others, batch=5)
            second = await rebuilt(ACCOUNTS, log, others, batch=50)
            assert first.position >= 200
            assert second.began_at == 0
            await load
            await reaches(views, SHAPE, 400)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


async def test_a_rebuild_goes_live_under_load_that_never_ends(memory: MemoryStore) -> None:
    """The log is ahead of the generation whenever somebody looks."""

    class Busy(Proxy):
        async def head(self) -> Any:
            await tell(self._real, Dull(), *added(1))
            return await self._real.head()

    async with opened(memory) as (log, views):
        busy = cast("EventLog", Busy(log))
        await tell(log, *added(10))
        async with asyncio.timeout(10):
            await rebuilt(ACCOUNTS, busy, views)
        assert (await standing(views, SHAPE)).live


async def test_two_rebuilds_fill_one_generation_together(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, *added(100))
        before = await catch_up(ACCOUNTS, log, views)
        one, other = Rebuild(ACCOUNTS, log, views), Rebuild(ACCOUNTS, log, others)
        assert await one.begin() == await other.begin()
        async with filling(ACCOUNTS, one, log, views, 3), filling(ACCOUNTS, other, log, others, 7):
            live = {generation.number for generation in await asyncio.gather(one.finish(), other.finish())}
        assert live == {one.number} == {other.number}
        assert one.number > before.number
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


@pytest.mark.parametrize("how", ["dropped", "replaced"])
async def test_a_rebuild_whose_generation_is_gone_says_so(new_store: NewStore, how: str) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(10))
        await catch_up(ACCOUNTS, log, views)
        rebuild = Rebuild(ACCOUNTS, log, views)
        await rebuild.begin()
        if how == "dropped":
            await views.drop(SHAPE, rebuild.number)
        else:
            await rebuilt(ACCOUNTS, log, views, anew=True)
        with pytest.raises(Stopped, match="another rebuild, or an operator, has ended this one of Account"):
            await rebuild.finish()


# Dead letters


async def test_a_rebuild_with_more_dead_letters_than_before_does_not_go_live_unless_it_is_told_to(
    new_store: NewStore,
) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(5), Broken(key="a"), *added(5))
        before = await catch_up(MENDED, log, views)
        with pytest.raises(Stopped, match=r"more dead letters .* 1 of .* stays live.*--with-letters"):
            await rebuilt(BROKEN, log, views)
        assert await standing(views, SHAPE) == before
        rebuild = await rebuilt(MENDED, log, views)
        assert rebuild.began_at == 0, "its first rows were made by other handlers"
        await rebuilt(BROKEN, log, views, with_letters=True)
        assert await parked(views) == [("a", 6), ("a", 7), ("a", 10)]


async def test_a_rebuild_with_no_more_dead_letters_than_before_goes_live(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(5), Broken(key="a"))
        await catch_up(BROKEN, log, views)
        await rebuilt(BROKEN, log, views)
        assert await parked(views) == [("a", 6)]
        await rebuilt(MENDED, log, views)
        assert await parked(views) == []


async def test_what_was_passed_over_before_is_passed_over_by_a_rebuild(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"), *added(4))
        live = await catch_up(BROKEN, log, views)
        repair = Repair(BROKEN, log, views, live.number)
        await repair.skip(hold("a"), 1, "a test")
        await repair.retry(hold("a"))
        before = await rows(views, SHAPE)
        await rebuilt(BROKEN, log, views, workers=2)
        assert (await parked(views), await rows(views, SHAPE)) == ([], before)


# A pause


async def test_a_paused_view_is_not_rebuilt_and_a_rebuild_is_stopped_by_the_pause(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(30))
        await catch_up(ACCOUNTS, log, views)
        rebuild = Rebuild(ACCOUNTS, log, views)
        await rebuild.begin()
        await views.pause(SHAPE, Pause(SINCE, "for the night"))
        with pytest.raises(Stopped, match=f"paused since {SINCE}".replace("+", r"\+")):
            async with filling(ACCOUNTS, rebuild, log, views):
                await rebuild.finish()
        with pytest.raises(Stopped, match="resume it"):
            await Rebuild(ACCOUNTS, log, views).begin()
        await views.resume(SHAPE)
        assert (await rebuilt(ACCOUNTS, log, views)).position == 30


# Another log


async def test_a_view_of_a_log_that_lost_its_end_is_mended_by_a_rebuild(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views), new_store().log() as shorter:
        await tell(log, *added(9))
        await tell(shorter, *added(4))
        await catch_up(ACCOUNTS, log, views)
        posing = cast("EventLog", Posing(shorter, log.log_id))
        await rebuilt(ACCOUNTS, posing, views)
        assert await rows(views, SHAPE) == expected_accounts(await records(shorter))
        await tell(shorter, Marked(key="a"))
        await catch_up(ACCOUNTS, posing, views)
        assert await rows(views, SHAPE) == expected_accounts(await records(shorter))


async def test_an_unfinished_rebuild_of_a_log_that_lost_its_end_begins_anew(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views), new_store().log() as shorter:
        await tell(log, *added(9))
        await tell(shorter, *added(4))
        await fill(ACCOUNTS, log, views, 2)
        rebuild = await rebuilt(ACCOUNTS, cast("EventLog", Posing(shorter, log.log_id)), views)
        assert rebuild.began_at == 0
        assert await rows(views, SHAPE) == expected_accounts(await records(shorter))


# Other versions


async def test_a_new_version_is_rebuilt_while_the_old_one_goes_on(new_store: NewStore) -> None:
    class Total(View, key="key", name="Account"):
        key: str
        total: Decimal

    projection = Projection(Total, version=2)

    @projection.on
    def summed(row: Total | None, event: Added) -> Total:
        return Total(key=event.key, total=(row.total if row else Decimal()) + event.amount)

    store, new = new_store(), fold_of(projection)
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, *added(20))
        async with working(log, views, ACCOUNTS):
            await reaches(views, SHAPE, 20)
            old = await checkpoint_of(views, SHAPE)
            await rebuilt(new, log, others)
            async with working(log, others, new):
                await tell(log, *added(1))
                await reaches(others, new.shape, 21)
                await reaches(views, SHAPE, 21)
            after = await checkpoint_of(views, SHAPE)
            assert (after.generation, after.epoch) == (old.generation, old.epoch)
        assert sum(row.total for row in await rows(others, new.shape)) == sum(range(20))


async def test_a_worker_that_starts_during_the_first_rebuild_of_its_version_fills_the_same_generation(
    new_store: NewStore,
) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, *added(40))
        rebuild = Rebuild(ACCOUNTS, log, others)
        await rebuild.begin(2)
        async with filling(ACCOUNTS, rebuild, log, others), working(log, views, ACCOUNTS):
            live = await rebuild.finish()
            await tell(log, *added(5))
            await reaches(views, SHAPE, 45)
        assert (await standing(views, SHAPE)).number == live.number == rebuild.number
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


# From a time


async def test_a_rebuild_onto_the_rows_that_there_are_begins_after_an_event(new_store: NewStore) -> None:
    class Last(View, key="key"):
        key: str
        amount: Decimal

    def lasting(change: int) -> Fold[Last]:
        projection = Projection(Last, replayable=True)

        @projection.on
        def kept(row: Last | None, event: Added) -> Last:
            return Last(key=event.key, amount=event.amount + change)

        return fold_of(projection)

    async with opened(new_store()) as (log, views):
        old, new = lasting(0), lasting(1000)
        await tell(log, Added(key="z", amount=Decimal(5)), *added(9))
        await catch_up(old, log, views)
        rebuild = Rebuild(new, log, views)
        onto = await log.anchor(7)
        assert onto is not None
        begun = await rebuild.begin(onto=onto)
        assert (begun.position, rebuild.began_at) == (7, 7)
        async with filling(new, rebuild, log, views):
            await rebuild.finish()
        found = {row.key: row.amount for row in await rows(views, new.shape)}
        assert found == {"a": 1006, "b": 1007, "c": 1008, "z": 5}


async def test_there_must_be_rows_to_begin_with(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(3))
        onto = await log.anchor(1)
        with pytest.raises(Stopped, match="has no rows to begin with"):
            await Rebuild(ACCOUNTS, log, views).begin(onto=onto)
        with pytest.raises(Superseded):
            await views.begin(SHAPE, log.log_id, onto=onto)
