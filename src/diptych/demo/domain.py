"""The shop's left panel: what may be asked of an order and of a credit note, and what is decided.

Only messages, states and plain functions live here: no I/O, no clock, no views. Money is exact: nothing here rounds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec

from diptych import Aggregate, Command, Event, Meta, Rejected

MINIMUM_ORDER = Decimal("10.00")

PRICE_DIGITS, HIGHEST_PRICE = 3, 1_000_000
"""What a price may be, either way: the books also have prices below zero."""

HIGHEST_TOTAL = 100_000_000
"""What an invoice may be worth: the views add up tens of millions of them."""

YEARS = range(1900, 2101)
"""When an invoice may be of."""

LONDON = ZoneInfo("Europe/London")
"""Where the shop is: a day of its books is a day there."""

Code = Annotated[str, Meta(min_length=1, max_length=200)]
Quantity = Annotated[int, Meta(gt=-(10**7), lt=10**7)]


class Line(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A line of an order (its quantity above zero) or of a credit note (its quantity below zero)."""

    stock_code: Code
    description: str
    quantity: Quantity
    price: Decimal

    @property
    def amount(self) -> Decimal:
        return self.price * self.quantity


def total(lines: Iterable[Line]) -> Decimal:
    return sum((line.amount for line in lines), Decimal())


def units(lines: Iterable[Line]) -> int:
    return sum(line.quantity for line in lines)


class PlaceOrder(Command):
    """Place an order, of a customer or (with no `customer_id`) of a guest."""

    order_id: str
    customer_id: str | None
    country: Code
    placed_at: datetime
    lines: tuple[Line, ...]


class IssueCredit(Command):
    """Issue a credit note for goods that came back; its quantities are below zero."""

    credit_note_id: str
    customer_id: str | None
    country: Code
    issued_at: datetime
    lines: Annotated[tuple[Line, ...], Meta(min_length=1)]


class OrderPlaced(Event):
    order_id: str
    customer_id: str | None
    country: str
    placed_at: datetime
    lines: tuple[Line, ...]


class CreditIssued(Event):
    credit_note_id: str
    customer_id: str | None
    country: str
    issued_at: datetime
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Order:
    placed: bool = False


orders = Aggregate("order", id="order_id", initial=Order())


@orders.decide
def place_order(order: Order, command: PlaceOrder) -> Iterator[OrderPlaced]:
    if not is_sale(command.order_id):
        raise Rejected("not-a-sale", "An order's number is digits alone.")
    if order.placed:
        raise Rejected("order-exists", "This order was placed already.")
    if any(line.quantity <= 0 for line in command.lines):
        raise Rejected("quantity-not-positive", "Every line of an order needs a quantity above zero.")
    if total(command.lines) < MINIMUM_ORDER:
        raise Rejected("minimum-order", f"An order must be worth at least {MINIMUM_ORDER}.")
    check_books(command.lines, command.placed_at)
    yield OrderPlaced(
        order_id=command.order_id,
        customer_id=command.customer_id,
        country=command.country,
        placed_at=command.placed_at,
        lines=command.lines,
    )


@orders.evolve
def order_placed(order: Order, event: OrderPlaced) -> Order:
    return Order(placed=True)


@dataclass(frozen=True, slots=True)
class Credit:
    issued: bool = False


credit_notes = Aggregate("credit", id="credit_note_id", initial=Credit())


@credit_notes.decide
def issue_credit(credit: Credit, command: IssueCredit) -> Iterator[CreditIssued]:
    if credit.issued:
        raise Rejected("credit-exists", "This credit note was issued already.")
    if any(line.quantity >= 0 for line in command.lines):
        raise Rejected("credit-not-negative", "Every line of a credit note needs a quantity below zero.")
    check_books(command.lines, command.issued_at)
    yield CreditIssued(
        credit_note_id=command.credit_note_id,
        customer_id=command.customer_id,
        country=command.country,
        issued_at=command.issued_at,
        lines=command.lines,
    )


@credit_notes.evolve
def credit_issued(credit: Credit, event: CreditIssued) -> Credit:
    return Credit(issued=True)


def check_books(lines: Iterable[Line], moment: datetime) -> None:
    """What the books cannot hold must not get into the log: every view would have to stop at it."""
    if any(abs(line.price) > HIGHEST_PRICE or line.price != round(line.price, PRICE_DIGITS) for line in lines):
        raise Rejected("price-out-of-bounds", f"A price has {PRICE_DIGITS} decimals and is {HIGHEST_PRICE} at most.")
    if abs(total(lines)) > HIGHEST_TOTAL:
        raise Rejected("total-out-of-bounds", f"An invoice is worth {HIGHEST_TOTAL} at most.")
    if moment.year not in YEARS:
        raise Rejected("date-out-of-bounds", f"The books go from {YEARS[0]} to {YEARS[-1]}.")


def is_sale(invoice_no: str) -> bool:
    """The books number a sale with digits alone; a letter in front marks something else."""
    return invoice_no.isascii() and invoice_no.isdigit()
