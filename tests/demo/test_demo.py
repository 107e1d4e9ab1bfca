"""The whole demo in this process: the sample through the full command path, twice, on every store."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from diptych import NotFound
from diptych.demo import shop
from diptych.demo.load import Tally, load
from diptych.demo.queries import BestCustomers, GetOrder, OrdersOf, SalesByDay, TopProducts
from diptych.demo.report import Report, plain
from diptych.demo.run import Findings, catch_up, run
from diptych.demo.sales_file import SAMPLE, Invoice, read_sales
from diptych.progress import Silence

SALES = read_sales(SAMPLE)


async def ran(store: str, invoices: list[Invoice] = SALES) -> Findings:
    return await run(store, invoices, Tally(), Silence(), reading=0.0)


def figures(report: Report) -> dict[str, object]:
    """All of a report but its pace."""
    return {
        name: getattr(report, name)
        for name in report.__struct_fields__
        if name not in {"seconds", "commands_per_second", "events_per_second"}
    }


def expected() -> dict[str, object]:
    """The sample's figures, worked out from its rows by other means than the demo's."""
    worth = {invoice.no: sum((line.price * line.quantity for line in invoice.lines), Decimal()) for invoice in SALES}
    credited = [invoice for invoice in SALES if invoice.no[0] == "C"]
    bad = [i for i in SALES if i.no[0] != "C" and any(line.quantity <= 0 for line in i.lines)]
    small = [i for i in SALES if i.no[0] != "C" and i not in bad and worth[i.no] < 10]
    orders = [i for i in SALES if i.no[0] != "C" and i not in bad and i not in small]
    return {
        "orders": len(orders),
        "credit_notes": len(credited),
        "revenue": sum(worth[i.no] for i in orders),
        "credited": -sum(worth[i.no] for i in credited),
        "rejected": {"minimum-order": len(small), "quantity-not-positive": len(bad)},
        "rows": sum(len(i.lines) for i in SALES),
        "ordered": sum(len(i.lines) for i in orders),
        "customers": len({i.customer_id for i in orders + credited if i.customer_id}),
        "products": len({line.stock_code for i in orders for line in i.lines}),
    }


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store of each kind."""
    match request.param:
        case "memory":
            return "memory://"
        case "sqlite":
            return f"sqlite:///{tmp_path / 'shop.db'}"
        case _:
            return str(request.getfixturevalue("postgres_url"))


async def test_the_sample_is_loaded_and_reconciled(store: str) -> None:
    findings = await ran(store)
    report, sample = findings.report, expected()
    assert findings.differences == []
    assert report.reconciled
    assert (report.rows, report.invoices) == (5217, 310)
    assert (report.orders, report.credit_notes, report.rejected) == (
        sample["orders"],
        sample["credit_notes"],
        sample["rejected"],
    )
    assert (Decimal(report.revenue), Decimal(report.credited)) == (sample["revenue"], sample["credited"])
    assert report.rows_by_outcome.ordered == sample["ordered"]
    assert report.views["OrderSummary"] == sample["orders"]
    assert report.views["CustomerHistory"] == sample["customers"]
    assert report.views["ProductSales"] == sample["products"]


async def test_loading_again_gives_the_same_report_and_no_new_event(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'shop.db'}"
    first = await ran(store)
    async with shop.open(store) as app:
        head = await app.log.head()
    second = await ran(store)
    async with shop.open(store) as app:
        assert await app.log.head() == head
    assert figures(second.report) == figures(first.report)
    assert head.position == first.report.orders + first.report.credit_notes


async def test_a_load_goes_on_from_a_part_of_it(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'shop.db'}"
    async with shop.open(store) as app:
        await load(app, SALES[::3], Tally())
    assert figures((await ran(store)).report) == figures((await ran("memory://")).report)


async def test_another_invoice_by_a_number_in_the_store_is_refused_and_counted(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'shop.db'}"
    await ran(store, SALES[:1])
    first = SALES[0]
    other = Invoice(first.no, first.time, first.customer_id, first.country, first.lines * 2)
    report = (await ran(store, [other, *SALES[1:]])).report
    assert report.rejected["command-id-reused"] == 1
    assert report.orders == report.views["OrderSummary"] - 1
    assert report.reconciled


async def test_nothing_loaded_reconciles_too() -> None:
    report = (await ran("memory://", [])).report
    assert (report.rows, report.revenue, report.reconciled, set(report.views.values())) == (0, "0", True, {0})


async def test_the_shop_answers_its_queries() -> None:
    async with shop.open("memory://") as app:
        await load(app, SALES, Tally())
        await catch_up(app, Silence())
        order = await app.ask(GetOrder(order_id="536365"))
        assert (order.customer_id, order.lines, order.units, order.total) == ("17850", 7, 40, Decimal("139.12"))
        with pytest.raises(NotFound):
            await app.ask(GetOrder(order_id="1"))

        orders = await app.ask(OrdersOf(customer_id="17850", limit=500))
        assert {row.customer_id for row in orders} == {"17850"}
        assert [row.placed_at for row in orders] == sorted((row.placed_at for row in orders), reverse=True)

        [best, second] = await app.ask(BestCustomers(limit=2))
        assert best.spent > second.spent

        by_units = await app.ask(TopProducts(limit=3, by="units"))
        by_revenue = await app.ask(TopProducts(limit=3, by="revenue"))
        assert [row.units for row in by_units] == sorted((row.units for row in by_units), reverse=True)
        assert [row.revenue for row in by_revenue] == sorted((row.revenue for row in by_revenue), reverse=True)

        days = await app.ask(SalesByDay(from_=date(2010, 12, 2), to=date(2010, 12, 2)))
        assert {row.day for row in days} == {date(2010, 12, 2)}
        [eire] = await app.ask(SalesByDay(from_=date(2010, 12, 1), to=date(2010, 12, 1), country="EIRE"))
        assert (eire.country, eire.orders > 0) == ("EIRE", True)


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1.500", "1.5"), ("100", "100"), ("0.000", "0"), ("1E+3", "1000"), ("6292012.922", "6292012.922")],
)
def test_money_is_told_exactly_and_without_idle_zeros(amount: str, text: str) -> None:
    assert plain(Decimal(amount)) == text
