"""Reads that go to a thread: gathered, cancelled, and left alone when everything is closed."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from diptych import (
    Aggregate,
    App,
    BoundedContext,
    Command,
    Event,
    Projection,
    Query,
    Unavailable,
    View,
    Views,
)
from diptych.log import Append, NewEvent
from diptych.messages import to_json

ROWS = 20_000
"""Enough that counting them without an index goes past what is read inline."""


class Fill(Command):
    item_id: str
    shelf: str


class Filled(Event, tags="shelf"):
    item_id: str
    shelf: str


@dataclass(frozen=True, slots=True)
class Shelf:
    items: int = 0


shelves = Aggregate("item", id="item_id", initial=Shelf(), boundary="shelf")


@shelves.decide
def fill(shelf: Shelf, command: Fill) -> Iterator[Filled]:
    yield Filled(item_id=command.item_id, shelf=command.shelf)


@shelves.evolve
def filled(shelf: Shelf, event: Filled) -> Shelf:
    return Shelf(shelf.items + 1)


class Item(View, key="item_id"):
    item_id: str
    shelf: str


items = Projection(Item)


@items.on
def item_filled(row: Item | None, event: Filled) -> Item:
    return Item(item_id=event.item_id, shelf=event.shelf)


class CountOften(Query[list[int]]):
    times: int


async def count_often(query: CountOften, views: Views) -> list[int]:
    counts = [views[Item].where(shelf=f"{number % 2}").count() for number in range(query.times)]
    return await asyncio.gather(*counts)


left_alone: list[asyncio.Task[int]] = []


class CountLater(Query[None]):
    pass


async def count_later(query: CountLater, views: Views) -> None:
    left_alone.append(asyncio.create_task(views[Item].where(shelf="0").count()))


store = BoundedContext("store", aggregates=[shelves], projections=[items], queries=[count_often, count_later])


async def stock(app: App) -> None:
    def event(number: int) -> Append:
        shelf = f"{number % 2}"
        data = to_json(Filled(item_id=f"{number}", shelf=shelf))
        new = NewEvent("Filled", 1, number.to_bytes(16, "big"), (f"shelf:{shelf}",), data)
        return Append(f"c{number}", b"", f"item-{number}", [new], None, b'{"command_id":"c"}')

    for start in range(0, ROWS, 2000):
        await asyncio.gather(*[app.log.append(event(number)) for number in range(start, start + 2000)])
    await app.caught_up(await app.token(), timeout=timedelta(seconds=30))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


async def test_a_handler_may_gather_its_reads(url: str) -> None:
    async with store.open(url) as app:
        await stock(app)
        for _ in range(5):
            assert await app.ask(CountOften(times=8)) == [ROWS // 2] * 8


async def test_a_read_that_outlives_its_handler_harms_no_other_query(url: str) -> None:
    async with store.open(url) as app:
        await stock(app)
        for _ in range(5):
            await app.ask(CountLater())
            assert await app.ask(CountOften(times=2)) == [ROWS // 2] * 2
        found = await asyncio.gather(*left_alone, return_exceptions=True)
        left_alone.clear()
        assert all(one == ROWS // 2 or isinstance(one, Unavailable) for one in found)


async def test_a_command_that_is_cancelled_while_it_reads_harms_no_other_and_no_close(url: str) -> None:
    async with store.open(url) as app:
        await stock(app)
        for number in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.004):
                    await app.execute(Fill(item_id=f"given-up-{number}", shelf="0"))
            if number % 5 == 0:
                receipt = await app.execute(Fill(item_id=f"kept-{number}", shelf="0"))
                assert receipt.events == ("Filled",)
        given_up = asyncio.create_task(app.execute(Fill(item_id="last", shelf="0")))
        await asyncio.sleep(0.004)
        given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)


async def test_a_closed_app_says_so(url: str) -> None:
    async with store.open(url) as app:
        pass
    with pytest.raises(Unavailable, match="closed"):
        await app.ask(CountOften(times=1))
    with pytest.raises(Unavailable, match="closed"):
        await app.execute(Fill(item_id="1", shelf="0"))
