"""Segments: each key in exactly one, whatever it is, and the view as a whole is the fold of the log."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diptych import Event, Scale, View
from diptych.read import Division, Hold, Stopped, ViewShape, segment_of
from diptych.read.repair import Repair
from diptych.stores.memory import MemoryStore
from tests.read.engine import (
    BROKEN,
    MENDED,
    SHAPE,
    Broken,
    NewStore,
    catch_up,
    caught_up,
    hold,
    parked,
    projector_of,
    reaches,
    working,
)
from tests.read.ledger import (
    ACCOUNTS,
    EVENTS,
    LINKS,
    Account,
    Added,
    Dull,
    encoded,
    expected_accounts,
    expected_links,
    opened,
    records,
    rows,
    standing,
    tell,
)

EXAMPLES = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def added(count: int) -> list[Added]:
    return [Added(key=f"{number % 17}", amount=Decimal(number)) for number in range(count)]


# Which segment


class OfText(View, key="id"):
    id: str


class OfInteger(View, key="id"):
    id: int


class OfReal(View, key="id"):
    id: float


class OfBoolean(View, key="id"):
    id: bool


class OfDecimal(View, key="id"):
    id: Annotated[Decimal, Scale(2)]


class OfTime(View, key="id"):
    id: datetime


class OfDay(View, key="id"):
    id: date


class OfUuid(View, key="id"):
    id: UUID


class OfBytes(View, key="id"):
    id: bytes


class OfSeveral(View, key=("text", "amount")):
    text: str
    amount: Decimal


SHAPES = [ViewShape(view) for view in (OfText, OfInteger, OfReal, OfBoolean, OfDecimal, OfTime, OfDay, OfUuid, OfBytes)]
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-14))])
ODD: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.none() | ZONES)
    | st.dates()
    | st.uuids(),
    lambda inner: st.tuples(inner, inner) | st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)

PAIRS: Any = (
    st.tuples(ODD, ODD)
    | st.decimals(-9, 9, places=1).map(lambda number: (number, float(number)))
    | st.integers(0, 1).map(lambda number: (number, bool(number)))
)


@pytest.mark.parametrize("shape", [*SHAPES, ViewShape(OfSeveral)], ids=lambda shape: shape.name)
@given(key=ODD)
def test_whatever_is_given_as_a_key_has_a_text_and_so_a_segment(shape: ViewShape[Any], key: Any) -> None:
    text = shape.key_text(key)
    assert text
    assert text.encode().decode() == text
    assert "\0" not in text
    assert 0 <= segment_of(text, 7) < 7


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@given(keys=PAIRS)
def test_keys_that_are_equal_have_one_text_where_a_row_could_have_them(
    shape: ViewShape[Any], keys: tuple[Any, Any]
) -> None:
    one, other = keys
    for key in keys:
        try:
            shape.check_key(key)
        except ValueError:
            return
    assert (one == other) == (shape.key_text(one) == shape.key_text(other))


@pytest.mark.parametrize("same", [(Decimal("1.5"), Decimal("1.50")), (Decimal(0), Decimal("-0.0"))])
def test_decimals_that_are_equal_are_one_key(same: tuple[Decimal, Decimal]) -> None:
    one, other = (ViewShape(OfDecimal).key_text(key) for key in same)
    assert one == other


def test_segments_are_the_same_everywhere_and_for_ever() -> None:
    """What stands here is in stores: it never changes."""
    assert [segment_of(text, 16) for text in ('"a"', '"é"', "1", '["a",150]')] == [14, 4, 7, 2]


@given(keys=st.sets(st.text(), min_size=200, max_size=200))
@settings(max_examples=10)
def test_keys_are_spread_over_the_segments(keys: set[str]) -> None:
    shares = Counter(segment_of(SHAPE.key_text(key), 4) for key in keys)
    assert all(shares[segment] >= 20 for segment in range(4))


# Together they are the fold


@given(events=st.lists(EVENTS, max_size=25), segments=st.integers(2, 5), batch=st.integers(1, 9))
@EXAMPLES
async def test_the_segments_together_are_the_fold_of_the_log(
    new_store: NewStore, events: list[Event], segments: int, batch: int
) -> None:
    async with opened(new_store()) as (log, views):
        for event in events:
            await tell(log, event)
        await catch_up(ACCOUNTS, log, views, batch, segments)
        await catch_up(LINKS, log, views, batch, segments)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))
        assert await rows(views, LINKS.shape) == expected_links(await records(log))
        assert len((await standing(views, SHAPE)).checkpoints) == segments


async def test_segments_go_on_by_themselves_and_the_view_is_where_the_last_of_them_is(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(40))
        ahead = await projector_of(ACCOUNTS, log, views, segment=1, segments=2)
        await caught_up(ahead, log)
        generation = await standing(views, SHAPE)
        assert [at.position for at in generation.checkpoints] == [0, 40]
        assert generation.position == 0
        mine = [row for row in expected_accounts(await records(log)) if segment_of(SHAPE.key_text(row.key), 2) == 1]
        assert await rows(views, SHAPE) == mine


async def test_a_key_is_held_back_in_its_own_segment_and_a_stream_in_all(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *[Broken(key=f"{number}") for number in range(10)])
        await tell(log, encoded(Added(key="a", amount=Decimal(1)))._replace(schema=9), stream="ledger-2")
        generation = await catch_up(BROKEN, log, views, segments=3)
        for at in generation.checkpoints:
            withheld = await views.withheld(SHAPE, at)
            mine = {hold(f"{number}") for number in range(10)}
            mine = {one for one in mine if segment_of(one.key, 3) == at.segment}
            assert withheld.holds == mine | {Hold(stream="ledger-2")}
            assert at.parked == len(withheld.holds)
        assert generation.parked == 10 + 3


# Divided anew


@pytest.mark.parametrize("counts", [[3, 1], [1, 4, 2], [2, 2]])
async def test_a_view_that_is_divided_anew_goes_on_without_a_gap(new_store: NewStore, counts: list[int]) -> None:
    async with opened(new_store()) as (log, views):
        await catch_up(BROKEN, log, views, segments=counts[0])
        await tell(log, *added(30), Broken(key="3"), *added(30))
        for count in counts:
            before = [await projector_of(BROKEN, log, views, batch=7, segment=0)]
            await before[0].step()  # one is ahead of the others
            divided = await Division("divider", BROKEN, log, views).run(count)
            assert len(divided.checkpoints) == count
            assert {at.owner for at in (await standing(views, SHAPE)).checkpoints} == {None}
            await tell(log, *added(5))
        await catch_up(BROKEN, log, views)
        await Repair(MENDED, log, views, (await standing(views, SHAPE)).number).retry(hold("3"))
        expected = expected_accounts([record for record in await records(log) if record.type != "Broken"])
        found = await rows(views, SHAPE)
        assert [row.total for row in found] == [row.total for row in expected]
        assert [row.count for row in found] == [row.count + (row.key == "3") for row in expected]


async def test_a_view_is_divided_while_workers_are_at_work_and_they_go_on_with_it(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        async with working(log, views, ACCOUNTS), working(log, others, ACCOUNTS):
            await tell(log, *added(50))
            await reaches(views, SHAPE, 50)

            async def append() -> None:
                for event in added(100):
                    await tell(log, event)
                    await asyncio.sleep(0.01)

            appending = asyncio.create_task(append())
            for count in (4, 1):
                divided = await Division(f"divider-{count}", ACCOUNTS, log, others).run(count)
                assert len(divided.checkpoints) == count
            await appending
            await reaches(views, SHAPE, 150)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


async def test_a_stream_that_is_settled_in_some_segments_only_is_not_divided(memory: MemoryStore) -> None:
    """Whoever has it then would apply it to rows that have it already."""
    async with opened(memory) as (log, views):
        await tell(log, encoded(Broken(key="a"))._replace(schema=9), stream="ledger-2")
        await tell(log, Dull(), Broken(key="b"), stream="ledger-2")
        generation = await catch_up(BROKEN, log, views, segments=2)
        (first, _) = generation.checkpoints
        await views.settle(SHAPE, first, Hold(stream="ledger-2"), 1, {})
        with pytest.raises(Stopped, match="retry or skip stream ledger-2 first"):
            await Division("divider", BROKEN, log, views).run(1)
        assert len((await standing(views, SHAPE)).checkpoints) == 2


async def test_what_holds_back_a_stream_in_several_segments_is_one_letter_in_one(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, encoded(Added(key="a", amount=Decimal(1)))._replace(schema=9), stream="ledger-2")
        await catch_up(ACCOUNTS, log, views, segments=3)
        await Division("divider", ACCOUNTS, log, views).run(1)
        assert await parked(views) == [("ledger-2", 1)]
        assert await rows(views, SHAPE) == list[Account]()
