"""Repairs over every store: dead letters are applied in order once, or passed over, while projectors go on."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, cast

import pytest

from diptych import Event, Projection
from diptych.errors import NotFound
from diptych.log import EventLog
from diptych.read import Fold, Hold, Pause, Projector, Repair, Retried, Superseded, ViewStore
from diptych.read.repair import LETTERS
from diptych.stores.memory import MemoryStore
from tests.read.engine import (
    BROKEN,
    MENDED,
    SHAPE,
    SINCE,
    Broken,
    Fanned,
    NewStore,
    Proxy,
    catch_up,
    caught_up,
    cause_of,
    hold,
    letters,
    parked,
    projector_of,
)
from tests.read.ledger import (
    Account,
    Added,
    Closed,
    Marked,
    accounts,
    checkpoint_of,
    fold_of,
    opened,
    rows,
    standing,
    tell,
)

S = Hold(stream="ledger-2")


def added(key: str, amount: int = 1) -> Added:
    return Added(key=key, amount=Decimal(amount))


class Named(Event):
    """An event whose keys cannot be told, until that is mended, from the names that it has."""

    names: str


def naming(*, broken: bool) -> Fold[Account]:
    """The fold of accounts with a handler for several rows of an event, which says for which ones, or fails to."""
    projection = Projection(Account)
    projection.handlers = list(accounts.handlers)

    def names(event: Named) -> Iterator[str]:
        if broken:
            raise RuntimeError("no names")
        yield from event.names

    @projection.on(keys=names)
    def named(row: Account | None, event: Named, key: str) -> Account:
        row = row or Account(key=key)
        return row.replace(count=row.count + 1, marks=[*row.marks, event.names])

    @projection.on
    def account_broken(row: Account | None, event: Broken) -> Account:
        if broken:
            raise RuntimeError("it's broken")
        row = row or Account(key=event.key)
        return row.replace(marks=[*row.marks, event.how])

    return fold_of(projection, [Named, Broken])


UNNAMED = naming(broken=True)
NAMED = naming(broken=False)


async def repair_of(fold: Fold[Any], log: EventLog, views: ViewStore) -> Repair:
    return Repair(fold, log, views, (await standing(views, fold.shape)).number)


async def marks(views: ViewStore) -> dict[str, list[str]]:
    return {row.key: row.marks for row in await rows(views, SHAPE)}


# A key


async def test_letters_are_applied_in_order_and_their_key_is_held_back_no_longer(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, added("a"), Broken(key="a"), Marked(key="a"), added("b"), added("a", 5))
        await catch_up(BROKEN, log, views)
        repair = await repair_of(MENDED, log, views)
        assert await repair.holds() == [hold("a")]
        assert await repair.retry(hold("a")) == Retried(hold("a"), 3, None)
        first, second = await rows(views, SHAPE)
        assert (first.count, first.total, len(first.marks)) == (3, Decimal(6), 1)
        assert second == Account(key="b", count=1, total=Decimal(1))
        assert (await repair.holds(), await parked(views)) == ([], [])
        assert (await checkpoint_of(views, SHAPE)).parked == 0
        await tell(log, Closed(key="a"))
        await catch_up(MENDED, log, views)
        assert await rows(views, SHAPE) == [second]


async def test_a_retry_ends_at_the_first_letter_that_fails_again_and_keeps_what_it_has_done(
    new_store: NewStore,
) -> None:
    half = Projection(Account)
    half.handlers = list(accounts.handlers)

    @half.on
    def account_broken(row: Account | None, event: Broken) -> Account:
        if event.how == "key":
            raise KeyError("still")
        return (row or Account(key=event.key)).replace(count=10)

    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"), added("a"), Broken(key="a", how="key"), added("a"))
        await catch_up(BROKEN, log, views)
        repair = await repair_of(fold_of(half, [Broken, Fanned]), log, views)
        retried = await repair.retry(hold("a"))
        assert retried.left is not None
        assert (retried.applied, retried.left.position) == (2, 3)
        assert [row.count for row in await rows(views, SHAPE)] == [11]
        assert await parked(views) == [("a", 3), ("a", 4)]
        cause = cause_of((await letters(views))[0])
        assert (cause.error, cause.attempts) == ("KeyError: 'still'", 1), "it only waited before"
        assert cause == cause_of(retried.left)
        assert (await repair.retry(hold("a"))).applied == 0
        again = cause_of((await letters(views))[0])
        assert (again.attempts, again.first) == (2, cause.first)
        assert (await (await repair_of(MENDED, log, views)).retry(hold("a"))).applied == 2
        assert [row.count for row in await rows(views, SHAPE)] == [13]


async def test_attempts_are_counted_and_since_when_is_kept(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"))
        await catch_up(BROKEN, log, views)
        before = cause_of((await letters(views))[0])
        repair = await repair_of(BROKEN, log, views)
        for attempts in (2, 3):
            retried = await repair.retry(hold("a"))
            assert (retried.applied, retried.left) == (0, (await letters(views))[0])
            cause = cause_of((await letters(views))[0])
            assert (cause.attempts, cause.first, cause.error) == (attempts, before.first, before.error)
        assert (await checkpoint_of(views, SHAPE)).parked == 1


async def test_only_the_keys_own_row_is_changed_by_its_letters(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Fanned(keys=["a", "b", "c"], broken=["b", "c"]))
        await catch_up(BROKEN, log, views)
        await (await repair_of(MENDED, log, views)).retry(hold("b"))
        assert [(row.key, row.count) for row in await rows(views, SHAPE)] == [("a", 1), ("b", 1)]
        assert await parked(views) == [("c", 1)]


async def test_very_many_letters_are_applied_in_parts(new_store: NewStore) -> None:
    count = LETTERS * 2 + 7
    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"), *[added("a")] * (count - 1))
        await catch_up(BROKEN, log, views)
        assert (await (await repair_of(MENDED, log, views)).retry(hold("a"))).applied == count
        assert await rows(views, SHAPE) == [Account(key="a", count=count, total=Decimal(count - 1))]


async def test_nothing_is_to_be_retried_where_nothing_is_held_back(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await catch_up(BROKEN, log, views)
        assert await (await repair_of(BROKEN, log, views)).retry(hold("a")) == Retried(hold("a"), 0, None)


async def test_a_paused_view_is_repaired_and_stays_where_it_is(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"))
        await catch_up(BROKEN, log, views)
        await views.pause(SHAPE, Pause(SINCE, "to repair it"))
        await tell(log, added("a"))
        assert (await (await repair_of(MENDED, log, views)).retry(hold("a"))).applied == 1
        assert (await standing(views, SHAPE)).position == 1


# A skip


async def test_a_letter_is_passed_over_for_good_also_when_the_view_is_filled_anew(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, added("a"), Broken(key="a"), added("a", 2))
        await catch_up(BROKEN, log, views)
        repair = await repair_of(BROKEN, log, views)
        await repair.skip(hold("a"), 2, "a test order")
        assert await parked(views) == [("a", 3)], "what waited behind it waits for a retry"
        assert (await repair.retry(hold("a"))).left is None
        expected = [Account(key="a", count=2, total=Decimal(3))]
        assert await rows(views, SHAPE) == expected
        (skip,) = await views.skips(SHAPE)
        assert (skip.hold, skip.position, skip.because) == (hold("a"), 2, "a test order")
        again = await views.begin(SHAPE, log.log_id)
        projector = Projector(BROKEN, log, views, again.checkpoints[0])
        await projector.begin()
        await caught_up(projector, log)
        assert await views.switch(SHAPE, again.number)
        assert (await rows(views, SHAPE), await parked(views)) == (expected, [])


async def test_only_the_first_letter_of_a_hold_is_passed_over(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"), Broken(key="a"))
        await catch_up(BROKEN, log, views)
        repair = await repair_of(BROKEN, log, views)
        with pytest.raises(NotFound, match=r"Event 2 is not what holds back key \"a\" of Account; the first .* is 1"):
            await repair.skip(hold("a"), 2, "")
        with pytest.raises(NotFound, match=r'not what holds back key "b" of Account$'):
            await repair.skip(hold("b"), 1, "")
        assert (await views.skips(SHAPE), len(await parked(views))) == ([], 2)


async def test_an_event_of_a_stream_is_passed_over_in_every_segment_and_remembered_once(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Named(names="abc"), added("a"), stream="ledger-2")
        await catch_up(UNNAMED, log, views, segments=3)
        repair = await repair_of(UNNAMED, log, views)
        await repair.skip(S, 1, "no names")
        assert {position for _, position in await parked(views)} == {2}
        assert len(await views.skips(SHAPE)) == 1
        assert await repair.retry(S) == Retried(S, 3, None)
        assert [row.key for row in await rows(views, SHAPE)] == ["a"]


# A stream


@pytest.mark.parametrize("segments", [1, 3])
async def test_the_letters_of_a_stream_are_applied_once_to_every_row_in_every_segment(
    new_store: NewStore, segments: int
) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Named(names="abcdef"), Named(names="ace"), stream="ledger-2")
        await tell(log, added("a"))
        await catch_up(UNNAMED, log, views, segments=segments)
        assert await marks(views) == {"a": []}
        repair = await repair_of(NAMED, log, views)
        assert await repair.retry(S) == Retried(S, 2 * segments, None)
        both = ["abcdef", "ace"]
        assert await marks(views) == {"a": both, "b": both[:1], "c": both, "d": both[:1], "e": both, "f": both[:1]}
        assert [row.count for row in await rows(views, SHAPE)] == [3, 1, 2, 1, 2, 1]


async def test_a_stream_waits_for_a_row_that_is_held_back_and_not_the_other_way_round(new_store: NewStore) -> None:
    """A key whose letters are of a stream that is held back since later, too, does not wait for it."""
    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"), Named(names="ab"), stream="ledger-2")
        await catch_up(UNNAMED, log, views)
        assert await parked(views) == [("a", 1), ("ledger-2", 2)]
        repair = await repair_of(NAMED, log, views)
        retried = await repair.retry(S)
        assert retried.left is not None
        assert cause_of(retried.left).error == 'RuntimeError: key "a" is held back as well; retry that first'
        assert await marks(views) == {}
        for what in await repair.holds():
            assert (await repair.retry(what)).left is None
        assert await marks(views) == {"a": ["raises", "ab"], "b": ["ab"]}


async def test_a_row_that_its_projector_changes_while_a_stream_is_retried_loses_nothing(new_store: NewStore) -> None:
    class Late(Proxy):
        """Whoever loads from here finds that the projector has changed the row before it can write it."""

        projector: Any
        times = 1

        async def load(self, *args: Any) -> Any:
            loaded = await self._real.load(*args)
            if self.times:
                self.times -= 1
                await self.projector.step()
            return loaded

    async with opened(new_store()) as (log, views):
        await tell(log, Named(names="a"), stream="ledger-2")
        await catch_up(UNNAMED, log, views)
        late = Late(views)
        late.projector = await projector_of(UNNAMED, log, views)
        await tell(log, added("a", 7))
        assert (await (await repair_of(NAMED, log, cast("ViewStore", late))).retry(S)).applied == 1
        assert await rows(views, SHAPE) == [Account(key="a", count=2, total=Decimal(7), marks=["a"])]


# Beside others


async def test_a_projector_does_not_overwrite_what_a_retry_has_written(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"))
        await catch_up(BROKEN, log, views)
        projector = await projector_of(BROKEN, log, views)
        await tell(log, added("a"))
        await (await repair_of(MENDED, log, views)).retry(hold("a"))
        with pytest.raises(Superseded):
            await projector.step()
        await catch_up(MENDED, log, views)
        assert await rows(views, SHAPE) == [Account(key="a", count=2, total=Decimal(1))]


async def test_what_is_parked_while_letters_are_applied_is_applied_after_them(new_store: NewStore) -> None:
    class Meanwhile(Proxy):
        projector: Any
        times = 3

        async def load(self, *args: Any) -> Any:
            if self.times:
                self.times -= 1
                await self.projector.step()
            return await self._real.load(*args)

    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"))
        await catch_up(BROKEN, log, views)
        meanwhile = Meanwhile(views)
        await tell(log, *[Marked(key="a")] * 3)
        meanwhile.projector = await projector_of(BROKEN, log, views, batch=3)
        meanwhile.times = 1
        retried = await (await repair_of(MENDED, log, cast("ViewStore", meanwhile))).retry(hold("a"))
        assert retried.applied == 4
        assert [int(mark.split("|")[0]) for mark in (await marks(views))["a"]] == [2, 3, 4]


@pytest.mark.parametrize("segments", [1, 2])
async def test_letters_that_somebody_else_applies_after_they_were_looked_for_are_not_applied_again(
    new_store: NewStore, segments: int
) -> None:
    class Slow(Proxy):
        other: Any
        times = 1

        async def letters(self, *args: Any, **named: Any) -> Any:
            found = await self._real.letters(*args, **named)
            if self.times:
                self.times -= 1
                await self.other.retry(hold("a"))
            return found

    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"), added("a"))
        await catch_up(BROKEN, log, views, segments=segments)
        slow = Slow(views)
        slow.other = await repair_of(MENDED, log, views)
        assert (await (await repair_of(MENDED, log, cast("ViewStore", slow))).retry(hold("a"))).applied == 0
        assert await rows(views, SHAPE) == [Account(key="a", count=2, total=Decimal(1))]
        slow.times = 1
        with pytest.raises(NotFound):
            await (await repair_of(MENDED, log, cast("ViewStore", slow))).skip(hold("a"), 1, "")


@pytest.mark.parametrize("fold", [BROKEN, MENDED])
async def test_whoever_comes_too_late_looks_again(new_store: NewStore, fold: Fold[Account]) -> None:
    class Late(Proxy):
        times = 2

        async def settle(self, *args: Any, **named: Any) -> None:
            if self.times:
                self.times -= 1
                raise Superseded("somebody was faster")
            await self._real.settle(*args, **named)

    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"), Broken(key="b"))
        await catch_up(BROKEN, log, views)
        retried = await (await repair_of(fold, log, cast("ViewStore", Late(views)))).retry(hold("a"))
        assert (retried.left is None) == (fold is MENDED)
        await (await repair_of(fold, log, cast("ViewStore", Late(views)))).skip(hold("b"), 2, "")
        assert await parked(views) == ([] if fold is MENDED else [("a", 1)])


async def test_what_the_store_refuses_is_left_with_the_stores_reason(new_store: NewStore) -> None:
    class Picky(Proxy):
        async def settle(self, shape: Any, at: Any, hold: Any, upto: Any, changes: Any, *rest: Any) -> None:
            if any(row is not None and row.total == 13 for row in changes.values()):
                raise ValueError("thirteen is unlucky")
            await self._real.settle(shape, at, hold, upto, changes, *rest)

    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"), added("a", 3), added("a", 10), Marked(key="a"))
        await catch_up(BROKEN, log, views)
        retried = await (await repair_of(MENDED, log, cast("ViewStore", Picky(views)))).retry(hold("a"))
        assert retried.left is not None
        assert (retried.applied, retried.left.position) == (2, 3)
        assert cause_of(retried.left).error == "ValueError: thirteen is unlucky"
        assert await parked(views) == [("a", 3), ("a", 4)]


async def test_a_generation_or_an_event_that_is_gone_is_said_to_be(memory: MemoryStore) -> None:
    class Shorter(Proxy):
        async def read_records(self, *args: Any) -> Any:
            return (await self._real.read_records(*args))._replace(events=[])

    async with opened(memory) as (log, views):
        await tell(log, Broken(key="a"))
        await catch_up(BROKEN, log, views)
        with pytest.raises(NotFound, match="event 1 any more"):
            await (await repair_of(MENDED, cast("EventLog", Shorter(log)), views)).retry(hold("a"))
        with pytest.raises(NotFound, match="Generation 99 of Account is gone"):
            await Repair(MENDED, log, views, 99).holds()


async def test_a_segment_that_is_no_more_is_looked_for_again(memory: MemoryStore) -> None:
    class Outdated(Proxy):
        times = 1

        async def letters(self, *args: Any, **named: Any) -> Any:
            found = await self._real.letters(*args, **named)
            if self.times:
                self.times -= 1
                return [(7, letter) for _, letter in found]
            return found

    async with opened(memory) as (log, views):
        await tell(log, Broken(key="a"))
        await catch_up(BROKEN, log, views)
        assert (await (await repair_of(MENDED, log, cast("ViewStore", Outdated(views)))).retry(hold("a"))).applied == 1
