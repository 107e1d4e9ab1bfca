"""What type checkers refuse. Each line is marked for both; were it accepted, the mark would be an error by itself.

`type: ignore` speaks to mypy, `pyright: ignore` to pyright.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from diptych import (
    Aggregate,
    App,
    BoundedContext,
    Event,
    Query,
    Receipt,
    Recorded,
    TableProjection,
    Tables,
    View,
    Views,
)
from diptych.testing import given
from tests.typing.model import (
    Customer,
    Order,
    OrderPlaced,
    OrderShipped,
    OrdersOf,
    OrderSummary,
    Parcel,
    PlaceOrder,
    customers,
    orders,
    place,
    summaries,
)

# Messages: keyword-only, typed, frozen.


def messages(command: PlaceOrder, event: OrderPlaced, row: OrderSummary, query: OrdersOf) -> None:
    PlaceOrder("1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PlaceOrder(order_id=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PlaceOrder()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PlaceOrder(order_id="1", colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    OrderPlaced("1", "c", Decimal(1))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    OrderSummary("1", "c", Decimal(1))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    OrdersOf("c")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    command.order_id = "2"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    event.total = Decimal(2)  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    row.status = "shipped"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    query.limit = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


# Class keywords: pyright sees their types; mypy looks at none of a metaclass, and building the context finds the rest.


class Counted(Event, schema="2"):  # pyright: ignore[reportArgumentType]
    sku: str


class Tagged(Event, tags=1):  # pyright: ignore[reportArgumentType]
    sku: str


class Stock(View, key=("sku", 1)):  # pyright: ignore[reportArgumentType]
    sku: str


# decide


@orders.decide  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
def decides_on_another_state(parcel: Parcel, command: PlaceOrder) -> Iterator[OrderPlaced]:
    yield from ()


@orders.decide  # type: ignore[type-var]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
def decides_an_event(order: Order, command: OrderPlaced) -> Iterator[OrderPlaced]:
    yield command


@orders.decide  # type: ignore[type-var]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
def gives_texts(order: Order, command: PlaceOrder) -> list[str]:
    return []


@orders.decide  # type: ignore[type-var]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
def gives_one_event(order: Order, command: PlaceOrder) -> OrderShipped:
    return OrderShipped(order_id=command.order_id)


@orders.decide  # type: ignore[type-var]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
async def waits(order: Order, command: PlaceOrder) -> list[OrderPlaced]:
    return []


@orders.decide  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
def wants_more(order: Order, command: PlaceOrder, number: int) -> Iterator[OrderPlaced]:
    yield from ()


# evolve


@orders.evolve  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def evolves_to_another_state(order: Order, event: OrderPlaced) -> Parcel:
    return Parcel()


@orders.evolve  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def evolves_another_state(parcel: Parcel, event: OrderPlaced) -> Parcel:
    return parcel


@orders.evolve  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
def evolves_a_command(order: Order, event: PlaceOrder) -> Order:
    return order


@orders.evolve  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def evolves_to_nothing(order: Order, event: OrderPlaced) -> None:
    return None


# projections


@summaries.on  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
def takes_another_row(row: Customer | None, event: OrderPlaced) -> OrderSummary:
    raise NotImplementedError


@summaries.on  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
def gives_another_row(row: OrderSummary | None, event: OrderPlaced) -> Customer:
    return Customer(customer_id=event.customer_id)


@summaries.on  # type: ignore[type-var, arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
def takes_a_command(row: OrderSummary | None, event: PlaceOrder) -> OrderSummary | None:
    return row


@summaries.on  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
async def waits_for_a_row(row: OrderSummary, event: OrderPlaced) -> OrderSummary:
    return row


def customers_of(event: OrderPlaced) -> Iterable[str]:
    return (event.customer_id,)


@customers.on(keys=customers_of)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
def has_another_event_than_its_keys(row: Customer | None, event: OrderShipped) -> Customer | None:
    return row


@customers.on(keys=customers_of)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUntypedFunctionDecorator]
def has_the_record_and_not_its_keys(row: Customer | None, event: Recorded[OrderPlaced]) -> Customer | None:
    return row


# a table projection: async functions of the tables and an event, which give nothing

totals = TableProjection("Totals", tables={"totals": "CREATE TABLE {totals} (day TEXT)"})


def order_of(event: OrderPlaced) -> str:
    return event.order_id


@totals.on  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def does_not_wait(tables: Tables, event: OrderPlaced) -> None: ...


@totals.on  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def gives_a_row(tables: Tables, event: OrderPlaced) -> OrderSummary:
    raise NotImplementedError


@totals.on  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
async def has_no_event(tables: Tables, event: PlaceOrder) -> None: ...


@totals.on(key=order_of)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def has_another_event_than_its_key(tables: Tables, event: OrderShipped) -> None: ...


async def asks(tables: Tables) -> None:
    await tables.execute("DELETE FROM {totals}", "day")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await tables.fetch(b"SELECT 1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# the app


async def uses(app: App, receipt: Receipt, answers: Query[int]) -> None:
    await app.ask(PlaceOrder(order_id="1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await app.execute(OrderShipped(order_id="1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await app.execute(OrdersOf(customer_id="c"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await app.ask(OrdersOf(customer_id="c"), after="0123456789abcdef.1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await app.ask(OrdersOf(customer_id="c"), receipt.token)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await app.ask(OrdersOf(customer_id="c"), timeout=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    counted: int = await app.ask(OrdersOf(customer_id="c"))  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    text: str = await app.ask(answers)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    receipt.version = 2  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    del counted, text


async def reads(views: Views) -> None:
    await views[OrderPlaced]  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
    row: OrderSummary = await views[OrderSummary].get("1")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    found: list[Customer] = await views[OrderSummary].where(status="placed")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    await views[OrderSummary].where("status = 'placed'")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    del row, found


BoundedContext("shop", aggregates=[summaries])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
BoundedContext("shop", projections=[orders])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
BoundedContext("shop", queries=[place])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


# given/when/then


def tests() -> None:
    given(orders, PlaceOrder(order_id="1"))  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    given(orders).when(OrderShipped(order_id="1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    given(orders).when(PlaceOrder(order_id="1")).then(PlaceOrder(order_id="1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    given(orders).shows()  # type: ignore[attr-defined]  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
    given(summaries).when(PlaceOrder(order_id="1"))  # type: ignore[attr-defined]  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
    given(summaries).shows(Customer(customer_id="c"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# A policy of another state, and one that says nothing.


def when_dispatched(events: int, parcel: Parcel) -> bool:
    return events > 10


Aggregate("order", id="order_id", initial=Order(), snapshots=100)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Aggregate[Order]("order", id="order_id", initial=Order(), snapshots=when_dispatched)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
