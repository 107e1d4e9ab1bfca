"""The books reconciled: what the views add up to by their own queries, against a fold of the log's events.

The fold knows nothing of the views' folds. It adds up event by event, and keeps no event: only the customers, products
and days it has met.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from diptych.demo.domain import CreditIssued, OrderPlaced
from diptych.demo.queries import ViewTotals
from diptych.demo.views import local_day


class Books:
    """A running account of the log, by which each view is judged."""

    def __init__(self) -> None:
        self.orders = self.order_lines = self.order_units = 0
        self.credit_notes = self.credit_lines = self.credit_units = 0
        self.revenue = self.credited = Decimal()
        self.known_orders = self.known_credits = 0
        self.known_spent = self.known_credited = Decimal()
        self.customers: set[str] = set()
        self.products: set[str] = set()
        self.days: set[tuple[date, str]] = set()

    def enter(self, event: object) -> None:
        match event:
            case OrderPlaced():
                self.enter_order(event)
            case CreditIssued():
                self.enter_credit(event)
            case _:
                pass

    def enter_order(self, event: OrderPlaced) -> None:
        amount = Decimal()
        for line in event.lines:
            amount += line.price * line.quantity
            self.order_units += line.quantity
            self.products.add(line.stock_code)
        self.orders += 1
        self.order_lines += len(event.lines)
        self.revenue += amount
        self.days.add((local_day(event.placed_at), event.country))
        if event.customer_id is not None:
            self.customers.add(event.customer_id)
            self.known_orders += 1
            self.known_spent += amount

    def enter_credit(self, event: CreditIssued) -> None:
        amount = Decimal()
        for line in event.lines:
            amount -= line.price * line.quantity
            self.credit_units -= line.quantity
        self.credit_notes += 1
        self.credit_lines += len(event.lines)
        self.credited += amount
        self.days.add((local_day(event.issued_at), event.country))
        if event.customer_id is not None:
            self.customers.add(event.customer_id)
            self.known_credits += 1
            self.known_credited += amount

    def totals(self) -> dict[str, ViewTotals]:
        """What every view should add up to."""
        return {
            "OrderSummary": expect(self.orders, lines=self.order_lines, units=self.order_units, total=self.revenue),
            "CreditNote": expect(
                self.credit_notes, lines=self.credit_lines, units=self.credit_units, amount=self.credited
            ),
            "CustomerHistory": expect(
                len(self.customers),
                orders=self.known_orders,
                spent=self.known_spent,
                credits=self.known_credits,
                credited=self.known_credited,
            ),
            "ProductSales": expect(len(self.products), units=self.order_units, revenue=self.revenue),
            "DailySales": expect(
                len(self.days),
                orders=self.orders,
                units=self.order_units,
                revenue=self.revenue,
                credited=self.credited,
            ),
        }


def expect(rows: int, **sums: int | Decimal) -> ViewTotals:
    return ViewTotals(rows=rows, sums={column: Decimal(value) for column, value in sums.items()})


def differences(books: dict[str, ViewTotals], views: dict[str, ViewTotals]) -> Iterable[str]:
    """Every figure on which log and views do not agree, in words; none of them means reconciled."""
    for name, wanted in books.items():
        found = views[name]
        if found.rows != wanted.rows:
            yield f"{name} has {found.rows:,} rows, the log says {wanted.rows:,}"
        for column, value in wanted.sums.items():
            if found.sums[column] != value:
                yield f"{name}'s {column} add up to {found.sums[column]:,f}, the log's to {value:,f}"
