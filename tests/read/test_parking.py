"""Dead letters over every store: what cannot be applied is parked with what comes after it, and all else goes on."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych import Event, Projection
from diptych.log import NewEvent
from diptych.read import NOTHING_WITHHELD, Checkpoint, Hold, Skip, Superseded, ViewStore
from diptych.read.fold import MAX_KEYS
from diptych.read.parking import MOST_ERROR, MOST_TRACEBACK, Parking
from diptych.read.parking import cause_of as told_of
from diptych.stores.memory import MemoryStore
from tests.read.engine import (
    BROKEN,
    MENDED,
    SHAPE,
    SINCE,
    WAYS,
    Broken,
    Fanned,
    NewStore,
    Proxy,
    catch_up,
    caught_up,
    cause_of,
    fails,
    hold,
    letters,
    parked,
    projector_of,
    running,
    until,
)
from tests.read.ledger import (
    ACCOUNTS,
    Account,
    Added,
    Closed,
    Dull,
    Marked,
    Swept,
    checkpoint_of,
    encoded,
    fold_of,
    opened,
    rows,
    standing,
    tell,
)


def added(key: str, amount: int = 1) -> Added:
    return Added(key=key, amount=Decimal(amount))


def unreadable(event: Event) -> NewEvent:
    """The event in a schema that this code does not know."""
    return encoded(event)._replace(schema=9)


# A key


@pytest.mark.parametrize("batch", [1, 100])
@pytest.mark.parametrize("how", WAYS)
async def test_an_event_that_cannot_be_applied_is_parked_with_all_later_ones_of_its_key_and_no_others(
    new_store: NewStore, how: str, batch: int
) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, added("a"), added("b", 2), Broken(key="b", how=how), Closed(key="a"))
        await tell(log, added("b", 3), added("c", 4), Marked(key="b"), Broken(key="b"))
        await catch_up(BROKEN, log, views, batch)
        assert await rows(views, SHAPE) == [
            Account(key="b", count=1, total=Decimal(2)),
            Account(key="c", count=1, total=Decimal(4)),
        ]
        assert await parked(views) == [("b", 3), ("b", 5), ("b", 7), ("b", 8)]
        first, *later = await letters(views)
        assert [letter.type for letter in (first, *later)] == ["Broken", "Added", "Marked", "Broken"]
        assert [letter.cause for letter in later] == [None] * 3, "they only wait"
        cause = cause_of(first)
        assert cause.error
        assert (cause.attempts, cause.first) == (1, cause.last)
        assert datetime.now(UTC) - datetime.fromisoformat(cause.first) < timedelta(minutes=1)
        checkpoint = await checkpoint_of(views, SHAPE)
        assert (checkpoint.position, checkpoint.parked, checkpoint.failure) == (8, 1, None)


async def test_the_cause_says_what_was_raised_and_where(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"))
        await catch_up(BROKEN, log, views)
        cause = cause_of((await letters(views))[0])
        assert cause.error == "RuntimeError: it's broken"
        assert cause.traceback.startswith("Traceback (most recent call last):")
        assert "in account_broken" in cause.traceback


async def test_what_is_held_back_stays_so_over_restarts_of_the_projector(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"))
        await catch_up(BROKEN, log, views)
        await tell(log, added("a"), added("b"))
        await catch_up(MENDED, log, views)
        assert await rows(views, SHAPE) == [Account(key="b", count=1, total=Decimal(1))]
        assert await parked(views) == [("a", 1), ("a", 2)], "a mended handler does not overtake what waits"


async def test_an_event_of_several_rows_is_parked_for_those_that_fail_alone(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Fanned(keys=["a", "b", "c", "d"], broken=["b", "d"]))
        await tell(log, Fanned(keys=["a", "b"]), Swept(keys=["c", "d"]))
        await catch_up(BROKEN, log, views)
        assert await rows(views, SHAPE) == [Account(key="a", count=2)]
        assert await parked(views) == [("b", 1), ("d", 1), ("b", 2), ("d", 3)]
        assert (await checkpoint_of(views, SHAPE)).parked == 2


async def test_what_a_row_was_before_it_is_held_back_is_kept_whole(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, added("a"), added("a"), Broken(key="a"), Closed(key="a"))
        await catch_up(BROKEN, log, views)
        assert await rows(views, SHAPE) == [Account(key="a", count=2, total=Decimal(2))]


async def test_an_event_without_the_row_that_its_handler_needs_is_parked(new_store: NewStore) -> None:
    projection = Projection(Account)

    @projection.on
    def marked(row: Account, event: Marked) -> Account:
        return row.replace(count=row.count + 1)

    @projection.on
    def opened_first(row: Account | None, event: Added) -> Account:
        return Account(key=event.key)

    async with opened(new_store()) as (log, views):
        await tell(log, Marked(key="nobody"), added("a"), Marked(key="a"))
        await catch_up(fold_of(projection), log, views)
        assert await parked(views) == [("nobody", 1)]
        error = cause_of((await letters(views))[0]).error
        assert ("nobody" in error, "marked" in error) == (True, True)
        assert await rows(views, SHAPE) == [Account(key="a", count=1)]


async def test_a_key_that_no_row_can_have_is_held_back_as_it_is(new_store: NewStore) -> None:
    projection = Projection(Account)

    def odd_keys(event: Dull) -> list[Any]:
        return [5, None, ("a", "b"), "\ud800", "a"]

    @projection.on(keys=odd_keys)
    def odd(row: Account | None, event: Dull, key: Any) -> Account:
        return Account(key=key)

    async with opened(new_store()) as (log, views):
        await tell(log, Dull())
        await catch_up(fold_of(projection), log, views)
        assert await rows(views, SHAPE) == [Account(key="a")]
        assert len(await parked(views)) == 4


# A stream


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "schema 2"),
        ({"data": b"{}"}, "missing required field"),
        ({"data": b"\xff"}, ""),
        ({"data": b'{"key":"a","amount":"x"}'}, "amount"),
    ],
)
async def test_an_event_that_cannot_be_read_is_parked_with_all_later_ones_of_its_stream(
    new_store: NewStore, change: dict[str, Any], words: str
) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, added("a"), stream="ledger-1")
        await tell(log, encoded(added("a"))._replace(**change), stream="ledger-1")
        await tell(log, added("b"), Dull(), Closed(key="a"), stream="ledger-1")
        await tell(log, added("a"), added("c"), stream="ledger-2")
        await catch_up(ACCOUNTS, log, views)
        assert await parked(views) == [("ledger-1", 2), ("ledger-1", 3), ("ledger-1", 5)]
        assert words in cause_of((await letters(views))[0]).error
        assert [(row.key, row.count) for row in await rows(views, SHAPE)] == [("a", 2), ("c", 1)]


async def test_an_event_whose_keys_cannot_be_told_holds_back_its_stream(new_store: NewStore) -> None:
    projection = Projection(Account)

    def keys_of(event: Swept) -> Iterator[str]:
        yield event.keys[0]
        yield event.keys[1]

    @projection.on(keys=keys_of)
    def counted(row: Account | None, event: Swept) -> Account | None:
        raise AssertionError("nothing of the event is applied")

    async with opened(new_store()) as (log, views):
        await tell(log, Swept(keys=["a"]))
        await catch_up(fold_of(projection), log, views)
        assert await parked(views) == [("ledger-1", 1)]
        assert cause_of((await letters(views))[0]).error.startswith("IndexError")


@pytest.mark.parametrize("again", [False, True])
async def test_an_event_of_more_keys_than_there_may_be_is_applied_to_none_of_them(
    memory: MemoryStore, again: bool
) -> None:
    projection = Projection(Account)

    def too_many(event: Dull) -> Iterator[str]:
        for number in range(MAX_KEYS):
            yield "again" if again else f"{number}"
        yield "one more"

    @projection.on(keys=too_many)
    def counted(row: Account | None, event: Dull, key: str) -> Account:
        return Account(key=key)

    async with opened(memory) as (log, views):
        await tell(log, Dull())
        await catch_up(fold_of(projection), log, views)
        assert await rows(views, SHAPE) == []
        assert cause_of((await letters(views))[0]).error == f"ValueError: more than {MAX_KEYS} keys for one event"


async def test_a_key_that_is_no_key_at_all_is_parked_and_not_tried_for_ever(memory: MemoryStore) -> None:
    class Listed(Event):
        key: list[str]

    projection = Projection(Account)

    @projection.on
    def listed(row: Account | None, event: Listed) -> Account:
        return Account(key=event.key[0])

    async with opened(memory) as (log, views):
        await tell(log, Listed(key=["a"]), stream="ledger-2")
        await tell(log, Dull())
        await catch_up(fold_of(projection), log, views)
        assert await parked(views) == [('["a"]', 1)]


# Found by the store


async def test_what_a_store_alone_refuses_is_found_and_parked_and_all_else_is_applied(new_store: NewStore) -> None:
    class Picky(Proxy):
        """A store that does not say which row of a page it cannot hold."""

        async def commit(self, shape: Any, changes: Any, *rest: Any) -> Checkpoint:
            if any(row is not None and row.total == 13 for row in changes.values()):
                raise ValueError("thirteen is unlucky")
            checkpoint: Checkpoint = await self._real.commit(shape, changes, *rest)
            return checkpoint

    async with opened(new_store()) as (log, views):
        await tell(log, *[added(f"{number:02}", number) for number in range(20)], added("13", 0), Dull(), added("00"))
        await catch_up(ACCOUNTS, log, cast("ViewStore", Picky(views)))
        assert [row.key for row in await rows(views, SHAPE)] == [f"{number:02}" for number in range(20) if number != 13]
        assert await parked(views) == [("13", 14), ("13", 21)]
        assert cause_of((await letters(views))[0]).error == "ValueError: thirteen is unlucky"
        assert (await checkpoint_of(views, SHAPE)).position == 23


async def test_an_event_that_can_be_neither_applied_nor_parked_stops_the_segment_and_says_so(
    new_store: NewStore,
) -> None:
    class Full(Proxy):
        full = True

        async def commit(self, shape: Any, changes: Any, at: Any, upto: Any, letters: Any = ()) -> Checkpoint:
            if self.full and letters:
                raise ValueError("no room for letters")
            checkpoint: Checkpoint = await self._real.commit(shape, changes, at, upto, letters)
            return checkpoint

    async with opened(new_store()) as (log, views):
        await tell(log, added("a"), Broken(key="b"), added("a"))
        full = Full(views)
        async with running(await projector_of(BROKEN, log, cast("ViewStore", full))):
            failure = (await fails(views, SHAPE)).failure
            assert failure is not None
            assert (failure.category, failure.position) == ("event", 2)
            assert "can be neither applied" in failure.reason
            assert (await checkpoint_of(views, SHAPE)).position == 1, "what is before it is applied"
            full.full = False

            async def done() -> bool:
                return (await checkpoint_of(views, SHAPE)).position == 3

            await until(done)
        assert (await standing(views, SHAPE)).failure is None
        assert await parked(views) == [("b", 2)]


# How much


@dataclass
class Count:
    keys: list[str]
    pauses: bool


@pytest.mark.parametrize(
    "case", [Count(["a", "b"], pauses=False), Count(["a", "b", "b", "a"], pauses=False), Count(["a", "b", "c"], True)]
)
async def test_a_projection_that_holds_back_more_keys_than_it_may_pauses_itself(
    new_store: NewStore, case: Count
) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, added("z"), *[Broken(key=key) for key in case.keys])
        runner = await projector_of(BROKEN, log, views, batch=1, max_parked=2)
        if not case.pauses:
            await caught_up(runner, log)
            assert (await standing(views, SHAPE)).pause is None
            return
        with pytest.raises(Superseded, match="more than 2 keys"):
            await caught_up(runner, log)
        generation = await standing(views, SHAPE)
        assert generation.pause is not None
        reason = "more than 2 keys would be held back by dead letters, next by event 4: RuntimeError: it's broken"
        assert generation.pause.reason == reason
        assert (generation.position, generation.parked) == (3, 2), "what it could do is done"
        with pytest.raises(Superseded):
            await (await projector_of(MENDED, log, views)).step()
        await views.resume(SHAPE)
        await catch_up(MENDED, log, views)
        assert [row.key for row in await rows(views, SHAPE)] == ["c", "z"]


# Skips


async def test_what_is_to_be_passed_over_is_passed_over_where_it_fails_and_nowhere_else(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, added("a"), Broken(key="a"), Fanned(keys=["a", "b"], broken=["a", "b"]))
        await tell(log, unreadable(added("a")), stream="ledger-2")
        await tell(log, added("a"), stream="ledger-2")
        generation = await views.prepare(SHAPE, log.log_id)
        for what, position in ((hold("a"), 1), (hold("a"), 2), (hold("a"), 3), (Hold(stream="ledger-2"), 4)):
            at = (await standing(views, SHAPE)).checkpoints[0]
            await views.settle(SHAPE, at, what, position, {}, skip=Skip(what, position, "a test", SINCE))
        assert (await standing(views, SHAPE)).number == generation.number
        await catch_up(BROKEN, log, views)
        assert await rows(views, SHAPE) == [Account(key="a", count=2, total=Decimal(2))]
        assert await parked(views) == [("b", 3)]


# The cause


def test_the_cause_of_a_failure_is_bounded_however_much_it_says() -> None:
    def dig(depth: int) -> None:
        if depth == 0:
            raise ValueError("long " * 100_000)
        dig(depth - 1)

    with pytest.raises(ValueError, match="long") as caught:
        dig(300)
    cause = told_of(caught.value, SINCE)
    assert len(cause.error) == MOST_ERROR
    assert cause.error.startswith("ValueError: long long")
    assert len(cause.traceback) == MOST_TRACEBACK


def test_what_an_error_says_can_be_kept_whatever_it_is() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    for error in (Mute(), ValueError("\ud800"), ValueError("\0"), ValueError(), KeyError("x"), ValueError("é🙂\n")):
        cause = told_of(error, SINCE)
        assert type(error).__name__ in cause.error
        assert "\0" not in (cause.error + cause.traceback).encode().decode()


@pytest.mark.parametrize("words", ["\0", "\ud800", "é🙂", "\x1b[31m"])
async def test_whatever_a_handler_says_is_parked(new_store: NewStore, words: str) -> None:
    projection = Projection(Account)

    @projection.on
    def spoken(row: Account | None, event: Added) -> Account:
        raise ValueError(words)

    async with opened(new_store()) as (log, views):
        await tell(log, added("a"))
        await catch_up(fold_of(projection), log, views)
        assert len(await letters(views)) == 1


def test_attempts_are_counted_from_the_first_one() -> None:
    first = told_of(ValueError("one"), SINCE)
    later = told_of(KeyError("two"), "2026-02-01T12:00:00+00:00", first)
    assert (later.attempts, later.first, later.last) == (2, SINCE, "2026-02-01T12:00:00+00:00")
    assert later.error == "KeyError: 'two'"


# The pure part


@given(events=st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=20))
def test_of_every_key_all_is_applied_before_its_first_failure_and_all_is_parked_from_then_on(
    events: list[tuple[str, bool]],
) -> None:
    parking = Parking(NOTHING_WITHHELD, SINCE)
    applied: list[tuple[str, int]] = []
    for position, (key, broken) in enumerate(events, 1):
        if parking.waits(Hold(key), position, "Said"):
            continue
        if broken:
            parking.fail(Hold(key), position, "Said", RuntimeError())
        else:
            applied.append((key, position))
    first = {
        key: min([p for p, (k, broken) in enumerate(events, 1) if (k, broken) == (key, True)], default=99)
        for key in "abc"
    }
    numbered = [(key, position) for position, (key, _) in enumerate(events, 1)]
    assert applied == [(key, position) for key, position in numbered if position < first[key]]
    assert [(letter.hold.key, letter.position) for letter in parking.letters] == [
        (key, position) for key, position in numbered if position >= first[key]
    ]
    assert [letter.hold.key for letter in parking.letters if letter.cause is not None] == [
        key for key, position in numbered if position == first[key]
    ]
    assert parking.withheld.holds == {Hold(key) for key in "abc" if first[key] < 99}


async def test_a_batch_of_letters_costs_about_what_a_batch_of_events_does(memory: MemoryStore) -> None:
    async with opened(memory) as (log, views):
        await tell(log, Broken(key="a"))
        for _ in range(2):
            await tell(log, *[added("a")] * 5000)
        begun = time.monotonic()
        await catch_up(BROKEN, log, views)
        assert time.monotonic() - begun < 5
        assert (await checkpoint_of(views, SHAPE)).parked == 1


class Rude(BaseException):
    """What nobody should raise."""


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), GeneratorExit(), Rude()], ids=repr)
async def test_whatever_a_handler_raises_holds_back_its_key_alone(new_store: NewStore, error: BaseException) -> None:
    projection = Projection(Account)

    @projection.on
    def added_to(row: Account | None, event: Added) -> Account:
        if event.key == "bad":
            raise error
        return (row or Account(key=event.key)).replace(total=event.amount)

    def raised(event: Closed) -> list[str]:
        raise error

    @projection.on(keys=raised)
    def closed(row: Account | None, event: Closed) -> Account | None:
        return None

    fold = fold_of(projection)
    async with opened(new_store()) as (log, views):
        await tell(log, added("bad"), added("good", 2), added("good", 3), Closed(key="bad"))
        live = await catch_up(fold, log, views)
        assert (live.position, live.parked) == (4, 2)
        assert [row.total for row in await rows(views, SHAPE)] == [Decimal(3)]
