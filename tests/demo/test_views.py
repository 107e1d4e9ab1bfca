"""What the views show, and that the order in which invoices reach the log does not matter to them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from diptych import Event, Projection, View
from diptych.demo.domain import CreditIssued, Line, OrderPlaced
from diptych.demo.views import (
    CreditNote,
    CustomerHistory,
    DailySales,
    OrderSummary,
    ProductSales,
    daily,
    histories,
    notes,
    sales,
    summaries,
)
from diptych.testing import given

EARLY = datetime(2011, 6, 1, 9, tzinfo=UTC)
LATE = datetime(2011, 6, 2, 9, tzinfo=UTC)


def order(no: str, at: datetime, *lines: Line, customer: str | None = "1", country: str = "EIRE") -> OrderPlaced:
    return OrderPlaced(order_id=no, customer_id=customer, country=country, placed_at=at, lines=lines)


def credit(no: str, at: datetime, *lines: Line, customer: str | None = "1") -> CreditIssued:
    return CreditIssued(credit_note_id=no, customer_id=customer, country="EIRE", issued_at=at, lines=lines)


def line(stock_code: str, quantity: int, price: str, description: str = "MUG") -> Line:
    return Line(stock_code=stock_code, description=description, quantity=quantity, price=Decimal(price))


def test_an_order_and_a_credit_note_are_summarised() -> None:
    given(summaries, order("5", EARLY, line("a", 2, "7.50"), line("b", 1, "0.125"))).shows(
        OrderSummary(
            order_id="5",
            customer_id="1",
            country="EIRE",
            placed_at=EARLY,
            lines=2,
            units=3,
            total=Decimal("15.125"),
        )
    )
    given(notes, credit("C5", LATE, line("a", -2, "7.50"), customer=None)).shows(
        CreditNote(
            credit_note_id="C5",
            customer_id=None,
            country="EIRE",
            issued_at=LATE,
            lines=1,
            units=2,
            amount=Decimal("15.00"),
        )
    )


def test_a_customers_history_knows_orders_and_credit() -> None:
    events = (
        order("6", LATE, line("a", 1, "20")),
        order("5", EARLY, line("a", 1, "10")),
        credit("C5", LATE, line("a", -1, "10")),
    )
    given(histories, *events).shows(
        CustomerHistory(
            customer_id="1",
            orders=2,
            spent=Decimal(30),
            credits=1,
            credited=Decimal(10),
            first_order=EARLY,
            last_order=LATE,
        )
    )


def test_a_customer_with_credit_alone_has_a_history_and_a_guest_has_none() -> None:
    given(histories, credit("C5", LATE, line("a", -1, "10")), order("5", EARLY, customer=None)).shows(
        CustomerHistory(customer_id="1", credits=1, credited=Decimal(10))
    )


def test_a_product_is_its_exact_code_and_its_latest_description() -> None:
    events = (
        order("6", LATE, line("a", 1, "3", "NEW"), line("a", 2, "2", ""), line("A", 1, "1", "OTHER")),
        order("5", EARLY, line("a", 4, "1", "OLD")),
    )
    given(sales, *events).shows(
        ProductSales(
            stock_code="a",
            description="NEW",
            described_by="6",
            described_at=LATE,
            orders=2,
            units=7,
            revenue=Decimal(11),
        ),
        ProductSales(
            stock_code="A",
            description="OTHER",
            described_by="6",
            described_at=LATE,
            orders=1,
            units=1,
            revenue=Decimal(1),
        ),
    )


def test_a_day_is_the_shops_own() -> None:
    half_past_midnight_in_london = datetime(2011, 6, 1, 23, 30, tzinfo=UTC)
    given(
        daily,
        order("5", half_past_midnight_in_london, line("a", 2, "10")),
        credit("C5", LATE, line("a", -1, "10")),
    ).shows(
        DailySales(
            day=date(2011, 6, 2),
            country="EIRE",
            orders=1,
            units=2,
            revenue=Decimal(20),
            credited=Decimal(10),
        )
    )


EVENTS = [
    order("5", EARLY, line("a", 1, "20", "OLD")),
    order("6", LATE, line("a", 2, "10", "NEW"), line("b", 1, "1", "")),
    order("7", LATE, line("a", 3, "10", "NEWER"), customer="2"),
    order("8", EARLY, line("b", 4, "10", "B"), country="France"),
    credit("C5", LATE, line("a", -1, "20")),
    credit("C6", EARLY, line("c", -1, "5"), customer=None),
]
"""Handled in any order these give the rows below."""

ROWS: list[tuple[Projection[Any], list[View]]] = [
    (
        histories,
        [
            CustomerHistory(
                customer_id="1",
                orders=3,
                spent=Decimal(81),
                credits=1,
                credited=Decimal(20),
                first_order=EARLY,
                last_order=LATE,
            ),
            CustomerHistory(customer_id="2", orders=1, spent=Decimal(30), first_order=LATE, last_order=LATE),
        ],
    ),
    (
        sales,
        [
            ProductSales(
                stock_code="a",
                description="NEWER",
                described_by="7",
                described_at=LATE,
                orders=3,
                units=6,
                revenue=Decimal(70),
            ),
            ProductSales(
                stock_code="b",
                description="B",
                described_by="8",
                described_at=EARLY,
                orders=2,
                units=5,
                revenue=Decimal(41),
            ),
        ],
    ),
    (
        daily,
        [
            DailySales(day=EARLY.date(), country="EIRE", orders=1, units=1, revenue=Decimal(20), credited=Decimal(5)),
            DailySales(day=EARLY.date(), country="France", orders=1, units=4, revenue=Decimal(40)),
            DailySales(day=LATE.date(), country="EIRE", orders=2, units=6, revenue=Decimal(51), credited=Decimal(20)),
        ],
    ),
]


@pytest.mark.parametrize(("projection", "rows"), ROWS, ids=["histories", "sales", "daily"])
@for_all(events=st.permutations(EVENTS))
def test_rows_do_not_depend_on_the_order_of_the_log(
    projection: Projection[Any], rows: list[View], events: list[Event]
) -> None:
    given(projection, *events).shows(*rows)
