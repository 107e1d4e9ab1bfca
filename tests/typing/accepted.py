"""What type checkers make of a context: nobody has to write a type twice, and none is lost on the way."""

from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, assert_type

from diptych import (
    Aggregate,
    Answer,
    App,
    BoundedContext,
    Lag,
    Meta,
    Moment,
    Page,
    Projection,
    Receipt,
    Recorded,
    Rejected,
    Scale,
    TableProjection,
    Tables,
    Token,
    View,
    Views,
    between,
    every,
    ge,
    gt,
    le,
    lt,
    never,
    one_of,
    prefix,
)
from diptych.testing import given
from tests.typing.model import (
    Customer,
    Order,
    OrderPlaced,
    OrderShipped,
    OrdersOf,
    OrderSummary,
    PlaceOrder,
    Revenue,
    customers,
    orders,
    orders_of,
    place,
    summaries,
)

# A decorated function keeps its type.

assert_type(orders, Aggregate[Order])
assert_type(place, Callable[[Order, PlaceOrder], Iterator[OrderPlaced]])


@orders.decide
def place_now(order: Order, command: PlaceOrder, moment: Moment) -> list[OrderPlaced | OrderShipped]:
    if order.placed:
        raise Rejected("order-exists")
    return [OrderShipped(order_id=moment.id("order"))]


assert_type(place_now, Callable[[Order, PlaceOrder, Moment], list[OrderPlaced | OrderShipped]])


@orders.evolve
def placed(order: Order, event: OrderPlaced) -> Order:
    return replace(order, placed=True)


assert_type(placed, Callable[[Order, OrderPlaced], Order])
assert_type(summaries, Projection[OrderSummary])


@summaries.on
def added(row: OrderSummary | None, event: OrderPlaced) -> OrderSummary:
    return OrderSummary(order_id=event.order_id, customer_id=event.customer_id, total=event.total)


@summaries.on
def added_or_removed(row: OrderSummary | None, event: OrderPlaced) -> OrderSummary | None:
    return row


@summaries.on
def changed(row: OrderSummary, event: OrderShipped) -> OrderSummary:
    return row.replace(status="shipped")


@summaries.on
def changed_or_removed(row: OrderSummary, event: Recorded[OrderShipped]) -> OrderSummary | None:
    assert_type(event.event, OrderShipped)
    assert_type(event.event.order_id, str)
    assert_type(event.metadata.actor, str | None)
    return None if event.position > 1 else row


assert_type(added, Callable[[OrderSummary | None, OrderPlaced], OrderSummary])
assert_type(added_or_removed, Callable[[OrderSummary | None, OrderPlaced], OrderSummary | None])
assert_type(changed, Callable[[OrderSummary, OrderShipped], OrderSummary])
assert_type(changed_or_removed, Callable[[OrderSummary, Recorded[OrderShipped]], OrderSummary | None])


@summaries.on
def removed(row: OrderSummary, event: OrderShipped) -> None:
    """Giving None alone is allowed, and is seen as giving a row or None."""


def customers_of(event: OrderPlaced) -> Iterable[str]:
    return (event.customer_id,)


def customers_of_record(event: Recorded[OrderPlaced]) -> Iterable[str]:
    return (event.event.customer_id,)


@customers.on(keys=customers_of)
def ordered(row: Customer | None, event: OrderPlaced, key: str) -> Customer:
    row = row or Customer(customer_id=key)
    return row.replace(orders=row.orders + 1)


@customers.on(keys=customers_of)
def ordered_without_key(row: Customer | None, event: OrderPlaced) -> Customer | None:
    return row


@customers.on(keys=customers_of_record)
def ordered_with_record(row: Customer, event: Recorded[OrderPlaced], key: str) -> Customer | None:
    return row if event.position else None


assert_type(ordered, Callable[[Customer | None, OrderPlaced, Any], Customer])
assert_type(ordered_without_key, Callable[[Customer | None, OrderPlaced], Customer | None])
assert_type(ordered_with_record, Callable[[Customer, Recorded[OrderPlaced], Any], Customer | None])

shop = BoundedContext("shop", aggregates=[orders], projections=[summaries, customers], queries=[orders_of])


