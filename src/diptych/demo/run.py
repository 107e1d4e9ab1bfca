"""A run of the demo on an open store: load, wait for the views, reconcile, and ask for what is worth showing.

Whoever calls it has read the file and chosen the store, and says where progress is shown.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from time import perf_counter

import msgspec

from diptych import App, NotCaughtUp, Token
from diptych.demo import shop
from diptych.demo.load import Tally, load
from diptych.demo.queries import BestCustomers, SalesByDay, TopProducts, Totals, ViewTotals
from diptych.demo.reconcile import Books, differences
from diptych.demo.report import Report, Timing, report_of
from diptych.demo.sales_file import Invoice
from diptych.demo.views import CustomerHistory, DailySales, ProductSales
from diptych.progress import Progress, shown
from diptych.stores import store_at

LOADING = "Commands"
CATCHING_UP = "Views"
STALLED = timedelta(seconds=60)
"""How long the views may make no progress at all before the run gives up on them."""


class Highlights(msgspec.Struct, frozen=True):
    """What a person would ask first, as the shop's queries answer it."""

    products: list[ProductSales]
    customers: list[CustomerHistory]
    days: list[DailySales]


class Findings(msgspec.Struct, frozen=True):
    """A run's report, with what stands behind it; `differences` is empty where log and views agree."""

    report: Report
    timing: Timing
    views: dict[str, ViewTotals]
    differences: list[str]
    highlights: Highlights


async def run(store: str, invoices: Sequence[Invoice], tally: Tally, progress: Progress, reading: float) -> Findings:
    """Loads the invoices into a store and looks at what became of them. `reading`: the seconds that the file took."""
    await check_shop(store)
    async with shop.open(store) as app:
        began = perf_counter()
        async with shown(progress, LOADING, lambda: tally.invoices, lambda: len(invoices)):
            await load(app, invoices, tally)
        loaded = perf_counter()
        token = await catch_up(app, progress)
        caught_up = perf_counter()
        books, views = await both_sides(app, token)
        timing = Timing(
            reading=reading,
            loading=loaded - began,
            catching_up=caught_up - loaded,
            reconciling=perf_counter() - caught_up,
        )
        wrong = list(differences(books, views))
        rows = {name: view.rows for name, view in views.items()}
        report = report_of(tally, rows, timing, reconciled=not wrong)
        return Findings(report, timing, views, wrong, await highlights(app, token))


async def check_shop(store: str) -> None:
    """Raises UnreadableEvent where the store holds what another context has written: nothing of it is touched."""
    async with store_at(store).log() as log:
        for kind in await log.kinds():
            for event in (await log.read(kind.position - 1, 1)).events:
                shop.catalogue.decode(event)


async def catch_up(app: App, progress: Progress) -> Token:
    """Waits until every view has all of the log. Raises NotCaughtUp where one stands still."""
    token = await app.token()
    reached, stuck = 0, timedelta()
    wait = timedelta(milliseconds=250)
    while True:
        try:
            await app.caught_up(token, timeout=wait)
        except NotCaughtUp as behind:
            stuck = timedelta() if behind.position > reached else stuck + wait
            reached = max(reached, behind.position)
            if stuck >= STALLED:
                raise
            progress.show(CATCHING_UP, reached, token.position)
        else:
            progress.show(CATCHING_UP, token.position, token.position)
            return token


async def both_sides(app: App, token: Token) -> tuple[dict[str, ViewTotals], dict[str, ViewTotals]]:
    """The log's totals up to the token, and the views'."""
    books = Books()
    async for recorded in app.events(upto=token):
        books.enter(recorded.event)
    return books.totals(), await app.ask(Totals(), after=token)


async def highlights(app: App, token: Token) -> Highlights:
    return Highlights(
        products=await app.ask(TopProducts(limit=5), after=token),
        customers=await app.ask(BestCustomers(limit=5), after=token),
        days=await app.ask(SalesByDay(from_=date.min, to=date.max), after=token),
    )
