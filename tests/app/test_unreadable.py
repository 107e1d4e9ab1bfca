"""A stored event that a context cannot read stops only what needs it, and says which event it is, and why."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from diptych import App, BoundedContext, NotCaughtUp, UnreadableEvent, Zstd
from diptych.log import NewEvent
from diptych.stores import store_at
from tests.app.shop import OrderCount, ShipOrder, order, orders, shop
from tests.faults.tools import new_append

BAD: dict[str, tuple[NewEvent, str]] = {
    "bytes": (NewEvent("OrderPlaced", 1, b"2" * 16, (), b"\xff{"), "malformed"),
    "shape": (NewEvent("OrderPlaced", 1, b"2" * 16, (), b'{"order_id":5}'), "Expected `str`, got `int`"),
    "schema": (NewEvent("OrderPlaced", 9, b"2" * 16, (), b"{}"), "it has schema 9, and this context reads schema 1"),
    "type": (NewEvent("OrderLost", 1, b"2" * 16, (), b"{}"), "this context has no event of that stored name"),
    "codec": (NewEvent("OrderPlaced", 1, b"2" * 16, (), b"\x28\xb5\x2f\xfd.."), "give it codec=Zstd()"),
}


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """An empty store of each kind."""
    match request.param:
        case "sqlite":
            return f"sqlite:///{tmp_path}/shop.db"
        case "postgres":
            return request.getfixturevalue("postgres_url")
        case _:
            return "memory://"


async def disturbed(app: App, event: NewEvent) -> None:
    """Puts an order, and then an event into the stream of another one."""
    await app.execute(order("1"))
    await app.log.append(new_append("order-2")._replace(events=[event]))


@pytest.mark.parametrize("bad", BAD)
async def test_it_stops_its_own_stream_and_no_other(url: str, bad: str) -> None:
    event, reason = BAD[bad]
    async with shop.open(url) as app:
        await disturbed(app, event)
        for _ in range(2):
            with pytest.raises(UnreadableEvent) as caught:
                await app.execute(ShipOrder(order_id="2"))
            error = caught.value
            assert (error.position, error.stream, error.type) == (2, "order-2", event.type)
            assert reason in error.reason
            assert all(part in str(error) for part in ("Event 2", "order-2", event.type, reason))
        assert (await app.execute(ShipOrder(order_id="1"))).version == 2
        assert (await app.execute(order("3"))).token.position == 4


@pytest.mark.parametrize("bad", ["bytes", "shape", "schema", "codec"])
async def test_a_view_that_needs_it_holds_its_stream_back_and_says_so(url: str, bad: str) -> None:
    event, _ = BAD[bad]
    async with shop.open(url) as app:
        await disturbed(app, event)
        receipt = await app.execute(order("3"))
        with pytest.raises(NotCaughtUp) as caught:
            await app.ask(OrderCount(), after=receipt.token)
        assert (caught.value.position, caught.value.wanted) == (1, 3)
        assert "event 2, holds back its stream order-2;" in caught.value.reason
        assert await app.ask(OrderCount()) == 2
        events = app.events()
        assert (await anext(events)).position == 1
        with pytest.raises(UnreadableEvent):
            await anext(events)


async def test_a_view_that_does_not_need_it_goes_on(url: str) -> None:
    async with shop.open(url) as app:
        await disturbed(app, BAD["type"][0])
        receipt = await app.execute(order("3"))
        assert await app.ask(OrderCount(), after=receipt.token) == 2


async def test_what_was_compressed_is_refused_by_an_older_reader_and_read_with_the_codec(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/packed.db"
    packed = BoundedContext("packed", aggregates=[orders], codec=Zstd(threshold=1))
    plain = BoundedContext("packed", aggregates=[orders])
    async with packed.open(url) as app:
        await app.execute(order("1" * 100))
        await app.execute(ShipOrder(order_id="1" * 100))
    async with store_at(url).log() as log:
        assert (await log.read(0)).events[0].data.startswith(b"\x28\xb5\x2f\xfd")
    async with plain.open(url) as app:
        with pytest.raises(UnreadableEvent, match=r"it is compressed, .* give it codec=Zstd\(\)"):
            await app.execute(ShipOrder(order_id="1" * 100))
        await app.execute(order("2"))
    async with packed.open(url) as app:
        assert [event.stream async for event in app.events()] == ["order-" + "1" * 100] * 2 + ["order-2"]
        await asyncio.gather(*[app.execute(ShipOrder(order_id=id)) for id in ("1" * 100, "2")])
