"""A log of any length is read in little memory and in time that grows no faster than it, however it is asked for."""

import asyncio
import time
import tracemalloc

import pytest

from diptych.log import EventLog, Span, last_before, pages
from diptych.stores import Store, store_at
from tests.conftest import new_store
from tests.faults.tools import new_append
from tests.postgres import Server

EVENTS = 200_000
PAGE = 500
MEGABYTE = 1_000_000


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A log of 200,000 events: every one in the category `order`, half of them with a tag, 100,000 in one stream."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('long')}/log.db"
    else:
        server: Server = request.getfixturevalue("postgres")
        url = new_store(server)
    store = store_at(url)

    async def fill() -> None:
        async with store.log() as log:
            for number in range(EVENTS // 1000):
                stream = "order-long" if number % 2 else f"order-{number % 50}"
                tags = ("k:often",) if number % 2 else ()
                await log.append(new_append(stream, events=1000, tags=tags))

    asyncio.run(fill())
    return store


async def walked(log: EventLog, span: Span) -> int:
    """How many events were read."""
    count = 0
    async for page in pages(log, span, PAGE):
        assert len(page) <= PAGE
        count += len(page)
    return count


@pytest.mark.parametrize("backwards", [False, True])
async def test_200_000_events_are_read_in_two_megabytes(store: Store, backwards: bool) -> None:
    async with store.log() as log:
        async for _ in pages(log, Span(before=PAGE), PAGE):  # what is made once is there
            pass
        tracemalloc.start()
        try:
            count = await walked(log, Span(backwards=backwards))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert count == EVENTS
    assert peak < 2 * MEGABYTE


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (Span(stream="order-long"), EVENTS // 2),
        (Span(tags=frozenset({"k:often"})), EVENTS // 2),
        (Span(stream="order-long", tags=frozenset({"k:often"})), EVENTS // 2),
        (Span(category="order", tags=frozenset({"k:often"})), EVENTS // 2),
        (Span(tags=frozenset({"k:often", "k:never"})), 0),
        (Span(tags=frozenset({"k:often"}), types=frozenset({"Never"})), 0),
        (Span(types=frozenset({"Happened"})), EVENTS),
    ],
    ids=["stream", "tag", "stream and tag", "category and tag", "two tags", "tag and type", "type"],
)
async def test_a_page_costs_the_same_wherever_it_is(store: Store, span: Span, expected: int) -> None:
    async with store.log() as log:
        assert await walked(log, span) == expected
        if expected:
            times = [await first_page(log, span._replace(after=after)) for after in (0, EVENTS - 2 * PAGE)]
            assert max(times) < max(10 * min(times), 0.05)


async def first_page(log: EventLog, span: Span) -> float:
    """Seconds that one page takes, at best."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        await log.find(span, PAGE)
        times.append(time.perf_counter() - began)
    return min(times)


async def test_a_time_is_found_by_looking_at_about_as_many_events_as_their_number_has_digits(store: Store) -> None:
    async with store.log() as log:
        wanted = await log.recorded_at(EVENTS // 3)
        assert wanted is not None
        looks = 0
        recorded_at = log.recorded_at

        async def counted(position: int) -> int | None:
            nonlocal looks
            looks += 1
            return await recorded_at(position)

        log.recorded_at = counted  # type: ignore[method-assign]
        found = await last_before(log, wanted)
    assert looks <= 20
    assert found < EVENTS // 3
