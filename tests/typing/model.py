"""A small context that the typing cases speak about. Nothing in this folder is run: type checkers read it."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from diptych import Aggregate, Command, Event, Projection, Query, View, Views


@dataclass(frozen=True, slots=True)
class Order:
    placed: bool = False


@dataclass(frozen=True, slots=True)
class Parcel:
    weight: int = 0


class PlaceOrder(Command):
    order_id: str
    customer_id: str = ""


class OrderPlaced(Event, tags=("customer_id",), schema=2, name="order-placed"):
    order_id: str
    customer_id: str
    total: Decimal


class OrderShipped(Event):
    order_id: str


class OrderSummary(View, key="order_id", index=("customer_id",)):
    order_id: str
    customer_id: str
    total: Decimal
    status: str = "placed"


class Customer(View, key="customer_id"):
    customer_id: str
    orders: int = 0


class OrdersOf(Query[list[OrderSummary]]):
    customer_id: str
    limit: int = 50


class Revenue(Query[Decimal]):
    pass


orders = Aggregate("order", id="order_id", initial=Order())
summaries = Projection(OrderSummary)
customers = Projection(Customer)


@orders.decide
def place(order: Order, command: PlaceOrder) -> Iterator[OrderPlaced]:
    yield OrderPlaced(order_id=command.order_id, customer_id=command.customer_id, total=Decimal(10))


async def orders_of(query: OrdersOf, views: Views) -> list[OrderSummary]:
    return await views[OrderSummary].where(customer_id=query.customer_id).limit(query.limit)
