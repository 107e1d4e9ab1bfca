"""One context through its versions: an invoice whose event changed twice, and a reminder that was retired."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from diptych import Aggregate, BoundedContext, Command, Event, Projection, Query, Upcaster, View, Views, upcasts


class Issue(Command):
    invoice_id: str
    amount: Decimal


class Remind(Command):
    invoice_id: str


class InvoiceV1(Event, name="InvoiceIssued"):
    invoice_id: str
    total: Decimal


class Reminded(Event):
    invoice_id: str


class InvoiceV2(Event, name="InvoiceIssued", schema=2):
    invoice_id: str
    amount: Decimal


class InvoiceV3(Event, name="InvoiceIssued", schema=3):
    invoice_id: str
    amount: Decimal
    currency: str
    note: str = ""


@upcasts(InvoiceV3, from_schema=1)
def total_is_called_amount(old: dict[str, Any]) -> dict[str, Any]:
    old["amount"] = old.pop("total")
    return old


@upcasts(InvoiceV3, from_schema=2)
def all_was_in_pounds(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "currency": "GBP"}


class Owed(View, key="invoice_id"):
    invoice_id: str
    amount: Decimal
    currency: str


class AllOwed(Query[list[Owed]]):
    pass


async def all_owed(query: AllOwed, views: Views) -> list[Owed]:
    return await views[Owed]


def first() -> BoundedContext:
    """The code that wrote schema 1, and an event that nobody has any more."""
    invoices = Aggregate("invoice", id="invoice_id", initial=0)

    @invoices.decide
    def issue(count: int, command: Issue) -> Iterator[InvoiceV1]:
        yield InvoiceV1(invoice_id=command.invoice_id, total=command.amount)

    @invoices.decide
    def remind(count: int, command: Remind) -> Iterator[Reminded]:
        yield Reminded(invoice_id=command.invoice_id)

    @invoices.evolve
    def issued(count: int, event: InvoiceV1) -> int:
        return count + 1

    @invoices.evolve
    def reminded(count: int, event: Reminded) -> int:
        return count

    return BoundedContext("billing", aggregates=[invoices])


def second() -> BoundedContext:
    """The code that wrote schema 2."""
    invoices = Aggregate("invoice", id="invoice_id", initial=0)

    @invoices.decide
    def issue(count: int, command: Issue) -> Iterator[InvoiceV2]:
        yield InvoiceV2(invoice_id=command.invoice_id, amount=command.amount)

    @invoices.evolve
    def issued(count: int, event: InvoiceV2) -> int:
        return count + 1

    return BoundedContext("billing", aggregates=[invoices])


def third(
    upcasters: tuple[Upcaster, ...] = (total_is_called_amount, all_was_in_pounds),
    retired: tuple[str, ...] = ("Reminded",),
) -> BoundedContext:
    """The code of today."""
    invoices = Aggregate("invoice", id="invoice_id", initial=Decimal())

    @invoices.decide
    def issue(owed: Decimal, command: Issue) -> Iterator[InvoiceV3]:
        yield InvoiceV3(invoice_id=command.invoice_id, amount=owed + command.amount, currency="EUR")

    @invoices.evolve
    def issued(owed: Decimal, event: InvoiceV3) -> Decimal:
        return owed + event.amount

    rows = Projection(Owed)

    @rows.on
    def row_issued(row: Owed | None, event: InvoiceV3) -> Owed:
        return Owed(invoice_id=event.invoice_id, amount=event.amount, currency=event.currency)

    return BoundedContext(
        "billing",
        aggregates=[invoices],
        projections=[rows],
        queries=[all_owed],
        upcasters=upcasters,
        retired=retired,
    )
