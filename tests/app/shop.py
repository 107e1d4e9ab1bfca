"""The bounded context of the tests: an order, placed once, then shipped once, and its summary."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from diptych import (
    Aggregate,
    App,
    BoundedContext,
    Command,
    Event,
    Meta,
    Projection,
    Query,
    Rejected,
    Scale,
    Token,
    View,
    Views,
    prefix,
)
from diptych.log import Append, Metadata
from diptych.stores import store_at


@dataclass(frozen=True, slots=True)
class Line:
    sku: str
    quantity: Annotated[int, Meta(gt=0)]
    price: Decimal


class PlaceOrder(Command):
    """Place a customer's order."""

    order_id: str
    customer_id: str
    lines: list[Line]


class ShipOrder(Command):
    order_id: str


class OrderPlaced(Event):
    order_id: str
    customer_id: str
    total: Decimal


class OrderShipped(Event):
    order_id: str


@dataclass(frozen=True, slots=True)
class Order:
    status: Literal["new", "placed", "shipped"] = "new"


orders = Aggregate("order", id="order_id", initial=Order())


@orders.decide
def place(order: Order, command: PlaceOrder) -> Iterator[OrderPlaced]:
    if order.status != "new":
        raise Rejected("order-exists", "This order was placed already.")
    total = sum((line.price * line.quantity for line in command.lines), Decimal())
    if total < 10:
        raise Rejected("minimum-order", "An order must be worth at least 10.00.")
    yield OrderPlaced(order_id=command.order_id, customer_id=command.customer_id, total=total)


@orders.decide
def ship(order: Order, command: ShipOrder) -> Iterator[OrderShipped]:
    if order.status == "new":
        raise Rejected("order-not-placed", "Only a placed order can be shipped.")
    if order.status == "placed":  # shipping twice changes nothing
        yield OrderShipped(order_id=command.order_id)


@orders.evolve
def placed(order: Order, event: OrderPlaced) -> Order:
    return replace(order, status="placed")


@orders.evolve
def shipped(order: Order, event: OrderShipped) -> Order:
    return replace(order, status="shipped")


class OrderSummary(View, key="order_id", index=("customer_id",)):
    order_id: str
    customer_id: str
    total: Annotated[Decimal, Scale(2)]
    status: str = "placed"


summaries = Projection(OrderSummary)


@summaries.on
def summary_placed(row: OrderSummary | None, event: OrderPlaced) -> OrderSummary:
    return OrderSummary(order_id=event.order_id, customer_id=event.customer_id, total=event.total)


@summaries.on
def summary_shipped(row: OrderSummary, event: OrderShipped) -> OrderSummary:
    return row.replace(status="shipped")


class OrdersOf(Query[list[OrderSummary]]):
    """A customer's orders."""

    customer_id: str
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


async def orders_of(query: OrdersOf, views: Views) -> list[OrderSummary]:
    return await views[OrderSummary].where(customer_id=query.customer_id).limit(query.limit)


class OrderById(Query[OrderSummary | None]):
    order_id: str


async def order_by_id(query: OrderById, views: Views) -> OrderSummary | None:
    return await views[OrderSummary].get(query.order_id)


class OrderCount(Query[int]):
    starting: str = ""


async def order_count(query: OrderCount, views: Views) -> int:
    return await views[OrderSummary].where(order_id=prefix(query.starting)).count()


class AllOrders(Query[list[OrderSummary]]):
    pass


async def all_orders(query: AllOrders, views: Views) -> list[OrderSummary]:
    return await views[OrderSummary].order_by("order_id").limit(1_000_000)


shop = BoundedContext(
    "shop", aggregates=[orders], projections=[summaries], queries=[orders_of, order_by_id, order_count, all_orders]
)


def order(order_id: str, customer_id: str = "c", price: str = "15.00") -> PlaceOrder:
    """A valid order of one line."""
    return PlaceOrder(order_id=order_id, customer_id=customer_id, lines=[Line("mug", 1, Decimal(price))])


async def place_orders(app: App, count: int) -> Token:
    """Places the orders "0", "1", ... and gives the last one's token."""
    receipts = [await app.execute(order(str(number))) for number in range(count)]
    return receipts[-1].token


async def import_orders(url: str, count: int, name: str = "imported") -> None:
    """Many orders in few appends, past the commands: a log to be read for a while, made in no time."""
    async with store_at(url).log() as log:
        for first in range(0, count, 1000):
            command_id = f"{name}-{first}"
            placed = [
                OrderPlaced(order_id=f"{command_id}-{number}", customer_id="c", total=Decimal(15))
                for number in range(min(1000, count - first))
            ]
            events = [shop.catalogue.encode(event, event.order_id.encode()[-16:].rjust(16))[0] for event in placed]
            metadata = Metadata(command_id=command_id, correlation_id=command_id, causation_id=command_id)
            await log.append(Append(command_id, b"", command_id, events, None, msgspec.json.encode(metadata)))
