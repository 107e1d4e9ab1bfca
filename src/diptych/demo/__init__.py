"""The demo: a gift shop as one bounded context, and the loading of its real sales through the full command path.

`diptych demo` runs it; `diptych.demo:shop` is its context. `domain`, `views` and `queries` are the shop; the other
rooms bring invoices to it and count what came back. There is no back door: what the log holds went through a command.
"""

from diptych import BoundedContext
from diptych.demo.domain import credit_notes, orders
from diptych.demo.queries import best_customers, get_order, orders_of, sales_by_day, top_products, totals
from diptych.demo.views import daily, histories, notes, sales, summaries

__all__ = ["shop"]

shop = BoundedContext(
    "shop",
    aggregates=[orders, credit_notes],
    projections=[summaries, notes, histories, sales, daily],
    queries=[get_order, orders_of, best_customers, top_products, sales_by_day, totals],
)
