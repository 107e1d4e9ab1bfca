"""One shop, and how its summary is projected: in step with the log, following it, in versions, or not at all."""

from collections.abc import Sequence
from decimal import Decimal

from diptych import BoundedContext, Projection, Query, View, Views
from diptych.read import Mode
from diptych.read.queries import QueryFunction
from tests.app.shop import (
    OrderPlaced,
    OrderSummary,
    all_orders,
    order_by_id,
    order_count,
    orders,
    orders_of,
    summary_placed,
    summary_shipped,
)

QUERIES: Sequence[QueryFunction] = [orders_of, order_by_id, order_count, all_orders]
DEAREST = Decimal(1000)


def dearest(row: OrderSummary | None, event: OrderPlaced) -> OrderSummary:
    """A handler that fails on an order of more than a thousand, and writes a key of its own for one of 13."""
    if event.total > DEAREST:
        raise RuntimeError("nobody can afford that")
    made = summary_placed(row, event)
    return made.replace(order_id="another") if event.total == 13 else made


def summaries(mode: Mode, version: int = 1, *, mended: bool = False) -> Projection[OrderSummary]:
    projection = Projection(OrderSummary, version=version, mode=mode)
    projection.on(summary_placed if mended else dearest)
    projection.on(summary_shipped)
    return projection


class Spending(View, key="customer_id"):
    customer_id: str
    orders: int = 0


spending = Projection(Spending)


@spending.on
def spent(row: Spending | None, event: OrderPlaced) -> Spending:
    row = row or Spending(customer_id=event.customer_id)
    return row.replace(orders=row.orders + 1)


class Both(Query[tuple[int, int]]):
    """How many orders each of two views has."""


async def both(query: Both, views: Views) -> tuple[int, int]:
    counted = await views[OrderSummary].count()
    return counted, int(await views[Spending].sum("orders"))


def context(*projections: Projection[OrderSummary]) -> BoundedContext:
    return BoundedContext("shop", aggregates=[orders], projections=projections, queries=QUERIES if projections else [])


in_step = context(summaries("sync"))
mended = context(summaries("sync", mended=True))
following = context(summaries("async"))
newer = context(summaries("sync", version=2))
without = context()
mixed = BoundedContext("shop", aggregates=[orders], projections=[summaries("sync"), spending], queries=[*QUERIES, both])
