"""Rebuilds over every store: the view is a fold of the log before, after and in between, whoever else is at work."""

import asyncio
import itertools
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from diptych import Projection, View
from diptych.log import Anchor, EventLog
from diptych.read import Fold, Projector, Rebuild, Stopped, Superseded, ViewStore
from diptych.read.projector import Halted
from diptych.stores import Store
from diptych.stores.memory import MemoryStore
from diptych.stores.sqlite import SqliteStore
from tests.read.ledger import (
    ACCOUNTS,
    Account,
    Added,
    Marked,
    accounts,
    checkpoint_of,
    expected_accounts,
    fold_of,
    opened,
    records,
    rows,
    tell,
)
from tests.read.test_projector import Broken, Posing, Proxy, broken_accounts, catch_up, reaches, running

NewStore = Callable[[], Store]
SHAPE = ACCOUNTS.shape
SINCE = "2026-01-31T12:00:00+00:00"


@pytest.fixture(params=["memory", "sqlite"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> NewStore:
    numbers = itertools.count()
    if request.param == "memory":
        return lambda: MemoryStore(lambda: time.time_ns() // 1000)
    return lambda: SqliteStore(tmp_path / f"{next(numbers)}.db")


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


def counts(found: list[Account]) -> list[int]:
    return [row.count for row in found]


async def rebuilt(fold: Fold[Any], log: EventLog, views: ViewStore, page: int = 4, *, anew: bool = False) -> Rebuild:
    rebuild = Rebuild(fold, log, views, page)
    live = await rebuild.run(await rebuild.begin(anew=anew))
    assert live == await checkpoint_of(views, fold.shape)
    return rebuild


class Dies(Exception):
    pass


class Mortal(Proxy):
    """A read store whose process dies after so many commits, or at the switch."""

    left = 0

    async def commit(self, *args: Any) -> Any:
        if self.left == 0:
            raise Dies
        self.left -= 1
        return await self._real.commit(*args)

    async def switch(self, *args: Any) -> Any:
        raise Dies


async def die_in_a_rebuild(fold: Fold[Any], log: EventLog, views: ViewStore, commits: int) -> None:
    mortal = Mortal(views)
    mortal.left = commits
    with pytest.raises(Dies):
        await rebuilt(fold, log, cast("ViewStore", mortal))


async def test_a_mended_handler_changes_every_row_and_the_old_ones_answer_until_then(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(30))
        before = await catch_up(Projector(ACCOUNTS, log, views), log)
        rebuild = Rebuild(doubled(), log, views, 4)
        new = await rebuild.begin()
        assert (rebuild.began_at, rebuild.position, rebuild.head) == (0, 0, 30)
        assert counts(await rows(views, SHAPE)) == [10, 10, 10]
        live = await rebuild.run(new)
        assert (rebuild.position, live.position) == (30, 30)
        assert live.epoch == new.epoch != before.epoch
        assert counts(await rows(views, SHAPE)) == [20, 20, 20]


async def test_a_view_that_was_never_filled_is_there_after_a_rebuild(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await rebuilt(ACCOUNTS, log, views)
        await tell(log, *added(5))
        await rebuilt(ACCOUNTS, log, views)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


@pytest.mark.parametrize("commits", [0, 1, 3, 8])
async def test_a_rebuild_that_died_goes_on_where_it_was(new_store: NewStore, commits: int) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(30))
        await catch_up(Projector(ACCOUNTS, log, views), log)
        await die_in_a_rebuild(ACCOUNTS, log, views, commits)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))
        await tell(log, *added(3))
        rebuild = await rebuilt(ACCOUNTS, log, views)
        assert rebuild.began_at == min(4 * commits, 30)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


async def test_what_was_filled_is_thrown_away_if_it_is_to_be_anew(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(30))
        await die_in_a_rebuild(ACCOUNTS, log, views, 4)
        rebuild = await rebuilt(doubled(), log, views, anew=True)
        assert rebuild.began_at == 0
        assert counts(await rows(views, SHAPE)) == [20, 20, 20]


async def test_a_rebuild_that_races_appends_and_a_projector_ends_with_a_fold(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, *added(200))
        await catch_up(Projector(ACCOUNTS, log, views), log)

        async def append() -> None:
            for number in range(200):
                await tell(log, Added(key="abcd"[number % 4], amount=Decimal(number)))
                await asyncio.sleep(0.001)

        async with running(Projector(ACCOUNTS, log, views, 3)):
            appending = asyncio.create_task(append())
            first = await rebuilt(ACCOUNTS, log, others, 5)
            second = await rebuilt(ACCOUNTS, log, others, 50)
            assert first.position >= 200
            assert second.began_at == 0
            await appending
            await reaches(views, SHAPE, 400)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


async def test_two_rebuilds_fill_one_generation_together(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, *added(100))
        before = await catch_up(Projector(ACCOUNTS, log, views), log)
        one, other = Rebuild(ACCOUNTS, log, views, 3), Rebuild(ACCOUNTS, log, others, 7)
        new = await one.begin()
        assert await other.begin() == new
        assert {live.epoch for live in await asyncio.gather(one.run(new), other.run(new))} == {new.epoch}
        assert new.epoch > before.epoch
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


async def test_a_rebuild_whose_generation_is_gone_says_so(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, *added(10))
        rebuild = Rebuild(ACCOUNTS, log, views)
        begun = await rebuild.begin()
        await rebuilt(ACCOUNTS, log, others, anew=True)
        with pytest.raises(Stopped, match="begun Account anew"):
            await rebuild.run(begun)


async def test_an_event_that_cannot_be_applied_stops_the_rebuild_and_not_the_view(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(5), Broken(key="a"), *added(5))
        before = await catch_up(Projector(broken_accounts(broken=False), log, views), log)
        with pytest.raises(Stopped, match=r"past event 6: RuntimeError: it's broken\. .* stays live"):
            await rebuilt(broken_accounts(broken=True), log, views)
        assert await checkpoint_of(views, SHAPE) == before
        rebuild = await rebuilt(broken_accounts(broken=False), log, views)
        assert rebuild.began_at == 0, "its first rows were made by other handlers"
        assert await checkpoint_of(views, SHAPE) == before._replace(epoch=before.epoch + 2)


async def test_a_paused_view_is_not_rebuilt_and_a_rebuild_is_stopped_by_the_pause(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(30))
        await catch_up(Projector(ACCOUNTS, log, views), log)
        rebuild = Rebuild(ACCOUNTS, log, views, 4)
        new = await rebuild.begin()
        await views.pause(SHAPE, SINCE)
        with pytest.raises(Stopped, match=f"paused since {SINCE}".replace("+", r"\+")):
            await rebuild.run(new)
        with pytest.raises(Stopped, match="resume it"):
            await Rebuild(ACCOUNTS, log, views).begin()
        await views.resume(SHAPE)
        assert (await rebuilt(ACCOUNTS, log, views)).position == 30


async def test_a_view_of_a_log_that_lost_its_end_is_mended_by_a_rebuild(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views), new_store().log() as shorter:
        await tell(log, *added(9))
        await tell(shorter, *added(4))
        await catch_up(Projector(ACCOUNTS, log, views), log)
        posing = cast("EventLog", Posing(shorter, log.log_id))
        await rebuilt(ACCOUNTS, posing, views)
        assert await rows(views, SHAPE) == expected_accounts(await records(shorter))
        await tell(shorter, Marked(key="a"))
        await catch_up(Projector(ACCOUNTS, posing, views), posing)
        assert await rows(views, SHAPE) == expected_accounts(await records(shorter))


async def test_an_unfinished_rebuild_of_a_log_that_lost_its_end_begins_anew(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views), new_store().log() as shorter:
        await tell(log, *added(9))
        await tell(shorter, *added(4))
        await die_in_a_rebuild(ACCOUNTS, log, views, 9)
        rebuild = await rebuilt(ACCOUNTS, cast("EventLog", Posing(shorter, log.log_id)), views)
        assert rebuild.began_at == 0
        assert await rows(views, SHAPE) == expected_accounts(await records(shorter))


async def test_a_new_version_is_filled_while_the_old_one_goes_on(new_store: NewStore) -> None:
    class Total(View, key="key", name="Account"):
        key: str
        total: Decimal

    projection = Projection(Total, version=2)

    @projection.on
    def summed(row: Total | None, event: Added) -> Total:
        return Total(key=event.key, total=(row.total if row else Decimal()) + event.amount)

    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, *added(20))
        await catch_up(Projector(ACCOUNTS, log, views), log)
        async with running(Projector(ACCOUNTS, log, views)):
            new = fold_of(projection)
            rebuild = Rebuild(new, log, others, 4)
            begun = await rebuild.begin()
            await tell(log, *added(1))
            await reaches(views, SHAPE, 21)
            await rebuild.run(begun)
            async with running(Projector(new, log, others)):
                await tell(log, *added(1))
                await reaches(others, new.shape, 22)
        assert sum(row.total for row in await rows(others, new.shape)) == sum(range(20))


