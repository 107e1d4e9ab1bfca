"""The report as a person likes to read it. Colours help on a terminal and are never needed."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from diptych.demo.queries import ViewTotals
from diptych.demo.report import Report, Timing
from diptych.demo.run import Findings
from diptych.demo.views import CustomerHistory, DailySales, ProductSales

INDENT = 2
NARROWEST, WIDEST = 40, 92
BEST_DAYS = 5

FIGURES = {
    "Orders": ("orders",),
    "Units": ("units",),
    "Revenue": ("total", "spent", "revenue"),
    "Credited": ("amount", "credited"),
}
"""Headings of the views' table, and the columns that they stand for in one view or another."""


def show(console: Console, findings: Findings, heading: str, closing: Iterable[str]) -> None:
    """Prints the report between a heading and closing lines, which are not broken, so that they can be copied."""
    report, found = findings.report, findings.highlights
    width = max(NARROWEST, min(console.width - 2 * INDENT, WIDEST))
    tables = [
        outcomes(report),
        views(findings.views),
        top_products(found.products),
        best_customers(found.customers),
        busiest_days(found.days),
    ]
    console.print()
    say(console, Text(heading, style="bold"))
    say(console, Text(f"{report.rows:,} rows are {report.invoices:,} invoices, each of them one command.", style="dim"))
    if sum(report.views[name] for name in ("OrderSummary", "CreditNote")) > report.orders + report.credit_notes:
        say(console, Text("The store holds more than this file, and the views show all of it.", style="dim"))
    for table in tables:
        table.width = width
        console.print()
        say(console, table)
    console.print()
    say(console, verdict(findings))
    say(console, Text(pace(report, findings.timing)))
    console.print()
    for line in closing:
        console.print(" " * INDENT + line, soft_wrap=True, markup=False, highlight=False, style="dim")
    console.print()


def say(console: Console, part: RenderableType) -> None:
    console.print(Padding(part, (0, 0, 0, INDENT), expand=False), highlight=False)


def outcomes(report: Report) -> Table:
    """What became of the invoices, and what they are worth."""
    rows = report.rows_by_outcome
    shown = lined("Outcome", "Invoices", "Rows", "Pounds")
    shown.add_row("ordered", count(report.orders), count(rows.ordered), money(Decimal(report.revenue)))
    shown.add_row("credited", count(report.credit_notes), count(rows.credited), money(-Decimal(report.credited)))
    for code, invoices in report.rejected.items():
        shown.add_row(f"rejected: {code}", count(invoices), count(rows.rejected[code]), "")
    return shown


def views(totals: dict[str, ViewTotals]) -> Table:
    """The views' rows, and what they add up to: a column says the same wherever it speaks of the same."""
    shown = lined("View", "Rows", *FIGURES)
    for name, view in totals.items():
        sums = (figure(view.sums, columns) for columns in FIGURES.values())
        shown.add_row(name, count(view.rows), *sums)
    return shown


def figure(sums: dict[str, Decimal], columns: Sequence[str]) -> str:
    for column in columns:
        if column in sums:
            return f"{sums[column]:,.0f}" if column in {"orders", "units"} else money(sums[column])
    return ""


def top_products(products: Iterable[ProductSales]) -> Table:
    shown = lined("Top products", "Orders", "Units", "Pounds")
    for row in products:
        shown.add_row(
            Text(f"{row.stock_code:8} {row.description.strip()}"),
            count(row.orders),
            count(row.units),
            money(row.revenue),
        )
    return shown


def best_customers(customers: Iterable[CustomerHistory]) -> Table:
    shown = lined("Best customers", "Orders", "Spent", "Credited")
    for row in customers:
        shown.add_row(Text(row.customer_id), count(row.orders), money(row.spent), money(-row.credited))
    return shown


def busiest_days(days: Iterable[DailySales]) -> Table:
    """The days that brought in most, over all countries."""
    by_day: defaultdict[date, list[DailySales]] = defaultdict(list)
    for row in days:
        by_day[row.day].append(row)
    shown = lined("Busiest days", "Orders", "Units", "Pounds")
    for day, rows in sorted(by_day.items(), key=lambda item: (-revenue(item[1]), item[0]))[:BEST_DAYS]:
        orders, units = sum(row.orders for row in rows), sum(row.units for row in rows)
        shown.add_row(f"{day:%A}, {day.day} {day:%B %Y}", count(orders), count(units), money(revenue(rows)))
    return shown


def revenue(rows: Iterable[DailySales]) -> Decimal:
    return sum((row.revenue for row in rows), Decimal())


def verdict(findings: Findings) -> Text:
    """Whether the books agree; where they do not, on what."""
    if not findings.differences:
        figures = sum(1 + len(view.sums) for view in findings.views.values())
        return Text(f"Reconciled: all {figures} totals of the views equal a fold of the log.", style="green")
    return Text("\n  ".join(("NOT reconciled:", *findings.differences)), style="bold red")


def pace(report: Report, timing: Timing) -> str:
    return (
        f"{timing.whole:,.1f} s: {timing.reading:,.1f} reading, {timing.loading:,.1f} loading, "
        f"{timing.catching_up:,.1f} waiting for views, {timing.reconciling:,.1f} reconciling\n"
        f"{report.commands_per_second:,.0f} commands/s, {report.events_per_second:,.0f} events/s"
    )


def lined(name: str, *numbers: str) -> Table:
    """A table of names and numbers. Where there is little room names are cut short, and numbers never."""
    shown = Table(box=SIMPLE_HEAD, header_style="bold", show_edge=False, pad_edge=False, padding=(0, 0, 0, 2))
    shown.add_column(name, ratio=1, no_wrap=True, overflow="ellipsis")
    for heading in numbers:
        shown.add_column(heading, justify="right", overflow="fold")
    return shown


def count(number: int) -> str:
    return f"{number:,}"


def money(amount: Decimal) -> str:
    """Exact, with two decimals at least."""
    whole, _, pence = f"{amount:,f}".partition(".")
    return f"{whole}.{pence.rstrip('0'):0<2}"
