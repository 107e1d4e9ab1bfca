"""The workload as a context of Diptych: an order, its commands and events, and a summary of it as a view."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from bench.workload import CUSTOMER, NOTE, PRICE, QUANTITY, SKU
from diptych import Aggregate, BoundedContext, Command, Event, Projection, Query, Rejected, View, Views


class PlaceOrder(Command):
    """Place an order."""

    order_id: str
    customer_id: str
    note: str


class AddItem(Command):
    """Add an item to an order."""

    order_id: str
    sku: str
    quantity: int
    price: Decimal
    note: str


class OrderPlaced(Event):
    """An order was placed."""

    order_id: str
    customer_id: str
    total: Decimal
    note: str


class ItemAdded(Event):
    """An item was added to an order."""

    order_id: str
    sku: str
    quantity: int
    price: Decimal
    note: str


class OrderShipped(Event):
    """An order was shipped."""

    order_id: str
    note: str


@dataclass(frozen=True, slots=True)
class Order:
    """What decisions need to know of an order."""

    status: str = "new"
    total: Decimal = Decimal()
    items: int = 0


orders = Aggregate("order", id="order_id", initial=Order())


@orders.decide
def place(order: Order, command: PlaceOrder) -> Iterator[OrderPlaced]:
    """An order is placed once."""
    if order.status != "new":
        raise Rejected("order-exists", "This order was placed already.")
    yield OrderPlaced(order_id=command.order_id, customer_id=command.customer_id, total=Decimal(), note=command.note)


@orders.decide
def add_item(order: Order, command: AddItem) -> Iterator[ItemAdded]:
    """Items are added to an order that is placed and not yet shipped."""
    if order.status != "placed":
        raise Rejected("order-not-open", "Only a placed order takes items.")
    yield ItemAdded(
        order_id=command.order_id,
        sku=command.sku,
        quantity=command.quantity,
        price=command.price,
        note=command.note,
    )


@orders.evolve
def placed(order: Order, event: OrderPlaced) -> Order:
    """The order's first state."""
    return Order("placed", event.total)


@orders.evolve
def item_added(order: Order, event: ItemAdded) -> Order:
    """Total and items grow."""
    return Order(order.status, order.total + event.price * event.quantity, order.items + event.quantity)


@orders.evolve
def shipped(order: Order, event: OrderShipped) -> Order:
    """The order's last state."""
    return replace(order, status="shipped")


class OrderSummary(View, key="order_id"):
    """One row per order."""

    order_id: str
    customer_id: str
    total: Decimal
    items: int = 0
    status: str = "placed"


summaries = Projection(OrderSummary)


@summaries.on
def summary_placed(row: OrderSummary | None, event: OrderPlaced) -> OrderSummary:
    """A new row."""
    return OrderSummary(order_id=event.order_id, customer_id=event.customer_id, total=event.total)


@summaries.on
def summary_item(row: OrderSummary, event: ItemAdded) -> OrderSummary:
    """A row's total and count go up."""
    return row.replace(total=row.total + event.price * event.quantity, items=row.items + event.quantity)


@summaries.on
def summary_shipped(row: OrderSummary, event: OrderShipped) -> OrderSummary:
    """A row's status changes."""
    return row.replace(status="shipped")


class SummaryOf(Query[OrderSummary | None]):
    """One order's summary."""

    order_id: str


async def summary_of(query: SummaryOf, views: Views) -> OrderSummary | None:
    """The row, by its key."""
    return await views[OrderSummary].get(query.order_id)


def place_order(order_id: str) -> PlaceOrder:
    """The workload's first command."""
    return PlaceOrder(order_id=order_id, customer_id=CUSTOMER, note=NOTE)


def add_to_order(order_id: str) -> AddItem:
    """The workload's usual command."""
    return AddItem(order_id=order_id, sku=SKU, quantity=QUANTITY, price=PRICE, note=NOTE)


WRITING = BoundedContext("shop", aggregates=[orders])
"""The left panel alone, for the benches of the write side: the peer projects nothing there either."""

SHOP = BoundedContext("shop", aggregates=[orders], projections=[summaries], queries=[summary_of])


def shop_of_version(version: int) -> BoundedContext:
    """The same as SHOP, with a projection of this version: its view is filled anew."""
    projection = Projection(OrderSummary, version=version)
    for handler in summaries.handlers:
        projection.on(handler.function)
    return BoundedContext("shop", aggregates=[orders], projections=[projection], queries=[summary_of])