async def test_a_new_version_that_starts_during_its_rebuild_takes_over_what_is_filled(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, *added(20))
        await catch_up(Projector(ACCOUNTS, log, views), log)
        projection = Projection(Account, version=2)
        projection.handlers = list(accounts.handlers)
        new = fold_of(projection)
        rebuild = Rebuild(new, log, others, 4)
        begun = await rebuild.begin()
        await die_in_a_rebuild(new, log, others, 2)
        started = await Projector(new, log, views).prepare()
        assert (started.epoch, started.position) == (begun.epoch, 8)
        assert (await rebuild.run(begun)).position == 20
        assert await rows(views, new.shape) == expected_accounts(await records(log))


# A pause, as projectors meet it


async def test_a_running_projector_stops_at_a_pause_and_goes_on_after_it(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as operator:
        await tell(log, *added(5))
        await catch_up(Projector(ACCOUNTS, log, views), log)
        async with running(Projector(ACCOUNTS, log, views)):
            await operator.pause(SHAPE, SINCE)
            await tell(log, *added(5))
            await asyncio.sleep(0.3)
            assert (await checkpoint_of(views, SHAPE)).position == 5
            await operator.resume(SHAPE)
            begun = time.monotonic()
            await reaches(views, SHAPE, 10)
            assert time.monotonic() - begun < 1
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


async def test_a_page_that_was_being_applied_when_the_pause_came_is_not_kept(new_store: NewStore) -> None:
    class Slow(Proxy):
        async def commit(self, *args: Any) -> Any:
            await self._real.pause(SHAPE, SINCE)
            return await self._real.commit(*args)

    async with opened(new_store()) as (log, views):
        await tell(log, *added(5))
        slow = Projector(ACCOUNTS, log, cast("ViewStore", Slow(views)))
        with pytest.raises(Superseded):
            await slow.step(await slow.prepare())
        checkpoint = await checkpoint_of(views, SHAPE)
        assert (checkpoint.position, checkpoint.paused) == (0, SINCE)
        assert await rows(views, SHAPE) == []


async def test_a_paused_view_that_stands_still_says_both(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"))
        projector = Projector(broken_accounts(broken=True), log, views)
        with pytest.raises(Halted):
            await projector.step(await projector.prepare())
        await views.pause(SHAPE, SINCE)
        hindrance = (await checkpoint_of(views, SHAPE)).hindrance
        assert hindrance is not None
        assert hindrance.startswith("it stands still at event 1 since ")
        assert hindrance.endswith(f": RuntimeError: it's broken; it is paused since {SINCE}")
        assert (await checkpoint_of(views, SHAPE)).anchor == Anchor(0, b"")
