"""The books: what a fold of the log adds up to, and how a disagreement is told."""

from datetime import UTC, datetime
from decimal import Decimal

from diptych.demo.domain import CreditIssued, Line, OrderPlaced
from diptych.demo.queries import SUMMED, ViewTotals
from diptych.demo.reconcile import Books, differences

NOON = datetime(2010, 12, 1, 12, tzinfo=UTC)


def entered() -> Books:
    books = Books()
    lines = (
        Line(stock_code="a", description="", quantity=2, price=Decimal("5.005")),
        Line(stock_code="b", description="", quantity=1, price=Decimal(0)),
    )
    back = (Line(stock_code="a", description="", quantity=-1, price=Decimal("5.005")),)
    for customer in ("1", None):
        books.enter(OrderPlaced(order_id="5", customer_id=customer, country="EIRE", placed_at=NOON, lines=lines))
    books.enter(CreditIssued(credit_note_id="C5", customer_id="2", country="France", issued_at=NOON, lines=back))
    return books


def test_the_books_add_up_what_every_view_should_show() -> None:
    totals = {name: (view.rows, *view.sums.values()) for name, view in entered().totals().items()}
    assert totals == {
        "OrderSummary": (2, 4, 6, Decimal("20.02")),
        "CreditNote": (1, 1, 1, Decimal("5.005")),
        "CustomerHistory": (2, 1, Decimal("10.01"), 1, Decimal("5.005")),
        "ProductSales": (2, 6, Decimal("20.02")),
        "DailySales": (2, 2, 6, Decimal("20.02"), Decimal("5.005")),
    }


def test_books_and_views_speak_of_the_same_columns() -> None:
    assert {name: tuple(view.sums) for name, view in Books().totals().items()} == {
        view.__name__: columns for view, columns in SUMMED
    }


def test_views_that_agree_with_the_log_show_no_difference() -> None:
    assert list(differences(entered().totals(), entered().totals())) == []


def test_every_figure_that_differs_is_told() -> None:
    views = entered().totals()
    sums = views["OrderSummary"].sums
    views["OrderSummary"] = ViewTotals(rows=3, sums={**sums, "total": Decimal("20.021")})
    assert list(differences(entered().totals(), views)) == [
        "OrderSummary has 3 rows, the log says 2",
        "OrderSummary's total add up to 20.021, the log's to 20.020",
    ]