# Asking gives what the query says.


async def use(app: App, token: Token) -> None:
    receipt = await app.execute(PlaceOrder(order_id="1"), command_id="c", actor="ann", expected_version=0)
    assert_type(receipt, Receipt)
    assert_type(receipt.token, Token)
    assert_type(receipt.events, tuple[str, ...])

    assert_type(await app.ask(OrdersOf(customer_id="c"), after=receipt.token), list[OrderSummary])
    assert_type(await app.ask(Revenue()), Decimal)

    answer = await app.answer(OrdersOf(customer_id="c"), after=token, lenient=True)
    assert_type(answer, Answer[list[OrderSummary]])
    assert_type(answer.value, list[OrderSummary])
    assert_type(answer.lag, Lag)
    assert_type(answer.stale, bool)

    async for recorded in app.events(upto=token):
        assert_type(recorded, Recorded[Any])


async def open_it() -> None:
    async with shop.open("memory://") as app:
        assert_type(app, App)


async def read(views: Views) -> None:
    rows = views[OrderSummary]
    assert_type(await rows.get("1"), OrderSummary | None)
    assert_type(await rows.get_many(["1", "2"]), list[OrderSummary])
    assert_type(await rows, list[OrderSummary])
    chosen = rows.where(customer_id="c", total=ge(10), status=one_of("placed", "shipped")).order_by("-total").limit(5)
    assert_type(await chosen, list[OrderSummary])
    page = await chosen.page(10, cursor=None)
    assert_type(page, Page[OrderSummary])
    assert_type(page.items, list[OrderSummary])
    assert_type(page.cursor, str | None)
    assert_type(await chosen.count(), int)
    assert_type(await views.sql("SELECT 1 AS one WHERE :x", x=1), list[dict[str, Any]])
    await rows.where(total=gt(1), status=prefix("p")).where(total=between(lt, le))


# A handler of tables keeps its type; what it fetches is what the store holds.

totals = TableProjection("Totals", tables={"totals": "CREATE TABLE {totals} (day TEXT)"})


@totals.on
async def totalled(tables: Tables, event: OrderPlaced) -> None:
    assert_type(await tables.fetch("SELECT * FROM {totals} WHERE day = :day", day="1"), list[dict[str, Any]])
    await tables.execute("DELETE FROM {totals}")


def order_of(event: Recorded[OrderShipped]) -> str:
    return event.event.order_id


@totals.on(key=order_of)
async def shipped_on(tables: Tables, event: Recorded[OrderShipped]) -> None:
    assert_type(event.event, OrderShipped)


assert_type(totalled, Callable[[Tables, OrderPlaced], Coroutine[Any, Any, None]])
BoundedContext("totals", projections=[summaries, totals])


# A row changed is a row of the same view; annotations with bounds and scales are their types.


class Price(View, key="sku"):
    sku: str
    amount: Annotated[Decimal, Scale(2)]
    stock: Annotated[int, Meta(ge=0)] = 0


def prices(price: Price) -> None:
    assert_type(price.replace(stock=1), Price)
    assert_type(price.amount, Decimal)
    assert_type(price.stock, int)


# given/when/then


def tests() -> None:
    placed = OrderPlaced(order_id="1", customer_id="c", total=Decimal(1))
    given(orders, placed).when(PlaceOrder(order_id="1")).rejects("order-exists")
    given(orders).when(PlaceOrder(order_id="1")).then(OrderShipped(order_id="1"), OrderShipped(order_id="2"))
    given(summaries, OrderShipped(order_id="1")).shows(OrderSummary(order_id="1", customer_id="c", total=Decimal(1)))


# A policy is a function of the aggregate's own state; the ready-made ones go with every state.


def when_placed(events: int, order: Order) -> bool:
    return order.placed and events > 10


assert_type(Aggregate("order", id="order_id", initial=Order(), snapshots=when_placed), Aggregate[Order])
assert_type(Aggregate("order", id="order_id", initial=Order(), snapshots=every(10)), Aggregate[Order])
assert_type(Aggregate("order", id="order_id", initial=Order(), snapshots=never, version=2), Aggregate[Order])
