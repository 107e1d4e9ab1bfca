"""Views that stand on another log, or are of another version of the code, than those who project them."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from diptych import Projection, View
from diptych.log import Anchor, EventLog
from diptych.read import Projector, Superseded
from diptych.read.projector import Astray
from diptych.stores.memory import MemoryStore
from tests.read.engine import (
    MENDED,
    SHAPE,
    Fanned,
    NewStore,
    Posing,
    Proxy,
    catch_up,
    fails,
    projector_of,
    reaches,
    running,
    until,
    working,
)
from tests.read.ledger import (
    ACCOUNTS,
    Account,
    Added,
    Dull,
    checkpoint_of,
    expected_accounts,
    fold_of,
    opened,
    records,
    rows,
    standing,
    tell,
)


def added(key: str = "a", amount: int = 1) -> Added:
    return Added(key=key, amount=Decimal(amount))


@pytest.mark.parametrize("others", [2, 3, 9], ids=["shorter", "as long", "longer"])
async def test_a_log_that_lost_its_end_stops_the_view_until_its_own_log_is_back(
    new_store: NewStore, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diptych.read.projector.RETRY_ASTRAY", timedelta(milliseconds=50))
    async with opened(new_store()) as (log, views), new_store().log() as other:
        await tell(log, *[added()] * 3)
        before = await catch_up(ACCOUNTS, log, views)
        await tell(other, *[added("b")] * others)
        posing = cast("EventLog", Posing(other, log.log_id))
        async with running(Projector(ACCOUNTS, posing, views, before.checkpoints[0])):
            generation = await fails(views, SHAPE)
            await tell(other, added("b"))
            await asyncio.sleep(0.15)
        failure = generation.failure
        assert failure is not None
        assert (failure.category, failure.position) == ("log", 3)
        assert generation.astray
        assert generation.hindrance == (
            f"it stands still at event 3 since {failure.since}: the log holds another event there than the view has "
            "applied: it was restored or has lost its end; have it filled anew: diptych projection rebuild Account"
        )
        assert await checkpoint_of(views, SHAPE) == before.checkpoints[0]._replace(failure=failure)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))
        async with running(Projector(ACCOUNTS, log, views, generation.checkpoints[0])):

            async def back() -> bool:
                return not (await standing(views, SHAPE)).astray

            await until(back)
        assert (await checkpoint_of(views, SHAPE)).anchor == before.checkpoints[0].anchor


async def test_a_log_that_lost_its_end_while_it_was_away_is_noticed_when_it_is_back(memory: MemoryStore) -> None:
    """A standby that takes over may lack the last events."""

    class FailsOver(Proxy):
        def __init__(self, real: EventLog, standby: EventLog) -> None:
            super().__init__(real)
            self.log_id = real.log_id
            self._standby = standby
            self.away = False

        async def read_records(self, *args: Any) -> Any:
            if self.away:
                self._real, self.away = self._standby, False
                raise ConnectionError("the server is gone")
            return await self._real.read_records(*args)

    async with opened(memory) as (log, views), MemoryStore(lambda: 0).log() as standby:
        failing = FailsOver(log, standby)
        await tell(log, *[added()] * 3)
        await tell(standby, *[added("b")] * 5)
        before = await catch_up(ACCOUNTS, log, views)
        async with running(Projector(ACCOUNTS, cast("EventLog", failing), views, before.checkpoints[0])):
            failing.away = True
            await tell(log, added())  # wakes it

            async def astray() -> bool:
                return (await standing(views, SHAPE)).astray

            await until(astray)
        assert (await checkpoint_of(views, SHAPE)).position in (3, 4), "nothing of the other history is applied"
        assert [row.key for row in await rows(views, SHAPE)] == ["a"]


async def test_a_log_that_loses_its_end_while_a_page_is_applied_in_parts_stops_the_view(
    memory: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diptych.read.fold.MAX_STEPS", 2)

    class Forgetting(Proxy):
        async def anchor(self, position: int) -> Anchor | None:
            """By the time of the page's second part, other events stand where its last ones were."""
            return Anchor(position, b"another") if position == 6 else await self._real.anchor(position)

    async with opened(memory) as (log, views):
        await tell(log, *[Fanned(keys=["a", "b"])] * 6)
        projector = await projector_of(MENDED, cast("EventLog", Forgetting(log)), views)
        with pytest.raises(Astray, match="while it was read"):
            await projector.step()
        assert (await checkpoint_of(views, SHAPE)).position == 0


async def test_another_log_fills_the_view_anew(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views), new_store().log() as other:
        await tell(log, added())
        await tell(other, added("b", 5), Dull())
        old = await catch_up(ACCOUNTS, log, views)
        new = await catch_up(ACCOUNTS, other, views)
        assert (new.position, new.log_id) == (2, other.log_id)
        assert await rows(views, SHAPE) == [Account(key="b", count=1, total=Decimal(5))]
        await tell(log, added())
        with pytest.raises(Superseded):
            await Projector(ACCOUNTS, log, views, old.checkpoints[0]).step()


class Doubled(View, key="key", name="Account"):
    key: str
    total: Decimal


doubling = Projection(Doubled, version=2)


@doubling.on
def doubled(row: Doubled | None, event: Added) -> Doubled:
    return Doubled(key=event.key, total=(row.total if row else Decimal()) + 2 * event.amount)


DOUBLED = fold_of(doubling)


async def test_a_new_version_is_filled_beside_the_old_one_which_goes_on(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, added(), added(amount=2))
        async with working(log, views, ACCOUNTS):
            await reaches(views, SHAPE, 2)
            async with working(log, others, DOUBLED):
                await reaches(others, DOUBLED.shape, 2)
                await tell(log, added(amount=3))
                await reaches(views, SHAPE, 3)
                await reaches(others, DOUBLED.shape, 3)
                assert await rows(views, SHAPE) == [Account(key="a", count=3, total=Decimal(6))]
                assert await rows(others, DOUBLED.shape) == [Doubled(key="a", total=Decimal(12))]
            await tell(log, added(amount=4))
            await reaches(views, SHAPE, 4)
        assert (await standing(views, DOUBLED.shape)).position == 3
        async with working(log, others, DOUBLED):  # it was rolled back, and comes again
            await reaches(others, DOUBLED.shape, 4)
        assert await rows(others, DOUBLED.shape) == [Doubled(key="a", total=Decimal(20))]
        assert len(await views.generations(SHAPE)) == 2
