"""The shop's right panel: five views, each a fold of the log.

Every fold here gives the same rows whatever the order in which invoices reached the log: sums are added up, and first,
last and latest go by the invoice's own time. Commands arrive many at a time, so nobody promises their order in the log.
"""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from diptych import Projection, Scale, View
from diptych.demo.domain import LONDON, CreditIssued, OrderPlaced, total, units

Money = Annotated[Decimal, Scale(3)]
"""Pounds sterling; the books carry up to three decimals."""

NOTHING = Decimal()


class OrderSummary(View, key="order_id", index=("customer_id",)):
    order_id: str
    customer_id: str | None
    country: str
    placed_at: datetime
    lines: int
    units: int
    total: Money


summaries = Projection(OrderSummary)


@summaries.on
def order_summarised(row: OrderSummary | None, event: OrderPlaced) -> OrderSummary:
    return OrderSummary(
        order_id=event.order_id,
        customer_id=event.customer_id,
        country=event.country,
        placed_at=event.placed_at,
        lines=len(event.lines),
        units=units(event.lines),
        total=total(event.lines),
    )


class CreditNote(View, key="credit_note_id", index=("customer_id",)):
    credit_note_id: str
    customer_id: str | None
    country: str
    issued_at: datetime
    lines: int
    units: int
    amount: Money


notes = Projection(CreditNote)


@notes.on
def note_written(row: CreditNote | None, event: CreditIssued) -> CreditNote:
    return CreditNote(
        credit_note_id=event.credit_note_id,
        customer_id=event.customer_id,
        country=event.country,
        issued_at=event.issued_at,
        lines=len(event.lines),
        units=-units(event.lines),
        amount=-total(event.lines),
    )


class CustomerHistory(View, key="customer_id", index=("spent",)):
    """Whoever has an order or a credit note; guests have no history."""

    customer_id: str
    orders: int = 0
    spent: Money = NOTHING
    credits: int = 0
    credited: Money = NOTHING
    first_order: datetime | None = None
    last_order: datetime | None = None


histories = Projection(CustomerHistory)


def customer_of_order(event: OrderPlaced) -> Iterable[str]:
    return known(event.customer_id)


def customer_of_credit(event: CreditIssued) -> Iterable[str]:
    return known(event.customer_id)


def known(customer_id: str | None) -> Iterable[str]:
    return () if customer_id is None else (customer_id,)


@histories.on(keys=customer_of_order)
def order_remembered(row: CustomerHistory | None, event: OrderPlaced, key: str) -> CustomerHistory:
    row = row or CustomerHistory(customer_id=key)
    return row.replace(
        orders=row.orders + 1,
        spent=row.spent + total(event.lines),
        first_order=min(row.first_order or event.placed_at, event.placed_at),
        last_order=max(row.last_order or event.placed_at, event.placed_at),
    )


@histories.on(keys=customer_of_credit)
def credit_remembered(row: CustomerHistory | None, event: CreditIssued, key: str) -> CustomerHistory:
    row = row or CustomerHistory(customer_id=key)
    return row.replace(credits=row.credits + 1, credited=row.credited - total(event.lines))


class ProductSales(View, key="stock_code", index=("units", "revenue")):
    """What was ordered of a stock code, spelled exactly so. Credit notes do not touch it."""

    stock_code: str
    description: str = ""
    described_by: str = ""
    described_at: datetime | None = None
    orders: int = 0
    units: int = 0
    revenue: Money = NOTHING


sales = Projection(ProductSales)


def stock_codes(event: OrderPlaced) -> Iterable[str]:
    return [line.stock_code for line in event.lines]


@sales.on(keys=stock_codes)
def product_sold(row: ProductSales | None, event: OrderPlaced, key: str) -> ProductSales:
    row = row or ProductSales(stock_code=key)
    lines = [line for line in event.lines if line.stock_code == key]
    described = next((line.description for line in reversed(lines) if line.description), "")
    latest = bool(described) and is_latest(row, event)
    return row.replace(
        description=described if latest else row.description,
        described_by=event.order_id if latest else row.described_by,
        described_at=event.placed_at if latest else row.described_at,
        orders=row.orders + 1,
        units=row.units + units(lines),
        revenue=row.revenue + total(lines),
    )


def is_latest(row: ProductSales, event: OrderPlaced) -> bool:
    """Whether the order is later than the one that gave the row its description; its number settles a tie."""
    if row.described_at is None:
        return True
    return (event.placed_at, event.order_id) > (row.described_at, row.described_by)


class DailySales(View, key=("day", "country")):
    """A country's day, as the shop's own clock cuts days."""

    day: date
    country: str
    orders: int = 0
    units: int = 0
    revenue: Money = NOTHING
    credited: Money = NOTHING


daily = Projection(DailySales)

DayKey = tuple[date, str]


def local_day(moment: datetime) -> date:
    return moment.astimezone(LONDON).date()


def day_of_order(event: OrderPlaced) -> Iterable[DayKey]:
    return ((local_day(event.placed_at), event.country),)


def day_of_credit(event: CreditIssued) -> Iterable[DayKey]:
    return ((local_day(event.issued_at), event.country),)


@daily.on(keys=day_of_order)
def day_sold(row: DailySales | None, event: OrderPlaced, key: DayKey) -> DailySales:
    row = row or DailySales(day=key[0], country=key[1])
    return row.replace(
        orders=row.orders + 1,
        units=row.units + units(event.lines),
        revenue=row.revenue + total(event.lines),
    )


@daily.on(keys=day_of_credit)
def day_credited(row: DailySales | None, event: CreditIssued, key: DayKey) -> DailySales:
    row = row or DailySales(day=key[0], country=key[1])
    return row.replace(credited=row.credited - total(event.lines))
