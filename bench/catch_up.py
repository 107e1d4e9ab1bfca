"""Catching up: one projection from an empty view to the end of a long log.

Measured: events per second from opening the app to `caught_up` with the log's end, typed rows written with the
checkpoint in the same transaction, page after page. The log: orders of 10 events each (placed, 8 items, shipped), 100
of them interleaved at any time, 230 bytes of JSON an event, 200,000 events (50,000 in a quick run). The view: a row per
order with a str key, a Decimal total, an int count of items and a status; each measurement is of a new version of the
projection, whose view begins with nothing. The file system's cache is warm.
Ceiling: fetch the same pages with bare sqlite3, or with asyncpg which fetches the next page meanwhile; decode them to
Structs, fold them with the projection's own handlers into a dict of rows, and write nothing.
Peer: its projection into its own view with tracking in the same transaction, on a shorter log of the same kind (its
rate does not depend on the length), the best of its ProjectionRunner and a plain loop; and, on SQLite and to inform,
the loop with its view's commits not synced, as Diptych's are not.
Targets: docs/performance.md.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from bench.engine import fill, order_id_of
from bench.harness import DIPTYCH, RATE, Bench, Contender, Goal, Settings, best
from bench.peer_projection import catch_up_in_a_loop, catch_up_with_runner
from bench.places import POSTGRES, SQLITE, Place, no_postgres
from bench.shop import (
    ItemAdded,
    OrderPlaced,
    OrderShipped,
    OrderSummary,
    SummaryOf,
    shop_of_version,
    summary_item,
    summary_placed,
    summary_shipped,
)
from bench.workload import EVENTS_PER_ORDER, PRICE, QUANTITY, steps
from diptych import Token
from diptych.log import PAGE_EVENTS

ORDERS, QUICK_ORDERS = 20_000, 5_000
PEER_ORDERS, QUICK_PEER_ORDERS = 300, 100
PATIENCE = timedelta(seconds=120)

PAGE = "SELECT position, stream, type, schema, data FROM {} WHERE position > {} ORDER BY position LIMIT {}"

ITEMS = EVENTS_PER_ORDER - 2

Rows = Iterable[Iterable[Any]]


def prepare(place: Place, settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Fills the log once."""
    orders = settings.sized(ORDERS, QUICK_ORDERS)
    home = settings.folder / f"catch-up-{place.name}"
    home.mkdir()
    url = settings.lasting.enter_context(place.opened(home))
    events = asyncio.run(fill(url, steps(orders)))
    versions = count(1)

    def ours(_: Path) -> dict[str, float]:
        return {RATE: events / asyncio.run(_catch_up(url, orders, next(versions)))}

    ceiling = Contender("fetch, decode, fold", lambda _: {RATE: events / asyncio.run(_fold_only(url, orders))})
    peer_orders = settings.sized(PEER_ORDERS, QUICK_PEER_ORDERS)
    peer = best([catch_up_with_runner(place, peer_orders), catch_up_in_a_loop(place, peer_orders)], settings)
    title = "catch-up of one projection" + ("" if place is SQLITE else f" on {place.name}")
    contenders = [Contender(DIPTYCH, ours), ceiling, peer]
    goals = [
        Goal(title, "events/s", against=ceiling.name, reach=0.45 if place is SQLITE else 0.25),
        Goal(title, "events/s", against=peer.name, reach=100 if place is SQLITE else 60),
    ]
    if place is SQLITE:
        unsynced = catch_up_in_a_loop(place, peer_orders, unsynced=True)
        contenders.append(unsynced)
        goals.append(Goal(title, "events/s", against=unsynced.name))
    return contenders, goals


async def _catch_up(url: str, orders: int, version: int) -> float:
    start = time.perf_counter()
    async with shop_of_version(version).open(url) as app:
        token = Token.at(app.log.log_id, (await app.log.head()).position)
        await app.caught_up(token, timeout=PATIENCE)
        seconds = time.perf_counter() - start
        last = await app.ask(SummaryOf(order_id=order_id_of(orders - 1)), after=token)
        _check(last)
        return seconds


async def _fold_only(url: str, orders: int) -> float:
    kinds: dict[str, tuple[Callable[[bytes], Any], Callable[[Any, Any], OrderSummary]]] = {
        "OrderPlaced": (msgspec.json.Decoder(OrderPlaced).decode, summary_placed),
        "ItemAdded": (msgspec.json.Decoder(ItemAdded).decode, summary_item),
        "OrderShipped": (msgspec.json.Decoder(OrderShipped).decode, summary_shipped),
    }
    rows: dict[str, OrderSummary] = {}
    start = time.perf_counter()
    async for page in _pages(url):
        for _, _, kind, _, data in page:
            decode, fold = kinds[kind]
            event = decode(data)
            key = event.order_id
            rows[key] = fold(rows.get(key), event)
    seconds = time.perf_counter() - start
    assert len(rows) == orders
    _check(rows[order_id_of(orders - 1)])
    return seconds


async def _pages(url: str) -> AsyncIterator[Rows]:
    if url.startswith("sqlite"):
        for page in _pages_of_file(url.removeprefix("sqlite:///")):
            yield page
        return
    connection = await asyncpg.connect(url)
    fetch = partial(connection.fetch, PAGE.format("diptych.event", "$1", "$2"))
    rows = await fetch(0, PAGE_EVENTS)
    while rows:
        following = asyncio.create_task(fetch(rows[-1][0], PAGE_EVENTS))
        await asyncio.sleep(0)  # it is sent before this page is folded
        yield rows
        rows = await following
    await connection.close()


def _pages_of_file(path: str) -> Iterator[Rows]:
    statement, position = PAGE.format("event", "?", "?"), 0
    with closing(sqlite3.connect(path)) as database:
        while page := database.execute(statement, (position, PAGE_EVENTS)).fetchall():
            yield page
            position = page[-1][0]


def _check(row: OrderSummary | None) -> None:
    """That the work was done."""
    assert row is not None
    assert (row.total, row.items, row.status) == (PRICE * QUANTITY * ITEMS + Decimal(), QUANTITY * ITEMS, "shipped")


BENCHES = (
    Bench("catch-up", "one projection from nothing to the end of the log", partial(prepare, SQLITE)),
    Bench("catch-up-postgres", "the same on PostgreSQL", partial(prepare, POSTGRES), no_postgres),
)
