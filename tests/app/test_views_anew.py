"""Views are disposable: what is changed or lost is folded from the log again."""

import sqlite3
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest

from diptych import App, BoundedContext, NotCaughtUp, Projection, Query, Scale, Token, View, Views
from tests.app.shop import (
    AllOrders,
    OrderById,
    OrderCount,
    OrderPlaced,
    OrderShipped,
    ShipOrder,
    order,
    orders,
    shop,
)


async def fill(app: App, count: int = 5) -> Token:
    for number in range(count):
        await app.execute(order(str(number)))
    return (await app.execute(ShipOrder(order_id="0"))).token


def remove(folder: Path, pattern: str) -> None:
    for file in folder.glob(pattern):
        file.unlink()


class Rows(Query[list[dict[str, Any]]]):
    pass


def context_of(view: type[Any], *, version: int = 1, note: str = "") -> BoundedContext:
    """The shop of another release, with another summary of an order."""
    projection: Any = Projection(view, version=version)

    def on_placed(row: Any, event: OrderPlaced) -> Any:
        fields = {"order_id": event.order_id, "customer_id": event.customer_id, "total": event.total, "note": note}
        return view(**{name: value for name, value in fields.items() if name in view.__struct_fields__})

    on_placed.__annotations__ |= {"row": view | None, "return": view}
    projection.on(on_placed)

    async def rows(query: Rows, views: Views) -> list[dict[str, Any]]:
        found = await views[view].order_by("order_id")
        return [{name: getattr(row, name) for name in row.__struct_fields__} for row in found]

    return BoundedContext("shop", aggregates=[orders], projections=[projection], queries=[rows])


class Old(View, key="order_id", name="Summary"):
    order_id: str
    total: Annotated[Decimal, Scale(2)]


class WithField(View, key="order_id", name="Summary"):
    order_id: str
    total: Annotated[Decimal, Scale(2)]
    customer_id: str


class WithScale(View, key="order_id", name="Summary"):
    order_id: str
    total: Annotated[Decimal, Scale(4)]


class WithIndex(View, key="order_id", index=("total",), name="Summary"):
    order_id: str
    total: Annotated[Decimal, Scale(2)]


class WithKey(View, key=("order_id", "total"), name="Summary"):
    order_id: str
    total: Annotated[Decimal, Scale(2)]


@pytest.mark.parametrize("new", [WithField, WithScale, WithIndex, WithKey])
async def test_a_changed_view_is_noticed_when_it_is_opened_and_filled_anew(sqlite_url: str, new: type[Any]) -> None:
    async with context_of(Old).open(sqlite_url) as app:
        token = await fill(app)
        rows = await app.ask(Rows(), after=token)
        assert len(rows) == 5

    async with context_of(new).open(sqlite_url) as app:
        rows = await app.ask(Rows(), after=token)
    assert len(rows) == 5
    assert set(rows[0]) == set(new.__struct_fields__)

    async with context_of(Old).open(sqlite_url) as app:  # and back
        assert set((await app.ask(Rows(), after=token))[0]) == {"order_id", "total"}


class Noted(View, key="order_id"):
    order_id: str
    note: str


async def test_a_raised_version_fills_a_view_anew_and_the_same_version_does_not(sqlite_url: str) -> None:
    async with context_of(Noted, note="first").open(sqlite_url) as app:
        token = await fill(app)
        await app.caught_up(token)

    async with context_of(Noted, note="second").open(sqlite_url) as app:
        assert {row["note"] for row in await app.ask(Rows(), after=token)} == {"first"}
    async with context_of(Noted, note="third", version=2).open(sqlite_url) as app:
        assert {row["note"] for row in await app.ask(Rows(), after=token)} == {"third"}


async def test_the_code_of_before_gives_no_wrong_answers_while_new_code_has_the_view(sqlite_url: str) -> None:
    async with context_of(Old).open(sqlite_url) as old:
        token = await fill(old)
        rows = await old.ask(Rows(), after=token)
        assert len(rows) == 5
        async with context_of(WithField).open(sqlite_url) as new:
            await new.caught_up(token)
            try:
                rows = await old.ask(Rows(), after=token, timeout=timedelta(milliseconds=200))
            except NotCaughtUp:
                return
            assert [set(row) for row in rows] == [{"order_id", "total"}] * 5


async def test_a_lost_views_file_is_filled_again(sqlite_url: str, tmp_path: Path) -> None:
    async with shop.open(sqlite_url) as app:
        token = await fill(app)
        before = await app.ask(AllOrders(), after=token)
    remove(tmp_path, "shop.views.db*")

    async with shop.open(sqlite_url) as app:
        assert await app.ask(AllOrders(), after=token) == before
    assert (tmp_path / "shop.views.db").exists()


