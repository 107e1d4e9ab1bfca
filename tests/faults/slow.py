"""The shop with handlers that take their time: a view of few events takes seconds to be filled."""

import time

from diptych import BoundedContext, Projection
from tests.app.shop import OrderPlaced, OrderShipped, OrderSummary, orders, summary_placed, summary_shipped

SECONDS = 0.0002

summaries = Projection(OrderSummary)


@summaries.on
def placed(row: OrderSummary | None, event: OrderPlaced) -> OrderSummary:
    time.sleep(SECONDS)
    return summary_placed(row, event)


@summaries.on
def shipped(row: OrderSummary, event: OrderShipped) -> OrderSummary:
    time.sleep(SECONDS)
    return summary_shipped(row, event)


shop = BoundedContext("shop", aggregates=[orders], projections=[summaries])
