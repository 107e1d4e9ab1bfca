"""Invoices through the command path, many in flight at a time, and a tally of what came back.

Nothing is guessed here: an invoice counts as ordered or credited because its command returned a receipt, and as
rejected because it raised. Each invoice's command id is made from its number, so that loading it again, after a kill or
for fun, is a repeated command, which the log answers with its first outcome.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from diptych import App, CommandIdReused, Rejected
from diptych.demo.domain import IssueCredit, PlaceOrder, total
from diptych.demo.sales_file import Invoice

IN_FLIGHT = 128
"""Commands under way at a time: enough for the log to gather them into large commits, few enough to hold in memory."""


@dataclass(slots=True)
class Tally:
    """What became of the invoices so far; rows are the file's."""

    orders: int = 0
    credit_notes: int = 0
    revenue: Decimal = Decimal()
    credited: Decimal = Decimal()
    rejected: Counter[str] = field(default_factory=Counter[str])
    rows_ordered: int = 0
    rows_credited: int = 0
    rows_rejected: Counter[str] = field(default_factory=Counter[str])

    @property
    def invoices(self) -> int:
        return self.orders + self.credit_notes + self.rejected.total()

    @property
    def rows(self) -> int:
        return self.rows_ordered + self.rows_credited + self.rows_rejected.total()

    def accepted(self, command: PlaceOrder | IssueCredit) -> None:
        match command:
            case PlaceOrder():
                self.orders += 1
                self.revenue += total(command.lines)
                self.rows_ordered += len(command.lines)
            case IssueCredit():
                self.credit_notes += 1
                self.credited -= total(command.lines)
                self.rows_credited += len(command.lines)

    def refused(self, command: PlaceOrder | IssueCredit, code: str) -> None:
        self.rejected[code] += 1
        self.rows_rejected[code] += len(command.lines)


def command_of(invoice: Invoice) -> PlaceOrder | IssueCredit:
    """A C in front marks a credit note. All else is offered as an order: what a sale is, the domain decides."""
    if invoice.no.startswith("C"):
        return IssueCredit(
            credit_note_id=invoice.no,
            customer_id=invoice.customer_id,
            country=invoice.country,
            issued_at=invoice.time,
            lines=tuple(invoice.lines),
        )
    return PlaceOrder(
        order_id=invoice.no,
        customer_id=invoice.customer_id,
        country=invoice.country,
        placed_at=invoice.time,
        lines=tuple(invoice.lines),
    )


async def load(app: App, invoices: Iterable[Invoice], tally: Tally) -> None:
    """Executes one command for each invoice and counts in `tally`, which may be looked at meanwhile."""
    waiting = iter(invoices)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work(app, waiting, tally))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def work(app: App, waiting: Iterator[Invoice], tally: Tally) -> None:
    for invoice in waiting:
        command = command_of(invoice)
        try:
            await app.execute(command, command_id=f"invoice-{invoice.no}")
        except (Rejected, CommandIdReused) as refusal:
            tally.refused(command, refusal.code)
        else:
            tally.accepted(command)
