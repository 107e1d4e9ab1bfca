"""What may be asked of the shop, each answered from views alone. Nothing here changes anything or reads the log."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from diptych import Meta, NotFound, Query, View, Views, between
from diptych.demo.views import CreditNote, CustomerHistory, DailySales, OrderSummary, ProductSales

Limit = Annotated[int, Meta(ge=1, le=500)]


class GetOrder(Query[OrderSummary]):
    """One order by its number."""

    order_id: str


async def get_order(query: GetOrder, views: Views) -> OrderSummary:
    order = await views[OrderSummary].get(query.order_id)
    if order is None:
        raise NotFound(f"There is no order {query.order_id}.")
    return order


class OrdersOf(Query[list[OrderSummary]]):
    """A customer's orders, latest first."""

    customer_id: str
    limit: Limit = 50


async def orders_of(query: OrdersOf, views: Views) -> list[OrderSummary]:
    orders = views[OrderSummary].where(customer_id=query.customer_id)
    return await orders.order_by("-placed_at", "order_id").limit(query.limit)


class BestCustomers(Query[list[CustomerHistory]]):
    """The customers who spent most, before credit."""

    limit: Limit = 10


async def best_customers(query: BestCustomers, views: Views) -> list[CustomerHistory]:
    return await views[CustomerHistory].order_by("-spent", "customer_id").limit(query.limit)


class TopProducts(Query[list[ProductSales]]):
    """The products that sold most, by units or by revenue."""

    limit: Limit = 10
    by: Literal["units", "revenue"] = "revenue"


async def top_products(query: TopProducts, views: Views) -> list[ProductSales]:
    return await views[ProductSales].order_by(f"-{query.by}", "stock_code").limit(query.limit)


class SalesByDay(Query[list[DailySales]]):
    """Each country's days from one day to another, both included."""

    from_: date = msgspec.field(name="from")
    to: date
    country: str | None = None


async def sales_by_day(query: SalesByDay, views: Views) -> list[DailySales]:
    days = views[DailySales].where(day=between(query.from_, query.to))
    if query.country is not None:
        days = days.where(country=query.country)
    return await days.order_by("day", "country")


class ViewTotals(msgspec.Struct, frozen=True):
    """How many rows a view has, and what some of its columns add up to."""

    rows: int
    sums: dict[str, Decimal]


class Totals(Query[dict[str, ViewTotals]]):
    """Every view's totals by the view's name: what the books are reconciled with."""


SUMMED: tuple[tuple[type[View], tuple[str, ...]], ...] = (
    (OrderSummary, ("lines", "units", "total")),
    (CreditNote, ("lines", "units", "amount")),
    (CustomerHistory, ("orders", "spent", "credits", "credited")),
    (ProductSales, ("units", "revenue")),
    (DailySales, ("orders", "units", "revenue", "credited")),
)


async def totals(query: Totals, views: Views) -> dict[str, ViewTotals]:
    return {view.__name__: await totals_of(views, view, columns) for view, columns in SUMMED}


async def totals_of(views: Views, view: type[View], columns: tuple[str, ...]) -> ViewTotals:
    rows = views[view]
    return ViewTotals(
        rows=await rows.count(),
        sums={column: Decimal(await rows.sum(column)) for column in columns},
    )
