"""What the shop decides, told as given, when, then."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from diptych.demo.domain import (
    CreditIssued,
    IssueCredit,
    Line,
    OrderPlaced,
    PlaceOrder,
    credit_notes,
    is_sale,
    orders,
    total,
)
from diptych.testing import given

NOON = datetime(2010, 12, 1, 12, tzinfo=UTC)


def line(quantity: int, price: str, stock_code: str = "mug") -> Line:
    return Line(stock_code=stock_code, description="MUG", quantity=quantity, price=Decimal(price))


def place(*lines: Line, no: str = "536365") -> PlaceOrder:
    return PlaceOrder(order_id=no, customer_id="17850", country="EIRE", placed_at=NOON, lines=lines)


def placed(*lines: Line, no: str = "536365") -> OrderPlaced:
    return OrderPlaced(order_id=no, customer_id="17850", country="EIRE", placed_at=NOON, lines=lines)


def issue(*lines: Line) -> IssueCredit:
    return IssueCredit(credit_note_id="C536379", customer_id=None, country="EIRE", issued_at=NOON, lines=lines)


def issued(*lines: Line) -> CreditIssued:
    return CreditIssued(credit_note_id="C536379", customer_id=None, country="EIRE", issued_at=NOON, lines=lines)


def test_an_order_is_placed_with_its_lines() -> None:
    lines = (line(6, "2.55"), line(1, "0"))
    given(orders).when(place(*lines)).then(placed(*lines))


def test_an_order_is_placed_once() -> None:
    given(orders, placed(line(6, "2.55"))).when(place(line(6, "2.55"))).rejects("order-exists")


@pytest.mark.parametrize("price", ["10", "10.000", "10.001"])
def test_an_order_of_ten_pounds_is_placed(price: str) -> None:
    given(orders).when(place(line(1, price))).then(placed(line(1, price)))


def test_an_order_under_ten_pounds_is_rejected_by_a_tenth_of_a_penny() -> None:
    given(orders).when(place(line(1, "9.999"))).rejects("minimum-order")


def test_an_order_without_lines_is_worth_nothing() -> None:
    given(orders).when(place()).rejects("minimum-order")


@pytest.mark.parametrize("quantity", [0, -1])
def test_the_quantities_of_an_order_are_looked_at_before_its_worth(quantity: int) -> None:
    given(orders).when(place(line(quantity, "1"))).rejects("quantity-not-positive")
    given(orders).when(place(line(100, "5"), line(quantity, "1"))).rejects("quantity-not-positive")


@pytest.mark.parametrize("no", ["A563185", "x1", "536365A", "-1", " 1", "٣"])
def test_only_digits_number_a_sale(no: str) -> None:
    assert not is_sale(no)
    given(orders).when(place(line(0, "0"), no=no)).rejects("not-a-sale")


def test_a_credit_note_is_issued_with_its_lines() -> None:
    given(credit_notes).when(issue(line(-6, "2.55"))).then(issued(line(-6, "2.55")))


def test_a_credit_note_is_issued_once() -> None:
    given(credit_notes, issued(line(-1, "1"))).when(issue(line(-1, "1"))).rejects("credit-exists")


@pytest.mark.parametrize("quantity", [0, 1])
def test_every_line_of_a_credit_note_is_below_zero(quantity: int) -> None:
    given(credit_notes).when(issue(line(-6, "2.55"), line(quantity, "1"))).rejects("credit-not-negative")


AMOUNTS = st.tuples(st.integers(1, 10**6), st.integers(0, 10**7))


@for_all(amounts=st.lists(AMOUNTS, max_size=50))
def test_money_adds_up_to_the_last_decimal(amounts: list[tuple[int, int]]) -> None:
    lines = [line(quantity, f"{mils // 1000}.{mils % 1000:03}") for quantity, mils in amounts]
    assert total(lines) * 1000 == sum(quantity * mils for quantity, mils in amounts)


def test_an_invoice_that_the_books_cannot_add_up_or_date_is_rejected() -> None:
    given(orders).when(place(*[line(1000, "1000000")] * 2)).rejects("total-out-of-bounds")
    for year in (1, 9999):
        command = place(line(10, "5"))
        given(orders).when(msgspec.structs.replace(command, placed_at=datetime(year, 1, 1, tzinfo=UTC))).rejects(
            "date-out-of-bounds"
        )


@pytest.mark.parametrize("price", ["10.0001", "1000000.01", "1E+20", "9999999999999999999999999999"])
def test_a_price_that_the_books_cannot_hold_is_rejected(price: str) -> None:
    given(orders).when(place(line(1, price))).rejects("price-out-of-bounds")
    given(credit_notes).when(issue(line(-1, price))).rejects("price-out-of-bounds")