async def test_views_of_another_log_are_filled_anew(sqlite_url: str, tmp_path: Path) -> None:
    async with shop.open(sqlite_url) as app:
        await app.caught_up(await fill(app))
    remove(tmp_path, "shop.db*")

    async with shop.open(sqlite_url) as app:
        receipt = await app.execute(order("new"))
        assert [row.order_id for row in await app.ask(AllOrders(), after=receipt.token)] == ["new"]


async def test_a_log_that_lost_its_end_halts_its_views(sqlite_url: str, tmp_path: Path) -> None:
    async with shop.open(sqlite_url) as app:
        token = await fill(app)
        await app.caught_up(token)
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("DELETE FROM event WHERE position > 3")
    connection.close()

    async with shop.open(sqlite_url) as app:
        with pytest.raises(NotCaughtUp, match="lost its end"):
            await app.ask(OrderCount(), after=token)
        receipt = await app.execute(order("new"))  # position 4 is given again, to another event
        with pytest.raises(NotCaughtUp, match="lost its end"):
            await app.ask(OrderById(order_id="new"), after=receipt.token)


async def test_stores_beside_each_other_do_not_share_their_views(tmp_path: Path) -> None:
    # Names that differ in their suffix only, or that begin alike.
    names = ["shop", "shop.db", "shop.sqlite", "shop.db.db", "shopp"]
    for name in names:
        async with shop.open(f"sqlite:///{tmp_path}/{name}") as app:
            receipt = await app.execute(order(name))
            await app.caught_up(receipt.token)
    async with (
        shop.open(f"sqlite:///{tmp_path}/shop") as one,
        shop.open(f"sqlite:///{tmp_path}/shop.db") as other,
    ):
        first = await one.execute(order("again"))
        second = await other.execute(order("again"))
        for _ in range(20):
            assert [row.order_id for row in await one.ask(AllOrders(), after=first.token)] == ["again", "shop"]
            assert [row.order_id for row in await other.ask(AllOrders(), after=second.token)] == ["again", "shop.db"]


async def test_a_row_that_is_deleted_is_gone_and_may_come_again(url: str) -> None:
    class Waiting(View, key="order_id"):
        order_id: str

    class WaitingOrders(Query[list[str]]):
        pass

    async def waiting_orders(query: WaitingOrders, views: Views) -> list[str]:
        return [row.order_id for row in await views[Waiting].order_by("order_id")]

    waiting = Projection(Waiting)

    @waiting.on
    def add(row: Waiting | None, event: OrderPlaced) -> Waiting:
        return Waiting(order_id=event.order_id)

    @waiting.on
    def remove(row: Waiting | None, event: OrderShipped) -> Waiting | None:
        return None

    queue = BoundedContext("queue", aggregates=[orders], projections=[waiting], queries=[waiting_orders])
    async with queue.open(url) as app:
        token = await fill(app)
        assert await app.ask(WaitingOrders(), after=token) == ["1", "2", "3", "4"]


async def test_one_event_may_touch_many_rows_or_none(url: str) -> None:
    class Letter(View, key=("letter", "order_id")):
        letter: str
        order_id: str
        times: int

    class Letters(Query[dict[str, int]]):
        order_id: str

    async def letters(query: Letters, views: Views) -> dict[str, int]:
        rows = await views[Letter].where(order_id=query.order_id).order_by("letter")
        return {row.letter: row.times for row in rows}

    projection = Projection(Letter)

    def letters_in(event: OrderPlaced) -> list[tuple[str, str]]:
        return [(letter, event.order_id) for letter in event.customer_id]

    @projection.on(keys=letters_in)
    def count(row: Letter | None, event: OrderPlaced, key: tuple[str, str]) -> Letter:
        return Letter(letter=key[0], order_id=key[1], times=event.customer_id.count(key[0]))

    context = BoundedContext("letters", aggregates=[orders], projections=[projection], queries=[letters])
    async with context.open(url) as app:
        await app.execute(order("1", customer_id="anna"))
        receipt = await app.execute(order("2", customer_id="b"))
        assert await app.ask(Letters(order_id="1"), after=receipt.token) == {"a": 2, "n": 2}
        assert await app.ask(Letters(order_id="2"), after=receipt.token) == {"b": 1}
        assert await app.ask(Letters(order_id="3"), after=receipt.token) == {}
